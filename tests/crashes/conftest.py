"""Processes that die at any contact with the outside, and what people see in the end.

A process dies before or after a commit, or before or after a call to Slack: what it does between
these has no effect outside. The next process begins with what was committed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from math import inf
from typing import TYPE_CHECKING, Any

import pytest

from bot.app.notification_router import NotificationRouter
from bot.app.rules import rules_of
from bot.core.commands.parse import parse_request
from bot.core.model.command import Request
from bot.core.state.outbox import PagerAction
from bot.ports import Doubt, Reason, Refused
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import Engine
from bot.simulator.memory import MemoryStore
from bot.simulator.prober import VirtualProber
from bot.simulator.reading import load_file
from bot.simulator.simulation import settings_for
from bot.simulator.virtual import VirtualClock, VirtualLoop, VirtualTimer, run_virtually
from bot.simulator.workspace.model import Message, MessageKind, User
from bot.simulator.workspace.workspace import Workspace
from bot.simulator.world import World
from bot.slack.outbound.messenger import SlackMessenger
from bot.slack.web_api import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bot.core.state.incident import Incident
    from bot.core.state.outbox import PagerMessage
    from bot.core.state.stimulus import Effect
    from bot.ports import Change, Snapshot, Unfinished
    from bot.simulator.scenario import Scenario

STORY = """\
format: 1
name: crashes
about: The login fails for a minute, so does discovery for a while, and the status page speaks.
start: 2026-03-02T10:00:00Z
warmup: 5s
duration: 2m
seed: 1
bot:
  slack: {mention: "@here"}
  tenants: [{name: prod, probe: {every: 10s, confirm_every: 2s}}]
  thresholds: {fail_count: 3, window: 6, recover_count: 2, mention_after: 20s}
  feed: {every: 10s}
  oncall: {rotation: {people: [U1, U2], hand_over: "09:00", start: 2026-03-02}}
  notify: [{name: pager, pagerduty: {routing_key: 0123456789abcdef0123456789abcdef}}]
  escalation:
    critical: [{after: 0s, tell: dm}, {after: 8s, tell: pager}, {after: 16s, tell: next}]
    repeat: 0
tenants:
  prod: {domain: acme.us.auth0.com, environment: US-1}
controls: [neutral]
timeline:
  - {target: prod.login, from: 0m, to: 1m, is: {http: 503}}
  - {target: prod.wellknown, from: 35s, to: 50s, is: {http: 502}}
feed:
  - {at: 30s, incident: k2, title: A, status: Investigating, text: Oh., environments: [US-1]}
"""
ASKED = {
    "U1": (3.0, "run"),
    "U2": (25.0, "run"),
    "U3": (28.0, "note #1 we look"),
    "U4": (33.0, "silence prod.wellknown 40s a test"),
    "U5": (41.0, "ack"),
    "U6": (41.1, "ack #1"),
    "U7": (55.0, "run"),
}
"""By user: when they ask, and what."""
WAY = "pager"
RESTART_S = 1.5
TRAVEL_S = 0.1
COMMIT_S = 0.004
PATIENCE_S = 3600.0
CHANNEL = "C0ALERTS"


class Fate(StrEnum):
    """The outcome of a call that writes."""

    ANSWERED = "answered"
    LOST = "lost"  # but done
    LATE = "late"  # lost, and done half a minute later
    CUT = "cut"  # lost, and never done
    LIMITED = "limited"
    UNREACHABLE = "unreachable"


@dataclass
class Life:
    """One process, with a limited number of contacts with the outside."""

    touches: float
    touched: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def touch(self) -> None:
        if self.touched >= self.touches:
            self.over.set()
            await asyncio.Event().wait()  # a dead process does nothing any more
        self.touched += 1


@dataclass
class MortalStore:
    """A process's connection to a store that outlives it."""

    life: Life
    inner: MemoryStore

    async def load(self, now: float) -> Snapshot:
        await self.life.touch()
        return await self.inner.load(now)

    async def commit(self, change: Change) -> None:
        if not (change.deliveries or change.incidents or change.inbox_items or change.handled_ids):
            await self.inner.commit(change)  # states alone: they are many, and nobody sees them
            return
        await self.life.touch()
        await asyncio.sleep(COMMIT_S)
        await self.inner.commit(change)
        await self.life.touch()

    async def has_received(self, request_id: str) -> bool:
        return await self.inner.has_received(request_id)

    async def read_unfinished(self) -> Unfinished:
        return await self.inner.read_unfinished()

    async def read_past_incidents(self, after: int) -> tuple[Incident, ...]:
        return await self.inner.read_past_incidents(after)

    def note_unsaved(self, *, is_unsaved: bool) -> None:
        self.inner.note_unsaved(is_unsaved=is_unsaved)

    def may_send(self, *, is_urgent: bool) -> bool:
        return self.inner.may_send(is_urgent=is_urgent)


