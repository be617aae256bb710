from __future__ import annotations

import pytest

from bot.simulator.reading import example_names, load_example
from bot.simulator.simulation import play_scenario


@pytest.mark.parametrize("name", example_names())
def test_an_example_comes_out_right(name: str) -> None:
    """An alert exactly where the scenario wants one, and the cause that it names."""
    scenario = load_example(name)

    assert play_scenario(scenario, scenario.seed, lambda _: None, requests=False).is_correct
