from __future__ import annotations

import pytest

from bot.simulator.reading import example, examples
from bot.wiring.simulation import play

NEEDS_MORE_SOURCES = {"our-release"}
"""Only error tracking, metrics and logs can see it."""


@pytest.mark.parametrize("name", sorted(set(examples()) - NEEDS_MORE_SOURCES))
def test_an_example_comes_out_right(name: str) -> None:
    """An alert exactly where the scenario wants one, and the cause that it names."""
    scenario = example(name)

    assert play(scenario, scenario.seed, lambda _: None, requests=False).is_correct


@pytest.mark.parametrize("name", sorted(NEEDS_MORE_SOURCES))
def test_what_no_probe_can_see_is_not_told(name: str) -> None:
    """A login that works is no reason for an alert."""
    scenario = example(name)

    assert play(scenario, scenario.seed, lambda _: None, requests=False).summary["alerts"] == 0
