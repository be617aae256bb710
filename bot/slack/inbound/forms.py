"""Opens forms, keeps their preview true, and reads them as if it had been typed.

A form is asked for with a `trigger_id`, which Slack takes once and for 3 s.
https://docs.slack.dev/surfaces/modals (read 2026-11)
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.core.commands.silences import wanted
from bot.core.model.access import RIGHTS, refusal
from bot.core.model.request import Request, Verb
from bot.core.model.wall_clock import DAY_S, WEEK_S, WEEKDAYS, is_zone, wall_clock
from bot.core.state.silence import Refusal, SilenceWanted, preview
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

    from bot.core.model.request import Person
    from bot.ports import View, WebApi
    from bot.slack.render.text import Block

NAMED = {Verb.SILENCE, Verb.NOTE, Verb.FALSE_ALARM}
"""What needs more words than a button has."""
_BARE = re.compile(r"(#\d{1,9})?")
WRONG = {
    Refusal.NO_SUCH: (WHAT, "I do not know that any more."),
    Refusal.NO_TIME: (SPAN, "Choose for how long."),
    Refusal.PAST: (UNTIL, "That is over already: choose a time to come."),
    Refusal.TOO_LONG: (UNTIL, "At most 30 days; what is to be silent for longer can be removed."),
    Refusal.NO_REASON: (REASON, "Say why: who is on call next will want to know."),
}


class Wrong(Exception):  # noqa: N818 - says what happened
    """A form cannot be sent like this."""

    def __init__(self, field: str, text: str) -> None:
        """Keep the sentence that is shown under a field."""
        super().__init__(text)
        self.field = field


class Forms:
    """The forms over Slack's Web API.

    Args:
        web: opens and updates them.
        view: what they offer.
    """

    def __init__(self, web: WebApi, view: Callable[[], View]) -> None:
        self._web = web
        self._view = view

    def may(self, request: Request) -> bool:
        """Tell whether the person may what the form is for; if not, the desk will tell them."""
        access = self._view().rules.access
        return refusal(access, RIGHTS[request.verb], request.person, request.channel) is None

    async def open(self, trigger_id: str, request: Request) -> None:
        """Open the form that a request needs. Raises SlackRefused and SlackDoubt."""
        form = self.form(request)
        await self._web.call("views.open", {"trigger_id": trigger_id, "view": form})

    def form(self, request: Request) -> Block:
        """Return the form that a request needs; without a verb of `NAMED` it offers all."""
        origin = Origin(
            channel=request.channel,
            is_direct=request.is_direct,
            verb=request.verb,
            argument=request.argument,
        )
        if request.verb is Verb.SILENCE:
            return self._silence(origin, request.argument)
        return words_form(origin) if request.verb in NAMED else ask_form(self._view(), origin)

    async def preview(self, body: Mapping[str, Any]) -> None:
        """Show what the chosen silence would have hidden. Raises SlackRefused and SlackDoubt."""
        view = body["view"]
        origin = Origin.model_validate_json(view["private_metadata"])
        form = self._silence(origin, _value(view, WHAT))
        where = {"view_id": view["id"], "hash": view["hash"]}
        await self._web.call("views.update", {**where, "view": form})

    def read(self, body: Mapping[str, Any], at: float, person: Person) -> Request:
        """Read a form that was sent. Raises Wrong, or ValueError where it is not ours."""
        view = body["view"]
        origin = Origin.model_validate_json(view["private_metadata"])
        if view["callback_id"] == SILENCE_FORM:
            verb, argument = Verb.SILENCE, self._wanted(view, at, person.zone)
        elif view["callback_id"] == WORDS_FORM:
            verb, argument = origin.verb, f"{origin.argument} {_value(view, REASON).strip()}"
        elif view["callback_id"] == ASK:
            verb, argument = _asked(view)
        else:
            raise ValueError(view["callback_id"])
        return Request(
            id=f"view:{view['id']}:{view['hash']}",
            at=at,
            verb=verb,
            argument=argument,
            user=person.id,
            channel=origin.channel,
            is_direct=origin.is_direct,
            person=person,
        )

    def _wanted(self, view: Mapping[str, Any], at: float, zone: str) -> str:
        """Return the silence as it would be typed. Raises Wrong."""
        words = _value(view, SPAN)
        if until := _value(view, UNTIL):
            words = _until(float(until), at, zone)
        typed = f"{_value(view, WHAT)} {words} {_value(view, REASON)}"
        read = self._read_silence(typed, at, zone)
        if isinstance(read, Refusal):
            raise Wrong(*WRONG[read])
        return typed

    def _read_silence(self, typed: str, at: float, zone: str) -> SilenceWanted | Refusal:
        known = self._view()
        return wanted(typed, at, zone, known.rules, known.desk.incidents)

    def _silence(self, origin: Origin, what: str) -> Block:
        known = self._view()
        read = self._read_silence(f"{what} 1h preview", known.now, "UTC")
        said = ""
        if isinstance(read, SilenceWanted):
            incidents = known.desk.incidents.values()
            said = preview_text(preview(read.over, read.name, incidents, known.now - DAY_S))
        return silence_form(known, origin, what, said)


def is_for_a_form(request: Request, body: Mapping[str, Any]) -> bool:
    """Tell whether something was asked for that only a form can complete, and one can be opened."""
    is_bare = request.verb in NAMED and _BARE.fullmatch(request.argument)
    return body.get("type") == "shortcut" or bool(is_bare and body.get("trigger_id"))


def _asked(view: Mapping[str, Any]) -> tuple[Verb, str]:
    """Read the shortcut's form; only two of the verbs care for a tenant."""
    verb = Verb(_value(view, VERB))
    return verb, _value(view, TENANT) if verb in {Verb.RUN, Verb.SILENCE} else ""


def _value(view: Mapping[str, Any], name: str) -> str:
    """Return what a field holds; empty: nothing.

    https://docs.slack.dev/reference/interaction-payloads/view-interactions-payload (read 2026-11)
    """
    field = view.get("state", {}).get("values", {}).get(name, {}).get(name, {})
    chosen = (field.get("selected_option") or {}).get("value")
    return str(chosen or field.get("value") or field.get("selected_date_time") or "")


def _until(until: float, at: float, zone: str) -> str:
    """Write an instant as a person would: a time of the next seven days, else a span."""
    if not 0 < until - at < WEEK_S:
        return f"{min(max(0, round((until - at) / 60)), 99_999)}m"
    clock = wall_clock(until, zone if is_zone(zone) else "UTC")
    return f"until {WEEKDAYS[clock.weekday()]} {clock:%H:%M}"
