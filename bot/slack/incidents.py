"""Incidents in a list. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.calendar import until
from bot.core.case import listed
from bot.core.incident import IncidentState, Kind
from bot.core.model import Cause
from bot.core.request import Verb
from bot.slack.figures import trouble_line
from bot.slack.headline import mark, worst_trouble
from bot.slack.help import how_to
from bot.slack.rendered import Rendered, paragraphs
from bot.slack.wording import CAUSES, SILENCED_MARK, escaped, fault_name, listing, span, when

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.incident import Incident
    from bot.ports import View

SHOWN = 15
_ACKED = frozenset({IncidentState.ACKNOWLEDGED})
STATES = {
    "open": _ACKED | {IncidentState.OPEN},
    "acked": _ACKED,
    "all": frozenset(IncidentState),
}


def alerts(argument: str, view: View) -> Rendered:
    """List incidents, the open ones first: `[open|acked|all] [24h]`."""
    states, since = STATES["all"], 0.0
    for word in argument.lower().split():
        lasting = until((word,), 0.0, "UTC")
        if word not in STATES and lasting is None:
            asked = escaped(word, 40)
            return paragraphs(f"I don't know alerts `{asked}`.", how_to(Verb.ALERTS))
        states = STATES.get(word, states)
        since = view.now - lasting[0] if lasting else since
    found = [
        incident
        for incident in view.desk.incidents.values()
        if incident.state in states
        and (incident.is_open or (incident.resolved_at or view.now) >= since)
    ]
    if not found:
        return paragraphs(f"No {'such ' if argument else ''}incident in the last seven days.")
    found.sort(key=lambda incident: (not incident.is_open, -incident.id))
    return paragraphs("*Incidents of the last seven days*", *incident_list(found, view))


def incident_list(incidents: Sequence[Incident], view: View) -> list[str]:
    """Say incidents, the first fifteen, a line each."""
    lines = [incident_line(incident, view) for incident in incidents[:SHOWN]]
    more = [f"… and {len(incidents) - SHOWN} more"] if len(incidents) > SHOWN else []
    return listing([*lines, *more])


def incident_line(incident: Incident, view: View) -> str:
    """Say an incident in a line: state, tenants, what fails, since when, and why."""
    until = view.now if incident.resolved_at is None else incident.resolved_at
    lasted = f"{'for' if incident.is_open else 'lasted'} {span(until - incident.since)}"
    cause = incident.verdict.cause
    judged = "" if cause is Cause.NONE else f"; verdict {CAUSES[cause].split(':')[0]}"
    unsaid = f" · {SILENCED_MARK} silenced: nobody was told" if incident.is_muted else ""
    return (
        f"{mark(incident)} #{incident.id} {_state(incident)}, {incident.severity}: "
        f"*{listed(incident.tenants)}* {_what(incident)}; "
        f"since {when(incident.since)}, {lasted}{judged}{unsaid}"
    )


def _state(incident: Incident) -> str:
    if incident.merged_into is not None and not incident.is_open:
        return f"part of #{incident.merged_into}"
    by = incident.resolved_by
    if incident.state is IncidentState.ACKNOWLEDGED:
        by = incident.acknowledged_by
    return f"{incident.state} by <@{by}>" if by else incident.state.value


def _what(incident: Incident) -> str:
    if incident.kind is Kind.SILENT:
        return f"no figures of {listed([trouble.signal for trouble in incident.troubles])}"
    worst = worst_trouble(incident)
    if worst is None:
        return fault_name(None)
    return trouble_line(worst) if worst.reason else fault_name(worst.fault)
