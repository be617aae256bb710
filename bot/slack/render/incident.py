"""Incident -> Block Kit: one message with what is wrong, one verdict, and why. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.alerting.notification_policy import is_in_maintenance
from bot.core.model.observation import FeedState, StatusIncident, Verdict
from bot.core.state.incident import Incident, IncidentKind, IncidentState, Problem
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
from bot.slack.render.info import render_missing_data, render_monitoring_gap
from bot.slack.render.oncall import on_call_name
from bot.slack.render.signals import problem_line
from bot.slack.render.tenant_table import tenants_table
from bot.slack.render.text import (
    CAUSES,
    COMMAND,
    LOGIN_STOPPED,
    MAINTENANCE_MARK,
    PHASES,
    REMEDIES,
    SILENCED_MARK,
    RenderedMessage,
    clock_utc,
    context,
    date_and_time,
    duration,
    escape,
    fault_name,
    fields,
    link,
    quote,
    section,
    signal_name,
    step_name,
)
from bot.slack.render.verdict import cause_name, confidence_text, time_to_detect_text

if TYPE_CHECKING:
    from bot.ports import View

MAX_EVIDENCE = 5
"""Facts shown for and against; all of them would bury the verdict."""
MAX_NOTES, NOTE_CHARS = 2, 200


def render_incident(
    incident: Incident, view: View, status_link: str, mention: str = ""
) -> RenderedMessage:
    """Render an incident's message as things stand now."""
    if incident.kind is IncidentKind.MONITORING_GAP:
        return render_monitoring_gap(incident)
    if incident.kind is IncidentKind.SOURCE_NO_DATA:
        return render_missing_data(incident)
    mention = mention if incident.state is IncidentState.OPEN else ""
    head = f"{state_mark(incident)} *{state_text(incident)}* {headline(incident)}"
    blocks = [section(f"{mention} {head}".strip()), section(verdict_text(incident.verdict))]
    if what_to_do := remedy(incident):
        blocks.append(section(what_to_do))
    blocks.append(fields(_fields(incident, view)))
    blocks += tenants_table(incident, view)
    if notes := _notes(incident):
        blocks.append(section(notes))
    if incident.is_open:
        blocks.append(incident_buttons(incident, view, status_link))
    if incident.kind is IncidentKind.FAILING:
        blocks += render_charts(
            incident, view
        )  # below the buttons: it is large, and they are urgent
    blocks.append(context(_foot(incident, view)))
    return RenderedMessage(f"{mention} {_notification_text(incident)}".strip(), blocks)


def _notification_text(incident: Incident) -> str:
    """Say it all in one line, without mark-up."""
    judged, since = cause_name(incident.verdict), clock_utc(incident.since)
    return f"{plain_headline(incident)}. Verdict: {judged}. Since {since} [#{incident.id}]"


def _fields(incident: Incident, view: View) -> list[tuple[str, str]]:
    pairs = [("Tenants", "\n".join(_tenant_text(name, view) for name in incident.tenants[:5]))]
    worst = worst_problem(incident)
    if worst and worst.fault:
        pairs.append(("Failing step", f"{step_name(worst.fault)}: {_fault_text(worst)}"))
    if worst:
        pairs.append(
            ("Failed tries", "\n".join(_tenant_tries(n, incident) for n in incident.tenants[:5]))
        )
    pairs.append(("Auth0 status page", _status_page_text(incident, view)))
    pairs.append(("First failure", date_and_time(incident.since)))
    if incident.is_open or incident.acknowledged_by:
        pairs.append(("Owner", _owner(incident, view)))
    if not incident.is_open and (lead := time_to_detect_text(incident)):
        pairs.append(("Who knew", lead))
    if incident.resolved_at is not None:
        lasted = duration(incident.resolved_at - incident.since)
        pairs.append(("Over since", f"{date_and_time(incident.resolved_at)} (lasted {lasted})"))
    return pairs


def _tenant_text(name: str, view: View) -> str:
    rules = view.rules.tenants.get(name)
    if rules is None:
        return f"{name} (no longer configured)"
    where = f", {escape(rules.environment)}" if rules.environment else ""
    return f"{name} ({rules.domain}{where})"


def _fault_text(trouble: Problem) -> str:
    if trouble.fault is None:
        return ""
    said = escape(trouble.fault.description, 120)
    return fault_name(trouble.fault) + (f"\n_“{said}”_" if said else "")


def _tenant_tries(tenant: str, incident: Incident) -> str:
    """Say in one line how each signal of a tenant does."""
    troubles = [trouble for trouble in incident.problems if trouble.tenant == tenant]
    return f"{tenant}: " + (
        ", ".join(_signal_tries(trouble) for trouble in troubles) or "not firing"
    )


