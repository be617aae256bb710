"""Messages for information only: a monitoring gap, a source without data. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.observation import Severity
from bot.core.state.incident import IncidentState, NoDataProblem
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
    """Render a monitoring gap, which is over."""
    since, until = incident.since, incident.life.opened_at
    gap = f"Could not look for {duration(until - since)}; looking again."
    blocks = [
        section(f"{SEVERITY_MARKS[Severity.INFO]} *INFO* {gap}"),
        context(f"#{incident.id} · from {date_and_time(since)} to {date_and_time(until)}"),
    ]
    text = f"INFO: {gap} From {clock_utc(since)} to {clock_utc(until)} [#{incident.id}]"
    return RenderedMessage(text, blocks)


def render_missing_data(incident: Incident) -> RenderedMessage:
    """Render a source without data. It is only INFO, as nothing is known to fail."""
    source = SOURCE_NAMES[incident.source] if incident.source else "A source"
    names = ", ".join(f"{p.tenant} ({p.signal})" for p in incident.problems[:5])
    lasted = duration((incident.life.resolved_at or incident.life.opened_at) - incident.since)
    state = "INFO" if incident.state is IncidentState.OPEN else state_text(incident)
    if incident.is_open:
        missing = [p for p in incident.problems if isinstance(p, NoDataProblem)]
        reasons = dict.fromkeys(p.no_data_reason for p in missing if p.no_data_reason)
        why = escape("; ".join(reasons), 200)
        sentence = f"{source} has had no figures for {lasted}: {names}. {why}"
    elif incident.life.resolved_by:
        sentence = f"{source} had no figures for {lasted}: {names}"
    else:
        sentence = f"{source} has figures again after {lasted}: {names}"
    head = f"{state_mark(incident)} *{state}* {sentence}"
    text = f"{state.replace(' ·', '')}: {sentence}"
    foot = f"#{incident.id} · since {date_and_time(incident.since)} · logins are watched as before"
    return RenderedMessage(f"{text} [#{incident.id}]", [section(head), context(foot)])
