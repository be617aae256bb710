"""The status of every tenant, the health of the bot itself, and the Home tab with both. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.incidents.recurrence import STICKY_RESOLVE_S
from bot.core.model.finding import Level
from bot.core.model.observation import FRESH_S, FeedState, Health, SignalState
from bot.core.signals.history import single_failure_share
from bot.core.state.silence import is_window_active
from bot.core.state.tenant import other_component
from bot.slack import actions
from bot.slack.render.advice import incident_buttons
from bot.slack.render.incident import status_incident_line
from bot.slack.render.incident_line import MAX_LINES, incident_line, incident_list
from bot.slack.render.oncall import render_on_call
from bot.slack.render.signals import (
    MONITOR_NAMES,
    metric_name,
    metric_state_text,
)
from bot.slack.render.silences import running_silence_lines, silence_line
from bot.slack.render.text import (
    COMMAND,
    FAILING_LIGHT,
    LIGHTS,
    MAINTENANCE_MARK,
    NO_DATA_LIGHT,
    OK_LIGHT,
    WARNING_LIGHT,
    Block,
    RenderedMessage,
    button,
    context,
    count_rest,
    date_and_time,
    duration,
    escape,
    fault_name,
    join_lines,
    render_paragraphs,
    section,
    signal_name,
)

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from bot.core.model.finding import Finding
    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.state.tenant import FeedView
    from bot.ports import View


LEVEL_MARKS = {
    Level.PROBLEM: FAILING_LIGHT,
    Level.UNKNOWN: NO_DATA_LIGHT,
    Level.ADVICE: ":small_blue_diamond:",
    Level.OK: OK_LIGHT,
}


def render_findings(findings: Sequence[Finding]) -> RenderedMessage:
    """Render what an examination of the set-up found: what is not well, then what is."""
    lines = [
        f"{LEVEL_MARKS[each.level]} *{escape(each.area, 40)}: {escape(each.what, 80)}* "
        f"{escape(each.detail, 200)}\n> {escape(each.remedy)}"
        for level in (Level.PROBLEM, Level.UNKNOWN, Level.ADVICE)
        for each in findings
        if each.level is level
    ]
    good = [f"{each.area}: {each.what}" for each in findings if each.level is Level.OK]
    head = f"*The set-up: {len(lines)} line(s) to look at, {len(good)} are all right*"
    ending = f"{OK_LIGHT} {escape(', '.join(good), 1500)}" if good else ""
    return render_paragraphs(*join_lines([head, *lines]), ending)


def render_health(view: View) -> RenderedMessage:
    """Say when each tenant was last seen, the longest ago first, and which sources have no data."""
    seen = {name: state.last_data_at or 0.0 for name, state in view.tenants.states.items()}
    names = sorted(seen, key=lambda name: seen[name])
    late = [name for name in names if view.now - seen[name] >= FRESH_S]
    head = (
        f"{len(late)} of {len(names)} tenants not checked lately" if late else "I check all tenants"
    )
    lines = []
    for name in names[:MAX_LINES]:
        at = view.tenants.states[name].last_data_at
        is_fresh = at is not None and view.now - at < FRESH_S
        age = "not checked yet" if at is None else f"last checked {duration(view.now - at)} ago"
        light = tenant_light(name, view) if is_fresh else NO_DATA_LIGHT
        lines.append(f"{light} *{name}*: {age}")
    missing = [
        f"{WARNING_LIGHT} {tenant}, {metric_name(name, limits[name].kind)}: no data for "
        f"{duration(view.now - metric.no_data_since)} ({escape(metric.no_data_reason)})"
        for tenant, state in view.tenants.states.items()
        for limits in [view.rules.tenants[tenant].metrics]
        for name, metric in state.metrics.items()
        if metric.no_data_since is not None and name in limits
    ]
    calendar = ""
    shifts = view.desk.shifts
    if shifts is not None and view.rules.calendar_every_s:
        fault = f"{WARNING_LIGHT} cannot be read ({escape(shifts.fault)}), last "
        read = f"read {duration(view.now - shifts.at)} ago"
        calendar = f"Calendar of who is on call: {fault if shifts.fault else ''}{read}"
    return render_paragraphs(
        f"*{head}*",
        *join_lines([*lines, *count_rest(names, MAX_LINES, ", checked since")]),
        _feed_lines(view),
        *join_lines(missing[:MAX_LINES]),
        calendar,
    )


def render_status(view: View) -> RenderedMessage:
    """Say how every tenant is, the worst first, with the open incidents and the status page."""
    open_incidents = view.desk.open_incidents
    head = f"Open incidents: {len(open_incidents)}" if open_incidents else "No open incident"
    names = tenants_by_light(view)
    lines = [tenant_line(name, view) for name in names[:MAX_LINES]]
    controls = [
        f"{name} {_probe_state_text(state, view.now)}"
        for name, state in view.desk.shared.controls.items()
    ]
    message = render_paragraphs(
        f"*{head}*",
        *incident_list(open_incidents, view),
        *join_lines([*lines, *count_rest(names, MAX_LINES)]),
        *running_silence_lines(view),
        _feed_lines(view),
        "Other internet sites: " + ", ".join(controls[:MAX_LINES]) if controls else "",
        _single_failures(view),
    )
    foot = context(f"As of {date_and_time(view.now)}. Fresh probes: `{COMMAND} run`")
    return RenderedMessage(message.text, [*message.blocks, foot])


def tenants_by_light(view: View) -> list[str]:
    """Return the names of all tenants, the worst first."""
    return sorted(view.rules.tenants, key=lambda name: LIGHTS.index(tenant_light(name, view)))


def tenant_line(name: str, view: View) -> str:
    """Say in one line how all signals of a tenant are."""
    state, rules = view.tenants.states[name], view.rules.tenants[name]
    environment = f" ({escape(rules.environment)})" if rules.environment else ""
    windows = view.rules.maintenance_windows
    is_maintained = any(is_window_active(window, name, view.now) for window in windows)
    mark = f" {MAINTENANCE_MARK}" if is_maintained else ""
    begin = f"{tenant_light(name, view)} *{name}*{environment}{mark}: "
    if state.no_data_since is not None:
        return f"{begin}could not be checked for {duration(view.now - state.no_data_since)}"
    signals = [
        f"{signal_name(s)} {_probe_state_text(state.probes.get(s), view.now)}" for s in rules.probes
    ]
    signals += [
        f"{metric_name(name, limits.kind)} {metric_state_text(state.metrics.get(name), view.now)}"
        for name, limits in rules.metrics.items()
    ]
    for monitor_name, monitor in state.monitors.items():
        count = f"{len(monitor.alerts)} alert(s)" if monitor.alerts else "no alert"
        signals.append(f"{MONITOR_NAMES[monitor_name]} {count}")
    return begin + ", ".join(signals) + _sticky_resolve_text(name, view)


def _sticky_resolve_text(name: str, view: View) -> str:
    """Say why nobody is alerted of what fails: a person resolved it while it failed."""
    for incident in view.desk.incidents.values():
        until = (incident.life.resolved_at or 0.0) + STICKY_RESOLVE_S
        if view.now < until and any(one.owner == name for one in incident.life.still_failing):
            return (
                f"; nobody is alerted until {date_and_time(until)}, "
                f"<@{incident.life.resolved_by}> resolved #{incident.id}"
            )
    return ""


def tenant_light(name: str, view: View) -> str:
    """Return a tenant's light; green only if nothing is known to fail."""
    state = view.tenants.states[name]
    # A metric that is only suspect does not count: few calls are no sign of a failure.
    is_failing = any(probe.health for probe in state.probes.values()) or (
        state.health & Health.ALERTING and not state.has_lost_sight
    )
    if is_failing:
        return FAILING_LIGHT
    if state.no_data_since is not None or state.has_lost_sight:
        return NO_DATA_LIGHT
    has_gaps = any(metric.no_data_since is not None for metric in state.metrics.values())
    return WARNING_LIGHT if has_gaps else OK_LIGHT


