"""An incident in one line: its state, what is wrong and how much; and lists of them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bot.core.model.command import AlertFilter, ShowAlerts
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Cause
from bot.core.state.incident import IncidentKind, IncidentState, OwnFault, OwnFaultKind
from bot.core.state.problem import (
    AlertProblem,
    MetricProblem,
    NoDataProblem,
    ProbeProblem,
    SlowProblem,
    problem_counts,
)
from bot.slack.render.signals import problem_line
from bot.slack.render.text import (
    ACKNOWLEDGED_MARK,
    BY_HAND_MARK,
    CAUSES,
    COMMAND,
    MERGED_MARK,
    RESOLVED_MARK,
    SEVERITY_MARKS,
    SILENCED_MARK,
    RenderedMessage,
    clean_text,
    count_rest,
    date_and_time,
    duration,
    fault_name,
    join_lines,
    join_names,
    render_paragraphs,
    signal_name,
    strip_markup,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.state.incident import Incident
    from bot.core.state.problem import Problem
    from bot.ports import View

LINE_CHARS = 300
"""A notification shows about this many characters."""


def state_mark(incident: Incident) -> str:
    """Return the emoji of an incident's state; each has its own shape, not only its own colour."""
    if incident.state is IncidentState.ACKNOWLEDGED:
        return ACKNOWLEDGED_MARK
    if incident.is_open:
        return SEVERITY_MARKS[incident.severity]
    if incident.life.merged_into is not None:
        return MERGED_MARK
    return BY_HAND_MARK if incident.life.resolved_by else RESOLVED_MARK


def state_text(incident: Incident) -> str:
    """Say the state of an incident, and who acknowledged or resolved it."""
    if incident.state is IncidentState.ACKNOWLEDGED:
        return f"ACKNOWLEDGED by <@{incident.life.acknowledged_by}> · {incident.severity}"
    if incident.is_open:
        return f"FIRING · {incident.severity}"
    if incident.life.merged_into is not None:
        return "MERGED"
    return (
        f"RESOLVED by <@{incident.life.resolved_by}>" if incident.life.resolved_by else "RESOLVED"
    )


def plain_headline(incident: Incident) -> str:
    """Say state and headline in one line without mark-up, except the mention of a person."""
    state = state_text(incident).replace(" ·", "")
    return f"{state}: {clean_text(strip_markup(headline(incident)), LINE_CHARS)}"


def own_fault_headline(fault: OwnFault, *, is_open: bool) -> str:
    """Say in one line what is wrong with the bot itself, or that it is over."""
    span = duration(abs(fault.ahead_s))
    match fault.kind:
        case OwnFaultKind.CLOCK_CORRECTED:
            side = "ahead" if fault.ahead_s > 0 else "behind"
            return f"The time of auth0-check was {span} {side}; it is right now"
        case OwnFaultKind.CLOCK if is_open:
            side = "ahead of" if fault.ahead_s > 0 else "behind"
            return f"The clock of auth0-check's host is {span} {side} the right time"
        case OwnFaultKind.CLOCK:
            return "The clock of auth0-check's host is right again"
        case OwnFaultKind.STORE:
            return f"auth0-check {'cannot save its state' if is_open else 'saves its state again'}"
        case OwnFaultKind.CRASH_LOOP:
            return f"auth0-check {'crashes again and again' if is_open else 'no longer crashes'}"
        case _:
            assert_never(fault.kind)


def headline(incident: Incident) -> str:  # noqa: PLR0911 - one case a kind
    """Say in one line what is wrong, or that it is over."""
    names = f"*{join_names(incident.tenants)}*"
    worst = worst_problem(incident)
    if incident.own_fault is not None:
        return own_fault_headline(incident.own_fault, is_open=incident.is_open)
    if not incident.is_open:
        return _resolved_headline(incident, worst, names)
    if incident.kind is IncidentKind.NO_DATA:
        return f"Blind: no usable look at {names} since {date_and_time(incident.since)}"
    match worst:
        case None:
            return f"Login fails at {names}: "
        case SlowProblem():
            return _capitalize(f"{problem_line(worst)} at {names}")
        case MetricProblem() | AlertProblem():
            return f"Users of {names} fail: {problem_line(worst)}"
        case ProbeProblem() | NoDataProblem():
            failed, tries = problem_counts(worst)
            how = f"{problem_text(worst)}, {failed} of {tries} tries"
            return _capitalize(f"{signal_name(worst.signal)} fails at {names}: {how}")
        case _:
            assert_never(worst)


