"""The forms that people fill in: silence, note, false alarm, and what to ask. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.commands.incidents import NOTE_LENGTH
from bot.core.model.request import Verb
from bot.core.state.silence import EVERYTHING, REASON_LENGTH
from bot.core.triage.context import join_names
from bot.slack.actions import ASK, SILENCE_FORM, WHAT, WORDS_FORM, ActionValue
from bot.slack.render.signals import metric_name
from bot.slack.render.text import COMMAND, Block, clean_text, context, signal_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.ports import View

SPAN, UNTIL, REASON, VERB, TENANT = "span", "until", "reason", "verb", "tenant"
"""The fields, beside `what`: each is a block with an element of the same id."""
MAX_OPTIONS = 100
"""Options of one select, or of one group in it (Block Kit reference, read 2026-11)."""
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
"""What the shortcut offers."""
TEXT_FORMS = {
    Verb.NOTE: ("Note", "What should the others know?", NOTE_LENGTH),
    Verb.FALSE_ALARM: ("False alarm", "Why was it a false alarm?", REASON_LENGTH),
}

Options = dict[str, str]
"""Value -> label."""


class Origin(ActionValue):
    """What a form remembers: where its answer belongs, and what it is about."""

    channel: str
    is_direct: bool = False
    verb: Verb = Verb.SILENCE
    argument: str = ""


def silence_form(view: View, origin: Origin, what: str, preview: str) -> Block:
    """Ask what to silence, for how long and why.

    Args:
        view: what there is to be silenced.
        origin: where the answer belongs.
        what: what is chosen, as it would be typed (`#12`, `prod`); empty: nothing yet.
        preview: what that would have hidden.
    """
    hint = f"Nobody is alerted of it; it is still shown. See also `{COMMAND} silences`."
    blocks = [
        _field(WHAT, "What", _select(_silence_options(view, what), what), dispatch_action=True),
        *([context(preview)] if preview else []),
        _field(SPAN, "For how long", _select({"": SPANS}, "1h")),
        _field(UNTIL, "Or until", {"type": "datetimepicker"}, optional=True),
        _field(REASON, "Why", _text_input(REASON_LENGTH)),
        context(hint),
    ]
    return _modal("Silence", SILENCE_FORM, origin, blocks)


def words_form(origin: Origin) -> Block:
    """Ask for a note, or why it was a false alarm."""
    title, label, most = TEXT_FORMS[origin.verb]
    blocks = [
        _field(REASON, f"{origin.argument} {label}".strip(), _text_input(most, multiline=True))
    ]
    return _modal(title, WORDS_FORM, origin, blocks)


def ask_form(view: View, origin: Origin) -> Block:
    """Offer what can be asked."""
    asked = {verb.value: label for verb, label in SHORTCUT_VERBS.items()}
    tenants = _split_options("Tenants", _name_options(view.rules.tenants))
    blocks = [
        _field(VERB, "What", _select({"": asked}, Verb.STATUS)),
        _field(TENANT, "Which tenant, for a log-in or a silence", _select(tenants), optional=True),
    ]
    return _modal("Ask Auth0 Check", ASK, origin, blocks)


def _silence_options(view: View, what: str) -> dict[str, Options]:
    """Return what can be silenced, in groups; what was chosen is there even if it is over."""
    still_open = sorted(view.desk.open_incidents, key=lambda one: -one.id)[:MAX_INCIDENTS]
    incidents = {f"#{one.id}": f"#{one.id} {join_names(one.tenants)}" for one in still_open}
    rules = view.rules.tenants
    signals = {name: signal_name(name) for one in rules.values() for name in one.probes}
    measured = {
        name: metric_name(name, limits.kind)
        for one in rules.values()
        for name, limits in one.metrics.items()
    }
    groups = {
        "Incidents": incidents,
        **_split_options("Tenants", _name_options(rules)),
        **_split_options("At all tenants", signals | measured),
        "More": {EVERYTHING: "Everything"},
    }
    if what and not any(what in options for options in groups.values()):
        groups["More"][what] = what
    return {label: options for label, options in groups.items() if options}


def _name_options(names: Iterable[str]) -> Options:
    return {name: name for name in sorted(names)}


def _split_options(label: str, options: Options) -> dict[str, Options]:
    """Split options into groups that Slack takes."""
    pairs = list(options.items())
    starts = range(0, len(pairs), MAX_OPTIONS)
    return {
        label + f", from {pairs[at][0]}" * (at > 0): dict(pairs[at : at + MAX_OPTIONS])
        for at in starts
    }


def _select(groups: dict[str, Options], chosen: str = "") -> Block:
    made = {
        label: [{"text": _plain_text(shown), "value": value} for value, shown in options.items()]
        for label, options in groups.items()
    }
    initial = [one for options in made.values() for one in options if one["value"] == chosen]
    rest: Block = {"initial_option": initial[0]} if initial else {}
    if list(made) == [""]:
        return {"type": "static_select", "options": made[""], **rest}
    shown = [{"label": _plain_text(label), "options": options} for label, options in made.items()]
    return {"type": "static_select", "option_groups": shown, **rest}


def _text_input(most: int, *, multiline: bool = False) -> Block:
    return {
        "type": "plain_text_input",
        "min_length": 1,
        "max_length": most,
        "multiline": multiline,
    }


def _field(name: str, label: str, element: Block, **more: bool) -> Block:
    return {
        "type": "input",
        "block_id": name,
        "label": _plain_text(label),
        "element": {**element, "action_id": name},
        **more,
    }


def _modal(title: str, name: str, origin: Origin, blocks: list[Block]) -> Block:
    return {
        "type": "modal",
        "callback_id": name,
        "title": _plain_text(title),
        "submit": _plain_text("Ask" if name == ASK else title),
        "close": _plain_text("Cancel"),
        "private_metadata": origin.model_dump_json(),
        "blocks": blocks,
    }


def _plain_text(words: str) -> Block:
    return {"type": "plain_text", "text": clean_text(words, LABEL_CHARS)}