def _signal_tries(trouble: Problem) -> str:
    if trouble.reason:
        return problem_line(trouble)
    if trouble.is_over:
        return f"{signal_name(trouble.signal)} works again"
    stopped = " (stopped)" if trouble.is_stopped else ""
    return f"{signal_name(trouble.signal)} {trouble.failed} of {trouble.tries}{stopped}"


def _status_page_text(incident: Incident, view: View) -> str:
    if incident.status_incidents:
        return "\n".join(
            status_incident_line(notice, view.now) for notice in incident.status_incidents[:3]
        )
    names = [view.rules.tenants[n].feed.name for n in incident.tenants if n in view.rules.tenants]
    feeds = [view.desk.shared.feeds.get(name, FeedView()) for name in dict.fromkeys(names)]
    bad = next((feed for feed in feeds if feed.state is not FeedState.OK), None)
    if bad is not None:
        return f"tells us nothing: {bad.state or 'not read yet'}"
    read_at = min((feed.read_at or 0.0 for feed in feeds), default=0.0)
    return f"shows nothing that fits (read {duration(view.now - read_at)} ago)"


def status_incident_line(notice: StatusIncident, now: float) -> str:
    """Say what a post of the status page says, and how old it is."""
    title = link(notice.link, escape(notice.title, 150) or "a post")
    return f"{PHASES[notice.phase]}: {title} ({duration(now - notice.updated_at)} ago)"


def verdict_text(verdict: Verdict) -> str:
    """Say a verdict with its facts for and against."""
    lines = [f"*Verdict: {CAUSES[verdict.cause]}*{confidence_text(verdict)}"]
    lines += [f"• for: {escape(fact.text)}" for fact in verdict.evidence_for[:MAX_EVIDENCE]]
    lines += [f"• against: {escape(fact.text)}" for fact in verdict.evidence_against[:MAX_EVIDENCE]]
    if verdict.settled_by:
        lines.append(f"• would settle it: {verdict.settled_by}")
    return "\n".join(lines)


def remedy(incident: Incident) -> str:
    """Say what to do, where the fault names it."""
    worst = worst_problem(incident)
    if not incident.is_open or worst is None or worst.fault is None:
        return ""
    cure = REMEDIES.get(worst.fault.reason, "")
    if worst.is_stopped:
        again = f"then `{COMMAND} run {worst.tenant}`."
        return f"*What to do* {LOGIN_STOPPED} {cure}, {again}"
    return f"*What to do* {cure}." if cure else ""


def _notes(incident: Incident) -> str:
    """Quote what people wrote last."""
    newest = incident.notes[: -MAX_NOTES - 1 : -1]
    lines = [f"• {date_and_time(n.at)} <@{n.by}>: {quote(n.text, NOTE_CHARS)}" for n in newest]
    more = f"\n… and {len(incident.notes) - MAX_NOTES} more" if incident.notes[MAX_NOTES:] else ""
    return "\n".join(["*Notes*", *lines]) + more if lines else ""


def _owner(incident: Incident, view: View) -> str:
    """Say whose it is. Who is on call is named once called: a name in a new message is a call."""
    if incident.acknowledged_by:
        return (
            f"<@{incident.acknowledged_by}>, since {date_and_time(incident.acknowledged_at or 0.0)}"
        )
    shift = view.desk.shift if incident.has_mentioned else None
    return f"nobody yet; on call: {on_call_name(shift)}" if shift else "nobody yet"


def _foot(incident: Incident, view: View) -> str:
    parts = [f"#{incident.id}", f"opened {date_and_time(incident.opened_at)}"]
    if incident.reopen_count:
        parts.append(f"reopened {incident.reopen_count} times")
    if incident.false_alarm:
        parts.append(f"called a false alarm: {quote(incident.false_alarm, NOTE_CHARS)}")
    return " · ".join([*parts, *(mute_reasons(incident, view) if incident.is_open else [])])


def mute_reasons(incident: Incident, view: View) -> list[str]:
    """Say what mutes an incident now: people's silences, our own maintenance."""
    silences = find_covering(view.desk.active_silences, incident, view.now)
    parts = [
        f"{SILENCED_MARK} silenced until {date_and_time(one.until)} by <@{one.by}> (S{one.id})"
        for one in silences[:3]
    ]
    is_ours = is_in_maintenance(incident, view.now, view.rules)
    return [*parts, f"{MAINTENANCE_MARK} in maintenance"] if is_ours else parts
