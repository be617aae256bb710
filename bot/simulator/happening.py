"""What a scenario can make happen to a request: the `is` of its timeline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.model.observation import CONTROL, FEED, LOGS, WELLKNOWN
from bot.simulator.part import Misread, Part, nearest
from bot.simulator.units import flag, header, one_of, plain, positive, rate, span, status, text

if TYPE_CHECKING:
    from collections.abc import Callable

BOT = "bot"
ANY = "*"
SINGLE_PLACES = (FEED, "prometheus", "sentry", "slack", BOT)
_TOKENLESS = {WELLKNOWN, LOGS, ANY, *SINGLE_PLACES}

WORDS = {
    "dns": one_of("nxdomain", "servfail", "timeout"),
    "connect": one_of("refused", "timeout", "reset"),
    "tls": one_of("expired", "wrong_host", "untrusted"),
    "token": one_of(
        "bad_signature", "expired", "wrong_issuer", "wrong_audience", "no_proof", "stale_proof"
    ),
    "feed": one_of("empty", "html", "truncated", "old"),
}
AMOUNTS = {"latency": positive(span), "trickle": positive(rate), "clock": span}
FLAGS = ("hang", "paused")
KINDS = ("http", *WORDS, *AMOUNTS, *FLAGS)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_BOT_KINDS = ("paused", "clock")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What is answered instead of what was asked for."""

    status: int
    error: str | None = None
    description: str = ""
    body: str = "json"
    """`json`, `html` or `empty`. Only JSON carries `error` and `description`."""
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case."""
    latency_s: float | None = None

    def document(self) -> dict[str, object] | None:
        """Return the body's JSON object, in Auth0's shape; None where the body is none."""
        if self.body != "json":
            return None
        said = {"error": self.error, "error_description": self.description}
        return {key: value for key, value in said.items() if value}


@dataclass(frozen=True, slots=True)
class Happening:
    """One fault, or none."""

    kind: str = "ok"
    """`ok`, or one of `KINDS`."""
    word: str = ""
    """Which, where the kind is one of `WORDS`."""
    amount: float = 0.0
    """A latency or a step of the clock in seconds; of a trickle, bytes a second."""
    http: HttpAnswer | None = None


OK = Happening()


def read_happening(part: Part, key: str) -> Happening:
    """Read `ok`, or exactly one fault with what belongs to it."""
    if not isinstance(part.values.get(key), dict):
        part.need(key, _ok)
        return OK
    below = part.below(key)
    kinds = [kind for kind in below.values if kind in KINDS]
    if "http" in kinds and "latency" in kinds:
        kinds.remove("latency")
    if len(kinds) == 1:
        return below.close(_READERS[kinds[0]](below, kinds[0]))
    if kinds:
        below.wrong(f"{' and '.join(kinds)} are {len(kinds)} faults: write an entry for each")
    elif not below.values:
        below.wrong(f"names no fault; there are: {', '.join(KINDS)}")
    for unknown in below.values.keys() - {*KINDS}:
        below.wrong(f"unknown key; {nearest(unknown, KINDS)}", unknown)
    return OK


def misfit(kind: str, target: str) -> str:
    """Say why a fault cannot happen at a target, or nothing."""
    owner, _, place = target.rpartition(".")
    if kind != "ok" and (target == BOT) != (kind in _BOT_KINDS):
        return f"{kind} cannot happen to {target}: only the bot is paused or has its clock stepped"
    if kind == "feed" and target != FEED:
        return f"this happens to the target feed only, not to {target}"
    if kind == "token" and (owner == CONTROL or place in _TOKENLESS):
        return f"{target} gives no tokens: name a login, custom or m2m"
    return ""


def _ok(value: object) -> None:
    if value != "ok":
        raise Misread(value, f"is unknown: write ok, or one fault of {', '.join(KINDS)}")


def _http(part: Part, kind: str) -> Happening:
    answer = HttpAnswer(
        status=part.need(kind, status),
        error=part.may("error", text, None),
        description=part.may("description", plain, ""),
        body=part.may("body", one_of("json", "html", "empty"), "json"),
        headers=_headers(part.below_if_any("headers")),
        latency_s=part.may("latency", AMOUNTS["latency"], None),
    )
    return Happening(kind, http=answer)


def _headers(part: Part | None) -> tuple[tuple[str, str], ...]:
    if part is None:
        return ()
    for key in part.values:
        if not _HEADER_NAME.fullmatch(key):
            part.wrong("is no header's name", key)
    return tuple((key.lower(), part.need(key, header)) for key in part.values)


def _word(part: Part, kind: str) -> Happening:
    return Happening(kind, word=part.need(kind, WORDS[kind]))


def _amount(part: Part, kind: str) -> Happening:
    return Happening(kind, amount=part.need(kind, AMOUNTS[kind]))


def _flag(part: Part, kind: str) -> Happening:
    if part.need(kind, flag) is False:
        part.wrong("must be true, or the entry left out", kind)
    return Happening(kind)


_READERS: dict[str, Callable[[Part, str], Happening]] = {
    "http": _http,
    **dict.fromkeys(WORDS, _word),
    **dict.fromkeys(AMOUNTS, _amount),
    **dict.fromkeys(FLAGS, _flag),
}
