"""An incident told beyond Slack, in plain words. Pure."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

from bot.core.page import Page, PageAction
from bot.slack.buttons import runbook_of
from bot.slack.card import remedy, verdict_text
from bot.slack.headline import headline
from bot.slack.wording import clock_utc, plain, unmarked

if TYPE_CHECKING:
    from bot.core.incident import Incident
    from bot.ports import View

TITLE_CHARS = 200
_STATES = {
    PageAction.TRIGGER: "FIRING",
    PageAction.ACKNOWLEDGE: "ACKNOWLEDGED",
    PageAction.RESOLVE: "RESOLVED",
}


def page(incident: Incident, view: View, action: PageAction, *, key: str, link: str) -> Page:
    """Make the page: a title to wake up by, and what is known."""
    title = f"{_STATES[action]} {incident.severity}: {_spoken(headline(incident))}"
    since = f"Incident {incident.id}, since {clock_utc(incident.since)}"
    runbook = runbook_of(incident, view)
    lines = [*verdict_text(incident.verdict).splitlines(), remedy(incident), since]
    lines += [f"Runbook: {runbook}"] if runbook else []
    return Page(
        key,
        incident.id,
        action,
        incident.severity,
        incident.tenants,
        incident.verdict,
        plain(title, TITLE_CHARS),
        "\n".join(_spoken(one) for one in lines if one),
        link,
    )


def _spoken(text: str) -> str:
    """Take all of Slack's mark-up out."""
    words = re.sub("[*_`\u200b]", "", unmarked(text))
    return plain(unescape(words), len(words))