@dataclass
class MortalSlack:
    """A process's connection to Slack; its calls get the `fates`, the last one first."""

    life: Life
    workspace: Workspace
    fates: list[Fate]

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        token = self.workspace.state.app.bot_token
        do = partial(self.workspace.call, method, token, dict(params))
        is_writing = self.fates and method in {"chat.postMessage", "chat.update"}
        fate = self.fates.pop() if is_writing else Fate.ANSWERED
        await self.life.touch()
        await asyncio.sleep(TRAVEL_S)
        await self._struck(fate, method, do)
        reply = do()
        await self.life.touch()
        await asyncio.sleep(TRAVEL_S)
        if fate in (Fate.LOST, Fate.LATE):
            raise Doubt("Slack", fate)
        if not reply.body["ok"]:
            wait_s = reply.headers.get("Retry-After")
            raise refusal(reply.body["error"], float(wait_s) if wait_s else None)
        return reply.body

    async def _struck(self, fate: Fate, method: str, do: partial[Any]) -> None:
        match fate:
            case Fate.LATE if method == "chat.postMessage":
                asyncio.get_running_loop().call_later(29.0, do)
                await asyncio.sleep(10.0)
                raise Doubt("Slack", fate)
            case Fate.CUT:
                raise Doubt("Slack", fate)
            case Fate.LIMITED:
                raise refusal("ratelimited", 2.0)
            case Fate.UNREACHABLE:
                raise refusal("unreachable")
            case _:
                pass

    async def respond(self, response_url: str, params: Mapping[str, Any]) -> None:
        raise NotImplementedError


@dataclass
class MortalPager:
    """A process's connection to a pager that outlives it; shares the fates with Slack."""

    life: Life
    pages: list[tuple[float, PagerAction]]
    clock: VirtualClock
    fates: list[Fate]

    async def notify(self, page: PagerMessage) -> None:
        fate = self.fates.pop() if self.fates else Fate.ANSWERED
        await self.life.touch()
        await asyncio.sleep(TRAVEL_S)
        match fate:
            case Fate.CUT:
                raise Doubt("pager", fate)
            case Fate.LIMITED:
                raise Refused("pager", Reason.RATE_LIMITED, "ratelimited", 2.0)
            case Fate.UNREACHABLE:
                raise Refused("pager", Reason.UNREACHABLE, "unreachable")
        self.pages.append((self.clock.now(), page.action))
        await self.life.touch()
        await asyncio.sleep(TRAVEL_S)
        if fate in (Fate.LOST, Fate.LATE):
            raise Doubt("pager", fate)


class Nobody:
    """A listener that does nothing."""

    def listen(self, at: float, effect: Effect) -> None:
        pass


