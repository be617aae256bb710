"""Adds up what log streams and reports send, until the engine asks for it.

Of a log row only what `core/auth0_logs` counts is kept, and its id for a while; nothing personal.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from bot.core.auth0_logs.events import MAX_CHANGES, ROWS_LATE, tally_rows
from bot.core.model.measurement import Measurement, merge_groups
from bot.core.model.observation import LOGS, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bot.ports import Clock
    from bot.webhooks.sender import WebhookTenant

    Row = Mapping[str, Any]

Number = TypeVar("Number", int, float)

MAX_IDS = 20_000
"""Ids of one tenant's rows that are remembered, to drop rows that are delivered twice."""
ID_LIMIT = 100


class PushedCounts:
    """Collects pushed counts in limited memory.

    Args:
        tenants: which tenant pushes what; anything else is a KeyError.
        clock: the time.
    """

    def __init__(self, tenants: Mapping[str, WebhookTenant], clock: Clock) -> None:
        self._clock = clock
        self._tenants = tenants
        self.forget()

    def forget(self) -> None:
        """Start again from zero, now."""
        now = self._clock.now()
        self._streams = {
            name: _StreamCounter(Target(name, LOGS), tenant.own_clients, now)
            for name, tenant in self._tenants.items()
            if tenant.stream_token is not None
        }
        self._reports = {
            Target(name, app): _begin_report(Target(name, app), now)
            for name, tenant in self._tenants.items()
            for app in tenant.report_signals
        }

    def add_rows(self, tenant: str, rows: Sequence[Row]) -> int:
        """Count the new rows of a tenant's log, each with its `log_id`. Return how many are new."""
        return self._streams[tenant].add(rows, self._clock.now())

    def add_report(self, tenant: str, app: str, failed: int, total: int | None) -> None:
        """Add an application's failed calls and, if it reports them, all calls."""
        target = Target(tenant, app)
        before = self._reports[target]
        self._reports[target] = replace(
            before,
            failed=before.failed + failed,
            total=_add_if_known(before.total, total),
            no_data_reason="",
        )

    def drain(self, target: Target, now: float) -> Measurement:
        """Return the counts since the last drain, and start again from zero."""
        if (reported := self._reports.get(target)) is not None:
            self._reports[target] = _begin_report(target, now)
            return replace(reported, at=now, span_s=now - reported.at)
        return self._streams[target.owner].drain(now)


def _begin_report(target: Target, now: float) -> Measurement:
    """Return what is added up of one application's reports, from now on."""
    return Measurement(target, now, total=0.0, no_data_reason="no report")


class _StreamCounter:
    """Adds up what one tenant's log stream sent since the last drain."""

    def __init__(self, target: Target, own_clients: frozenset[str], now: float) -> None:
        self._target = target
        self._own_clients = own_clients
        self._ids: OrderedDict[str, None] = OrderedDict()
        """The newest last."""
        self._reset(now)

    def _reset(self, now: float) -> None:
        self._sum = self._tally((), now)
        self._has_fresh = self._has_late = False

    def add(self, rows: Sequence[Row], now: float) -> int:
        new = [*self._drop_repeated(rows)]
        counted = self._tally(new, now)
        self._sum = _add(self._sum, counted)
        self._has_fresh |= bool(new) and not counted.no_data_reason
        self._has_late |= bool(counted.no_data_reason)
        return len(new)

    def drain(self, now: float) -> Measurement:
        reason = ROWS_LATE if self._has_late and not self._has_fresh else ""
        if not self._ids:
            reason = "nothing was pushed yet"
        drained = replace(self._sum, at=now, span_s=now - self._sum.at, no_data_reason=reason)
        self._reset(now)
        return drained

    def _tally(self, rows: Sequence[Row], now: float) -> Measurement:
        return tally_rows(self._target, rows, own_clients=self._own_clients, at=now, span_s=0.0)

    def _drop_repeated(self, rows: Sequence[Row]) -> Iterator[Row]:
        """Yield the rows that were not delivered before."""
        for row in rows:
            log_id = row["log_id"][:ID_LIMIT]
            if log_id not in self._ids:
                self._ids[log_id] = None
                yield row
        while len(self._ids) > MAX_IDS:
            self._ids.popitem(last=False)


def _add(before: Measurement, more: Measurement) -> Measurement:
    """Add up two measurements of one target, the older one first."""
    return replace(
        before,
        failed=before.failed + more.failed,
        total=_add_if_known(before.total, more.total),
        groups=merge_groups((*before.groups, *more.groups)),
        own_rows=_add_if_known(before.own_rows, more.own_rows),
        environment=more.environment or before.environment,
        changes=(*before.changes, *more.changes)[-MAX_CHANGES:],
    )


def _add_if_known(before: Number | None, more: Number | None) -> Number | None:
    return None if before is None or more is None else before + more
