"""Measurements of the sources in the virtual world, of the same types as the real ones."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.auth0_logs.events import tally_rows
from bot.core.auth0_logs.text_patterns import match_pattern
from bot.core.model.fault import describe_fault
from bot.core.model.measurement import FIRST_READ, ChangeMade, Group, Measurement, MetricKind
from bot.core.model.record import replace
from bot.simulator.signals import Signals, window
from bot.simulator.tenant_log import LOGIN_ROW, PROBE_CLIENT, log_document

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.core.model.observation import Fault, Target
    from bot.simulator.world import World

APIS = {MetricKind.METRICS: "prometheus", MetricKind.ERRORS: "sentry"}
_SUCCESSFUL = range(200, 300)


@dataclass(frozen=True, slots=True)
class MeasuredSignal:
    """What a measured target counts in the scenario."""

    kind: MetricKind
    signal: str = ""
    """Its name in the scenario; empty for a log."""
    window_s: float = 120.0
    """The span of metrics and events, in seconds; a log is counted since its last read."""


class VirtualMeasurements:
    """What sources return once they are reached."""

    def __init__(self, world: World, measured_signals: Mapping[Target, MeasuredSignal]) -> None:
        """Take what each measured target counts."""
        self.own_logins: Counter[str] = Counter()
        """Our own logins that succeeded since a tenant's log was read, by tenant."""
        self._measured_signals = measured_signals
        self._scenario = world.scenario
        self._tenants = {tenant.name: tenant for tenant in world.scenario.tenants}
        self._signals = Signals(world.scenario, world.seed)
        self._read_until: dict[str, float] = {}

    def place(self, target: Target) -> str:
        """Name the scenario's place that serves a target."""
        return APIS.get(self._measured_signals[target].kind, str(target))

    def read(self, target: Target, at: float) -> Measurement:
        """Return a target's counts, up to the newest slice that has ended."""
        gauge = self._measured_signals[target]
        since, until = window(at - self._scenario.start_at, gauge.window_s)
        if gauge.kind is MetricKind.LOGS:
            return self._read_log(target, at, until)
        measurement = Measurement(target, at, span_s=until - since)
        if gauge.kind is MetricKind.METRICS:
            total, failed = self._signals.metric(target.owner, gauge.signal, since, until)
            return replace(measurement, failed=float(failed), total=float(total))
        events = self._signals.events(target.owner, gauge.signal, since, until)
        return replace(measurement, failed=float(events.total()), groups=_group_by_pattern(events))

    def _read_log(self, target: Target, at: float, until: float) -> Measurement:
        """Read the rows since the last read."""
        since = self._read_until.get(target.owner)
        self._read_until[target.owner] = until
        own = self.own_logins.pop(target.owner, 0)
        if since is None:
            return Measurement(target, at, no_data_reason=FIRST_READ)
        drawn = self._signals.log_rows(target.owner, since, until) + Counter({LOGIN_ROW: own})
        tenant = self._tenants[target.owner]
        measurement = tally_rows(
            target,
            (log_document(row, tenant) for row in drawn),
            times=drawn.values(),
            own_clients=frozenset({PROBE_CLIENT}),
            at=at,
            span_s=until - since,
        )
        return replace(measurement, changes=tuple(self._changes(target.owner, since, until)))

    def _changes(self, tenant: str, since: float, until: float) -> Iterator[ChangeMade]:
        for number, change in enumerate(self._scenario.changes):
            if change.tenant == tenant and since <= change.at_s < until:
                at = self._scenario.start_at + change.at_s
                yield ChangeMade(f"change-{number}", at, change.what, tenant=tenant)


def no_data_reason(fault: Fault) -> str:
    """Return why a source that failed has no data."""
    if fault.status is None:
        return describe_fault(fault).replace("_", " ")
    if fault.status in _SUCCESSFUL:
        return "not JSON" if fault.reason == "not_json" else "unexpected answer"
    return f"HTTP {fault.status}"


def _group_by_pattern(events: Counter[str]) -> tuple[Group, ...]:
    counts: Counter[str] = Counter()
    for title, count in events.items():
        counts[match_pattern(title)] += count
    return tuple(Group("", count, pattern) for pattern, count in counts.most_common())
