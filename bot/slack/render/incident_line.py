"""An incident in one line: its state, what is wrong and how much. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.measurement import Kind as Measured
from bot.core.model.observation import Cause
from bot.core.model.request import Verb
from bot.core.model.wall_clock import until
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import IncidentState, Kind
from bot.core.triage.context import listed
from bot.slack.render.help import how_to
from bot.slack.render.signals import trouble_line
from bot.slack.render.text import (
    ACKNOWLEDGED_MARK,
    BY_HAND_MARK,
    CAUSES,
    MARKS,
    MERGED_MARK,
    RESOLVED_MARK,
    SILENCED_MARK,
    Rendered,
    escaped,
    fault_name,
    listing,
    paragraphs,
    plain,
    signal_name,
    span,
    unmarked,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.state.incident import Incident, Trouble
    from bot.ports import View

TEXT_CHARS = 300
"""Notifications show about so much."""


def mark(incident: Incident) -> str:
    """Return the emoji of an incident's state; each has a shape of its own."""
    if incident.state is IncidentState.ACKNOWLEDGED:
        return ACKNOWLEDGED_MARK
    if incident.is_open:
        return MARKS[incident.severity]
    if incident.merged_into is not None:
        return MERGED_MARK
    return BY_HAND_MARK if incident.resolved_by else RESOLVED_MARK


def state_words(incident: Incident) -> str:
    """Say where an incident stands, and whose doing that is."""
    if incident.state is IncidentState.ACKNOWLEDGED:
        return f"ACKNOWLEDGED by <@{incident.acknowledged_by}> · {incident.severity}"
    if incident.is_open:
        return f"FIRING · {incident.severity}"
    if incident.merged_into is not None:
        return "MERGED"
    return f"RESOLVED by <@{incident.resolved_by}>" if incident.resolved_by else "RESOLVED"


def line(incident: Incident) -> str:
    """Say state and headline in one line without mark-up, but for the person's mention."""
    state = state_words(incident).replace(" ·", "")
    return f"{state}: {plain(unmarked(headline(incident)), TEXT_CHARS)}"


def headline(incident: Incident) -> str:
    """Say in a line what is wrong, or that it is over."""
    names = f"*{listed(incident.tenants)}*"
    worst = worst_trouble(incident)
    if not incident.is_open:
        return _ended(incident, worst, names)
    if incident.kind is Kind.BLIND:
        return f"Blind: no usable look at {names} since {when(incident.since)}"
    if worst and worst.reason is Reason.SLOW:
        return _begun(f"{trouble_line(worst)} at {names}")
    if worst and worst.reason:
        return f"Users of {names} fail: {trouble_line(worst)}"
    how = f"{fault_name(worst.fault)}, {worst.failed} of {worst.tries} tries" if worst else ""
    return _begun(f"{_what(worst)} fails at {names}: {how}")


def _ended(incident: Incident, worst: Trouble | None, names: str) -> str:
    if incident.merged_into is not None:
        return f"{names}: the same cause as #{incident.merged_into}, which goes on"
    lasted = span((incident.resolved_at or incident.since) - incident.since)
    if incident.left:
        return _begun(f"{_what(worst)} at {names} still failed when this was ended, after {lasted}")
    if incident.kind is Kind.BLIND:
        return f"Looking at {names} works again after {lasted}"
    if worst and worst.reason is Reason.SLOW:
        return _begun(f"{trouble_line(worst)} at {names}")
    if worst and worst.reason:
        return f"Users of {names} get on well again after {lasted}"
    return _begun(f"{_what(worst)} at {names} works again after {lasted}")


def _begun(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _what(worst: Trouble | None) -> str:
    return signal_name(worst.signal) if worst else "login"


def worst_trouble(incident: Incident) -> Trouble | None:
    """Return what an incident is named after: the first trouble that goes on, probes first."""
    going_on = [t for t in incident.troubles if not t.is_over] or list(incident.troubles)
    return min(going_on, key=_rank, default=None)


def _rank(trouble: Trouble) -> tuple[int, bool, float]:
    """Order troubles: a login of ours says most, then true rates, then events and alerts."""
    told = [Measured.METRICS, Measured.LOGS, Measured.ERRORS]
    place = told.index(trouble.counted) + 1 if trouble.counted else 4 * bool(trouble.reason)
    place += trouble.reason is Reason.SLOW
    return place, signal_name(trouble.signal) != "login", trouble.since


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
        f"*{listed(incident.tenants)}* {_what_happened(incident)}; "
        f"since {when(incident.since)}, {lasted}{judged}{unsaid}"
    )


def _state(incident: Incident) -> str:
    if incident.merged_into is not None and not incident.is_open:
        return f"part of #{incident.merged_into}"
    by = incident.resolved_by
    if incident.state is IncidentState.ACKNOWLEDGED:
        by = incident.acknowledged_by
    return f"{incident.state} by <@{by}>" if by else incident.state.value


def _what_happened(incident: Incident) -> str:
    if incident.kind is Kind.SILENT:
        return f"no figures of {listed([trouble.signal for trouble in incident.troubles])}"
    worst = worst_trouble(incident)
    if worst is None:
        return fault_name(None)
    return trouble_line(worst) if worst.reason else fault_name(worst.fault)
