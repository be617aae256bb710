"""The entries of a scenario file that can be read without knowing the rest of it."""

from __future__ import annotations

import math

from bot.core.model.observation import CONTROL, Cause
from bot.simulator.happening import SINGLE_PLACES
from bot.simulator.part import Misread, Part
from bot.simulator.scenario import Answer, Post, Row, Saying, Tenant, Window
from bot.simulator.units import flag, host, member, name, plain, rate, span, text, word

_incident = word(r"[A-Za-z0-9_-]{1,64}", "is no incident's id: write letters, digits, - or _")
_row_type = word(r"[A-Za-z0-9_]{1,40}", "is no event type code such as s or fp")


def length(value: object) -> float:
    """Read a span that is not below zero."""
    span_s = span(value)
    if span_s < 0:
        raise Misread(value, "must not be below zero")
    return span_s


def need_either(part: Part, *keys: str) -> None:
    """Note an entry that changes nothing."""
    if not part.values.keys() & {*keys}:
        part.wrong(f"must name {' or '.join(keys)}")


def read_window(part: Part) -> Window:
    """Read `from` and `to`."""
    window = Window(part.may("from", span, -math.inf), part.may("to", span, math.inf))
    if window.since_s >= window.until_s:
        part.wrong("must be later than from", "to")
    return window


def read_tenant(tenants: Part, named: str) -> Tenant:
    """Read a tenant; its name is its key."""
    part = tenants.below(named)
    try:
        if name(named) in (CONTROL, *SINGLE_PLACES):
            part.wrong("is the name of another place: choose another one for the tenant")
    except Misread as error:
        part.wrong(str(error))
    return part.close(
        Tenant(
            name=named,
            domain=part.need("domain", host),
            environment=part.may("environment", text, None),
            custom_domain=part.may("custom_domain", host, None),
            m2m=part.may("m2m", flag, default=False),
        )
    )


def read_post(part: Part) -> Post:
    """Read a paragraph; title and environments are empty where they are left out."""
    return Post(
        at_s=part.need("at", span),
        incident=part.need("incident", _incident),
        title=part.may("title", text, ""),
        status=part.need("status", text),
        text=part.may("text", plain, ""),
        environments=part.items("environments", text),
    )


def read_row(rows: Part, kind: str) -> Row:
    """Read the rows of one type: a rate, or a rate with what stands in the rows."""
    try:
        _row_type(kind)
    except Misread as error:
        rows.wrong(str(error), kind)
    if not isinstance(rows.values[kind], dict):
        return Row(kind, rows.need(kind, rate))
    part = rows.below(kind)
    return part.close(
        Row(
            type=kind,
            rate_s=part.need("rate", rate),
            description=part.may("description", plain, ""),
            connection=part.may("connection", plain, ""),
        )
    )


def read_saying(part: Part) -> Saying:
    """Read what somebody types."""
    return Saying(part.need("at", span), part.need("user", text), part.need("say", text))


def read_answer(part: Part) -> Answer:
    """Read the truth."""
    alert = part.need("alert", flag)
    return part.close(
        Answer(
            cause=part.need("cause", member(Cause)),
            accept=part.items("accept", member(Cause)),
            decidable_s=part.need("decidable", span)
            if alert
            else part.may("decidable", span, None),
            alert=alert,
        )
    )
