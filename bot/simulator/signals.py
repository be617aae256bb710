"""What applications, error trackers and tenant logs count in the virtual world.

Counts are drawn in slices of 15 s, like a scrape interval; slice 0 begins at t=0. Each slice of a
signal has a generator of its own, so that the order and number of queries do not matter.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cache
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, TypeVar

from bot.simulator.draws import binomial, poisson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bot.simulator.scenario import Errors, Log, Metric, Row, Scenario

SLICE_S = 15.0
BLOCK_SLICES = 240
"""An hour. What holds is looked up by the hour, as a scenario of a month has thousands of entries.
"""
E = TypeVar("E", bound="Metric | Errors | Log")
T = TypeVar("T")


class Signals:
    """Counts a scenario's metrics, errors and logs.

    Each method counts the slices that began at or after `since` and ended by `until`, in seconds
    from t=0.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        """Draw the world numbered `seed`."""
        self._scenario = scenario
        self._seed = seed
        self._metrics_in = cache(self._find_metrics)
        self._logs_in = cache(self._find_logs)
        self._metric = cache(self._draw_metric)
        self._events = cache(self._draw_events)
        self._rows = cache(self._draw_rows)

    def metric(self, tenant: str, signal: str, since: float, until: float) -> tuple[int, int]:
        """Count requests, and the failed ones among them."""
        drawn = [self._metric(tenant, signal, number) for number in _slices(since, until)]
        return sum(requests for requests, _ in drawn), sum(failed for _, failed in drawn)

    def events(self, tenant: str, signal: str, since: float, until: float) -> Counter[str]:
        """Count events in the error tracker, by title."""
        return _sum(self._events(tenant, signal, number) for number in _slices(since, until))

    def log_rows(self, tenant: str, since: float, until: float) -> Counter[Row]:
        """Count rows in a tenant's log, by type and fields."""
        return _sum(self._rows(tenant, number) for number in _slices(since, until))

    def _draw_metric(self, tenant: str, signal: str, number: int) -> tuple[int, int]:
        named = (tenant, signal)
        entries = self._metrics_in(*named, number // BLOCK_SLICES)
        random = self._random("metrics", *named, number)
        requests = failed = 0
        for holding, span_s in _pieces(entries, number):
            count = poisson(random, _last_stated(entry.requests_s for entry in holding) * span_s)
            requests += count
            failed += binomial(random, count, _last_stated(entry.errors for entry in holding))
        return requests, failed

    def _draw_events(self, tenant: str, signal: str, number: int) -> Counter[str]:
        named = (tenant, signal)
        entries = [e for e in self._scenario.errors if (e.tenant, e.signal) == named]
        random = self._random("errors", *named, number)
        events: Counter[str] = Counter()
        for holding, span_s in _pieces(entries, number):
            titles = [entry.title for entry in holding if entry.title]
            count = poisson(random, _last_stated(entry.events_s for entry in holding) * span_s)
            events[titles[-1] if titles else ""] += count
        return +events

    def _draw_rows(self, tenant: str, number: int) -> Counter[Row]:
        """Draw each type by itself, so that one more type changes none of the others."""
        entries = self._logs_in(tenant, number // BLOCK_SLICES)
        types = {row.type for entry in entries for row in entry.rows}
        randoms = {kind: self._random("logs", tenant, kind, number) for kind in types}
        rows: Counter[Row] = Counter()
        for holding, span_s in _pieces(entries, number):
            for row in {row.type: row for entry in holding for row in entry.rows}.values():
                rows[row] += poisson(randoms[row.type], row.rate_s * span_s)
        return +rows

    def _find_metrics(self, tenant: str, signal: str, block: int) -> list[Metric]:
        metrics = self._scenario.metrics
        return _active([e for e in metrics if (e.tenant, e.signal) == (tenant, signal)], block)

    def _find_logs(self, tenant: str, block: int) -> list[Log]:
        return _active([entry for entry in self._scenario.logs if entry.tenant == tenant], block)

    def _random(self, *name: str | int) -> Random:
        return Random(f"{self._seed} {name}")  # noqa: S311 - a simulation


def window(until: float, span_s: float) -> tuple[float, float]:
    """Return the window of about `span_s` that ends with the newest slice that ended by `until`."""
    end = math.floor(until / SLICE_S) * SLICE_S
    return end - max(round(span_s / SLICE_S), 1) * SLICE_S, end


def _slices(since: float, until: float) -> range:
    return range(math.ceil(since / SLICE_S), math.floor(until / SLICE_S))


def _sum(counters: Iterable[Counter[T]]) -> Counter[T]:
    total: Counter[T] = Counter()
    for counter in counters:
        total.update(counter)
    return total


def _active(entries: Sequence[E], block: int) -> list[E]:
    """Return the entries that are active at some time of a block."""
    since_s, until_s = block * BLOCK_SLICES * SLICE_S, (block + 1) * BLOCK_SLICES * SLICE_S
    windows = ((entry, entry.window) for entry in entries)
    return [entry for entry, w in windows if w.since_s < until_s and w.until_s > since_s]


def _pieces(entries: Sequence[E], number: int) -> Iterator[tuple[list[E], float]]:
    """Cut a slice where an entry begins or ends. Yields each piece's entries and length."""
    start_s, end_s = number * SLICE_S, (number + 1) * SLICE_S
    cuts = {edge for entry in entries for edge in (entry.window.since_s, entry.window.until_s)}
    edges = [start_s, *sorted(edge for edge in cuts if start_s < edge < end_s), end_s]
    for begin_s, finish_s in pairwise(edges):
        yield [entry for entry in entries if entry.window.is_active(begin_s)], finish_s - begin_s


def _last_stated(values: Iterable[float | None]) -> float:
    """Return the last value that is not None."""
    stated = [value for value in values if value is not None]
    return stated[-1] if stated else 0.0
