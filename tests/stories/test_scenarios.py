from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.core.model.observation import Cause
from bot.simulator.reading import load_file
from bot.simulator.simulation import play_scenario

if TYPE_CHECKING:
    from bot.simulator.scenario import Scenario
    from bot.simulator.story import Event

SCENARIOS = Path(__file__).parents[1] / "scenarios"
FILES = sorted(SCENARIOS.glob("*.yml"))
UNSEEN = sorted((SCENARIOS / "unseen").glob("*.yml"))
WRONG: frozenset[str] = frozenset()
"""Known to be wrong. Whoever makes one right removes it here."""


MAX_CHARS = 100
MENTIONS = re.compile(r"^(?:<[^>]+> )*")
COUNTS = re.compile(r"HTTP|\b\d+ of \d|[+-]\d\.\d|_[a-z]+_")
"""Codes, counts and weights."""
LINES = {
    Cause.UNCLEAR: r"Cause not clear yet\.",
    Cause.AUTH0: r"Auth0 (is|has)\b|probably because of Auth0",
    Cause.TENANT: r"setting or code of this tenant|settings change in",
    Cause.QUOTA: r"[Aa] rate limit of|the tenant's rate limit",
    Cause.PROBE: r"The test login at",
    Cause.NETWORK: r"I cannot check|my machine's network",
    Cause.APP: r"[Oo]ur release|[Oo]ur app",
    Cause.UPSTREAM: r"provider behind Auth0",
}
"""How the first line says each cause."""
JUDGED_S = 90.0
"""The verdict is read a minute after `decidable`; nothing later can change the result."""


def until_judged(scenario: Scenario) -> Scenario:
    answer = scenario.answer
    if answer is None or not answer.alert or answer.decidable_s is None:
        return scenario
    return replace(scenario, duration_s=min(scenario.duration_s, answer.decidable_s + JUDGED_S))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_result_is_right(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """An alert exactly where a scenario wants one, and a cause that it accepts.

    The first line of every message is short, without codes and counts, and says the cause.
    """
    scenario = until_judged(load_file(file))
    events: list[Event] = []
    played = play_scenario(scenario, scenario.seed, events.append, requests=False)

    assert caplog.records == []
    assert played.is_correct is (file.stem not in WRONG)
    posts = [e["text"] for e in events if e["event"] == "message" and ":post:" in e["key"]]
    for line in (MENTIONS.sub("", text).rsplit(" [#", maxsplit=1)[0] for text in posts):
        assert len(line) <= MAX_CHARS, line
        assert not COUNTS.search(line), line
    alerts = [text for text in posts if any(re.search(each, text) for each in LINES.values())]
    if alerts:
        assert read_cause(alerts[0]) == events[-1]["cause_first"], alerts[0]


def read_cause(text: str) -> str:
    """Return the cause that a person reads in the first line of a message."""
    return next(str(cause) for cause, pattern in LINES.items() if re.search(pattern, text))


def test_there_are_enough_scenarios() -> None:
    """Each cause has its own, and at most one in twenty is known to be wrong."""
    answers = [load_file(file).answer for file in FILES]

    assert len({answer.cause for answer in answers if answer}) == 10
    assert len(FILES) >= 40
    assert len(WRONG) <= len(FILES) / 20


def test_the_unseen_scenarios_are_readable() -> None:
    """They are played by hand when weights change: docs/dev/simulate.md."""
    assert {load_file(file).answer is not None for file in UNSEEN} == {True}
