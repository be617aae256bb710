"""An incident's message: what is wrong, one verdict, the evidence, the buttons. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bot.core.alerting.notification_policy import is_in_maintenance
from bot.core.incidents.notifications import MANY_TENANTS
from bot.core.model.observation import FeedState, StatusIncident
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import Incident, IncidentKind, IncidentState
from bot.core.state.problem import (
    AlertProblem,
    MetricProblem,
    NoDataProblem,
    ProbeProblem,
    Problem,
    SlowProblem,
    problem_counts,
)
from bot.core.state.shared import FeedView
from bot.core.state.silence import find_covering
from bot.slack.render.buttons import incident_buttons
from bot.slack.render.chart import render_charts
from bot.slack.render.incident_line import (
    headline,
    plain_headline,
    state_mark,
    state_text,
    worst_problem,
)
from bot.slack.render.info import render_missing_data, render_monitoring_gap, render_own_fault
from bot.slack.render.oncall import on_call_name
from bot.slack.render.signals import problem_line, problem_name
from bot.slack.render.text import (
    COMMAND,
    FIELD_CHARS,
    IMPACTS,
    LOGIN_STOPPED,
    MAINTENANCE_MARK,
    PHASES,
    REMEDIES,
    SILENCED_MARK,
    STEPS,
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
    link,
    quote,
    render_paragraphs,
    section,
    signal_name,
)
from bot.slack.render.verdict import cause_name, time_to_detect_text, verdict_text

if TYPE_CHECKING:
    from bot.ports import View

MAX_NOTES, NOTE_CHARS = 2, 200
TABLE_ROWS = 40
"""Slack takes 100 rows, but no more than about 13,200 characters in all blocks of a message
(bolt-js#2509 and #2867, read 2026-11)."""
CELL_CHARS = 60
TABLE_HEADER = ("Tenant", "Environment", "What fails", "Failed tries", "Since")


def render_cross_post(incident: Incident, permalink: str) -> RenderedMessage:
    """Say in one line what a channel's tenants have to do with an incident of another channel."""
    where = link(permalink, f"Incident #{incident.id}") if permalink else f"Incident #{incident.id}"
    return render_paragraphs(
        f"{state_mark(incident)} {where} concerns this channel as well: {headline(incident)}. "
        "People handle it there, and this line is not updated."
    )


def render_nobody_reached(incident: Incident, permalink: str) -> RenderedMessage:
    """Say in the channel that no way to call people has worked."""
    where = link(permalink, f"#{incident.id}") if permalink else f"#{incident.id}"
    return render_paragraphs(
        f":warning: *Nobody could be reached for {where}.* {headline(incident)}. "
        "Its thread says who was tried, and why that failed."
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


def render_incident(
    incident: Incident, view: View, status_link: str, mention: str = ""
) -> RenderedMessage:
    """Render an incident's message as things stand now."""
    if incident.kind is IncidentKind.MONITORING_GAP:
        return render_monitoring_gap(incident)
    if incident.kind is IncidentKind.SOURCE_NO_DATA:
        return render_missing_data(incident)
    mention = mention if incident.state is IncidentState.OPEN else ""
    if incident.own_fault is not None:
        return render_own_fault(incident, view, status_link, mention)
    head = f"{state_mark(incident)} *{state_text(incident)}* {headline(incident)}"
    blocks = [section(f"{mention} {head}".strip()), section(verdict_text(incident.verdict))]
    if what_to_do := remedy(incident):
        blocks.append(section(what_to_do))
    texts = [f"*{label}*\n{value}"[:FIELD_CHARS] for label, value in _fields(incident, view)]
    markdown = [{"type": "mrkdwn", "text": text} for text in texts]
    blocks.append({"type": "section", "fields": markdown})
    blocks += tenants_table(incident, view)
    if incident.notes:
        newest = incident.notes[: -MAX_NOTES - 1 : -1]
        lines = [f"• {date_and_time(n.at)} <@{n.by}>: {quote(n.text, NOTE_CHARS)}" for n in newest]
        lines += count_rest(incident.notes, MAX_NOTES)
        blocks.append(section("\n".join(["*Notes*", *lines])))
    if incident.is_open:
        blocks.append(incident_buttons(incident, view, status_link))
    if incident.kind is IncidentKind.FAILING:
        # Below the buttons: charts are large, and buttons are urgent.
        blocks += render_charts(incident, view)
    foot = [
        f"#{incident.id}",
        f"opened {date_and_time(incident.life.opened_at)}",
        f"reopened {incident.life.reopen_count} times" if incident.life.reopen_count else "",
        f"perhaps the same cause as #{incident.perhaps_same_as}"
        if incident.perhaps_same_as and incident.is_open
        else "",
        "comes and goes: I call at most once an hour" if incident.notification.damping else "",
        f"called a false alarm: {quote(incident.false_alarm, NOTE_CHARS)}"
        if incident.false_alarm
        else "",
        *(mute_reasons(incident, view) if incident.is_open else []),
    ]
    blocks.append(context(" · ".join(filter(None, foot))))
    cause, since = cause_name(incident.verdict), clock_utc(incident.since)
    text = f"{plain_headline(incident)}. Verdict: {cause}. Since {since} [#{incident.id}]"
    return RenderedMessage(f"{mention} {text}".strip(), blocks)


def _fields(incident: Incident, view: View) -> list[tuple[str, str]]:
    pairs = [("Tenants", "\n".join(_tenant_text(name, view) for name in incident.tenants[:5]))]
    worst = worst_problem(incident)
    if isinstance(worst, ProbeProblem) and worst.fault:
        quoted = escape(worst.fault.description, 120)
        text = f"{STEPS[worst.fault.stage]}: {fault_name(worst.fault)}"
        pairs.append(("Failing step", text + (f"\n_“{quoted}”_" if quoted else "")))
    if worst:
        tries = [
            (tenant, ", ".join(_signal_tries(p) for p in incident.problems if p.tenant == tenant))
            for tenant in incident.tenants[:5]
        ]
        lines = [f"{tenant}: {text or 'not firing'}" for tenant, text in tries]
        pairs.append(("Failed tries", "\n".join(lines)))
    pairs.append(("Auth0 status page", _status_page_text(incident, view)))
    pairs.append(("First failure", date_and_time(incident.since)))
    if incident.is_open or incident.life.acknowledged:
        pairs.append(("Owner", _owner_text(incident, view)))
    if not incident.is_open and (lead := time_to_detect_text(incident)):
        pairs.append(("Who knew", lead))
    if incident.life.resolved_at is not None:
        lasted = duration(incident.life.resolved_at - incident.since)
        pairs.append(
            ("Over since", f"{date_and_time(incident.life.resolved_at)} (lasted {lasted})")
        )
    return pairs


def _owner_text(incident: Incident, view: View) -> str:
    """Say who has it, and who had it until it was worse or back."""
    taken, had = incident.life.acknowledged, incident.life.acknowledgement_ended
    if taken:
        return f"<@{taken.by}>, since {date_and_time(taken.at)}"
    owner = "nobody yet"
    # Not before that person was called: their name in a new message is a call.
    if incident.notification.has_mentioned and view.desk.shift:
        owner += f"; on call: {on_call_name(view.desk.shift)}"
    return f"{owner}; <@{had.by}> had it while {IMPACTS[had.impact]}" if had else owner


def _tenant_text(name: str, view: View) -> str:
    rules = view.rules.tenants.get(name)
    if rules is None:
        return f"{name} (no longer configured)"
    where = f", {escape(rules.environment)}" if rules.environment else ""
    return f"{name} ({rules.domain}{where})"


def _signal_tries(problem: Problem) -> str:
    name = signal_name(problem.signal)
    match problem:
        case SlowProblem() | MetricProblem() | AlertProblem():
            return problem_line(problem)
        case ProbeProblem(is_over=True) | NoDataProblem(is_over=True):
            return f"{name} works again"
        case ProbeProblem():
            stopped = " (stopped)" if problem.is_stopped else ""
            return f"{name} {problem.failed} of {problem.tries}{stopped}"
        case NoDataProblem():
            return f"{name}: no figures"
        case _:
            assert_never(problem)


def _status_page_text(incident: Incident, view: View) -> str:
    if incident.status_incidents:
        return "\n".join(
            status_incident_line(one, view.now) for one in incident.status_incidents[:3]
        )
    names = [view.rules.tenants[n].feed.name for n in incident.tenants if n in view.rules.tenants]
    feeds = [view.desk.shared.feeds.get(name, FeedView()) for name in dict.fromkeys(names)]
    bad = next((feed for feed in feeds if feed.state is not FeedState.OK), None)
    if bad is not None:
        return f"tells us nothing: {bad.state or 'not read yet'}"
    read_at = min((feed.read_at or 0.0 for feed in feeds), default=0.0)
    return f"shows nothing that fits (read {duration(view.now - read_at)} ago)"


def status_incident_line(one: StatusIncident, now: float) -> str:
    """Render an incident of the status page: phase, title, and the age of its last update."""
    title = link(one.link, escape(one.title, 150) or "a post")
    return f"{PHASES[one.phase]}: {title} ({duration(now - one.updated_at)} ago)"


def remedy(incident: Incident) -> str:
    """Return what to do about the worst fault, or an empty text if that is not known."""
    worst = worst_problem(incident)
    if not incident.is_open or not isinstance(worst, ProbeProblem) or worst.fault is None:
        return ""
    cure = REMEDIES.get(worst.fault.reason, "")
    if worst.is_stopped:
        again = f"then `{COMMAND} run {worst.tenant}`."
        return f"*What to do* {LOGIN_STOPPED} {cure}, {again}"
    return f"*What to do* {cure}." if cure else ""


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
        return name, environment, "no usable look", "none", "unknown"
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
