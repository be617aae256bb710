"""The status of every tenant, and the health of the bot itself. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.incidents.lifecycle import is_failing
from bot.core.incidents.sticky_resolve import LEFT_S
from bot.core.model.observation import FRESH_S, FeedState, SignalState
from bot.core.signals.history import share
from bot.core.state.shared import other_component
from bot.core.state.silence import is_on
from bot.core.triage.context import fails, usual_fault
from bot.slack.render.incident import notice_line
from bot.slack.render.incident_line import SHOWN, incident_list
from bot.slack.render.signals import MONITORS, measured_name, monitor_state, series_state
from bot.slack.render.silences import running
from bot.slack.render.text import (
    BAD,
    COMMAND,
    DOUBTFUL,
    LIGHTS,
    MAINTENANCE_MARK,
    UNSEEN,
    WELL,
    Rendered,
    context,
    escaped,
    fault_name,
    listing,
    paragraphs,
    signal_name,
    span,
    when,
)

if TYPE_CHECKING:
    from bot.core.signals.probe_threshold import Signal
    from bot.core.state.shared import FeedView
    from bot.ports import View

LINES_SHOWN = 15


def health(view: View) -> Rendered:
    """Say what was seen last, the longest ago first."""
    seen = {name: state.usable_at or 0.0 for name, state in view.world.tenants.items()}
    names = sorted(seen, key=lambda name: seen[name])
    late = [name for name in names if view.now - seen[name] >= FRESH_S]
    head = f"{len(late)} of {len(names)} tenants not seen lately" if late else "I see all tenants"
    more = [f"… and {len(names) - LINES_SHOWN} more, seen since"] if len(names) > SHOWN else []
    return paragraphs(
        f"*{head}*",
        *listing([*(_tenant(name, view) for name in names[:LINES_SHOWN]), *more]),
        "\n".join(feed_lines(view)),
        *listing(_silent(view)[:LINES_SHOWN]),
        _calendar(view),
    )


def _tenant(name: str, view: View) -> str:
    seen_at = view.world.tenants[name].usable_at
    if seen_at is None:
        return f"{UNSEEN} *{name}*: not seen yet"
    light = WELL if view.now - seen_at < FRESH_S else UNSEEN
    return f"{light} *{name}*: last seen {span(view.now - seen_at)} ago"


def _silent(view: View) -> list[str]:
    return [
        f"{DOUBTFUL} {tenant}, {measured_name(name, view.rules.tenants[tenant].series[name].kind)}:"
        f" no figures for {span(view.now - series.silent_since)} ({escaped(series.missing)})"
        for tenant, state in view.world.tenants.items()
        for name, series in state.series.items()
        if series.silent_since is not None and name in view.rules.tenants[tenant].series
    ]


def _calendar(view: View) -> str:
    shifts = view.desk.shifts
    if shifts is None or not view.rules.calendar_every_s:
        return ""
    read = f"read {span(view.now - shifts.at)} ago"
    fault = f"{DOUBTFUL} cannot be read ({escaped(shifts.fault)}), last " if shifts.fault else ""
    return f"Calendar of who is on call: {fault}{read}"


def status(view: View) -> Rendered:
    """Say how every tenant is, the worst first, with the open incidents and the status page."""
    still_open = view.desk.open_incidents
    head = f"Open incidents: {len(still_open)}" if still_open else "No open incident"
    names = sorted(view.rules.tenants, key=lambda name: LIGHTS.index(light(name, view)))
    lines = [tenant_line(name, view) for name in names[:SHOWN]]
    if len(names) > SHOWN:
        lines.append(f"… and {len(names) - SHOWN} more")
    said = paragraphs(
        f"*{head}*",
        *incident_list(still_open, view),
        *listing(lines),
        *running(view),
        "\n".join(feed_lines(view)),
        _controls(view),
        _singles(view),
    )
    foot = context(f"As of {when(view.now)}. Fresh probes: `{COMMAND} run`")
    return Rendered(said.text, [*said.blocks, foot])


def tenant_line(name: str, view: View) -> str:
    """Say in a line how all that is watched at a tenant does."""
    state, rules = view.world.tenants[name], view.rules.tenants[name]
    where = f" ({escaped(rules.environment)})" if rules.environment else ""
    is_ours = any(is_on(window, name, view.now) for window in view.rules.windows)
    begin = f"{light(name, view)} *{name}*{where}{' ' + MAINTENANCE_MARK if is_ours else ''}: "
    if state.blind_since is not None:
        return f"{begin}could not look for {span(view.now - state.blind_since)}"
    signals = [f"{signal_name(s)} {_signal(state.signals.get(s), view.now)}" for s in rules.signals]
    signals += [
        f"{measured_name(name, limits.kind)} {series_state(state.series.get(name), view.now)}"
        for name, limits in rules.series.items()
    ]
    signals += [f"{MONITORS[n]} {monitor_state(m)}" for n, m in state.monitors.items()]
    return begin + ", ".join(signals) + _left(name, view)


def _left(name: str, view: View) -> str:
    """Say why nobody is alerted of what fails: a person resolved it as it was."""
    for incident in view.desk.incidents.values():
        until = (incident.resolved_at or 0.0) + LEFT_S
        if view.now < until and any(one.startswith(f"{name}.") for one in incident.left):
            who = f"<@{incident.resolved_by}>"
            return f"; nobody is alerted until {when(until)}, {who} resolved #{incident.id}"
    return ""


def light(name: str, view: View) -> str:
    """Return a tenant's light; green only where nothing is known to be bad."""
    state = view.world.tenants[name]
    if any(s.state is not SignalState.OK for s in state.signals.values()) or is_failing(state):
        return BAD
    if state.blind_since is not None:
        return UNSEEN
    is_silent = any(series.silent_since is not None for series in state.series.values())
    return DOUBTFUL if is_silent else WELL