class Story:
    """One outage, handled by one process after the other."""

    def __init__(self, loop: VirtualLoop, scenario: Scenario, fates: Sequence[Fate]) -> None:
        self.store = MemoryStore()
        self.touched = 0
        """The contacts of the last process with the outside."""
        self.acknowledged: list[str] = []
        self.answered: Counter[str] = Counter()
        self.pages: list[tuple[float, PagerAction]] = []
        """The messages that reached the pager, with their times."""
        self._start_at = scenario.start_at
        self._world = World(scenario)
        self.clock = VirtualClock(loop, self._world.begin_at)
        people = [User(name, name.lower(), name) for name in ASKED]
        self.workspace = Workspace(self.clock.now, people=people)
        self.workspace.on_message(lambda _, __, message: self._said(message))
        self._settings = settings_for(scenario)
        self._prober = VirtualProber(
            self._world, self.clock, timeout_s=10.0, on_request=lambda *_: None
        )
        self._fates = list(fates)
        self._engine: Engine | None = None

    @property
    def messages(self) -> list[Message]:
        """Return the messages that everybody sees, the oldest first."""
        said = [m for m in self.workspace.messages(CHANNEL) if not m.only_for]
        return [m for m in said if not m.text.startswith("Hello")]  # the greeting

    async def play(self, lives: Sequence[Life], deleted_at_s: Sequence[float]) -> None:
        """Play until nothing is left to do; the last process lives so long."""
        others = asyncio.gather(self._ask(), self._delete(deleted_at_s))
        for life in lives:
            await self._live(life)
            self.touched = life.touched
            await self.clock.sleep(RESTART_S)
        await others

    async def _live(self, life: Life) -> None:
        """Run one process to its death, or until nothing is left to do."""
        store = MortalStore(life, self.store)
        engine = Engine(
            rules_of(self._settings),
            clock=self.clock,
            prober=self._prober,
            store=store,
            timer=VirtualTimer(self.clock),
            listener=Nobody(),
        )
        api = MortalSlack(life, self.workspace, self._fates)
        pager = MortalPager(life, self.pages, self.clock, self._fates)
        link = self._settings.status_link
        messenger = SlackMessenger(api, channel=CHANNEL, status_link=link)
        deliver = OutboxDelivery(
            clock=self.clock,
            store=store,
            messenger=NotificationRouter(messenger, {WAY: pager}),
            view=engine.view,
            submit=engine.submit,
        )
        engine.attach(deliver)
        self._engine = engine
        tasks = [asyncio.create_task(work) for work in (engine.run(), deliver.run())]
        while not life.over.is_set() and not await self._is_quiet():
            with suppress(TimeoutError):
                async with asyncio.timeout(5.0):
                    await life.over.wait()
        self._engine = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _is_quiet(self) -> bool:
        kept = await self.store.load(self.clock.now())
        waits = any(not each.is_done for each in kept.deliveries.values())
        busy = kept.desk is None or kept.desk.open_incidents or waits or kept.inbox_items
        late_s = self.clock.now() - self._world.end_at
        return late_s > (PATIENCE_S if busy else 0.0)

    async def _until(self, offset_s: float) -> None:
        await self.clock.sleep(self._start_at + offset_s - self.clock.now())

    async def _ask(self) -> None:
        """Ask from time to time; while no process is alive, Slack says so to the person."""
        for user, (at_s, said) in ASKED.items():
            await self._until(at_s)
            if self._engine is None:
                continue
            request = Request(user, self.clock.now(), user=user, channel=CHANNEL)
            view = self._engine.view()
            request = parse_request(said, request, view.desk, view.rules)
            with suppress(TimeoutError):  # the process died in the middle of it
                async with asyncio.timeout(1.0):
                    if await self._engine.accept(request):
                        self.acknowledged.append(user)

    def _said(self, message: Message) -> None:
        if message.only_for:
            self.answered[message.only_for] += 1

    async def _delete(self, deleted_at_s: Sequence[float]) -> None:
        """Let somebody delete the incident's message."""
        for at_s in deleted_at_s:
            await self._until(at_s)
            for message in [m for m in self.messages if not m.thread_ts]:
                self.workspace.state.put(
                    self.workspace.state.channel(CHANNEL), MessageKind.DELETE, message
                )


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    file = tmp_path_factory.mktemp("crashes") / "crashes.yml"
    file.write_text(STORY)
    return load_file(file)


@pytest.fixture(scope="session")
def play(scenario: Scenario) -> Callable[..., Story]:
    """Play the story with processes that die after so many contacts, and one that does not."""

    def played(
        deaths: Sequence[int], fates: Sequence[str] = (), deleted_at_s: Sequence[float] = ()
    ) -> Story:
        stories: list[Story] = []

        async def main(loop: VirtualLoop) -> None:
            stories.append(Story(loop, scenario, [Fate(fate) for fate in fates]))
            await stories[0].play([*map(Life, deaths), Life(inf)], deleted_at_s)

        run_virtually(main)
        return stories[0]

    return played
