"""What applications, error trackers and tenant logs count in the virtual world.

Every minute of every signal has a generator of its own, so that it does not matter who asks for
which, how often and in which order. Minute 0 begins at t=0.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Protocol, TypeVar

from bot.simulator.draws import binomial, poisson

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from bot.simulator.scenario import Row, Scenario, Window


class Timed(Protocol):
    """An entry that holds for a while."""

    @property
    def window(self) -> Window:
        """When it holds."""


E = TypeVar("E", bound=Timed)
MINUTE_S = 60


class Signals:
    """Draws the counts of a scenario's metrics, errors and logs."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        """Draw the world numbered `seed`."""
        self._scenario = scenario
        self._seed = seed

    def metric(self, tenant: str, signal: str, minute: int) -> tuple[int, int]:
        """Count a minute's requests, and those of them that failed."""
        entries = [
            entry
            for entry in self._scenario.metrics
            if (entry.tenant, entry.signal) == (tenant, signal)
        ]
        random = self._random("metrics", tenant, signal, minute)
        requests = failed = 0
        for holding, span_s in _pieces(entries, minute):
            count = poisson(random, _last(entry.requests_s for entry in holding) * span_s)
            requests += count
            failed += binomial(random, count, _last(entry.errors for entry in holding))
        return requests, failed

    def events(self, tenant: str, signal: str, minute: int) -> Counter[str]:
        """Count a minute's events in the error tracker, by title."""
        entries = [
            entry
            for entry in self._scenario.errors
            if (entry.tenant, entry.signal) == (tenant, signal)
        ]
        random = self._random("errors", tenant, signal, minute)
        events: Counter[str] = Counter()
        for holding, span_s in _pieces(entries, minute):
            titles = [entry.title for entry in holding if entry.title]
            count = poisson(random, _last(entry.events_s for entry in holding) * span_s)
            events[titles[-1] if titles else ""] += count
        return +events

    def log_rows(self, tenant: str, minute: int) -> Counter[Row]:
        """Count a minute's rows in a tenant's log, by type and what stands in them."""
        entries = [entry for entry in self._scenario.logs if entry.tenant == tenant]
        randoms: dict[str, Random] = {}
        rows: Counter[Row] = Counter()
        for holding, span_s in _pieces(entries, minute):
            for row in {row.type: row for entry in holding for row in entry.rows}.values():
                random = randoms.setdefault(
                    row.type, self._random("logs", tenant, row.type, minute)
                )
                rows[row] += poisson(random, row.rate_s * span_s)
        return +rows

    def _random(self, *name: str | int) -> Random:
        return Random(f"{self._seed} {name}")  # noqa: S311 - a simulation


def _pieces(entries: Sequence[E], minute: int) -> Iterator[tuple[list[E], float]]:
    """Cut a minute where an entry begins or ends: what holds in each piece, and its length."""
    start_s, end_s = float(minute * MINUTE_S), float((minute + 1) * MINUTE_S)
    windows = [entry.window for entry in entries]
    cuts = {edge for window in windows for edge in (window.since_s, window.until_s)}
    edges: list[float] = [start_s, *sorted(edge for edge in cuts if start_s < edge < end_s), end_s]
    for begin_s, finish_s in pairwise(edges):
        yield [entry for entry in entries if entry.window.holds(begin_s)], finish_s - begin_s


def _last(values: Iterable[float | None]) -> float:
    """Return what the last entry says that says something."""
    said = [value for value in values if value is not None]
    return said[-1] if said else 0.0
