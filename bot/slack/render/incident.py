"""An incident's message: what is wrong, one verdict, the evidence, the buttons. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bot.core.alerting.notification_policy import is_in_maintenance
from bot.core.incidents.notifications import MANY_TENANTS
from bot.core.incidents.recurrence import STICKY_RESOLVE_S
from bot.core.model.observation import StatusIncident
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import Incident, IncidentKind, IncidentState
from bot.core.state.outbox import NobodyReached
from bot.core.state.problem import (
    AlertProblem,
    MetricProblem,
    NoDataProblem,
    ProbeProblem,
    Problem,
    SlowProblem,
    problem_counts,
)
from bot.core.state.silence import find_covering
from bot.slack.render.advice import advise, incident_buttons
from bot.slack.render.chart import render_charts
from bot.slack.render.first_line import first_line, state_of
from bot.slack.render.info import render_missing_data, render_monitoring_gap, render_own_fault
from bot.slack.render.oncall import on_call_name
from bot.slack.render.signals import problem_line, problem_name
from bot.slack.render.text import (
    CAUSES,
    IMPACTS,
    MAINTENANCE_MARK,
    PHASES,
    SILENCED_MARK,
    Block,
    RenderedMessage,
    clean_text,
    clock_utc,
    context,
    count_rest,
    date_and_time,
    duration,
    escape,
    fault_name,
    foreign_link,
    hour_and_minute,
    link,
    quote,
    render_paragraphs,
    section,
)
from bot.slack.render.verdict import certainty_text, name_facts, noticed_text

if TYPE_CHECKING:
    from bot.core.state.outbox import CrossPost
    from bot.ports import View

MAX_NOTES, NOTE_CHARS = 2, 200
MAX_NUMBERS = 3
"""Metrics and outside monitors whose numbers are shown."""
TABLE_ROWS = 40
"""Slack takes 100 rows, but no more than about 13,200 characters in all blocks of a message
(bolt-js#2509 and #2867, read 2026-11)."""
CELL_CHARS = 60
TABLE_HEADER = ("Tenant", "Environment", "What fails", "Failed tries", "Since")


def render_pointer(
    body: CrossPost | NobodyReached, incident: Incident, view: View, permalink: str
) -> RenderedMessage:
    """Say in one line of a channel what an incident is to it, and link the incident's message."""
    line = escape(first_line(incident, view))
    if isinstance(body, NobodyReached):
        return render_paragraphs(
            f":warning: *Nobody could be reached for {link(permalink, f'#{incident.id}')}.* {line} "
            "Its thread says who was tried, and why that failed."
        )
    return render_paragraphs(
        f"{state_of(incident).mark} {link(permalink, f'Incident #{incident.id}')} concerns this "
        f"channel as well. {line} People handle it there, and this line is not updated."
    )


def render_abandoned(text: str) -> RenderedMessage:
    """Say of an incident that a lost database knew that nobody updates its message any more.

    Args:
        text: that of the message, as Slack returns it.
    """
    note = (
        "I have lost my database and no longer know this incident. "
        "If it goes on, I post it again as a new one."
    )
    return RenderedMessage(f"NO LONGER UPDATED, was {text}", [section(text), context(note)])


def render_copy(number: int, permalink: str) -> RenderedMessage:
    """Say that a message is a copy of an incident's message, which nobody updates."""
    where = link(permalink, f"Incident #{number}")
    return render_paragraphs(
        f"NO LONGER UPDATED: Slack's answer was lost, and I posted this twice. {where} goes on."
    )


def render_incident(
    incident: Incident, view: View, status_link: str, mention: str = ""
) -> RenderedMessage:
    """Render an incident's message as things stand now: the buttons within a phone's screen."""
    if incident.kind is IncidentKind.MONITORING_GAP:
        return render_monitoring_gap(incident)
    if incident.kind is IncidentKind.SOURCE_NO_DATA:
        return render_missing_data(incident)
    mention = mention if incident.state is IncidentState.OPEN else ""
    if incident.own_fault is not None:
        return render_own_fault(incident, view, status_link, mention)
    line = escape(first_line(incident, view))
    head = f"{mention} {state_of(incident, view).mark} *{line}*".strip()
    blocks = [section(f"{head}\n{_state_line(incident, view)}")]
    if what_to_do := advise(incident, view):
        blocks.append(section(f"*Do now:* {what_to_do}"))
    if why := name_facts(incident.verdict):
        blocks.append(section(f"*Why:* {why}"))
    if incident.life.merged_into is None:
        blocks.append(incident_buttons(incident, view, status_link))
    blocks += _details(incident, view)
    blocks.append(context(_foot(incident, view)))
    return RenderedMessage(f"{mention} {line} [#{incident.id}]".strip(), blocks)


def _details(incident: Incident, view: View) -> list[Block]:
    """Return what comes below the buttons: what is large, or can wait."""
    lines = [status_incident_line(one, view) for one in incident.status_incidents[:3]]
    blocks = [context(f"Auth0 status page: {each}") for each in lines]
    numbers = [
        problem_line(problem, view.rules.link_hosts)
        for problem in incident.problems
        if isinstance(problem, MetricProblem | AlertProblem) and not problem.is_over
    ]
    blocks += [context("\n".join(numbers[:MAX_NUMBERS]))] if numbers else []
    if incident.notes:
        newest = incident.notes[: -MAX_NOTES - 1 : -1]
        lines = [f"• {date_and_time(n.at)} <@{n.by}>: {quote(n.text, NOTE_CHARS)}" for n in newest]
        lines += count_rest(incident.notes, MAX_NOTES)
        blocks.append(section("\n".join(["*Notes*", *lines])))
    blocks += tenants_table(incident, view)
    if incident.kind is IncidentKind.FAILING:
        blocks += render_charts(incident, view)[:1]
    return blocks


def _state_line(incident: Incident, view: View) -> str:
    """Say the state of an incident, for how long, and how sure the cause is."""
    if not incident.is_open:
        return _end_line(incident, view)
    for_s = duration(view.now - incident.failing_since)
    parts = [
        state_of(incident, view).text,
        f"since {hour_and_minute(incident.failing_since)} ({for_s})",
        certainty_text(incident.verdict) if incident.kind is IncidentKind.FAILING else "",
    ]
    return " · ".join(filter(None, parts))


def _end_line(incident: Incident, view: View) -> str:
    """Say how an incident ended: when, why it was, who noticed it first, who had it."""
    ended_at = incident.ended_at or view.now
    taken, verdict = incident.life.acknowledged, incident.verdict
    cause = verdict.stated_cause
    parts = [
        state_of(incident, view).text,
        f"{hour_and_minute(incident.failing_since)} to {hour_and_minute(ended_at)}",
        f"cause: {CAUSES[cause]}" if incident.kind is IncidentKind.FAILING else "",
        noticed_text(incident),
        f"<@{taken.by}> had it from {hour_and_minute(taken.at)}" if taken else "",
        f"I stay quiet about just that until {hour_and_minute(ended_at + STICKY_RESOLVE_S)}"
        if incident.life.still_failing
        else "",
    ]
    return " · ".join(filter(None, parts))


def _foot(incident: Incident, view: View) -> str:
    opened, page = incident.is_open, view.rules.alerts_page  # empty: its address is not set
    parts = [
        f"#{incident.id}",
        _owner_text(incident, view) if opened else "",
        f"reopened {count} times"
        if (count := incident.life.reopen_count) > 1
        else "reopened" * count,
        f"perhaps the same cause as #{incident.perhaps_same_as}"
        if incident.perhaps_same_as and opened
        else "",
        "comes and goes: I call at most once an hour" if incident.notification.damping else "",
        f"called a false alarm: {quote(incident.false_alarm, NOTE_CHARS)}"
        if incident.false_alarm
        else "",
        *(mute_reasons(incident, view) if opened else []),
        page and link(f"{page}#{incident.verdict.stated_cause.value}", "What this means"),
        f"updated {hour_and_minute(view.now)}" if opened else "",
    ]
    return " · ".join(filter(None, parts))


def _owner_text(incident: Incident, view: View) -> str:
    """Say who is to act, and who had it until it was worse or back."""
    if incident.life.acknowledged:
        return ""
    had, shift = incident.life.acknowledgement_ended, view.desk.shift
    owner = "not acknowledged"
    # Not before that person was called: their name in a new message is a call.
    if incident.notification.has_mentioned and shift:
        owner = f"on call: {on_call_name(shift)}, {owner}"
    return f"{owner}; <@{had.by}> had it while {IMPACTS[had.impact]}" if had else owner


def status_incident_line(one: StatusIncident, view: View) -> str:
    """Render an incident of the status page: phase, title, and the age of its last update."""
    title = quote(one.title, 150) if one.title else "a post"
    see = foreign_link(one.link, view.rules.link_hosts)
    age = f"{duration(view.now - one.updated_at)} ago"
    return f"{PHASES[one.phase]}: {title} ({', '.join(filter(None, (age, see)))})"


def mute_reasons(incident: Incident, view: View) -> list[str]:
    """Return what mutes an incident now: silences, our own maintenance."""
    silences = find_covering(view.desk.active_silences, incident, view.now)
    parts = [
        f"{SILENCED_MARK} silenced until {date_and_time(one.until)} by <@{one.by}> (S{one.id})"
        for one in silences[:3]
    ]
    is_ours = is_in_maintenance(incident, view.now, view.rules)
    return [*parts, f"{MAINTENANCE_MARK} in maintenance"] if is_ours else parts


def tenants_table(incident: Incident, view: View) -> list[Block]:
    """Render a table with a row for each tenant; nothing if there are few tenants."""
    if len(incident.tenants) <= MANY_TENANTS:
        return []
    ordered = sorted(incident.problems, key=_rank_in_table, reverse=True)
    worst = {problem.tenant: problem for problem in ordered}
    names = sorted(incident.tenants, key=lambda name: _rank_in_table(worst.get(name)))
    rows = [TABLE_HEADER, *(_table_row(name, worst.get(name), view) for name in names[:TABLE_ROWS])]
    cells = [
        [{"type": "raw_text", "text": clean_text(text, CELL_CHARS)} for text in row] for row in rows
    ]
    # A new block_id for each version, as Slack wants it of what is edited (@slack/types 3.2).
    block_id = f"tenants-{incident.id}-{incident.message.edits}"
    table: Block = {"type": "table", "block_id": block_id, "rows": cells}
    recovered = sum(name in worst and worst[name].is_over for name in names[TABLE_ROWS:])
    rest = count_rest(names, TABLE_ROWS, f", {recovered} of them work again" if recovered else "")
    return [table, *map(context, rest)]


def _rank_in_table(problem: Problem | None) -> tuple[bool, float, float]:
    """Order by what goes on, by the share that fails, and by age; the smallest is the worst."""
    if problem is None:
        return False, 0.0, 0.0
    failed, tries = problem_counts(problem)
    return problem.is_over, -failed / max(tries, 1), problem.since


def _table_row(name: str, problem: Problem | None, view: View) -> tuple[str, ...]:
    rules = view.rules.tenants.get(name)
    environment = (rules and view.tenants.environment(name, view.rules)) or "unknown"
    if problem is None:
        return name, environment, "no check works", "none", "unknown"
    failed, tries = problem_counts(problem)
    failure = "works again" if problem.is_over else _table_failure(problem)
    what = f"{problem_name(problem)}: {failure}"
    share = f"{failed} of {tries}" if tries else str(failed)
    return name, environment, what, share, clock_utc(problem.since)


def _table_failure(problem: Problem) -> str:
    match problem:
        case ProbeProblem():
            return fault_name(problem.fault)
        case MetricProblem():
            return problem.reason or fault_name(None)
        case SlowProblem():
            return Reason.SLOW
        case AlertProblem():
            return Reason.EXTERNAL_ALERT
        case NoDataProblem():
            return fault_name(None)
        case _:
            assert_never(problem)
