"""What Slack issues for a short time: trigger ids, response URLs, tickets for a socket."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING

from bot.simulator.workspace.model import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TRIGGER_LIFE_S = 3
RESPONSE_URL_LIFE_S = 30 * 60
RESPONSE_URL_USES = 5
TICKET_LIFE_S = 30
"""Slack does not say how long a ticket lives; python-slack-sdk#1110 shows that it is not long."""


@dataclass(slots=True)
class ResponseUrl:
    """A URL for answers to one command or click."""

    channel: str
    user: str
    made_at: float
    ts: str = ""
    """The message that was clicked, or empty."""
    uses: int = 0


@dataclass(slots=True)
class Grants:
    """All that was issued, and whether it was used."""

    now: Callable[[], float]
    _urls: dict[str, ResponseUrl] = field(default_factory=dict)
    _triggers: dict[str, tuple[str, float | None]] = field(default_factory=dict)
    """The user, and when it was issued; None: it was used."""
    _tickets: dict[str, float] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def issue_trigger(self, user: str) -> str:
        """Issue a trigger id, which opens one view for this person within 3 seconds."""
        name = f"{next(self._numbers)}.2.local"
        self._triggers[name] = user, self.now()
        return name

    def spend_trigger(self, name: str) -> str:
        """Use it and return its user. Raises `Refused` with Slack's error."""
        if name not in self._triggers:
            raise Refused("invalid_trigger_id")
        user, made_at = self._triggers[name]
        self._triggers[name] = user, None
        if made_at is None:
            raise Refused("exchanged_trigger_id")
        if self.now() - made_at > TRIGGER_LIFE_S:
            raise Refused("expired_trigger_id")
        return user

    def issue_response_url(self, channel: str, user: str, ts: str = "") -> str:
        """Issue a response URL. Returns its last part."""
        name = f"R{next(self._numbers):08d}"
        self._urls[name] = ResponseUrl(channel, user, self.now(), ts)
        return name

    def spend_url(self, name: str) -> ResponseUrl:
        """Use it, at most 5 times in 30 minutes. Raises `Refused`."""
        url = self._urls.get(name)
        if url is None or self.now() - url.made_at > RESPONSE_URL_LIFE_S:
            raise Refused("expired_url")
        url.uses += 1
        if url.uses > RESPONSE_URL_USES:
            raise Refused("used_url")
        return url

    def issue_ticket(self) -> str:
        """Issue a ticket for one socket."""
        name = f"t{next(self._numbers):08d}"
        self._tickets[name] = self.now()
        return name

    def spend_ticket(self, name: str) -> bool:
        """Use it; false if it was used before, is too old or unknown."""
        made_at = self._tickets.pop(name, None)
        return made_at is not None and self.now() - made_at <= TICKET_LIFE_S
