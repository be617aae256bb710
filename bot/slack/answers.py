"""Answers to what one person asked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.case import fails, listed, usual_fault
from bot.core.model import CONTROL, FeedState, Observation, Outcome, SignalState, Target
from bot.core.notice import other_component
from bot.core.outbox import Answer
from bot.core.request import Request, Verb
from bot.core.review import is_failing
from bot.core.run import wanted_of
from bot.core.series import Series
from bot.core.trend import share
from bot.slack.card import mark, notice_line, worst_trouble
from bot.slack.figures import (
    MONITORS,
    measured_line,
    measured_name,
    monitor_state,
    series_state,
    trouble_line,
)
from bot.slack.rendered import Rendered
from bot.slack.why import why_text
from bot.slack.wording import (
    CAUSES,
    COMMAND,
    Block,
    context,
    escaped,
    fault_name,
    help_text,
    plain,
    section,
    signal_name,
    span,
    when,
)

if TYPE_CHECKING:
    from bot.core.detector import Signal
    from bot.core.incident import Incident, Trouble
    from bot.core.measurement import Measurement
    from bot.core.notice import FeedView
    from bot.core.tenant_state import TenantState
    from bot.ports import View

SHOWN = 15
"""Tenants or incidents in one answer; Slack takes 50 blocks and about 13,000 characters."""


def answer(said: Answer, view: View) -> Rendered:
    """Render the answer to a request as things stand now."""
    request = said.request
    if request.verb is Verb.RUN:
        return _begun(request, view) if said.is_first else _result(said, view)
    if request.verb is Verb.STATUS:
        return _status(view)
    if request.verb is Verb.ALERTS:
        return _alerts(view)
    if request.verb is Verb.WHY:
        return _why(request, view)
    if request.verb is Verb.HELP:
        return _lines(help_text())
    near = f" Did you mean `{COMMAND} {request.nearest}`?" if request.nearest else ""
    return _lines(f"I don't know `{escaped(request.argument, 40)}`.{near}", help_text())


def _lines(*texts: str) -> Rendered:
    return Rendered(plain(" ".join(texts).replace("*", ""), 1000), [section(t) for t in texts])


def _status(view: View) -> Rendered:
    tenants = list(view.rules.tenants)
    lines = [_tenant_line(name, view) for name in tenants[:SHOWN]]
    if len(tenants) > SHOWN:
        lines.append(f"… and {len(tenants) - SHOWN} more")
    still_open = [i for i in view.desk.incidents.values() if i.is_open]
    head = f"Open incidents: {len(still_open)}" if still_open else "No open incident"
    texts = [f"*{head}*", "\n".join(lines), _feeds(view), _controls(view), _singles(view)]
    if still_open:
        texts.insert(1, "\n".join(_incident_line(i, view) for i in still_open[:SHOWN]))
    blocks: list[Block] = [section(text) for text in texts if text]
    blocks.append(context(f"As of {when(view.now)}. Fresh probes: `{COMMAND} run`"))
    return Rendered(plain(f"{head}. " + " ".join(lines).replace("*", ""), 1000), blocks)


def _tenant_line(name: str, view: View) -> str:
    state, rules = view.world.tenants[name], view.rules.tenants[name]
    if state.blind_since is not None:
        return f":grey_question: *{name}*: could not look for {span(view.now - state.blind_since)}"
    signals = [f"{signal_name(s)} {_signal(state.signals.get(s), view.now)}" for s in rules.signals]
    signals += [
        f"{measured_name(name, limits.kind)} {series_state(state.series.get(name), view.now)}"
        for name, limits in rules.series.items()
    ]
    signals += [f"{MONITORS[n]} {monitor_state(m)}" for n, m in state.monitors.items()]
    where = f" ({escaped(rules.environment)})" if rules.environment else ""
    return f"{_light(state)} *{name}*{where}: " + ", ".join(signals)


def _light(state: TenantState) -> str:
    """Return a tenant's light; green only where nothing is known to be bad."""
    if any(s.state is not SignalState.OK for s in state.signals.values()) or is_failing(state):
        return ":red_circle:"
    is_silent = any(series.silent_since is not None for series in state.series.values())
    return ":large_yellow_circle:" if is_silent else ":large_green_circle:"


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


def _feeds(view: View) -> str:
    feeds = view.desk.outside.feeds
    return "\n".join(_feed(name, feed, view.now) for name, feed in list(feeds.items())[:SHOWN])


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


def _alerts(view: View) -> Rendered:
    incidents = sorted(view.desk.incidents.values(), key=lambda i: (not i.is_open, -i.id))
    if not incidents:
        return _lines("No incident in the last seven days.")
    lines = [_incident_line(incident, view) for incident in incidents[:SHOWN]]
    if len(incidents) > SHOWN:
        lines.append(f"… and {len(incidents) - SHOWN} older ones")
    return _lines("*Incidents of the last seven days*", "\n".join(lines))


