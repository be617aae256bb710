"""What a wrong clock of the bot's host makes of answers whose times are true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.app.clock import ClockWatch
from bot.app.prober import ClockCheckedProber
from bot.core.model.observation import M2M, WELLKNOWN, Observation, Outcome, Target
from bot.simulator.bot_host import HostProber, build_bot_clock
from bot.simulator.simulation import settings_for
from bot.simulator.virtual import VirtualClock, VirtualLoop, VirtualTimer, run_virtually
from bot.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.ports import Prober
    from bot.simulator.scenario import Scenario

    Make = Callable[..., Scenario]

LOGIN = Target("prod", "login")
PROOF = "bot: {tenants: [{name: prod, logins: [{name: login, proof_claim: at}]}]}"


def probe(
    make: Make,
    entry: str,
    target: Target = LOGIN,
    *more: str,
    at_s: float = 60.0,
    is_checked: bool = False,
) -> tuple[Observation, float]:
    """Probe once, at an offset from t=0. Returns by how much its time is ahead, too.

    If it is checked, the watch of the clock decides whether the result counts.
    """
    scenario = make(f"timeline: [{{target: bot, {entry}}}]", *more)
    found: list[tuple[Observation, float]] = []

    async def main(loop: VirtualLoop) -> None:
        world = World(scenario)
        clock = VirtualClock(loop, world.begin_at)
        bot_clock = build_bot_clock(loop, clock, world)
        watch = ClockWatch(bot_clock)
        prober: Prober = HostProber(settings_for(scenario), world, clock, bot_clock, watch)
        if is_checked:
            prober = ClockCheckedProber(prober, bot_clock, watch)
        await clock.sleep(scenario.start_at + at_s - clock.now())
        at = clock.now()
        observation = await prober.probe(target)
        found.append((observation, round(observation.at - at)))

    run_virtually(main)
    return found[0]


@pytest.mark.parametrize("step", ["+30s", "-59s"])
def test_a_small_step_changes_nothing(make_scenario: Make, step: str) -> None:
    """The bot's time goes on as it was."""
    observation, ahead_s = probe(make_scenario, f"from: 0m, is: {{clock: {step}}}")

    assert (observation.outcome, ahead_s) == (Outcome.OK, 0)


@pytest.mark.parametrize("step", ["+1h", "-1h", "+90s"])
def test_a_step_while_it_runs_changes_nothing_either(make_scenario: Make, step: str) -> None:
    """The answer has the time that the bot has: the host's clock is wrong."""
    entry = f"from: 0m, is: {{clock: {step}}}"
    observation, ahead_s = probe(make_scenario, entry, is_checked=True)

    assert (observation.outcome, ahead_s) == (Outcome.OK, 0)


@pytest.mark.parametrize("step", ["+1h", "-1h", "+90s"])
def test_an_answer_tells_that_the_clock_was_wrong_at_the_start(
    make_scenario: Make, step: str
) -> None:
    """Then a result does not count, whatever it is."""
    observation, _ = probe(make_scenario, f"is: {{clock: {step}}}", is_checked=True)

    assert observation.outcome is Outcome.NO_DATA
    assert "by the answer of prod" in observation.no_data_reason


@pytest.mark.parametrize(
    ("step", "target", "reason"),
    [
        ("+1h", LOGIN, ""),
        ("+11h", LOGIN, "expired"),
        ("-50s", LOGIN, ""),
        ("-1h", LOGIN, "not_yet_valid"),
        ("+11h", Target("eu", M2M), ""),
        ("+25h", Target("eu", M2M), "expired"),
        ("-1h", Target("eu", M2M), "not_yet_valid"),
        ("-1h", Target("prod", "custom"), "not_yet_valid"),
        ("-1h", Target("prod", WELLKNOWN), ""),
        ("-1h", Target("control", "neutral"), ""),
    ],
)
def test_a_clock_that_was_wrong_at_the_start(
    make_scenario: Make, step: str, target: Target, reason: str
) -> None:
    """Tokens are made by the true clock and checked by the host's; who brings none is well."""
    observation, ahead_s = probe(make_scenario, f"is: {{clock: {step}}}", target)

    assert (observation.fault.reason if observation.fault else "") == reason
    assert observation.outcome is (Outcome.FAILED if reason else Outcome.OK)
    assert ahead_s == {"+": 1, "-": -1}[step[0]] * float(step[1:-1]) * (
        3600 if step.endswith("h") else 1
    )


def test_a_proof_is_as_old_as_the_host_believes(make_scenario: Make) -> None:
    """An hour ahead, the proof that an Action sets looks an hour old."""
    fault = probe(make_scenario, "is: {clock: +1h}", LOGIN, PROOF)[0].fault

    assert fault is not None
    assert fault.reason == "stale_proof"


def test_what_is_due_by_the_bots_time_comes_in_time(make_scenario: Make) -> None:
    """A timer that is set by a clock an hour ahead fires when that clock says so."""
    scenario = make_scenario("timeline: [{target: bot, is: {clock: +1h}}]")
    fired: list[float] = []

    async def main(loop: VirtualLoop) -> None:
        world = World(scenario)
        clock = VirtualClock(loop, world.begin_at)
        bot_clock = build_bot_clock(loop, clock, world)
        timer = VirtualTimer(clock, bot_clock)
        timer.start(lambda: fired.append(loop.time()))
        timer.wake_at(bot_clock.now() + 90.0)
        await clock.sleep(200.0)

    run_virtually(main)

    assert fired == [pytest.approx(90.0, abs=1e-3)]
