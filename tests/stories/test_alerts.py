"""An alert of each cause and state, as the real bot shows it at an instant of a scenario.

The files are what `docs/alerts.md` shows, and where a reviewer sees what a change makes of them.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from bot.core.model.observation import Observation, Outcome
from bot.simulator.reading import load_example, load_file
from bot.simulator.scenario import UserInput
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import VirtualLoop, run_virtually
from bot.slack.render.text import RenderedMessage
from tests.slack.messages.conftest import judge_messages

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.core.model.observation import Target
    from bot.simulator.prober import VirtualProber
    from bot.simulator.workspace.model import Channel, Message, MessageKind

SCENARIOS = Path(__file__).parents[1] / "scenarios"


class Scene(NamedTuple):
    """An instant of a scenario, in minutes from its start."""

    scenario: str
    minute: float
    said: tuple[float, str] | None = None
    """What somebody types before, and in which minute."""
    exhausted_at: float | None = None
    """From which minute on the bot's machine has no file descriptor left, and checks nothing."""


SCENES = {
    "alert-auth0": Scene("region-503", 8),
    "alert-tenant": Scene("tenant-action-throws", 8),
    "alert-quota": Scene("quota-used-up", 4),
    "alert-probe": Scene("grant-switched-off", 4),
    "alert-network": Scene("our-egress", 6),
    "alert-app": Scene("our-release", 8),
    "alert-upstream": Scene("upstream-saml-certificate", 20),
    "alert-unclear": Scene("ambiguous-nothing-but-one-probe", 6),
    "alert-over": Scene("region-503", 45),
    "alert-degraded": Scene("region-slow-900ms", 8),
    "alert-merged": Scene("region-slow-8s", 8),
    "alert-acknowledged": Scene("region-503", 12, (4, "/auth0-check ack 1 I call Auth0")),
    "alert-silenced": Scene("region-503", 12, (4, "/auth0-check silence #1 1h We know of it")),
    "alert-by-hand": Scene("region-503", 12, (4, "/auth0-check resolve 1 anyway We moved users")),
    "alert-false-alarm": Scene("our-egress", 25, (8, "/auth0-check false-alarm 1 A firewall test")),
    "alert-again": Scene("calls/back-after-seven-minutes", 26),
    "alert-cannot-check": Scene("none-maintenance", 20, exhausted_at=8),
}


class ExhaustedHost(Simulation):
    """A simulation in which the bot's machine runs out of file descriptors."""

    exhausted_at = math.inf

    def _build_prober(self, settings: Settings) -> VirtualProber:
        prober = super()._build_prober(settings)
        probe = prober.probe

        async def try_to_probe(target: Target) -> Observation:
            seen = await probe(target)
            if self.clock.now() < self.exhausted_at:
                return seen
            return Observation(target, seen.at, Outcome.NO_DATA, no_data_reason="EMFILE")

        prober.probe = try_to_probe  # type: ignore[method-assign]
        return prober


def show(scene: Scene) -> RenderedMessage:
    """Play a scenario up to an instant; return the incident's message as it stands then."""
    own = SCENARIOS / f"{scene.scenario}.yml"
    scenario = load_file(own) if own.exists() else load_example(scene.scenario)
    said = scene.said and UserInput(60 * scene.said[0], "U1", scene.said[1])
    people = (said,) if said else ()
    scenario = replace(scenario, duration_s=60 * scene.minute, people=people)
    shown: dict[str, Message] = {}

    def keep(_: Channel, _kind: MessageKind, message: Message) -> None:
        if not (message.thread_ts or message.only_for):
            shown[message.ts] = message

    async def main(loop: VirtualLoop) -> None:
        simulation = ExhaustedHost(loop, scenario, scenario.seed, lambda _: None)
        if scene.exhausted_at is not None:
            simulation.exhausted_at = scenario.start_at + 60 * scene.exhausted_at
        simulation.workspace.on_message(keep)
        await simulation.run()

    run_virtually(main)
    message = shown[max(shown)]
    # An id that the workspace has given says only how many blocks came before.
    blocks = [
        {key: value for key, value in block.items() if not is_given(key, value)}
        for block in message.blocks
    ]
    return RenderedMessage(message.text, blocks)


def is_given(key: str, value: object) -> bool:
    return key == "block_id" and re.fullmatch(r"b\d+", str(value)) is not None


@pytest.mark.parametrize("name", SCENES)
def test_the_alert_is_the_golden_one(name: str) -> None:
    """`GOLDEN=write` in front of pytest writes the files."""
    judge_messages(name, [show(SCENES[name])])