def _signal(signal: Signal | None, now: float) -> str:
    if signal is None or signal.last_at is None:
        return "not looked at yet"
    if signal.is_stopped:
        return f"stopped: {fault_name(usual_fault(signal))}"
    if signal.state is SignalState.OK:
        latency = f" in {signal.latency_s * 1000:.0f} ms" if signal.latency_s else ""
        return f"ok{latency} ({span(now - signal.last_at)} ago)"
    sure = "failing" if fails(signal) else "one failure, being repeated"
    return f"{sure}: {fault_name(usual_fault(signal))}, {len(signal.faults)} of {len(signal.tries)}"


def feed_lines(view: View) -> list[str]:
    """Say what each status feed says, and when it was read."""
    feeds = view.desk.outside.feeds
    return [_feed(name, feed, view.now) for name, feed in list(feeds.items())[:SHOWN]]


def _feed(name: str, feed: FeedView, now: float) -> str:
    label = f"Auth0 status page, {escaped(name)}"
    if feed.state is None:
        return f"{label}: not read yet"
    if feed.state is not FeedState.OK:
        return f"{label}: tells us nothing ({feed.state})"
    shown = [n for n in feed.notices if n.is_open or n.is_maintenance][:3]
    read = f"read {span(now - (feed.read_at or now))} ago"
    if not shown:
        return f"{label}: no open post ({read})"
    about = [f"{notice_line(n, now)}{_component(other_component(n))}" for n in shown]
    return f"{label} ({read}): " + "; ".join(about)


def _component(name: str | None) -> str:
    return f", about {name}" if name else ""


def _controls(view: View) -> str:
    controls = view.desk.outside.controls
    states = [f"{name} {_signal(signal, view.now)}" for name, signal in controls.items()]
    return "Neutral hosts: " + ", ".join(states[:SHOWN]) if states else ""


def _singles(view: View) -> str:
    """Say how many looks failed singly in the last days: a trend, and no alert."""
    shares = [
        f"{name} {signal_name(signal)} {share(state.signals[signal].trend):.2%}"
        for name, state in view.world.tenants.items()
        for signal in view.rules.tenants[name].logins
        if signal in state.signals and share(state.signals[signal].trend)
    ]
    return "Single failures in 7 days: " + ", ".join(shares[:SHOWN]) if shares else ""
