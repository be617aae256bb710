"""The forms that people fill in: a silence, a note, a false alarm, a question. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.commands.parse import NOTE_LENGTH
from bot.core.model.access import Verb
from bot.core.state.silence import EVERYTHING, REASON_LENGTH
from bot.slack.actions import ASK, SILENCE_FORM, WHAT, WORDS_FORM, ActionValue, Number
from bot.slack.render.signals import metric_name
from bot.slack.render.text import (
    COMMAND,
    Block,
    context,
    join_names,
    plain_text,
    signal_name,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.ports import View

SPAN, UNTIL, REASON, VERB, TENANT = "span", "until", "reason", "verb", "tenant"
"""The fields beside `WHAT`: each is a block with an element of the same id."""
MAX_OPTIONS = 100
"""Options of a select, or of one of its groups (Block Kit reference, read 2026-11)."""
LABEL_CHARS = 75
MAX_INCIDENTS = 50
SPANS = {
    "30m": "30 minutes",
    "1h": "1 hour",
    "2h": "2 hours",
    "4h": "4 hours",
    "8h": "8 hours",
    "12h": "12 hours",
    "24h": "24 hours",
}
SHORTCUT_VERBS = {
    Verb.STATUS: "How are logins now?",
    Verb.RUN: "Log in afresh, now",
    Verb.ALERTS: "Incidents of the last seven days",
    Verb.WHY: "Why this verdict?",
    Verb.ONCALL: "Who is on call?",
    Verb.SILENCE: "Silence something …",
    Verb.SILENCES: "What is silenced?",
    Verb.REPORT: "The report of the last week",
    Verb.HEALTH: "How is the bot itself?",
    Verb.HELP: "What else can I ask?",
}
"""The questions that the shortcut's form offers."""
TEXT_FORMS = {
    Verb.NOTE: ("Note", "What should the others know?", NOTE_LENGTH),
    Verb.FALSE_ALARM: ("False alarm", "Why was it a false alarm?", REASON_LENGTH),
}

Options = dict[str, str]
"""Value -> label."""


class Origin(ActionValue):
    """What a form carries: where to answer, and what it is about."""

    channel: str
    is_direct: bool = False
    verb: Verb = Verb.SILENCE
    incident: Number | None = None
    """What a note or a false alarm is about."""


def silence_form(view: View, origin: Origin, what: str, preview: str) -> Block:
    """Render the form of a silence: what, for how long and why.

    Args:
        view: has what can be silenced.
        origin: where to answer.
        what: what is chosen, as it would be typed (`#12`, `prod`); empty: nothing yet.
        preview: what that would have hidden.
    """
    blocks = [
        _field(WHAT, "What", _select(_silence_options(view, what), what), dispatch_action=True),
        *([context(preview)] if preview else []),
        _field(SPAN, "For how long", _select({"": SPANS}, "1h")),
        _field(UNTIL, "Or until", {"type": "datetimepicker"}, optional=True),
        _field(REASON, "Why", _text_input(REASON_LENGTH)),
        context(f"Nobody is alerted of it; it is still shown. See also `{COMMAND} silences`."),
    ]
    return _modal("Silence", SILENCE_FORM, origin, blocks)


def words_form(origin: Origin) -> Block:
    """Render the form of a note, or of a false alarm."""
    title, label, max_length = TEXT_FORMS[origin.verb]
    element = _text_input(max_length, multiline=True)
    field = _field(REASON, f"#{origin.incident} {label}", element)
    return _modal(title, WORDS_FORM, origin, [field])


def ask_form(view: View, origin: Origin) -> Block:
    """Render the shortcut's form, which offers what can be asked."""
    verbs = {verb.value: label for verb, label in SHORTCUT_VERBS.items()}
    tenants = _split_options("Tenants", _name_options(view.rules.tenants))
    blocks = [
        _field(VERB, "What", _select({"": verbs}, Verb.STATUS)),
        _field(TENANT, "Which tenant, for a log-in or a silence", _select(tenants), optional=True),
    ]
    return _modal("Ask Auth0 Check", ASK, origin, blocks)


def _silence_options(view: View, what: str) -> dict[str, Options]:
    """Return what can be silenced, in groups, and the chosen value even if it is over."""
    newest = sorted(view.desk.open_incidents, key=lambda one: -one.id)[:MAX_INCIDENTS]
    incidents = {
        f"#{one.id}": f"#{one.id} {join_names(one.tenants) or 'the bot'}" for one in newest
    }
    rules = view.rules.tenants
    signals = {name: signal_name(name) for one in rules.values() for name in one.probes}
    metrics = {
        name: metric_name(name, limits.kind)
        for one in rules.values()
        for name, limits in one.metrics.items()
    }
    groups = {
        "Incidents": incidents,
        **_split_options("Tenants", _name_options(rules)),
        **_split_options("At all tenants", signals | metrics),
        "More": {EVERYTHING: "Everything"},
    }
    if what and not any(what in options for options in groups.values()):
        groups["More"][what] = what
    return {label: options for label, options in groups.items() if options}


def _name_options(names: Iterable[str]) -> Options:
    return {name: name for name in sorted(names)}


def _split_options(label: str, options: Options) -> dict[str, Options]:
    """Split options into groups of at most `MAX_OPTIONS`."""
    pairs = list(options.items())
    starts = range(0, len(pairs), MAX_OPTIONS)
    return {
        label + f", from {pairs[at][0]}" * (at > 0): dict(pairs[at : at + MAX_OPTIONS])
        for at in starts
    }


def _select(groups: dict[str, Options], chosen: str = "") -> Block:
    rendered = {
        label: [{"text": plain_text(text), "value": value} for value, text in options.items()]
        for label, options in groups.items()
    }
    initial = [one for options in rendered.values() for one in options if one["value"] == chosen]
    rest: Block = {"initial_option": initial[0]} if initial else {}
    if list(rendered) == [""]:
        return {"type": "static_select", "options": rendered[""], **rest}
    option_groups = [
        {"label": plain_text(label), "options": options} for label, options in rendered.items()
    ]
    return {"type": "static_select", "option_groups": option_groups, **rest}


def _text_input(max_length: int, *, multiline: bool = False) -> Block:
    return {
        "type": "plain_text_input",
        "min_length": 1,
        "max_length": max_length,
        "multiline": multiline,
    }


def _field(name: str, label: str, element: Block, **more: bool) -> Block:
    return {
        "type": "input",
        "block_id": name,
        "label": plain_text(label),
        "element": {**element, "action_id": name},
        **more,
    }


def _modal(title: str, name: str, origin: Origin, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": name,
        "title": plain_text(title),
        "submit": plain_text("Ask" if name == ASK else title),
        "close": plain_text("Cancel"),
        "private_metadata": origin.model_dump_json(),
        "blocks": blocks,
    }
