"""Messages that are not about logins: gaps, silent sources, faults of the bot itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.observation import Severity
from bot.core.state.incident import OwnFaultKind
from bot.core.state.problem import NoDataProblem
from bot.slack.render.advice import incident_buttons
from bot.slack.render.first_line import first_line, state_of
from bot.slack.render.signals import SOURCE_NAMES
from bot.slack.render.text import (
    COMMAND,
    SEVERITY_MARKS,
    RenderedMessage,
    clock_utc,
    context,
    date_and_time,
    duration,
    escape,
    fault_name,
    join_names,
    render_paragraphs,
    section,
)

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.core.state.outbox import Greeting
    from bot.ports import View


def render_greeting(greeting: Greeting) -> RenderedMessage:
    """Say what is watched, and that silence means that all is well."""
    names = join_names([f"*{escape(name, 40)}*" for name in greeting.tenants])
    watched = "Hello, I watch" if greeting.is_first else "From now on I watch"
    return render_paragraphs(
        f":wave: {watched} the logins to {names}.",
        "I write here only when something is wrong, and when it is over. "
        f"Until then: `{COMMAND}` shows how logins are now, `{COMMAND} help` what else I can do.",
    )


def render_monitoring_gap(incident: Incident) -> RenderedMessage:
    """Render a monitoring gap, which is over."""
    since, until = incident.since, incident.life.opened_at
    gap = f"I could not check any logins for {duration(until - since)}. I check again now."
    blocks = [
        section(f"{SEVERITY_MARKS[Severity.INFO]} {gap}"),
        context(f"#{incident.id} · from {date_and_time(since)} to {date_and_time(until)}"),
    ]
    text = f"{gap} From {clock_utc(since)} to {clock_utc(until)} [#{incident.id}]"
    return RenderedMessage(text, blocks)


def render_missing_data(incident: Incident) -> RenderedMessage:
    """Render a source without data. It is only INFO, as nothing is known to fail."""
    why = ""
    source = SOURCE_NAMES[incident.source] if incident.source else "Auth0's status page"
    names = ", ".join(
        f"{p.tenant} ({p.signal})" if incident.source else p.signal for p in incident.problems[:5]
    )
    lasted = duration((incident.life.resolved_at or incident.life.opened_at) - incident.since)
    if incident.is_open:
        missing = [p for p in incident.problems if isinstance(p, NoDataProblem)]
        reasons = dict.fromkeys(filter(None, map(_name_reason, missing)))
        sentence = f"No data from {source} for {lasted}: {names}. I still check logins."
        why = escape("; ".join(reasons), 200)
    elif incident.life.resolved_by:
        by = f"<@{incident.life.resolved_by}>"
        sentence = f"{by} resolved this after {lasted} without data from {source}: {names}."
    else:
        sentence = f"{source[0].upper()}{source[1:]} has data again after {lasted}: {names}."
    head = f"{state_of(incident).mark} *{sentence}*\n{why}".strip()
    foot = f"#{incident.id} · since {date_and_time(incident.since)}"
    return RenderedMessage(f"{sentence} [#{incident.id}]", [section(head), context(foot)])


def _name_reason(problem: NoDataProblem) -> str:
    if problem.fault is None:
        return problem.no_data_reason
    said = fault_name(problem.fault).replace("_", " ")
    return ": ".join(filter(None, (said, problem.fault.description)))


OWN_FAULT_ADVICE = {
    OwnFaultKind.CLOCK: (
        "I go on by the time that other hosts send with their answers. *Do now:* let a time"
        " service set the host's clock: `timedatectl`, `chronyc tracking`."
    ),
    OwnFaultKind.STORE: (
        "I go on from memory: alerts and commands work. If I crash now, I may post an alert twice;"
        " the second one then says so."
    ),
    OwnFaultKind.CRASH_LOOP: (
        "Between two crashes nobody watches the logins. *Do now:* read the end of my log, such"
        " as `journalctl -u auth0-check`."
    ),
}


def own_fault_text(incident: Incident) -> str:
    """Say what a fault of the bot itself means and what to do; empty: there is none."""
    if incident.own_fault is None:
        return ""
    detail = escape(incident.own_fault.detail, 300)
    return f"{detail} {OWN_FAULT_ADVICE.get(incident.own_fault.kind, '')}".strip()


def render_own_fault(
    incident: Incident, view: View, status_link: str, mention: str
) -> RenderedMessage:
    """Render a fault of the bot itself: what it means, and what to do."""
    line = escape(first_line(incident, view))
    is_info = incident.severity is Severity.INFO
    mark = SEVERITY_MARKS[incident.severity] if is_info else state_of(incident, view).mark
    state = "Info" if is_info else state_of(incident, view).text
    blocks = [section(f"{mention} {mark} *{line}*\n{state}".strip())]
    if incident.is_open:
        blocks.append(section(own_fault_text(incident)))
        blocks.append(incident_buttons(incident, view, status_link))
    blocks.append(context(f"#{incident.id} · since {date_and_time(incident.since)}"))
    return RenderedMessage(f"{mention} {line} [#{incident.id}]".strip(), blocks)