def _resolved_headline(incident: Incident, worst: Problem | None, names: str) -> str:
    if incident.life.merged_into is not None:
        return f"{names}: the same cause as #{incident.life.merged_into}, which goes on"
    lasted = duration((incident.life.resolved_at or incident.since) - incident.since)
    if incident.life.still_failing:
        return _capitalize(
            f"{_failing_signal(worst)} at {names} still failed when this was ended, after {lasted}"
        )
    if incident.kind is IncidentKind.NO_DATA:
        return f"Looking at {names} works again after {lasted}"
    match worst:
        case SlowProblem():
            return _capitalize(f"{problem_line(worst)} at {names}")
        case MetricProblem() | AlertProblem():
            return f"Users of {names} get on well again after {lasted}"
        case ProbeProblem() | NoDataProblem() | None:
            return _capitalize(f"{_failing_signal(worst)} at {names} works again after {lasted}")
        case _:
            assert_never(worst)


def _capitalize(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _failing_signal(worst: Problem | None) -> str:
    return signal_name(worst.signal) if worst else "login"


def worst_problem(incident: Incident) -> Problem | None:
    """Return the problem that names an incident: the oldest that goes on, probes first."""
    going_on = [p for p in incident.problems if not p.is_over] or list(incident.problems)
    return min(going_on, key=_rank_problem, default=None)


def _rank_problem(problem: Problem) -> tuple[int, bool, float]:
    """Order problems: our own logins first, then rates, counts of events, alerts, slow logins."""
    match problem:
        case ProbeProblem():
            rank = 0
        case MetricProblem() | NoDataProblem():
            sources = [MetricKind.METRICS, MetricKind.LOGS, MetricKind.ERRORS]
            rank = 1 + sources.index(problem.source)
        case AlertProblem():
            rank = 4
        case SlowProblem():
            rank = 5
        case _:
            assert_never(problem)
    return rank, signal_name(problem.signal) != "login", problem.since


MAX_LINES = 15
_ACKNOWLEDGED = frozenset({IncidentState.ACKNOWLEDGED})
STATE_FILTERS = {
    AlertFilter.OPEN: _ACKNOWLEDGED | {IncidentState.OPEN},
    AlertFilter.ACKNOWLEDGED: _ACKNOWLEDGED,
    AlertFilter.ALL: frozenset(IncidentState),
}


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
    if not found:
        return render_paragraphs(
            f"No {'such ' if question != ShowAlerts() else ''}incident in the last seven days."
        )
    found.sort(key=lambda incident: (not incident.is_open, -incident.id))
    return render_paragraphs("*Incidents of the last seven days*", *incident_list(found, view))


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
    """Render an incident in one line: state, tenants, what fails, since when, and why."""
    until = view.now if incident.life.resolved_at is None else incident.life.resolved_at
    lasted = f"{'for' if incident.is_open else 'lasted'} {duration(until - incident.since)}"
    cause = incident.verdict.cause
    verdict = "" if cause is Cause.NONE else f"; verdict {CAUSES[cause].split(':')[0]}"
    is_acknowledged = incident.state is IncidentState.ACKNOWLEDGED
    by = incident.life.acknowledged_by if is_acknowledged else incident.life.resolved_by
    state = f"{incident.state} by <@{by}>" if by else incident.state.value
    if incident.life.merged_into is not None and not incident.is_open:
        state = f"part of #{incident.life.merged_into}"
    wrong = problem_text(worst_problem(incident))
    if incident.kind is IncidentKind.SOURCE_NO_DATA:
        wrong = f"no figures of {join_names([problem.signal for problem in incident.problems])}"
    what = f"*{join_names(incident.tenants)}* {wrong}"
    if incident.own_fault is not None:
        what, verdict = headline(incident), ""
    muted = (
        f" · {SILENCED_MARK} silenced: nobody was told" if incident.notification.is_muted else ""
    )
    return (
        f"{state_mark(incident)} #{incident.id} {state}, {incident.severity}: "
        f"{what}; "
        f"since {date_and_time(incident.since)}, {lasted}{verdict}{muted}"
    )


def problem_text(problem: Problem | None) -> str:
    """Say what is wrong with the signal that names an incident."""
    match problem:
        case ProbeProblem():
            return fault_name(problem.fault)
        case NoDataProblem() | None:
            return fault_name(None)
        case SlowProblem() | MetricProblem() | AlertProblem():
            return problem_line(problem)
        case _:
            assert_never(problem)
