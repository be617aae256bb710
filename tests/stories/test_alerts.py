"""An alert of each cause and state, as the real bot shows it at an instant of a scenario.

The files are what `docs/alerts.md` shows, and where a reviewer sees what a change makes of them.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from bot.simulator.reading import load_example, load_file
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import VirtualLoop, run_virtually
from bot.slack.render.text import RenderedMessage
from tests.slack.messages.conftest import judge_messages

if TYPE_CHECKING:
    from bot.simulator.workspace.model import Channel, Message, MessageKind

SCENARIOS = Path(__file__).parents[1] / "scenarios"


class Scene(NamedTuple):
    """An instant of a scenario, in minutes from its start."""

    scenario: str
    minute: float


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
}


def show(scene: Scene) -> RenderedMessage:
    """Play a scenario up to an instant; return the incident's message as it stands then."""
    own = SCENARIOS / f"{scene.scenario}.yml"
    scenario = load_file(own) if own.exists() else load_example(scene.scenario)
    scenario = replace(scenario, duration_s=60 * scene.minute, people=())
    shown: dict[str, Message] = {}

    def keep(_: Channel, _kind: MessageKind, message: Message) -> None:
        if not message.thread_ts:
            shown[message.ts] = message

    async def main(loop: VirtualLoop) -> None:
        simulation = Simulation(loop, scenario, scenario.seed, lambda _: None)
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
