"""Drills: tests that are played a few times by `make test`, and thousands of times by the lab.

A drill is a test with the mark `drill`; it asks for the fixture `repeats`. Its name and the first
line of its docstring stand in the table of docs/reliability.md.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.faults.page import PAGE, Drilled, with_drills

if TYPE_CHECKING:
    from collections.abc import Iterator

FEW, FULL = "few", "full"
SECTION = "drill"


class Repeats:
    """How often a drill is played: iterate over it.

    Args:
        count: how often.
        dice: for what is random in it.
    """

    def __init__(self, count: int, dice: Random) -> None:
        self.dice = dice
        self.played = 0
        self._count = count

    def __iter__(self) -> Iterator[int]:
        """Yield 0, 1, 2 and so on."""
        for number in range(self._count):
            yield number
            self.played += 1


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the tier."""
    text = "how often drills are played; `full` writes the table of docs/reliability.md"
    parser.addoption("--drills", choices=(FEW, FULL), default=FEW, help=text)


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
    made = Repeats(mark.kwargs[tier], Random(f"{request.node.nodeid} {salt}"))  # noqa: S311 - no secret
    yield made
    drill = request.node.originalname.removeprefix("test_").replace("_", "-")
    claim = (inspect.getdoc(request.function) or "").split("\n\n")[0].replace("\n", " ")
    request.node.user_properties.append((SECTION, f"{drill}\t{claim}\t{made.played}"))
