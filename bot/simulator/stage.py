"""What people do with a story on its page: pause, go on, choose another speed or scenario."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.simulator.narration import narrate
from bot.simulator.reading import example_names
from bot.simulator.workspace.model import MessageKind

if TYPE_CHECKING:
    from bot.simulator.scenario import Scenario
    from bot.simulator.story_time import StoryClock, StoryLoop
    from bot.simulator.workspace.model import Channel, Message
    from bot.simulator.workspace.page_api import PageApi

SPEEDS = (1.0, 2.0, 5.0, 10.0, 20.0)
DEFAULT_SPEED, FASTEST = SPEEDS[2], SPEEDS[-1]
"""At the default speed each message can be read before the next one comes."""
SHOWN_FROM_S = 10.0
"""So long before its begin the story waits for somebody to open the page."""
SHOW_EVERY_S = 0.25


class Wanted(NamedTuple):
    """What a person chose to see."""

    scenario: str
    speed: float


class Stage:
    """A story on the page.

    Args:
        scenario: the story.
        loop: its time.
        clock: its clock.
        wanted: what was chosen.
        page: shows it.
    """

    def __init__(
        self,
        scenario: Scenario,
        loop: StoryLoop,
        clock: StoryClock,
        wanted: Wanted,
        page: PageApi,
    ) -> None:
        self.wanted = wanted
        """What is played, and later what is to be played next."""
        self.end = ""
        """How the story ended; empty: it has not."""
        self._scenario = scenario
        self._loop = loop
        self._clock = clock
        self._page = page
        self._events = narrate(scenario)
        self._choices = list(dict.fromkeys((wanted.scenario, *example_names())))
        self._has_chosen = asyncio.Event()
        self._is_stepping = False
        page.control = self._control

    async def wait_for_choice(self) -> None:
        """Wait until somebody wants another story, or this one again."""
        await self._has_chosen.wait()

    def note_message(self, _channel: Channel, kind: MessageKind, _message: Message) -> None:
        """Stop at a new message, if somebody wants to go from one to the next."""
        if self._is_stepping and kind is not MessageKind.UPDATE:
            self._is_stepping = False
            self._loop.stop_time()
            self._show()

    async def wait_for_viewers(self) -> None:
        """Wait before the begin until somebody has opened the page."""
        await self._clock.sleep_until(self._scenario.start_at - SHOWN_FROM_S)
        if not self._page.has_viewers.is_set():
            self._loop.stop_time()
            await self._page.has_viewers.wait()
            self._loop.start_time()

    async def show(self) -> None:
        """Show the story's time on the page. Never ends."""
        while True:
            self._show()
            await asyncio.sleep(SHOW_EVERY_S)

    def _control(self, asked: dict[str, Any]) -> None:
        """Do what a person wants. Raises LookupError for what there is not."""
        action, value = asked.get("do"), str(asked.get("value"))
        match action:
            case "pause" if not self._loop.is_stopped:
                self._loop.stop_time()
            case "pause" | "step":
                self._is_stepping = action == "step"
                self._loop.start_time()
            case "speed" if value in {f"{speed:g}" for speed in SPEEDS}:
                self.wanted = self.wanted._replace(speed=float(value))
                self._clock.set_speed(self.wanted.speed)
            case "restart":
                self._has_chosen.set()
            case "scenario" if value in self._choices:
                self.wanted = self.wanted._replace(scenario=value)
                self._has_chosen.set()
            case _:
                raise LookupError(action)
        self._show()

    def _show(self) -> None:
        now = self._clock.now()
        self._page.show_story(
            {
                "at": now,
                "scenario": self.wanted.scenario,
                "scenarios": self._choices,
                "about": self._scenario.about,
                "speed": self.wanted.speed,
                "speeds": SPEEDS,
                "is_stopped": self._loop.is_stopped,
                "events": [event for event in self._events if event.at <= now],
                "end": self.end,
            }
        )
