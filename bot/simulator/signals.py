"""What applications, error trackers and tenant logs count in the virtual world.

Counts are drawn in slices of 15 s, like a scrape interval; slice 0 begins at t=0. Each slice of a
signal has a generator of its own, so that the order and number of queries do not matter.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
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
DRAWN = 10_000
"""Of each kind so many are remembered: all that overlapping windows ask for again."""
E = TypeVar("E", bound="Metric | Errors | Log")
T = TypeVar("T")
Piece = tuple[float, float, T]
"""What holds from an offset until another one, in seconds from t=0."""


class Signals:
    """Counts a scenario's metrics, errors and logs.

    Each method counts the slices that began at or after `since` and ended by `until`, in seconds
    from t=0.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        """Draw the world numbered `seed`."""
        self._scenario = scenario
        self._seed = seed
        self._metrics_in = lru_cache(DRAWN)(self._find_metrics)
        self._errors_in = lru_cache(DRAWN)(self._find_errors)
        self._logs_in = lru_cache(DRAWN)(self._find_logs)
        self._metric = lru_cache(DRAWN)(self._draw_metric)
        self._events = lru_cache(DRAWN)(self._draw_events)
        self._rows = lru_cache(DRAWN)(self._draw_rows)

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
        random = self._random("metrics", *named, number)
        requests = failed = 0
        for (rate_s, share), span_s in _pieces(self._metrics_in(*named, _block(number)), number):
            count = poisson(random, rate_s * span_s)
            requests += count
            failed += binomial(random, count, share)
        return requests, failed

    def _draw_events(self, tenant: str, signal: str, number: int) -> Counter[str]:
        named = (tenant, signal)
        random = self._random("errors", *named, number)
        events: Counter[str] = Counter()
        for (title, rate_s), span_s in _pieces(self._errors_in(*named, _block(number)), number):
            events[title] += poisson(random, rate_s * span_s)
        return +events

    def _draw_rows(self, tenant: str, number: int) -> Counter[Row]:
        """Draw each type by itself, so that one more type changes none of the others."""
        randoms: dict[str, Random] = {}
        rows: Counter[Row] = Counter()
        for holding, span_s in _pieces(self._logs_in(tenant, _block(number)), number):
            for row in holding:
                if row.type not in randoms:
                    randoms[row.type] = self._random("logs", tenant, row.type, number)
                rows[row] += poisson(randoms[row.type], row.rate_s * span_s)
        return +rows

    def _find_metrics(
        self, tenant: str, signal: str, block: int
    ) -> list[Piece[tuple[float, float]]]:
        named = (tenant, signal)
        entries = [e for e in self._scenario.metrics if (e.tenant, e.signal) == named]
        return [
            (
                since_s,
                until_s,
                (_last_stated(e.requests_s for e in held), _last_stated(e.errors for e in held)),
            )
            for since_s, until_s, held in _cut(entries, block)
        ]

    def _find_errors(self, tenant: str, signal: str, block: int) -> list[Piece[tuple[str, float]]]:
        named = (tenant, signal)
        entries = [e for e in self._scenario.errors if (e.tenant, e.signal) == named]
        return [
            (
                since_s,
                until_s,
                (
                    next((e.title for e in reversed(held) if e.title), ""),
                    _last_stated(e.events_s for e in held),
                ),
            )
            for since_s, until_s, held in _cut(entries, block)
        ]

    def _find_logs(self, tenant: str, block: int) -> list[Piece[list[Row]]]:
        entries = [entry for entry in self._scenario.logs if entry.tenant == tenant]
        return [
            (since_s, until_s, [*{row.type: row for entry in held for row in entry.rows}.values()])
            for since_s, until_s, held in _cut(entries, block)
        ]

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


def _block(number: int) -> int:
    return number // BLOCK_SLICES


def _cut(entries: Sequence[E], block: int) -> Iterator[Piece[list[E]]]:
    """Cut a block where an entry begins or ends. Yields what is active in each piece."""
    start_s, end_s = block * BLOCK_SLICES * SLICE_S, (block + 1) * BLOCK_SLICES * SLICE_S
    cuts = {edge for entry in entries for edge in (entry.window.since_s, entry.window.until_s)}
    edges = [start_s, *sorted(edge for edge in cuts if start_s < edge < end_s), end_s]
    for since_s, until_s in pairwise(edges):
        yield since_s, until_s, [entry for entry in entries if entry.window.is_active(since_s)]


def _pieces(pieces: Iterable[Piece[T]], number: int) -> Iterator[tuple[T, float]]:
    """Yield what holds in each piece of a slice, and its length there."""
    start_s, end_s = number * SLICE_S, (number + 1) * SLICE_S
    for since_s, until_s, held in pieces:
        if since_s < end_s and until_s > start_s:
            yield held, min(until_s, end_s) - max(since_s, start_s)


def _last_stated(values: Iterable[float | None]) -> float:
    """Return the last value that is not None."""
    stated = [value for value in values if value is not None]
    return stated[-1] if stated else 0.0
