"""Readers for the values of a scenario's keys. Each raises `Misread` with what it expects.

All scalars of a document are text; the key says what they mean.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from bot.simulator.part import Misread, suggest

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum

E = TypeVar("E", bound="StrEnum")

_NUMBER = r"(\d+(?:\.\d+)?)"
_SPAN = re.compile(rf"([+-]?){_NUMBER}(ms|s|m|h)", re.ASCII)
_SPAN_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_YEAR_S = 366 * 86400.0
_RATE = re.compile(rf"{_NUMBER}/(min|s)", re.ASCII)
_RATE_UNITS_S = {"min": 60.0, "s": 1.0}
_MAX_RATE_S = 1e6
_PERCENT = re.compile(rf"{_NUMBER}%", re.ASCII)
_SHARE = re.compile(r"0?\.\d+|[01](\.\d+)?", re.ASCII)
_WHOLE = re.compile(r"-?\d{1,18}", re.ASCII)


def plain(value: object) -> str:
    """Read text that may be empty."""
    if not isinstance(value, str):
        raise Misread(value, "must be text")
    return value


def text(value: object) -> str:
    """Read text."""
    if not plain(value).strip():
        raise Misread(value, "must be some text")
    return plain(value)


def word(pattern: str, expected: str) -> Callable[[object], str]:
    """Make a reader of text of one shape."""

    def read(value: object) -> str:
        if not re.fullmatch(pattern, plain(value)):
            raise Misread(value, expected)
        return plain(value)

    return read


name = word(
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}",
    "is no name: write 1 to 40 letters, digits, - or _, the first one a letter or digit",
)
_host = word(r"[A-Za-z0-9][A-Za-z0-9.-]{0,252}", "is no host name such as acme.us.auth0.com")


def host(value: object) -> str:
    """Read a host name, in small letters."""
    return _host(value).lower()


def whole(value: object) -> int:
    """Read a whole number."""
    if not _WHOLE.fullmatch(plain(value)):
        raise Misread(value, "must be a whole number")
    return int(plain(value))


def flag(value: object) -> bool:
    """Read true or false."""
    return one_of("true", "false")(value) == "true"


def span(value: object) -> float:
    """Read a span in seconds: `900ms`, `90s`, `12m`, `1.5h`, negative before t=0."""
    match = _SPAN.fullmatch(plain(value))
    if not match:
        raise Misread(value, "is no time: write a number and ms, s, m or h, such as 90s")
    span_s = float(match[1] + match[2]) * _SPAN_UNITS_S[match[3]]
    if abs(span_s) > _YEAR_S:
        raise Misread(value, "is more than a year")
    return span_s


def rate(value: object) -> float:
    """Read a rate, `N/min` or `N/s`, as so many a second."""
    match = _RATE.fullmatch(plain(value))
    if not match:
        raise Misread(value, "is no rate: write N/min or N/s, such as 55/min")
    rate_s = float(match[1]) / _RATE_UNITS_S[match[2]]
    if rate_s > _MAX_RATE_S:
        raise Misread(value, "is more than a million a second")
    return rate_s


def positive(read: Callable[[object], float]) -> Callable[[object], float]:
    """Make a reader of spans or rates above zero."""

    def read_positive(value: object) -> float:
        number = read(value)
        if number <= 0:
            raise Misread(value, "must be above zero")
        return number

    return read_positive


def percent(value: object) -> float:
    """Read `97%` as 0.97."""
    match = _PERCENT.fullmatch(plain(value))
    if not match or float(match[1]) > 100:  # noqa: PLR2004 - a percentage
        raise Misread(value, "is no percentage: write 0% to 100%")
    return float(match[1]) / 100


def share(value: object) -> float:
    """Read a share of the requests."""
    if not _SHARE.fullmatch(plain(value)) or float(plain(value)) > 1:
        raise Misread(value, "is no share: write a number from 0 to 1, such as 0.8")
    return float(plain(value))


def instant(value: object) -> float:
    """Read a wall-clock time as seconds since the Unix epoch. No zone means UTC, as in YAML."""
    try:
        moment = datetime.fromisoformat(plain(value))
        return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        raise Misread(value, "is no date and time such as 2026-03-02T10:00:00Z") from None


def status(value: object) -> int:
    """Read the HTTP status of an answer."""
    number = whole(value)
    if not 200 <= number <= 599:  # noqa: PLR2004 - 1xx is no answer yet
        raise Misread(value, "is no HTTP status from 200 to 599")
    return number


def header(value: object) -> str:
    """Read a header's value."""
    if not (plain(value).isascii() and plain(value).isprintable()):
        raise Misread(value, "must be one line of ASCII")
    return plain(value)


def one_of(*words: str) -> Callable[[object], str]:
    """Make a reader of one of a few words."""

    def read(value: object) -> str:
        if value not in words:
            raise Misread(value, f"is unknown; {suggest(value, words)}")
        return str(value)

    return read


def member(kind: type[E]) -> Callable[[object], E]:
    """Make a reader of one of an enumeration's words."""
    read = one_of(*kind)
    return lambda value: kind(read(value))