def _probe_state_text(state: ProbeState | None, now: float) -> str:
    if state is None or state.last_at is None:
        return "not checked yet"
    fault = fault_name(state.most_frequent_fault)
    if state.is_stopped:
        return f"stopped: {fault}"
    if state.state is SignalState.OK:
        latency = f" in {state.latency_s * 1000:.0f} ms" if state.latency_s else ""
        return f"ok{latency} ({duration(now - state.last_at)} ago)"
    label = "failing" if state.is_failing else "one failure, being repeated"
    return f"{label}: {fault}, {len(state.faults)} of {len(state.tries)}"


def _feed_lines(view: View) -> str:
    """Say what each status feed shows, and when it was read."""
    feeds = list(view.desk.shared.feeds.items())[:MAX_LINES]
    return "\n".join(_feed_line(name, feed, view) for name, feed in feeds)


def _feed_line(name: str, feed: FeedView, view: View) -> str:
    label = f"Auth0 status page, {escape(name)}"
    if feed.state is None:
        return f"{label}: not read yet"
    if feed.state is not FeedState.OK:
        return f"{label}: cannot be read ({feed.state})"
    shown = [n for n in feed.status_incidents if n.is_open or n.is_maintenance][:3]
    read = f"read {duration(view.now - (feed.read_at or view.now))} ago"
    if not shown:
        return f"{label}: no open post ({read})"
    lines = [
        status_incident_line(n, view)
        + (f", about {component}" if (component := other_component(n)) else "")
        for n in shown
    ]
    return f"{label} ({read}): " + "; ".join(lines)


