"""Incident -> Block Kit: one message with what is wrong, one verdict, and why. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bot.core.case import listed
from bot.core.detector import Reason
from bot.core.incident import Incident, Kind, Trouble
from bot.core.measurement import Kind as Measured
from bot.core.model import Cause, FeedState, Notice, Verdict
from bot.core.notice import FeedView
from bot.slack import actions
from bot.slack.figures import trouble_line
from bot.slack.notes import gap, silent
from bot.slack.rendered import Rendered
from bot.slack.why import lead_text
from bot.slack.wording import (
    CAUSES,
    COMMAND,
    MARKS,
    PHASES,
    REMEDIES,
    RESOLVED_MARK,
    SCOPES,
    STOPPED,
    Block,
    clock_utc,
    context,
    escaped,
    fault_name,
    fields,
    link,
    plain,
    section,
    signal_name,
    span,
    step_name,
    when,
)

if TYPE_CHECKING:
    from bot.ports import View

FACTS = 5
"""Facts shown for and against; all of them would bury the verdict."""
TEXT_CHARS = 300
"""Notifications and screen readers read only the text; chat.update refuses more than 4,000."""


def card(incident: Incident, view: View, status_link: str, mention: str = "") -> Rendered:
    """Render an incident's message as things stand now."""
    if incident.kind is Kind.GAP:
        return gap(incident)
    if incident.kind is Kind.SILENT:
        return silent(incident)
    head = f"{mark(incident)} *{_state(incident)}* {headline(incident)}"
    blocks = [section(f"{mention} {head}".strip()), section(verdict_text(incident.verdict))]
    if remedy := _remedy(incident):
        blocks.append(section(remedy))
    blocks.append(fields(_fields(incident, view)))
    if incident.is_open:
        blocks.append(_buttons(incident, view, status_link))
    blocks.append(context(_foot(incident)))
    return Rendered(f"{mention} {_text(incident)}".strip(), blocks)


def mark(incident: Incident) -> str:
    """Return the emoji of an incident's state; each has a shape of its own."""
    return MARKS[incident.severity] if incident.is_open else RESOLVED_MARK


def _state(incident: Incident) -> str:
    if incident.is_open:
        return f"FIRING · {incident.severity}"
    return "RESOLVED" if incident.merged_into is None else "MERGED"


def headline(incident: Incident) -> str:
    """Say in a line what is wrong, or that it is over."""
    names = listed(incident.tenants)
    if incident.merged_into is not None:
        return f"*{names}*: the same cause as #{incident.merged_into}, which goes on"
    if incident.kind is Kind.BLIND:
        return f"Blind: no usable look at *{names}* since {when(incident.since)}"
    worst = worst_trouble(incident)
    if worst and worst.reason:
        return _usersheadline(incident, worst, f"*{names}*")
    what = signal_name(worst.signal) if worst else "login"
    if not incident.is_open:
        lasted = span((incident.resolved_at or incident.since) - incident.since)
        return f"{what.capitalize()} at *{names}* works again after {lasted}"
    how = f"{fault_name(worst.fault)}, {worst.failed} of {worst.tries} tries" if worst else ""
    return f"{what.capitalize()} fails at *{names}*: {how}"


def _usersheadline(incident: Incident, worst: Trouble, names: str) -> str:
    """Say what is slow, or that it is others who see failures: no probe of ours does."""
    if worst.reason is Reason.SLOW:
        return f"{trouble_line(worst)} at {names}".capitalize()
    if not incident.is_open:
        lasted = span((incident.resolved_at or incident.since) - incident.since)
        return f"Users of {names} get on well again after {lasted}"
    return f"Users of {names} fail: {trouble_line(worst)}"


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


def _text(incident: Incident) -> str:
    """Say it all in one line, without mark-up."""
    state = _state(incident).replace(" ·", "")
    line = plain(headline(incident).replace("*", ""), TEXT_CHARS)
    line = line.replace(when(incident.since), clock_utc(incident.since))
    cause = CAUSES[incident.verdict.cause].split(":")[0]
    sure = "" if incident.verdict.cause is Cause.UNCLEAR else f" ({_percent(incident.verdict)})"
    since = f"Since {clock_utc(incident.since)}"
    return f"{state}: {line}. Verdict: {cause}{sure}. {since} [#{incident.id}]"


def _fields(incident: Incident, view: View) -> list[tuple[str, str]]:
    pairs = [("Tenants", "\n".join(_tenant(name, view) for name in incident.tenants[:5]))]
    worst = worst_trouble(incident)
    if worst and worst.fault:
        pairs.append(("Failing step", f"{step_name(worst.fault)}: {_fault(worst)}"))
    if worst:
        pairs.append(("Failed tries", "\n".join(_tries(n, incident) for n in incident.tenants[:5])))
    pairs.append(("Auth0 status page", _status_page(incident, view)))
    pairs.append(("First failure", when(incident.since)))
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
    title = link(notice.link, escaped(notice.title, 150))
    return f"{PHASES[notice.phase]}: {title} ({span(now - notice.updated_at)} ago)"


def verdict_text(verdict: Verdict) -> str:
    """Say a verdict with its facts for and against."""
    sure = (
        "" if verdict.cause is Cause.UNCLEAR else f" ({_percent(verdict)}, {SCOPES[verdict.scope]})"
    )
    lines = [f"*Verdict: {CAUSES[verdict.cause]}*{sure}"]
    lines += [f"• for: {escaped(fact.text)}" for fact in verdict.because[:FACTS]]
    lines += [f"• against: {escaped(fact.text)}" for fact in verdict.against[:FACTS]]
    if verdict.settle:
        lines.append(f"• would settle it: {verdict.settle}")
    return "\n".join(lines)


def _percent(verdict: Verdict) -> str:
    return f"{min(99, round(verdict.confidence * 100))} %"


def _remedy(incident: Incident) -> str:
    """Say what to do, where the fault names it."""
    worst = worst_trouble(incident)
    if not incident.is_open or worst is None or worst.fault is None:
        return ""
    remedy = REMEDIES.get(worst.fault.reason, "")
    if worst.is_stopped:
        again = f"then `{COMMAND} run {worst.tenant}`."
        return f"*What to do* {STOPPED} {remedy}, {again}"
    return f"*What to do* {remedy}." if remedy else ""


def _buttons(incident: Incident, view: View, status_link: str) -> Block:
    buttons = [_button("Check Auth0 Status", actions.OPEN_STATUS, url=status_link)]
    runbooks = [
        r.runbook for n, r in view.rules.tenants.items() if n in incident.tenants and r.runbook
    ]
    if runbooks:
        buttons.append(_button("Runbook", actions.OPEN_RUNBOOK, url=runbooks[0]))
    value = json.dumps({"v": 1, "tenant": incident.tenants[0]})
    buttons.append(_button("Check again", actions.CHECK_AGAIN, value=value))
    # A new block_id for each version: Slack keeps a button's state by it (@slack/types 3.2).
    block_id = f"incident-{incident.id}-{incident.edits}"
    return {"type": "actions", "block_id": block_id, "elements": buttons}


def _button(label: str, action_id: str, **rest: str) -> Block:
    text = {"type": "plain_text", "text": label}
    return {"type": "button", "text": text, "action_id": action_id, **rest}


def _foot(incident: Incident) -> str:
    parts = [f"#{incident.id}", f"opened {when(incident.opened_at)}"]
    if incident.reopened:
        parts.append(f"reopened {incident.reopened} times")
    return " · ".join(parts)