def _why(request: Request, view: View) -> Rendered:
    """Explain the incident with this number; without one the newest, an open one first."""
    incidents = view.desk.incidents
    named = request.argument.removeprefix("#")
    if not named:
        newest = max(incidents.values(), key=lambda i: (i.is_open, i.id), default=None)
        return _lines(*why_text(newest)) if newest else _lines("There is no incident to explain.")
    if named.isdecimal() and int(named) in incidents:
        return _lines(*why_text(incidents[int(named)]))
    return _lines(f"There is no incident `{escaped(named, 40)}`: see `{COMMAND} alerts`.")


def _incident_line(incident: Incident, view: View) -> str:
    names = listed(incident.tenants)
    worst = worst_trouble(incident)
    what = _what(worst) if worst else incident.kind.value
    until = view.now if incident.resolved_at is None else incident.resolved_at
    lasted = f"{'for' if incident.is_open else 'lasted'} {span(until - incident.since)}"
    cause = CAUSES[incident.verdict.cause].split(":")[0]
    return (
        f"{mark(incident)} #{incident.id} {incident.state}, {incident.severity}: *{names}* {what}; "
        f"since {when(incident.since)}, {lasted}; verdict {cause}"
    )


def _what(worst: Trouble) -> str:
    return trouble_line(worst) if worst.reason else fault_name(worst.fault)


def _begun(request: Request, view: View) -> Rendered:
    wanted = wanted_of(request, view.rules)
    if wanted is None:
        tenants = view.rules.tenants
        signals = dict.fromkeys(s for t in tenants.values() for s in t.all_signals)
        asked = escaped(request.argument, 40)
        return _lines(
            f"There is no tenant or signal `{asked}`. Tenants: {', '.join([*tenants][:SHOWN])}. "
            f"Signals: {', '.join([*signals][:SHOWN])}."
        )
    known, signal = wanted
    whom = known[0] if len(known) == 1 else f"{len(known)} tenants"
    whom = f"{signal} of {whom}" if signal else whom
    return _lines(f"Looking at {whom} now …")


def _result(said: Answer, view: View) -> Rendered:
    seen = sorted(said.seen, key=lambda s: (s.target.owner == CONTROL, s.target))
    lines = [_seen(one) for one in seen[: 2 * SHOWN]]
    lines += [_measured(one, view) for one in said.measured[:SHOWN]]
    lines += [
        f":grey_question: *{_name(target)}*: no answer yet" for target in said.missing[:SHOWN]
    ]
    lines += [
        f":grey_question: *{_name(target)}*: not tried, to spare its user; ask again later"
        for target in said.left_out[:SHOWN]
    ]
    failed = sum(one.outcome is Outcome.FAILED for one in seen)
    figures = "The figures" if said.measured else "No look came back"
    well = f"All {len(seen)} looks are well" if seen else figures
    head = f"{failed} of {len(seen)} looks failed" if failed else well
    blocks = [section(f"*{head}*"), section("\n".join(lines) or "Nothing was looked at.")]
    blocks.append(context(f"Looked at {when(view.now)}"))
    return Rendered(plain(f"{head}. " + " ".join(lines).replace("*", ""), 1000), blocks)


def _seen(one: Observation) -> str:
    name, latency = _name(one.target), f"{(one.latency_s or 0) * 1000:.0f} ms"
    if one.outcome is Outcome.NO_DATA:
        return f":grey_question: *{name}*: could not look ({escaped(one.blind)})"
    if one.fault is None:
        stages = ", ".join(f"{t.stage} {t.seconds * 1000:.0f}" for t in one.timings)
        return f":large_green_circle: *{name}*: ok in {latency}" + (
            f" ({stages} ms)" if stages else ""
        )
    said = escaped(one.fault.description, 120)
    quoted = f" _“{said}”_" if said else ""
    return f":red_circle: *{name}*: {fault_name(one.fault)} after {latency}{quoted}"


def _measured(one: Measurement, view: View) -> str:
    tenant, name = one.target
    limits = view.rules.tenants[tenant].series[name]
    series = view.world.tenants[tenant].series.get(name, Series())
    mark = ":grey_question:" if one.missing else ":bar_chart:"
    what = f"{tenant} {measured_name(name, limits.kind)}"
    return f"{mark} *{what}*: {measured_line(one, series, limits)}"


def _name(target: Target) -> str:
    return f"{target.owner} {signal_name(target.name)}" if target.owner != CONTROL else target.name
