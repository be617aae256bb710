"""What an incident is, in a line: its state, what is wrong and how much. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.case import listed
from bot.core.detector import Reason
from bot.core.incident import IncidentState, Kind
from bot.core.measurement import Kind as Measured
from bot.slack.figures import trouble_line
from bot.slack.wording import (
    ACKNOWLEDGED_MARK,
    BY_HAND_MARK,
    MARKS,
    MERGED_MARK,
    RESOLVED_MARK,
    fault_name,
    plain,
    signal_name,
    span,
    unmarked,
    when,
)

if TYPE_CHECKING:
    from bot.core.incident import Incident, Trouble

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
