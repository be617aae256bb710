"""The signals of an incident that are in trouble, in figures."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import Trouble
from bot.core.triage.context import fails, usual_fault
from bot.core.triage.from_users import is_bad

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.measurement import Kind
    from bot.core.signals.external_alerts import Monitor
    from bot.core.signals.latency import Tempo
    from bot.core.signals.metric_threshold import Series
    from bot.core.signals.probe_threshold import Signal
    from bot.core.triage.context import Case


def signals_agreeing(case: Case) -> int:
    """Count the signals in trouble, over all tenants: two are more than one probe's whim."""
    return sum(
        sum(fails(signal) for signal in state.signals.values())
        + sum(is_bad(series) for series in state.series.values())
        + sum(bool(monitor.firing) for monitor in state.monitors.values())
        for state in case.world.tenants.values()
    )


def troubles_of(before: tuple[Trouble, ...], case: Case) -> tuple[Trouble, ...]:
    """Return the signals in trouble, in figures; those that were and are over stay listed."""
    now_firing = {(t.tenant, t.signal): t for name in case.tenants for t in _firing(case, name)}
    over = {
        (t.tenant, t.signal): replace(t, is_over=True, is_stopped=False)
        for t in before
        if (t.tenant, t.signal) not in now_firing
    }
    known = [(t.tenant, t.signal) for t in before]
    order = dict.fromkeys((*known, *now_firing))
    return tuple({**over, **now_firing}[key] for key in order)


def _firing(case: Case, name: str) -> Iterator[Trouble]:
    state = case.world.tenants[name]
    for signal_name, signal in state.signals.items():
        if fails(signal):
            yield _trouble(name, signal_name, signal)
        elif signal.tempo.is_slow:
            yield _slow(name, signal_name, signal.tempo)
    for signal_name, series in state.series.items():
        if is_bad(series):
            counted = case.rules.tenants[name].series[signal_name].kind
            yield _counted(name, signal_name, series, counted)
    for signal_name, monitor in state.monitors.items():
        if monitor.firing:
            yield _claimed(name, signal_name, monitor)


def _slow(tenant: str, name: str, tempo: Tempo) -> Trouble:
    return Trouble(
        tenant=tenant,
        signal=name,
        since=tempo.since or 0.0,
        failed=sum(each > tempo.limit_s for each in tempo.recent),
        tries=len(tempo.recent),
        reason=Reason.SLOW,
        usual=tempo.usual_s,
        span_s=tempo.now_s,
    )


def _counted(tenant: str, name: str, series: Series, counted: Kind) -> Trouble:
    reading = series.reading
    usual = reading.usual_failed if series.usual.is_known else None
    return Trouble(
        tenant=tenant,
        signal=name,
        since=series.since or 0.0,
        failed=round(reading.failed),
        tries=round(reading.total or 0.0),
        counted=counted,
        reason=series.reason,
        usual=reading.usual_succeeded if series.reason is Reason.MISSING else usual,
        span_s=reading.span_s,
        missing=series.missing,
        link=series.recent[-1].link if series.recent else "",
    )


def _claimed(tenant: str, name: str, monitor: Monitor) -> Trouble:
    newest = monitor.firing[-1]
    return Trouble(
        tenant=tenant,
        signal=name,
        since=monitor.since or 0.0,
        failed=len(monitor.firing),
        tries=0,
        reason=Reason.CLAIMED,
        said=newest.title,
        link=newest.link,
    )


def _trouble(tenant: str, name: str, signal: Signal) -> Trouble:
    return Trouble(
        tenant=tenant,
        signal=name,
        since=signal.since or 0.0,
        failed=len(signal.faults),
        tries=len(signal.tries),
        fault=usual_fault(signal),
        is_stopped=signal.is_stopped,
    )
