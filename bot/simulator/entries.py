"""The entries of a scenario file that can be read without knowing the rest of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from bot.core.model.observation import CONTROL, Cause
from bot.simulator.happening import NOTIFY, SINGLE_PLACES
from bot.simulator.part import MappingReader, Misread
from bot.simulator.scenario import (
    Answer,
    CallSpan,
    Presence,
    Row,
    StatusUpdate,
    Tenant,
    UserInput,
    Window,
)
from bot.simulator.units import (
    flag,
    host,
    member,
    name,
    one_of,
    plain,
    rate,
    span,
    text,
    whole,
    word,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_incident = word(r"[A-Za-z0-9_-]{1,64}", "is no incident's id: write letters, digits, - or _")
_user = word(r"[UW][A-Z0-9]+", "is no member's id such as U012ANNA")
_calls = one_of("always", "never", "hours")
CLICKS = ("acknowledge", "take_over", "resolve", "confirm", "still_on_it", "hand_over")
"""The buttons that somebody can press."""
_row_type = word(r"[A-Za-z0-9_]{1,40}", "is no event type code such as s or fp")


def read_length(value: object) -> float:
    """Read a span that is not below zero."""
    span_s = span(value)
    if span_s < 0:
        raise Misread(value, "must not be below zero")
    return span_s


def require_either(part: MappingReader, *keys: str) -> None:
    """Add a problem for an entry that changes nothing."""
    if not part.values.keys() & {*keys}:
        part.add_problem(f"must name {' or '.join(keys)}")


def read_window(part: MappingReader) -> Window:
    """Read `from` and `to`."""
    window = Window(
        part.read_optional("from", span, -math.inf), part.read_optional("to", span, math.inf)
    )
    if window.since_s >= window.until_s:
        part.add_problem("must be later than from", "to")
    return window


def read_tenant(tenants: MappingReader, named: str) -> Tenant:
    """Read a tenant; its name is its key."""
    part = tenants.below(named)
    try:
        if name(named) in (CONTROL, NOTIFY, *SINGLE_PLACES):
            part.add_problem("is the name of another place: choose another one for the tenant")
    except Misread as error:
        part.add_problem(str(error))
    return part.close(
        Tenant(
            name=named,
            domain=part.read_required("domain", host),
            environment=part.read_optional("environment", text, None),
            custom_domain=part.read_optional("custom_domain", host, None),
            m2m=part.read_optional("m2m", flag, default=False),
            calls=part.read_optional("calls", _calls, None),
        )
    )


def read_status_update(part: MappingReader) -> StatusUpdate:
    """Read a status update; title and environments are empty where they are left out."""
    return StatusUpdate(
        at_s=part.read_required("at", span),
        incident=part.read_required("incident", _incident),
        title=part.read_optional("title", text, ""),
        status=part.read_required("status", text),
        text=part.read_optional("text", plain, ""),
        environments=part.items("environments", text),
    )


def read_row(rows: MappingReader, kind: str) -> Row:
    """Read the rows of one type: a rate, or a rate with the fields of the rows."""
    try:
        _row_type(kind)
    except Misread as error:
        rows.add_problem(str(error), kind)
    if not isinstance(rows.values[kind], dict):
        return Row(kind, rows.read_required(kind, rate))
    part = rows.below(kind)
    return part.close(
        Row(
            type=kind,
            rate_s=part.read_required("rate", rate),
            description=part.read_optional("description", plain, ""),
            connection=part.read_optional("connection", plain, ""),
        )
    )


def read_user_input(part: MappingReader) -> UserInput:
    """Read what somebody types or clicks."""
    if ("say" in part.values) == ("click" in part.values):
        part.add_problem("must name either what they say or what they click")
    is_click = "click" in part.values
    return UserInput(
        part.read_required("at", span),
        part.read_required("user", text),
        say=part.read_optional("say", text, ""),
        click=part.read_optional("click", one_of(*CLICKS), ""),
        incident=part.read_required("incident", _number) if is_click else 0,
    )


def _number(value: object) -> int:
    if whole(value) < 1:
        raise Misread(value, "is no incident's number: they begin with 1")
    return whole(value)


def read_users(part: MappingReader) -> dict[str, Presence]:
    """Read who is not simply a member of the channel."""
    for user in part.values:
        try:
            _user(user)
        except Misread as error:
            part.add_problem(str(error), user)
    return {user: part.read_required(user, member(Presence)) for user in part.values}


def _most(value: object) -> int:
    if whole(value) < 0:
        raise Misread(value, "must not be below zero")
    return whole(value)


def read_answer(part: MappingReader, known_tenant: Callable[[object], str]) -> Answer:
    """Read the true cause and who must be called when, for the score."""

    def read_call_span(span_part: MappingReader) -> CallSpan:
        read = CallSpan(
            since_s=span_part.read_optional("from", span, -math.inf),
            until_s=span_part.read_required("by", span),
            tenant=span_part.read_optional("tenant", known_tenant, None),
            why=span_part.read_optional("why", text, ""),
        )
        if "by" in span_part.values and read.since_s > read.until_s:
            span_part.add_problem("must not be before from", "by")
        return read

    alert = part.read_required("alert", flag)
    return part.close(
        Answer(
            cause=part.read_required("cause", member(Cause)),
            accept=part.items("accept", member(Cause)),
            decidable_s=part.read_required("decidable", span)
            if alert
            else part.read_optional("decidable", span, None),
            alert=alert,
            called=part.each("called", read_call_span),
            quiet=part.each("quiet", read_window),
            calls_most=part.read_optional("calls_most", _most, None),
        )
    )
