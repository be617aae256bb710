"""An outage with an escalation, on a host whose clock is set, or that is suspended meanwhile."""

from __future__ import annotations

from functools import cache
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from bot.simulator.reading import load_file
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import VirtualLoop, run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.simulator.story import Event

    Play = Callable[..., tuple[list[tuple[float, str, str]], float]]

SUMMER, WINTER = "2026-03-29T00:30:00Z", "2026-10-25T00:30:00Z"
"""The clocks of Europe change half an hour later, while an outage goes on."""
SCENARIO = """\
format: 1
name: steps
about: An outage of half an hour that nobody acknowledges.
start: {start}
warmup: 5m
duration: 45m
seed: 3
bot:
  slack: {{mention: U0CHIEF}}
  oncall:
    zone: Europe/Berlin
    rotation: {{people: [U0CHIEF, U012BEN], hand_over: "03:15", start: 2026-03-01}}
  escalation:
    critical: [{{after: 2m, tell: mention}}, {{after: 4m, tell: pager}}, {{after: 8m, tell: next}}]
    repeat: 3
    every: 4m
  notify: [{{name: pager, pagerduty: {{routing_key: "0123456789abcdef0123456789abcdef"}}}}]
tenants:
  prod: {{domain: acme.us.auth0.com, environment: US-1}}
controls: [neutral]
timeline:
  - {{target: prod.login, from: 5m, to: 38m, is: {{http: 503}}}}
"""
SAMPLE_S = 5.0
AMOUNTS = ("1s", "59s", "61s", "15m", "1h", "3h", "10h")


@pytest.fixture(scope="module")
def play(tmp_path_factory: pytest.TempPathFactory) -> Play:
    """Play it with further happenings; return the calls, and the longest time without data."""

    def playing(start: str, *happenings: str) -> tuple[list[tuple[float, str, str]], float]:
        file = tmp_path_factory.mktemp("steps") / "steps.yml"
        lines = "".join(f"  - {{target: bot, {each}}}\n" for each in happenings)
        file.write_text(SCENARIO.format(start=start) + lines)
        scenario = load_file(file)
        events: list[Event] = []
        lost_s: list[float] = []

        async def main(loop: VirtualLoop) -> None:
            simulation = Simulation(loop, scenario, 3, events.append)

            def sample() -> None:
                view = simulation.engine.view()
                lost_s.append(view.now - (view.tenants.states["prod"].last_data_at or view.now))

            span_s = int(simulation.world.end_at - simulation.world.begin_at)
            for offset_s in range(60, span_s, int(SAMPLE_S)):
                simulation.clock.call_at(simulation.world.begin_at + offset_s, sample)
            await simulation.run()

        run_virtually(main)
        calls = [e for e in events if e["event"] == "call"]
        return [(e["t"], e["how"], e["reason"]) for e in calls], max(lost_s)

    return playing


@pytest.fixture(scope="module")
def undisturbed(play: Play) -> Callable[[str], list[tuple[float, str, str]]]:
    return cache(lambda start: play(start)[0])


def step(dice: Random) -> str:
    """Set the clock at a random moment, for good or for a while."""
    since = dice.uniform(-3.0, 40.0)
    until = dice.choice(["", f", to: {since + dice.uniform(0.2, 30.0):.2f}m"])
    return f"from: {since:.2f}m{until}, is: {{clock: {dice.choice('+-')}{dice.choice(AMOUNTS)}}}"


@pytest.mark.parametrize("seed", range(4))
def test_a_clock_that_is_set_delays_and_doubles_nothing(
    play: Play, undisturbed: Any, seed: int
) -> None:
    """Every call comes once and at its time; checks count again within two minutes."""
    dice = Random(seed)  # noqa: S311 - no secret
    start = dice.choice([SUMMER, WINTER])
    calls, lost_s = play(start, step(dice), step(dice))
    expected = undisturbed(start)

    assert len(expected) > 6
    assert [call[1:] for call in calls] == [call[1:] for call in expected]
    assert [call[0] for call in calls] == pytest.approx([call[0] for call in expected], abs=10.0)
    assert lost_s < 120.0


@pytest.mark.parametrize("seed", range(2))
def test_a_host_that_is_suspended_doubles_nothing(play: Play, undisturbed: Any, seed: int) -> None:
    """What was due meanwhile comes once, right after it, and the next round counts from there."""
    dice = Random(seed)  # noqa: S311 - no secret
    start = dice.choice([SUMMER, WINTER])
    since = dice.uniform(9.0, 30.0)
    until = since + dice.uniform(0.5, 4.5)
    calls, lost_s = play(start, f"from: {since:.2f}m, to: {until:.2f}m, is: {{paused: true}}")
    expected = undisturbed(start)

    pause_s = (until - since) * 60
    assert len(calls) >= len(expected) - 2
    for (at, *call), (expected_at, *expected_call) in zip(calls, expected, strict=False):
        assert call == expected_call
        assert -10.0 < at - expected_at < pause_s + 15.0
    assert lost_s < pause_s + 120.0
