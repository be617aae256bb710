from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import pytest

from bot.simulator.reading import load_file
from bot.simulator.simulation import play_scenario

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bot.simulator.story import Event

START = "2026-03-02T10:00:00Z"
HEAD = """\
format: 1
name: story
about: A story.
start: 2026-03-02T10:00:00Z
warmup: 5m
duration: 30m
seed: 1
controls: [neutral]
"""
TENANTS = """\
tenants:
  prod: {domain: acme.us.auth0.com, environment: US-1}
  eu: {domain: acme.eu.auth0.com, environment: EU-1}
"""


class Told:
    """The events of a story."""

    def __init__(self, events: list[Event]) -> None:
        self.events = events

    def of(self, event_kind: str, /, **like: object) -> list[Event]:
        """Return the events of a kind that have these values."""
        found = [event for event in self.events if event["event"] == event_kind]
        return [e for e in found if all(e[key] == value for key, value in like.items())]

    @property
    def summary(self) -> Event:
        return self.of("summary")[0]


Teller = "Callable[..., Told]"


@pytest.fixture
def tell(tmp_path: Path) -> Callable[..., Told]:
    """Play a scenario: the usual head with this timeline and further sections."""

    def told(
        body: str,
        tenants: str = TENANTS,
        seed: int = 1,
        start: str = START,
        duration: str = "30m",
    ) -> Told:
        file = tmp_path / "story.yml"
        head = HEAD.replace(START, start).replace("30m", duration)
        file.write_text(head + tenants + textwrap.dedent(body))
        events: list[Event] = []
        play_scenario(load_file(file), seed, events.append, requests=True)
        return Told(events)

    return told
