from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.observation import Cause
from bot.core.state.incident import IncidentState
from bot.simulator.reading import load_file
from bot.simulator.simulation import Simulation, play_scenario
from bot.simulator.virtual import VirtualLoop, run_virtually
from bot.simulator.workspace.model import Channel, Message, MessageKind

if TYPE_CHECKING:
    from pathlib import Path

    from bot.core.state.incident import Incident
    from bot.simulator.story import Event

ACK_S = 100.0
MISTAKES = ("access_denied", "invalid_client", "unauthorized_client")


@dataclass
class Told:
    """The messages in Slack, with their times in seconds from the first failure."""

    incidents: list[Incident] = field(default_factory=list)
    said: list[tuple[float, MessageKind, Message]] = field(default_factory=list)

    def of(self, *kinds: MessageKind) -> list[tuple[float, Message]]:
        return [(at, message) for at, kind, message in self.said if kind in kinds]


def played(folder: Path, count: int, **given: Any) -> Told:
    """Let so many tenants fail for two and a half minutes."""
    names = [f"shop-{number:03}" for number in range(count)]
    tenants = {name: {"domain": f"{name}.us.auth0.com"} for name in names}
    story = {
        "format": 1,
        "name": "storm",
        "about": "Everything fails at once.",
        "start": "2026-03-02T10:00:00Z",
        "warmup": "90s",
        "duration": "4m",
        "tenants": tenants,
        "controls": ["neutral"],
        "bot": {"slack": {"mention": "@here"}},
        **given,
    }
    file = folder / "storm.yml"
    file.write_text(json.dumps(story, indent=1))
    told = Told()

    async def main(loop: VirtualLoop) -> None:
        simulation = Simulation(loop, load_file(file), 1, lambda _: None)
        start = simulation.world.scenario.start_at

        def said(_: Channel, kind: MessageKind, message: Message) -> None:
            told.said.append((simulation.clock.now() - start, kind, message))

        simulation.workspace.on_message(said)
        await simulation.run()
        told.incidents = list(simulation.engine.view().desk.incidents.values())

    run_virtually(main)
    return told


pytestmark = pytest.mark.xdist_group("storm")  # one storm for all


@pytest.fixture(scope="module")
def outage(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """An environment with 500 tenants is down; somebody acknowledges in the middle of it."""
    names = [f"shop-{number:03}" for number in range(500)]
    gone = {"target": [f"{name}.login" for name in names], "from": "0s", "to": "150s"}
    tenants = {n: {"domain": f"{n}.us.auth0.com", "environment": "US-1"} for n in names}
    return played(
        tmp_path_factory.mktemp("outage"),
        500,
        tenants=tenants,
        timeline=[{**gone, "is": {"http": 503}}],
        people=[{"at": f"{ACK_S:.0f}s", "user": "U1", "say": "/auth0-check ack #1"}],
    )


def test_500_tenants_are_one_message(outage: Told) -> None:
    """One incident, one post that mentions people, few lines in its thread, one end."""
    (_, (_, post)) = outage.of(MessageKind.POST)  # the first one is the greeting
    (incident,) = outage.incidents
    lines = [message.text for _, message in outage.of(MessageKind.REPLY)]

    assert post.text.startswith("<!here>")
    assert len(incident.tenants) == 500
    assert incident.state is IncidentState.RESOLVED
    assert len(lines) <= 10
    assert sum("Resolved" in line for line in lines) == 1


def test_the_worst_tenants_are_in_a_table(outage: Told) -> None:
    """It has a row for each of forty tenants, and the number of the rest."""
    tables = [
        (block, message.blocks)
        for _, message in outage.of(MessageKind.UPDATE)
        for block in message.blocks
        if block["type"] == "table"
    ]
    table, blocks = tables[-1]

    assert len(table["rows"]) == 41
    assert "… and 460 more" in str(blocks)


def test_a_person_is_answered_at_once_in_the_middle_of_it(outage: Told) -> None:
    """The answer comes within a second, and the message shows it with its next edit."""
    answered = [at for at, _ in outage.of(MessageKind.EPHEMERAL)]
    shown = [
        at
        for at, message in outage.of(MessageKind.UPDATE)
        if "Acknowledged by" in str(message.blocks)
    ]

    assert answered[0] - ACK_S < 1.0
    assert shown[0] - ACK_S < 3.0


def test_the_channel_gets_one_message_a_second(outage: Told) -> None:
    """However much there is to send; edits have a rate limit of their own."""
    messages = [at for at, _ in outage.of(MessageKind.POST, MessageKind.REPLY)]
    edits = [at for at, _ in outage.of(MessageKind.UPDATE)]

    assert min(later - at for at, later in pairwise(messages)) > 0.8  # Slack's answers take time
    assert len([at for at in edits if 60 <= at < 120]) <= 14


def test_tenants_that_fail_each_for_its_own_cause_are_a_few_messages(tmp_path: Path) -> None:
    """After the fifth incident a failure joins one with a similar cause; each cause has its own."""
    told = played(
        tmp_path,
        100,
        timeline=[
            {
                "target": f"shop-{number:03}.login",
                "from": "0s",
                "to": "150s",
                "is": {"http": 403, "error": MISTAKES[number % 3], "body": "json"},
            }
            for number in range(100)
        ],
    )

    assert len(told.of(MessageKind.POST)) <= 7
    assert {i.verdict.cause for i in told.incidents} == {Cause.TENANT, Cause.PROBE}
    assert sum(len(incident.tenants) for incident in told.incidents) == 100


FEW, PER_S = 40, 2.0
"""As 1,000 tenants at the real pace: two routine probes a minute each take two thirds of it."""


def watched(folder: Path, failing: int) -> tuple[float, list[float]]:
    """Let some of few tenants fail; return when it was posted, and how late healthy logins were."""
    names = [f"shop-{number:02}" for number in range(FEW)]
    file = folder / "storm.yml"
    gone = {
        "target": [f"{n}.{what}" for n in names[:failing] for what in ("login", "wellknown")],
        "from": "0s",
        "is": {"http": 503},
    }
    story = {
        "format": 1,
        "name": "storm",
        "about": "Many fail at once, and the bot can start few probes a second.",
        "start": "2026-03-02T10:00:00Z",
        "warmup": "3m",
        "duration": "4m",
        "tenants": {n: {"domain": f"{n}.us.auth0.com", "environment": "US-1"} for n in names},
        "timeline": [gone],
    }
    file.write_text(json.dumps(story, indent=1))
    events: list[Event] = []
    play_scenario(load_file(file), 1, events.append, requests=True)
    at: dict[str, list[float]] = {f"{name}.login": [] for name in names[failing:]}
    for event in events:
        if event["event"] == "request" and event["target"] in at and event["t"] > 0:
            at[event["target"]].append(event["t"])
    late = [later - earlier - 60 for times in at.values() for earlier, later in pairwise(times)]
    return next(e["t"] for e in events if str(e.get("key")).endswith(":post:1")), late


@pytest.mark.no_cover
def test_a_storm_delays_neither_the_first_message_nor_healthy_logins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many repeats wait: those of the first few go first, then what is routine."""
    monkeypatch.setattr("bot.runtime.probe_runner.MOST_PER_S", PER_S)
    alone_at, _ = watched(tmp_path, 1)
    posted_at, late = watched(tmp_path, FEW // 2)

    assert posted_at <= alone_at + 2.0
    assert max(late) < 5.0
    assert len(late) >= FEW // 2 * 2
