"""Incident -> Block Kit: one message with what is wrong, one verdict, and why. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.alerting.notification_policy import in_maintenance
from bot.core.model.observation import FeedState, Notice, Verdict
from bot.core.state.incident import Incident, IncidentState, Kind, Trouble
from bot.core.state.shared import FeedView
from bot.core.state.silence import covering
from bot.slack.render.buttons import buttons
from bot.slack.render.chart import chart
from bot.slack.render.incident_line import headline, line, mark, state_words, worst_trouble
from bot.slack.render.info import gap, silent
from bot.slack.render.oncall import on_call_name
from bot.slack.render.signals import trouble_line
from bot.slack.render.tenant_table import tenants_table
from bot.slack.render.text import (
    CAUSES,
    COMMAND,
    MAINTENANCE_MARK,
    PHASES,
    REMEDIES,
    SILENCED_MARK,
    STOPPED,
    Rendered,
    clock_utc,
    context,
    escaped,
    fault_name,
    fields,
    link,
    quoted,
    section,
    signal_name,
    span,
    step_name,
    when,
)
from bot.slack.render.verdict import cause_name, lead_text, sureness

if TYPE_CHECKING:
    from bot.ports import View

FACTS = 5
"""Facts shown for and against; all of them would bury the verdict."""
NOTES, NOTE_CHARS = 2, 200


def card(incident: Incident, view: View, status_link: str, mention: str = "") -> Rendered:
    """Render an incident's message as things stand now."""
    if incident.kind is Kind.GAP:
        return gap(incident)
    if incident.kind is Kind.SILENT:
        return silent(incident)
    mention = mention if incident.state is IncidentState.OPEN else ""
    head = f"{mark(incident)} *{state_words(incident)}* {headline(incident)}"
    blocks = [section(f"{mention} {head}".strip()), section(verdict_text(incident.verdict))]
    if what_to_do := remedy(incident):
        blocks.append(section(what_to_do))
    blocks.append(fields(_fields(incident, view)))
    blocks += tenants_table(incident, view)
    if notes := _notes(incident):
        blocks.append(section(notes))
    if incident.is_open:
        blocks.append(buttons(incident, view, status_link))
    if incident.kind is Kind.FAILING:
        blocks += chart(incident, view)  # below the buttons: it is large, and they are urgent
    blocks.append(context(_foot(incident, view)))
    return Rendered(f"{mention} {_text(incident)}".strip(), blocks)


def _text(incident: Incident) -> str:
    """Say it all in one line, without mark-up."""
    judged, since = cause_name(incident.verdict), clock_utc(incident.since)
    return f"{line(incident)}. Verdict: {judged}. Since {since} [#{incident.id}]"


def _fields(incident: Incident, view: View) -> list[tuple[str, str]]:
    pairs = [("Tenants", "\n".join(_tenant(name, view) for name in incident.tenants[:5]))]
    worst = worst_trouble(incident)
    if worst and worst.fault:
        pairs.append(("Failing step", f"{step_name(worst.fault)}: {_fault(worst)}"))
    if worst:
        pairs.append(("Failed tries", "\n".join(_tries(n, incident) for n in incident.tenants[:5])))
    pairs.append(("Auth0 status page", _status_page(incident, view)))
    pairs.append(("First failure", when(incident.since)))
    if incident.is_open or incident.acknowledged_by:
        pairs.append(("Owner", _owner(incident, view)))
    if not incident.is_open and (lead := lead_text(incident)):
        pairs.append(("Who knew", lead))
    if incident.resolved_at is not None:
        lasted = span(incident.resolved_at - incident.since)
        pairs.append(("Over since", f"{when(incident.resolved_at)} (lasted {lasted})"))
    return pairs


def _tenant(name: str, view: View) -> str:
    rules = view.rules.tenants.get(name)
    if rules is None:
        return f"{name} (no longer configured)"
    where = f", {escaped(rules.environment)}" if rules.environment else ""
    return f"{name} ({rules.domain}{where})"


def _fault(trouble: Trouble) -> str:
    if trouble.fault is None:
        return ""
    said = escaped(trouble.fault.description, 120)
    return fault_name(trouble.fault) + (f"\n_“{said}”_" if said else "")


