"""The faults that a scenario can inject into requests: the `is` of its timeline."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.model.observation import CONTROL, FEED, LOGS, WELLKNOWN
from bot.simulator.part import MappingReader, Misread, suggest
from bot.simulator.units import flag, header, one_of, plain, positive, rate, span, status, text

if TYPE_CHECKING:
    from collections.abc import Callable

BOT = "bot"
NOTIFY = "notify"
"""The owner of the places `notify.NAME`: the contact points beyond Slack."""
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
NETWORK_KINDS = ("dns", "connect", "tls")
"""Faults that keep a request from its server."""
_OAUTH_UNTIL = 501
"""Up to this status an `error` is the token endpoint's own; see `core/model/fault.py`."""
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_BOT_KINDS = ("paused", "clock")


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """An HTTP answer in place of the real one."""

    status: int
    error: str | None = None
    description: str = ""
    body: str = "json"
    """`json`, `html` or `empty`. Only JSON carries `error` and `description`."""
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case."""
    latency_s: float | None = None

    def document(self) -> dict[str, object] | None:
        """Return the body as a JSON object, in Auth0's shape; None where the body is not JSON."""
        if self.body != "json":
            return None
        body = {"error": self.error, "error_description": self.description}
        return {key: value for key, value in body.items() if value}


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """One fault, or none."""

    kind: str = "ok"
    """`ok`, or one of `KINDS`."""
    word: str = ""
    """The word, where the kind is one of `WORDS`."""
    amount: float = 0.0
    """A latency or a clock step in seconds, or a trickle in bytes a second."""
    http: HttpAnswer | None = None

    @property
    def is_before_user(self) -> bool:
        """Whether a token request may meet it before anybody looks for its user."""
        if self.http:
            error = (self.http.document() or {}).get("error")
            return error in {None, "too_many_requests"} or self.http.status > _OAUTH_UNTIL
        return self.kind in {*NETWORK_KINDS, "hang", "trickle"}


OK = InjectedFault()


def read_fault(part: MappingReader, key: str) -> InjectedFault:
    """Read `ok`, or exactly one fault with its parameters."""
    if not isinstance(part.values.get(key), dict):
        part.read_required(key, _read_ok)
        return OK
    below = part.below(key)
    kinds = [kind for kind in below.values if kind in KINDS]
    if "http" in kinds and "latency" in kinds:
        kinds.remove("latency")
    if len(kinds) == 1:
        return below.close(_READERS[kinds[0]](below, kinds[0]))
    if kinds:
        below.add_problem(f"{' and '.join(kinds)} are {len(kinds)} faults: write an entry for each")
    elif not below.values:
        below.add_problem(f"names no fault; there are: {', '.join(KINDS)}")
    for unknown in below.values.keys() - {*KINDS}:
        below.add_problem(f"unknown key; {suggest(unknown, KINDS)}", unknown)
    return OK


def misfit_reason(kind: str, target: str) -> str:
    """Return why a fault cannot happen at a target; empty if it can."""
    owner, _, place = target.rpartition(".")
    if kind != "ok" and (target == BOT) != (kind in _BOT_KINDS):
        return f"{kind} cannot happen to {target}: only the bot is paused or has its clock stepped"
    if kind == "feed" and target != FEED:
        return f"this happens to the target feed only, not to {target}"
    if kind == "token" and (owner in (CONTROL, NOTIFY) or place in _TOKENLESS):
        return f"{target} gives no tokens: name a login, custom or m2m"
    return ""


def _read_ok(value: object) -> None:
    if value != "ok":
        raise Misread(value, f"is unknown: write ok, or one fault of {', '.join(KINDS)}")


def _read_http(part: MappingReader, kind: str) -> InjectedFault:
    answer = HttpAnswer(
        status=part.read_required(kind, status),
        error=part.read_optional("error", text, None),
        description=part.read_optional("description", plain, ""),
        body=part.read_optional("body", one_of("json", "html", "empty"), "json"),
        headers=_read_headers(part.below_if_any("headers")),
        latency_s=part.read_optional("latency", AMOUNTS["latency"], None),
    )
    return InjectedFault(kind, http=answer)


def _read_headers(part: MappingReader | None) -> tuple[tuple[str, str], ...]:
    if part is None:
        return ()
    for key in part.values:
        if not _HEADER_NAME.fullmatch(key):
            part.add_problem("is no header's name", key)
    return tuple((key.lower(), part.read_required(key, header)) for key in part.values)


def _read_word(part: MappingReader, kind: str) -> InjectedFault:
    return InjectedFault(kind, word=part.read_required(kind, WORDS[kind]))


def _read_amount(part: MappingReader, kind: str) -> InjectedFault:
    return InjectedFault(kind, amount=part.read_required(kind, AMOUNTS[kind]))


def _read_flag(part: MappingReader, kind: str) -> InjectedFault:
    if part.read_required(kind, flag) is False:
        part.add_problem("must be true, or the entry left out", kind)
    return InjectedFault(kind)


_READERS: dict[str, Callable[[MappingReader, str], InjectedFault]] = {
    "http": _read_http,
    **dict.fromkeys(WORDS, _read_word),
    **dict.fromkeys(AMOUNTS, _read_amount),
    **dict.fromkeys(FLAGS, _read_flag),
}