def _single_failures(view: View) -> str:
    """Say the share of single failures in the last days: a trend, not an alert."""
    shares = [
        f"{name} {signal_name(signal)} {single_failure_share(state.probes[signal].trend):.2%}"
        for name, state in view.tenants.states.items()
        for signal in view.rules.tenants[name].logins
        if signal in state.probes and single_failure_share(state.probes[signal].trend)
    ]
    return "Single failures in 7 days: " + ", ".join(shares[:MAX_LINES]) if shares else ""


MAX_INCIDENTS, MAX_TENANTS, MAX_SILENCES = 10, 100, 10
"""Most that are shown. Slack takes 100 blocks and 250 kB (views.publish, read 2026-11)."""


def render_home_tab(view: View, status_link: str) -> Block:
    """Render the tab."""
    found = sorted(view.desk.open_incidents, key=lambda one: (one.severity.rank, -one.id))
    incidents = [
        block
        for one in found[:MAX_INCIDENTS]
        for block in (section(incident_line(one, view)), incident_buttons(one, view, status_link))
    ]
    active = view.desk.active_silences
    silences = []
    for silence in active[:MAX_SILENCES]:
        value = actions.SilenceValue(silence=silence.id).model_dump_json()
        end = button("End", actions.END_SILENCE, value=value)
        silences.append(section(silence_line(silence)) | {"accessory": end})
    count = len(found)
    head = f"{count} open incident{'s' if count > 1 else ''}" if count else "No open incident"
    names = tenants_by_light(view)
    lines = [tenant_line(name, view) for name in names[:MAX_TENANTS]]
    blocks = [
        section(f"*{head}*") | {"accessory": button("Refresh", actions.REFRESH)},
        *incidents,
        *_more(len(found) - MAX_INCIDENTS, "alerts open"),
        {"type": "divider"},
        *map(section, join_lines(lines)),
        *_more(len(names) - MAX_TENANTS, "status"),
        *silences,
        *_more(len(active) - MAX_SILENCES, "silences"),
        {"type": "divider"},
        *render_on_call(view).blocks,
        {"type": "divider"},
        *render_health(view).blocks,
        context(f"As of {date_and_time(view.now)}. All that can be asked: `{COMMAND} help`"),
    ]
    return {"type": "home", "blocks": blocks}


def home_tab_fingerprint(view: View) -> Hashable:
    """Return all that makes publishing the tab again worth it: not ages and latencies."""
    incidents = [
        (one.id, one.state, one.severity, one.tenants, one.notification.is_muted, one.verdict.cause)
        for one in view.desk.open_incidents
    ]
    silences = [(one.id, one.suppressed) for one in view.desk.active_silences]
    lights = [tenant_light(name, view) for name in view.rules.tenants]
    feeds = [(name, feed.state) for name, feed in view.desk.shared.feeds.items()]
    return tuple(incidents), tuple(silences), tuple(lights), tuple(feeds), view.desk.shift


def _more(count: int, verb: str) -> list[Block]:
    return [context(f"… and {count} more: `{COMMAND} {verb}`")] if count > 0 else []
