"""Opens forms, updates their preview, and makes commands of what is filled in.

Opening a form takes a `trigger_id`, which Slack accepts once and for 3 s.
https://docs.slack.dev/surfaces/modals (read 2026-11)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.core.commands.parse import find_silence_target, make_incident_command, make_silence
from bot.core.model.access import RIGHTS, CommandOutcome, Verb, authorize
from bot.core.model.command import (
    PLAIN_QUESTIONS,
    AddSilence,
    Command,
    Request,
    RunCheck,
    SilenceRefusal,
    UnclearCommand,
)
from bot.core.model.wall_clock import DAY_S, WEEK_S, WEEKDAYS, is_zone, parse_span, wall_clock
from bot.core.state.silence import preview_hidden
from bot.slack.actions import ASK, SILENCE_FORM, WHAT, WORDS_FORM
from bot.slack.render.modals import (
    REASON,
    SPAN,
    TENANT,
    UNTIL,
    VERB,
    Origin,
    ask_form,
    silence_form,
    words_form,
)
from bot.slack.render.silences import preview_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.core.model.access import Person
    from bot.core.model.observation import Target
    from bot.ports import View, WebApi
    from bot.slack.render.text import Block

FORM_VERBS = {Verb.SILENCE, Verb.NOTE, Verb.FALSE_ALARM}
"""The verbs that need words which a button does not carry."""
_INCIDENT_ONLY = re.compile(r"(#\d{1,9})?")
FIELD_ERRORS = {
    SilenceRefusal.NO_SUCH: (WHAT, "I do not know that any more."),
    SilenceRefusal.NO_TIME: (SPAN, "Choose for how long."),
    SilenceRefusal.PAST: (UNTIL, "That is over already: choose a time to come."),
    SilenceRefusal.TOO_LONG: (
        UNTIL,
        "At most 30 days; what is to be silent for longer can be removed.",
    ),
    SilenceRefusal.NO_REASON: (REASON, "Say why: who is on call next will want to know."),
}


class FormError(Exception):
    """A submitted form has an error."""

    def __init__(self, field: str, text: str) -> None:
        """Keep the field, and the sentence that is shown under it."""
        super().__init__(text)
        self.field = field


class Forms:
    """The forms over Slack's Web API.

    Args:
        web: opens and updates them.
        view: returns what they offer.
    """

    def __init__(self, web: WebApi, view: Callable[[], View]) -> None:
        self._web = web
        self._view = view

    def is_needed(self, request: Request, body: Mapping[str, Any]) -> bool:
        """Tell whether to open a form: only a form can complete the request, and one can be opened.

        The desk refuses the request of a person who may not do it, so they get no form.
        """
        verb, command = request.command.verb, request.command
        is_bare = verb in FORM_VERBS and _INCIDENT_ONLY.fullmatch(request.words)
        if isinstance(command, UnclearCommand) and command.outcome is CommandOutcome.NO_SUCH:
            return False  # what is written into the form would be lost
        if body.get("type") != "shortcut" and not (is_bare and body.get("trigger_id")):
            return False
        access = self._view().rules.access
        return authorize(access, RIGHTS[verb], request.person, request.channel) is None

    async def open(self, trigger_id: str, request: Request) -> None:
        """Open the form that a request needs. Raises Refused and Doubt."""
        form = self.build_form(request)
        await self._web.call("views.open", {"trigger_id": trigger_id, "view": form})

    def build_form(self, request: Request) -> Block:
        """Return the form for a request: of its verb, or one that offers all questions."""
        command, verb = request.command, request.command.verb
        origin = Origin(
            channel=request.channel,
            is_direct=request.is_direct,
            verb=verb,
            # The thread's, or the only open one: it may be over when the form is sent.
            incident=command.incident if isinstance(command, UnclearCommand) else None,
        )
        if verb is Verb.SILENCE:
            about = f"#{origin.incident}" if origin.incident else ""
            return self._build_silence_form(origin, request.words or about)
        return words_form(origin) if verb in FORM_VERBS else ask_form(self._view(), origin)

    async def update_preview(self, body: Mapping[str, Any]) -> None:
        """Show what the chosen silence would have hidden. Raises Refused and Doubt.

        A form of another version stays as it is.
        """
        view = body["view"]
        try:
            origin = Origin.model_validate_json(view["private_metadata"])
        except ValueError:
            return
        form = self._build_silence_form(origin, _field_value(view, WHAT))
        params = {"view_id": view["id"], "hash": view["hash"], "view": form}
        await self._web.call("views.update", params)

    def parse_submission(self, body: Mapping[str, Any], at: float, person: Person) -> Request:
        """Parse a submitted form. Raises FormError, or ValueError if it is not of this version."""
        view = body["view"]
        origin = Origin.model_validate_json(view["private_metadata"])
        command: Command
        if view["callback_id"] == SILENCE_FORM:
            command, words = self._parse_silence(view, at, person.zone)
        elif view["callback_id"] == WORDS_FORM:
            reason, number = _field_value(view, REASON), origin.incident
            words = f"#{number} {reason.strip()}"
            known = number if number in self._view().desk.incidents else None
            command = make_incident_command(origin.verb, known, reason)
        elif view["callback_id"] == ASK:
            command, words = _parse_question(view)
        else:
            raise ValueError(view["callback_id"])
        return Request(
            f"view:{view['id']}:{view['hash']}",
            at,
            command,
            words,
            user=person.id,
            channel=origin.channel,
            is_direct=origin.is_direct,
            person=person,
        )

    def _parse_silence(
        self, view: Mapping[str, Any], at: float, zone: str
    ) -> tuple[AddSilence, str]:
        """Return the silence, and its words as they would be typed. Raises FormError."""
        what, time, reason = (_field_value(view, name) for name in (WHAT, SPAN, REASON))
        span_s = parse_span(time)
        until = None if span_s is None else at + span_s
        if chosen := _field_value(view, UNTIL):
            until = float(chosen)
            # As a person would write it: a time of day in the next seven days, else a span.
            if 0 < until - at < WEEK_S:
                clock = wall_clock(until, zone if is_zone(zone) else "UTC")
                time = f"until {WEEKDAYS[clock.weekday()]} {clock:%H:%M}"
            else:
                time = f"{min(max(0, round((until - at) / 60)), 99_999)}m"
        silence = make_silence(self._find_silence_target(what), until, reason, at)
        if isinstance(silence, SilenceRefusal):
            raise FormError(*FIELD_ERRORS[silence])
        return silence, f"{what} {time} {reason}"

    def _find_silence_target(self, what: str) -> Target | int | None:
        view = self._view()
        return find_silence_target(what, view.rules, view.desk.incidents)

    def _build_silence_form(self, origin: Origin, what: str) -> Block:
        view, preview = self._view(), ""
        if (about := self._find_silence_target(what)) is not None:
            incidents = view.desk.incidents.values()
            preview = preview_text(preview_hidden(about, incidents, view.now - DAY_S))
        return silence_form(view, origin, what, preview)


def _parse_question(view: Mapping[str, Any]) -> tuple[Command, str]:
    """Return what the shortcut's form asks, and its words as they would be typed."""
    verb, tenant = Verb(_field_value(view, VERB)), _field_value(view, TENANT)
    if verb is Verb.RUN:
        return RunCheck(tenant), tenant
    if verb is Verb.SILENCE:  # its form asks for the rest
        return UnclearCommand(verb, CommandOutcome.INVALID), tenant
    if verb not in PLAIN_QUESTIONS:
        raise ValueError(verb)
    return PLAIN_QUESTIONS[verb], ""


def _field_value(view: Mapping[str, Any], name: str) -> str:
    """Return the value of a field, or an empty text.

    https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload (read 2026-11)
    """
    field = view.get("state", {}).get("values", {}).get(name, {}).get(name, {})
    chosen = (field.get("selected_option") or {}).get("value")
    return str(chosen or field.get("value") or field.get("selected_date_time") or "")
