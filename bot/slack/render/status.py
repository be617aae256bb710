"""The status of every tenant, and the health of the bot itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.incidents.lifecycle import is_tenant_failing
from bot.core.incidents.sticky_resolve import STICKY_RESOLVE_S
from bot.core.model.observation import FRESH_S, FeedState, SignalState
from bot.core.signals.history import single_failure_share
from bot.core.state.shared import other_component
from bot.core.state.silence import is_in_maintenance
from bot.core.triage.context import is_signal_failing, most_frequent_fault
from bot.slack.render.incident import status_incident_line
from bot.slack.render.incident_line import MAX_LINES, incident_list
from bot.slack.render.signals import (
    MONITOR_NAMES,
    metric_name,
    metric_state_text,
    monitor_state_text,
)
from bot.slack.render.silences import running_silence_lines
from bot.slack.render.text import (
    COMMAND,
    FAILING_LIGHT,
    LIGHTS,
    MAINTENANCE_MARK,
    NO_DATA_LIGHT,
    OK_LIGHT,
    WARNING_LIGHT,
    RenderedMessage,
    context,
    date_and_time,
    duration,
    escape,
    fault_name,
    join_lines,
    render_paragraphs,
    signal_name,
)

if TYPE_CHECKING:
    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.state.shared import FeedView
    from bot.ports import View


def render_health(view: View) -> RenderedMessage:
    """Say what was seen last, the longest ago first."""
    seen = {name: state.last_data_at or 0.0 for name, state in view.tenants.states.items()}
    names = sorted(seen, key=lambda name: seen[name])
    late = [name for name in names if view.now - seen[name] >= FRESH_S]
    head = f"{len(late)} of {len(names)} tenants not seen lately" if late else "I see all tenants"
    more = [f"… and {len(names) - MAX_LINES} more, seen since"] if len(names) > MAX_LINES else []
    return render_paragraphs(
        f"*{head}*",
        *join_lines([*(_last_seen_line(name, view) for name in names[:MAX_LINES]), *more]),
        "\n".join(feed_lines(view)),
        *join_lines(_missing_data_lines(view)[:MAX_LINES]),
        _calendar_line(view),
    )


def _last_seen_line(name: str, view: View) -> str:
    seen_at = view.tenants.states[name].last_data_at
    if seen_at is None:
        return f"{NO_DATA_LIGHT} *{name}*: not seen yet"
    light = OK_LIGHT if view.now - seen_at < FRESH_S else NO_DATA_LIGHT
    return f"{light} *{name}*: last seen {duration(view.now - seen_at)} ago"


def _missing_data_lines(view: View) -> list[str]:
    return [
        f"{WARNING_LIGHT} {tenant}, {metric_name(name, view.rules.tenants[tenant].metrics[name].kind)}:"
        f" no figures for {duration(view.now - series.no_data_since)} ({escape(series.no_data_reason)})"
        for tenant, state in view.tenants.states.items()
        for name, series in state.metrics.items()
        if series.no_data_since is not None and name in view.rules.tenants[tenant].metrics
    ]


def _calendar_line(view: View) -> str:
    shifts = view.desk.shifts
    if shifts is None or not view.rules.calendar_every_s:
        return ""
    read = f"read {duration(view.now - shifts.at)} ago"
    fault = (
        f"{WARNING_LIGHT} cannot be read ({escape(shifts.fault)}), last " if shifts.fault else ""
    )
    return f"Calendar of who is on call: {fault}{read}"


def render_status(view: View) -> RenderedMessage:
    """Say how every tenant is, the worst first, with the open incidents and the status page."""
    still_open = view.desk.open_incidents
    head = f"Open incidents: {len(still_open)}" if still_open else "No open incident"
    names = sorted(view.rules.tenants, key=lambda name: LIGHTS.index(tenant_light(name, view)))
    lines = [tenant_line(name, view) for name in names[:MAX_LINES]]
    if len(names) > MAX_LINES:
        lines.append(f"… and {len(names) - MAX_LINES} more")
    said = render_paragraphs(
        f"*{head}*",
        *incident_list(still_open, view),
        *join_lines(lines),
        *running_silence_lines(view),
        "\n".join(feed_lines(view)),
        _controls(view),
        _single_failures(view),
    )
    foot = context(f"As of {date_and_time(view.now)}. Fresh probes: `{COMMAND} run`")
    return RenderedMessage(said.text, [*said.blocks, foot])


def tenant_line(name: str, view: View) -> str:
    """Say in a line how all that is watched at a tenant does."""
    state, rules = view.tenants.states[name], view.rules.tenants[name]
    where = f" ({escape(rules.environment)})" if rules.environment else ""
    is_ours = any(
        is_in_maintenance(window, name, view.now) for window in view.rules.maintenance_windows
    )
    begin = (
        f"{tenant_light(name, view)} *{name}*{where}{' ' + MAINTENANCE_MARK if is_ours else ''}: "
    )
    if state.no_data_since is not None:
        return f"{begin}could not look for {duration(view.now - state.no_data_since)}"
    signals = [
        f"{signal_name(s)} {_probe_state_text(state.probes.get(s), view.now)}" for s in rules.probes
    ]
    signals += [
        f"{metric_name(name, limits.kind)} {metric_state_text(state.metrics.get(name), view.now)}"
        for name, limits in rules.metrics.items()
    ]
    signals += [f"{MONITOR_NAMES[n]} {monitor_state_text(m)}" for n, m in state.monitors.items()]
    return begin + ", ".join(signals) + _sticky_resolve_text(name, view)


def _sticky_resolve_text(name: str, view: View) -> str:
    """Say why nobody is alerted of what fails: a person resolved it as it was."""
    for incident in view.desk.incidents.values():
        until = (incident.resolved_at or 0.0) + STICKY_RESOLVE_S
        if view.now < until and any(one.startswith(f"{name}.") for one in incident.sticky_resolve):
            who = f"<@{incident.resolved_by}>"
            return (
                f"; nobody is alerted until {date_and_time(until)}, {who} resolved #{incident.id}"
            )
    return ""


def tenant_light(name: str, view: View) -> str:
    """Return a tenant's light; green only where nothing is known to be bad."""
    state = view.tenants.states[name]
    if any(s.state is not SignalState.OK for s in state.probes.values()) or is_tenant_failing(
        state
    ):
        return FAILING_LIGHT
    if state.no_data_since is not None:
        return NO_DATA_LIGHT
    is_silent = any(series.no_data_since is not None for series in state.metrics.values())
    return WARNING_LIGHT if is_silent else OK_LIGHT


