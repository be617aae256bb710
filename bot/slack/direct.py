"""A message to one person about an incident. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.slack.buttons import acknowledge, runbook_button, runbook_of
from bot.slack.headline import headline, line, mark, state_words
from bot.slack.rendered import Rendered
from bot.slack.why import cause_name
from bot.slack.wording import link, section

if TYPE_CHECKING:
    from bot.core.incident import Incident
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
