"""An incident as a direct message, and as plain words for a pager. Pure."""

from __future__ import annotations

import re
from html import unescape
from typing import TYPE_CHECKING

from bot.core.state.outbox import Page, PageAction
from bot.slack.render.buttons import acknowledge, runbook_button, runbook_of
from bot.slack.render.incident import remedy, verdict_text
from bot.slack.render.incident_line import headline, line, mark, state_words
from bot.slack.render.text import (
    Rendered,
    clock_utc,
    link,
    plain,
    section,
    unmarked,
)
from bot.slack.render.verdict import cause_name

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.ports import View


def direct(incident: Incident, view: View, permalink: str) -> Rendered:
    """Say what fails, why, and where it is handled; they can take it from here."""
    where = link(permalink, "The message with all that is known")
    said = (
        f"{mark(incident)} *{state_words(incident)}* {headline(incident)}\n"
        f"*Verdict*: {cause_name(incident.verdict)}\n{where if permalink else ''}"
    )
    runbook = runbook_of(incident, view)
    row = [acknowledge(incident), *([runbook_button(runbook)] if runbook else [])]
    actions = [{"type": "actions", "elements": row}] if incident.is_open else []
    return Rendered(f"{line(incident)} [#{incident.id}]", [section(said.strip()), *actions])


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
