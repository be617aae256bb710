"""What reaches a person beyond the channel."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bot.core.model import Severity, Verdict


class PageAction(StrEnum):
    """What a page tells. The words are those of PagerDuty's Events API."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"


@dataclass(frozen=True, slots=True)
class Page:
    """One message to a person: that an incident began, that somebody took it, that it is over."""

    key: str
    """Unique; the same for a repeated try."""
    incident: int
    action: PageAction
    severity: Severity
    tenants: tuple[str, ...]
    verdict: Verdict
    """For services that show figures; `title` and `body` say the same in words."""
    title: str
    """One plain line of at most 200 characters."""
    body: str
    """Plain text."""
    link: str
    """To the message in Slack; empty where there is none, as while Slack does not answer."""
