from __future__ import annotations

import pytest

from bot.simulator.reading import example, examples
from bot.simulator.simulation import play


@pytest.mark.parametrize("name", examples())
def test_an_example_comes_out_right(name: str) -> None:
    """An alert exactly where the scenario wants one, and the cause that it names."""
    scenario = example(name)

    assert play(scenario, scenario.seed, lambda _: None, requests=False).is_correct
