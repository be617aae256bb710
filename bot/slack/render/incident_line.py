"""An incident in one line: its state, what is wrong and how much; and lists of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.command import AlertFilter, ShowAlerts
from bot.core.state.desk import INCIDENT_RETENTION_S
from bot.core.state.incident import IncidentKind, IncidentState
from bot.slack.render.first_line import first_line, state_of
from bot.slack.render.text import (
    COMMAND,
    RenderedMessage,
    count_rest,
    date_and_time,
    duration,
    escape,
    join_lines,
    join_names,
    render_paragraphs,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.state.incident import Incident
    from bot.ports import View


MAX_LINES = 15
_ACKNOWLEDGED = frozenset({IncidentState.ACKNOWLEDGED})
STATE_FILTERS = {
    AlertFilter.OPEN: _ACKNOWLEDGED | {IncidentState.OPEN},
    AlertFilter.ACKNOWLEDGED: _ACKNOWLEDGED,
    AlertFilter.ALL: frozenset(IncidentState),
}

FILTER_NAMES = {AlertFilter.OPEN: "open ", AlertFilter.ACKNOWLEDGED: "acknowledged "}


def render_alerts(question: ShowAlerts, view: View) -> RenderedMessage:
    """List incidents, the open ones first."""
    states = STATE_FILTERS[question.only or AlertFilter.ALL]
    since = 0.0 if question.span_s is None else view.now - question.span_s
    found = [
        incident
        for incident in view.desk.incidents.values()
        if incident.state in states
        and (incident.is_open or (incident.life.resolved_at or view.now) >= since)
    ]
    span_s = min(question.span_s or INCIDENT_RETENTION_S, INCIDENT_RETENTION_S)
    span = "seven days" if span_s == INCIDENT_RETENTION_S else duration(span_s)
    kind = FILTER_NAMES.get(question.only or AlertFilter.ALL, "")
    of_when = "" if kind else f" of the last {span}"
    if not found:
        return render_paragraphs(f"No {kind}incident{of_when}.")
    found.sort(key=lambda incident: (not incident.is_open, -incident.id))
    head = f"{kind}incidents{of_when}".capitalize()
    return render_paragraphs(f"*{head}*", *incident_list(found, view))


def render_catch_up(numbers: tuple[int, ...], view: View) -> RenderedMessage:
    """List the incidents that began and ended while Slack was away."""
    incidents = view.desk.incidents
    missed = [incidents[number] for number in sorted(numbers) if number in incidents]
    return render_paragraphs(
        "*Slack did not take my messages for a while.* I went on checking. "
        "These incidents began and ended meanwhile:",
        *incident_list(missed, view),
        f"The details of each: `{COMMAND} why #N`",
    )


def incident_list(incidents: Sequence[Incident], view: View) -> list[str]:
    """List incidents, one line each, and count those beyond `MAX_LINES`."""
    lines = [incident_line(incident, view) for incident in incidents[:MAX_LINES]]
    return join_lines([*lines, *count_rest(incidents, MAX_LINES)])


def incident_line(incident: Incident, view: View) -> str:
    """Render an incident in one line: its state, what is wrong, since when."""
    until = view.now if incident.ended_at is None else incident.ended_at
    since = incident.failing_since
    lasted = f"{'for' if incident.is_open else 'lasted'} {duration(until - since)}"
    line = escape(first_line(incident, view))
    if incident.kind is IncidentKind.SOURCE_NO_DATA:
        line = f"No data from {join_names([problem.signal for problem in incident.problems])}."
    if incident.kind is IncidentKind.MONITORING_GAP:
        line = "I could not check."
    return (
        f"{state_of(incident, view).mark} #{incident.id} *{line}* {state_of(incident, view).text}, "
        f"since {date_and_time(since)}, {lasted}"
    )