def _tries(tenant: str, incident: Incident) -> str:
    """Say in one line how each signal of a tenant does."""
    troubles = [trouble for trouble in incident.troubles if trouble.tenant == tenant]
    return f"{tenant}: " + (", ".join(_tried(trouble) for trouble in troubles) or "not firing")


def _tried(trouble: Trouble) -> str:
    if trouble.reason:
        return trouble_line(trouble)
    if trouble.is_over:
        return f"{signal_name(trouble.signal)} works again"
    stopped = " (stopped)" if trouble.is_stopped else ""
    return f"{signal_name(trouble.signal)} {trouble.failed} of {trouble.tries}{stopped}"


def _status_page(incident: Incident, view: View) -> str:
    if incident.notices:
        return "\n".join(notice_line(notice, view.now) for notice in incident.notices[:3])
    names = [view.rules.tenants[n].feed.name for n in incident.tenants if n in view.rules.tenants]
    feeds = [view.desk.outside.feeds.get(name, FeedView()) for name in dict.fromkeys(names)]
    bad = next((feed for feed in feeds if feed.state is not FeedState.OK), None)
    if bad is not None:
        return f"tells us nothing: {bad.state or 'not read yet'}"
    read_at = min((feed.read_at or 0.0 for feed in feeds), default=0.0)
    return f"shows nothing that fits (read {span(view.now - read_at)} ago)"


def notice_line(notice: Notice, now: float) -> str:
    """Say what a post of the status page says, and how old it is."""
    title = link(notice.link, escaped(notice.title, 150) or "a post")
    return f"{PHASES[notice.phase]}: {title} ({span(now - notice.updated_at)} ago)"


def verdict_text(verdict: Verdict) -> str:
    """Say a verdict with its facts for and against."""
    lines = [f"*Verdict: {CAUSES[verdict.cause]}*{sureness(verdict)}"]
    lines += [f"• for: {escaped(fact.text)}" for fact in verdict.because[:FACTS]]
    lines += [f"• against: {escaped(fact.text)}" for fact in verdict.against[:FACTS]]
    if verdict.settle:
        lines.append(f"• would settle it: {verdict.settle}")
    return "\n".join(lines)


def remedy(incident: Incident) -> str:
    """Say what to do, where the fault names it."""
    worst = worst_trouble(incident)
    if not incident.is_open or worst is None or worst.fault is None:
        return ""
    cure = REMEDIES.get(worst.fault.reason, "")
    if worst.is_stopped:
        again = f"then `{COMMAND} run {worst.tenant}`."
        return f"*What to do* {STOPPED} {cure}, {again}"
    return f"*What to do* {cure}." if cure else ""


def _notes(incident: Incident) -> str:
    """Quote what people wrote last."""
    newest = incident.notes[: -NOTES - 1 : -1]
    lines = [f"• {when(n.at)} <@{n.by}>: {quoted(n.text, NOTE_CHARS)}" for n in newest]
    more = f"\n… and {len(incident.notes) - NOTES} more" if incident.notes[NOTES:] else ""
    return "\n".join(["*Notes*", *lines]) + more if lines else ""


def _owner(incident: Incident, view: View) -> str:
    """Say whose it is. Who is on call is named once called: a name in a new message is a call."""
    if incident.acknowledged_by:
        return f"<@{incident.acknowledged_by}>, since {when(incident.acknowledged_at or 0.0)}"
    shift = view.desk.shift if incident.is_mentioned else None
    return f"nobody yet; on call: {on_call_name(shift)}" if shift else "nobody yet"


def _foot(incident: Incident, view: View) -> str:
    parts = [f"#{incident.id}", f"opened {when(incident.opened_at)}"]
    if incident.reopened:
        parts.append(f"reopened {incident.reopened} times")
    if incident.false_alarm:
        parts.append(f"called a false alarm: {quoted(incident.false_alarm, NOTE_CHARS)}")
    return " · ".join([*parts, *(muted(incident, view) if incident.is_open else [])])


def muted(incident: Incident, view: View) -> list[str]:
    """Say what mutes an incident now: people's silences, our own maintenance."""
    silences = covering(view.desk.running_silences, incident, view.now)
    parts = [
        f"{SILENCED_MARK} silenced until {when(one.until)} by <@{one.by}> (S{one.id})"
        for one in silences[:3]
    ]
    is_ours = in_maintenance(incident, view.now, view.rules)
    return [*parts, f"{MAINTENANCE_MARK} in maintenance"] if is_ours else parts
