"""Messages for information only: a monitoring gap, a source without data. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.observation import Severity
from bot.core.state.incident import IncidentState
from bot.slack.render.incident_line import state_mark, state_text
from bot.slack.render.signals import SOURCE_NAMES
from bot.slack.render.text import (
    SEVERITY_MARKS,
    RenderedMessage,
    clock_utc,
    context,
    date_and_time,
    duration,
    escape,
    section,
)

if TYPE_CHECKING:
    from bot.core.state.incident import Incident


def render_monitoring_gap(incident: Incident) -> RenderedMessage:
    """Tell that we could not look, and can again."""
    lasted = duration(incident.opened_at - incident.since)
    said = f"Could not look for {lasted}; looking again."
    blocks = [
        section(f"{SEVERITY_MARKS[Severity.INFO]} *INFO* {said}"),
        context(
            f"#{incident.id} · from {date_and_time(incident.since)} to {date_and_time(incident.opened_at)}"
        ),
    ]
    text = f"INFO: {said} From {clock_utc(incident.since)} to {clock_utc(incident.opened_at)}"
    return RenderedMessage(f"{text} [#{incident.id}]", blocks)


def render_missing_data(incident: Incident) -> RenderedMessage:
    """Tell that a source says nothing: an information, as nothing is known to fail."""
    source = SOURCE_NAMES[incident.source] if incident.source else "A source"
    names = ", ".join(f"{t.tenant} ({t.signal})" for t in incident.problems[:5])
    lasted = duration((incident.resolved_at or incident.opened_at) - incident.since)
    state = "INFO" if incident.state is IncidentState.OPEN else state_text(incident)
    said = f"{source} had no figures for {lasted}: {names}"
    if incident.is_open:
        why = "; ".join(
            dict.fromkeys(t.no_data_reason for t in incident.problems if t.no_data_reason)
        )
        said = f"{source} has had no figures for {lasted}: {names}. {escape(why, 200)}"
    elif not incident.resolved_by:
        said = f"{source} has figures again after {lasted}: {names}"
    head = f"{state_mark(incident)} *{state}* {said}"
    text = f"{state.replace(' ·', '')}: {said}"
    foot = f"#{incident.id} · since {date_and_time(incident.since)} · logins are watched as before"
    return RenderedMessage(f"{text} [#{incident.id}]", [section(head), context(foot)])
