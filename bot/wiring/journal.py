"""What a running bot tells of itself: log lines and metrics."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING

from bot.core.fault import describe
from bot.core.model import Outcome, Severity, SignalState
from bot.core.stimulus import Effect, IncidentChanged, SignalChanged, VerdictChanged
from bot.slack.wording import REMEDIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.measurement import Measurement
    from bot.core.model import FeedReading, Observation, Target
    from bot.core.oncall import Shifts
    from bot.ports import Prober, View
    from bot.telemetry import Metrics

log = logging.getLogger("auth0-check")


class LogJournal:
    """The `Journal` port: a line a change, with constant keys."""

    def note(self, at: float, effect: Effect) -> None:  # noqa: ARG002 - log lines have their time
        """Take note of an effect."""
        match effect:
            case SignalChanged():
                line = "signal=%s.%s state=%s reason=%s"
                log.info(line, effect.tenant, effect.signal, effect.state, effect.reason)
            case IncidentChanged(incident=incident):
                line = "incident=%d state=%s severity=%s tenants=%s"
                names = ",".join(incident.tenants)
                log.warning(line, incident.id, incident.state, incident.severity, names)
            case VerdictChanged(verdict=verdict):
                line = "incident=%d cause=%s scope=%s confidence=%.2f rows=%s"
                rows = ",".join(fact.row for fact in (*verdict.because, *verdict.against))
                log.info(
                    line, effect.incident, verdict.cause, verdict.scope, verdict.confidence, rows
                )
            case _:
                pass


def watch(metrics: Metrics, view: Callable[[], View]) -> None:
    """Let the gauges show the states as they are whenever somebody asks."""
    for severity in Severity:
        metrics.incidents.labels(severity).set_function(partial(_count_open, view, severity))
    for name, rules in view().rules.tenants.items():
        for signal in (*rules.all_signals, *rules.monitors):
            gauge = metrics.firing.labels(name, signal)
            gauge.set_function(partial(_is_firing, view, name, signal))


def _count_open(view: Callable[[], View], severity: Severity) -> int:
    return sum(incident.severity is severity for incident in view().desk.open_incidents)


def _is_firing(view: Callable[[], View], tenant: str, name: str) -> bool:
    state = view().world.tenants[tenant]
    signal = state.signals.get(name) or state.series.get(name) or state.monitors.get(name)
    return signal is not None and signal.state is SignalState.FIRING


class CountedProber:
    """A `Prober` that counts what it sees, and says how the first look at each target went."""

    def __init__(self, prober: Prober, metrics: Metrics) -> None:
        self._prober = prober
        self._metrics = metrics
        self._known: set[Target] = set()

    async def look(self, target: Target) -> Observation:
        """Look; see the port."""
        seen = await self._prober.look(target)
        self._metrics.looks.labels(str(target), seen.outcome).inc()
        if seen.latency_s is not None:
            self._metrics.latency.labels(str(target)).set(seen.latency_s)
        if target not in self._known:
            self._known.add(target)
            _tell_first(seen)
        return seen

    async def measure(self, target: Target) -> Measurement:
        """Ask a source for its figures; see the port."""
        seen = await self._prober.measure(target)
        outcome = Outcome.NO_DATA if seen.missing else Outcome.OK
        self._metrics.looks.labels(str(target), outcome).inc()
        if target not in self._known and seen.missing:
            log.warning("first look at %s: no figures: %s", target, seen.missing)
        self._known.add(target)
        return seen

    async def read(self, target: Target) -> FeedReading:
        """Poll a status feed; see the port."""
        reading = await self._prober.read(target)
        self._metrics.looks.labels(str(target), reading.state).inc()
        return reading

    async def read_shifts(self) -> Shifts:
        """Read the calendar of shifts; see the port."""
        shifts = await self._prober.read_shifts()
        if shifts.fault:
            log.warning("the calendar of shifts cannot be read: %s", shifts.fault)
        return shifts


def _tell_first(seen: Observation) -> None:
    """Tell a set-up problem at once, in one line, with the remedy where we know one."""
    if seen.fault is None:
        log.info("first look at %s: %s %s", seen.target, seen.outcome, seen.blind)
        return
    remedy = REMEDIES.get(seen.fault.reason, "See docs/operation.md")
    log.error("first look at %s failed: %s. %s", seen.target, describe(seen.fault), remedy)