def _probe_state_text(signal: ProbeState | None, now: float) -> str:
    if signal is None or signal.last_at is None:
        return "not looked at yet"
    if signal.is_stopped:
        return f"stopped: {fault_name(most_frequent_fault(signal))}"
    if signal.state is SignalState.OK:
        latency = f" in {signal.latency_s * 1000:.0f} ms" if signal.latency_s else ""
        return f"ok{latency} ({duration(now - signal.last_at)} ago)"
    sure = "failing" if is_signal_failing(signal) else "one failure, being repeated"
    return f"{sure}: {fault_name(most_frequent_fault(signal))}, {len(signal.faults)} of {len(signal.tries)}"


def feed_lines(view: View) -> list[str]:
    """Say what each status feed says, and when it was read."""
    feeds = view.desk.shared.feeds
    return [_feed_line(name, feed, view.now) for name, feed in list(feeds.items())[:MAX_LINES]]


def _feed_line(name: str, feed: FeedView, now: float) -> str:
    label = f"Auth0 status page, {escape(name)}"
    if feed.state is None:
        return f"{label}: not read yet"
    if feed.state is not FeedState.OK:
        return f"{label}: tells us nothing ({feed.state})"
    shown = [n for n in feed.status_incidents if n.is_open or n.is_maintenance][:3]
    read = f"read {duration(now - (feed.read_at or now))} ago"
    if not shown:
        return f"{label}: no open post ({read})"
    about = [f"{status_incident_line(n, now)}{_component_text(other_component(n))}" for n in shown]
    return f"{label} ({read}): " + "; ".join(about)


def _component_text(name: str | None) -> str:
    return f", about {name}" if name else ""


def _controls(view: View) -> str:
    controls = view.desk.shared.controls
    states = [f"{name} {_probe_state_text(signal, view.now)}" for name, signal in controls.items()]
    return "Neutral hosts: " + ", ".join(states[:MAX_LINES]) if states else ""


def _single_failures(view: View) -> str:
    """Say how many looks failed singly in the last days: a trend, and no alert."""
    shares = [
        f"{name} {signal_name(signal)} {single_failure_share(state.probes[signal].trend):.2%}"
        for name, state in view.tenants.states.items()
        for signal in view.rules.tenants[name].logins
        if signal in state.probes and single_failure_share(state.probes[signal].trend)
    ]
    return "Single failures in 7 days: " + ", ".join(shares[:MAX_LINES]) if shares else ""
