"""Messages for information only: a monitoring gap, a source without data. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.observation import Severity
from bot.core.state.incident import IncidentState
from bot.slack.render.incident_line import mark, state_words
from bot.slack.render.signals import SOURCES
from bot.slack.render.text import (
    MARKS,
    Rendered,
    clock_utc,
    context,
    escaped,
    section,
    span,
    when,
)

if TYPE_CHECKING:
    from bot.core.state.incident import Incident


def gap(incident: Incident) -> Rendered:
    """Tell that we could not look, and can again."""
    lasted = span(incident.opened_at - incident.since)
    said = f"Could not look for {lasted}; looking again."
    blocks = [
        section(f"{MARKS[Severity.INFO]} *INFO* {said}"),
        context(f"#{incident.id} · from {when(incident.since)} to {when(incident.opened_at)}"),
    ]
    text = f"INFO: {said} From {clock_utc(incident.since)} to {clock_utc(incident.opened_at)}"
    return Rendered(f"{text} [#{incident.id}]", blocks)


def silent(incident: Incident) -> Rendered:
    """Tell that a source says nothing: an information, as nothing is known to fail."""
    source = SOURCES[incident.source] if incident.source else "A source"
    names = ", ".join(f"{t.tenant} ({t.signal})" for t in incident.troubles[:5])
    lasted = span((incident.resolved_at or incident.opened_at) - incident.since)
    state = "INFO" if incident.state is IncidentState.OPEN else state_words(incident)
    said = f"{source} had no figures for {lasted}: {names}"
    if incident.is_open:
        why = "; ".join(dict.fromkeys(t.missing for t in incident.troubles if t.missing))
        said = f"{source} has had no figures for {lasted}: {names}. {escaped(why, 200)}"
    elif not incident.resolved_by:
        said = f"{source} has figures again after {lasted}: {names}"
    head = f"{mark(incident)} *{state}* {said}"
    text = f"{state.replace(' ·', '')}: {said}"
    foot = f"#{incident.id} · since {when(incident.since)} · logins are watched as before"
    return Rendered(f"{text} [#{incident.id}]", [section(head), context(foot)])
