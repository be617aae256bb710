"""Drills: tests that are played a few times by `make test`, and thousands of times by the lab.

A drill is a test with the mark `drill`; it asks for the fixture `repeats`. Its name and the first
line of its docstring stand in the table of docs/reliability.md.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import resource
import time
from collections import defaultdict
from contextlib import contextmanager
from math import inf
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.faults.page import PAGE, Drilled, with_drills

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW, FULL = "few", "full"
SECTION = "drill"


PLAY_S, LAG_S = 10.0, 0.1
"""The processor time that one play may take, and one turn of the event loop in it."""
MOST_MEMORY = 512 * 1024 * 1024
"""Bytes that all plays of a drill may add to the process."""


class Repeats:
    """How often a drill is played: iterate over it.

    Args:
        count: how often.
        dice: for what is random in it.
        until: by `time.monotonic()`; it is played once all the same.
        is_full: it is played for the lab, where each play has limits.
    """

    def __init__(
        self, count: int, dice: Random, until: float = inf, *, is_full: bool = False
    ) -> None:
        self.dice = dice
        self.is_full = is_full
        self.played = 0
        self.longest_s = 0.0
        """Of processor time that a play took."""
        self._count = count
        self._until = until

    def __iter__(self) -> Iterator[int]:
        """Yield 0, 1, 2 and so on."""
        for number in range(self._count):
            if number and time.monotonic() > self._until:
                return
            began_s = time.thread_time()
            yield number
            self.longest_s = max(self.longest_s, time.thread_time() - began_s)
            self.played += 1


class LagMeter:
    """Measures the longest turn of event loops in this thread, without garbage collections."""

    def __init__(self) -> None:
        self.longest_s = 0.0
        self._collected_s = self._collecting_since = 0.0

    @contextmanager
    def measure(self) -> Iterator[LagMeter]:
        """Measure while the context is open."""
        run = asyncio.Handle._run

        def run_timed(handle: asyncio.Handle) -> None:
            began_s, collected_s = time.thread_time(), self._collected_s
            run(handle)
            collected_s = self._collected_s - collected_s
            self.longest_s = max(self.longest_s, time.thread_time() - began_s - collected_s)

        asyncio.Handle._run = run_timed  # type: ignore[assignment, method-assign]
        gc.callbacks.append(self._note_collection)
        try:
            yield self
        finally:
            gc.callbacks.remove(self._note_collection)
            asyncio.Handle._run = run  # type: ignore[method-assign]

    def _note_collection(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._collecting_since = time.thread_time()
        else:
            self._collected_s += time.thread_time() - self._collecting_since


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the tier."""
    text = "how often drills are played; `full` writes the table of docs/reliability.md"
    parser.addoption("--drills", choices=(FEW, FULL), default=FEW, help=text)
    text = "the longest that one drill with one set of parameters may take"
    parser.addoption("--drill-seconds", type=float, default=inf, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Let the process that hears of all tests keep the results."""
    if config.getoption("--drills") == FULL and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(), "drills")


class Recorder:
    """Keeps the results of drills, and writes them into their page."""

    def __init__(self) -> None:
        self._results = defaultdict[str, Drilled](Drilled)
        self._failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the result of a test; how often it was played is known once it is torn down."""
        if report.failed:
            self._failed.add(report.nodeid)
        for name, value in report.user_properties if report.when == "teardown" else ():
            if name == SECTION:
                drill, claim, times = str(value).split("\t")
                result = self._results[drill]
                result.claim = claim
                result.times += int(times)
                result.failed += report.nodeid in self._failed

    def pytest_sessionfinish(self) -> None:
        """Write the page."""
        PAGE.write_text(with_drills(PAGE.read_text(), self._results))


@pytest.fixture
def repeats(request: pytest.FixtureRequest) -> Iterator[Repeats]:
    """How often a drill is played in this tier.

    In `make test` its dice fall as they always did: a test that fails by chance helps nobody.
    """
    mark = request.node.get_closest_marker(SECTION)
    tier = request.config.getoption("--drills")
    salt = request.config.getoption("randomly_seed", "") if tier == FULL else ""
    dice = Random(f"{request.node.nodeid} {salt}")  # noqa: S311 - no secret
    until = time.monotonic() + request.config.getoption("--drill-seconds")
    made = Repeats(mark.kwargs[tier], dice, until, is_full=tier == FULL)
    if tier == FULL:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with LagMeter().measure() as meter:
            yield made
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
        assert made.longest_s <= PLAY_S
        assert grown <= MOST_MEMORY
        assert meter.longest_s <= LAG_S or not mark.kwargs.get("is_lag_limited")
    else:
        yield made
    drill = request.node.originalname.removeprefix("test_").replace("_", "-")
    claim = (inspect.getdoc(request.function) or "").split("\n\n")[0].replace("\n", " ")
    request.node.user_properties.append((SECTION, f"{drill}\t{claim}\t{made.played}"))
