from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.simulator.reading import load_file
from bot.simulator.simulation import play_scenario

if TYPE_CHECKING:
    from bot.simulator.scenario import Scenario

SCENARIOS = Path(__file__).parents[1] / "scenarios"
FILES = sorted(SCENARIOS.glob("*.yml"))
UNSEEN = sorted((SCENARIOS / "unseen").glob("*.yml"))
WRONG: set[str] = set()
"""Known to be wrong. Whoever makes one right removes it here."""


JUDGED_S = 90.0
"""The verdict is read a minute after `decidable`; nothing later can change the result."""


def until_judged(scenario: Scenario) -> Scenario:
    answer = scenario.answer
    if answer is None or not answer.alert or answer.decidable_s is None:
        return scenario
    return replace(scenario, duration_s=min(scenario.duration_s, answer.decidable_s + JUDGED_S))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_result_is_right(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An alert exactly where a scenario wants one, and a cause that it accepts."""
    scenario = until_judged(load_file(file))
    played = play_scenario(scenario, scenario.seed, lambda _: None, requests=False)

    assert caplog.records == []
    assert played.is_correct is (file.stem not in WRONG)


def test_there_are_enough_scenarios() -> None:
    """Each cause has its own, and at most one in twenty is known to be wrong."""
    answers = [load_file(file).answer for file in FILES]

    assert len({answer.cause for answer in answers if answer}) == 10
    assert len(FILES) >= 40
    assert len(WRONG) <= len(FILES) / 20


def test_the_unseen_scenarios_are_readable() -> None:
    """They are played by hand when weights change: docs/simulate.md."""
    assert {load_file(file).answer is not None for file in UNSEEN} == {True}
