"""What Slack does not take reaches people beyond it: engine, delivery and messenger together."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from bot.app.notification_router import NotificationRouter
from bot.core.model.measurement import Measurement
from bot.core.model.observation import (
    CONTROL,
    LOGIN,
    Fault,
    FeedReading,
    FeedState,
    Observation,
    Outcome,
    Severity,
    Stage,
    Target,
)
from bot.core.oncall import EscalationPolicy, EscalationStep, Shift, Shifts
from bot.core.signals.probe_threshold import ProbeLimits
from bot.core.state.outbox import PagerAction
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import Effect, Send
from bot.ports import Doubt
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import Engine
from bot.simulator.memory import MemoryStore
from bot.simulator.virtual import VirtualClock, VirtualLoop, VirtualTimer, run_virtually
from bot.slack.outbound.messenger import SlackMessenger
from bot.slack.web_api import refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.core.state.outbox import Call, PagerMessage

POINTS = ("pager", "mail")
"""The policy names only the first of them."""
STEPS = (
    EscalationStep(100, "mention"),
    EscalationStep(160, "dm"),
    EscalationStep(220, "pager"),
)
NEVER = float("inf")
GONE = Fault(Stage.HTTP, "http_503", status=503)


@dataclass
class Slack:
    """A Web API that works until `away_from`, and then fails in one way until `back_at`."""

    clock: VirtualClock
    failure: Exception | float
    """What each call raises, or for how many seconds it hangs."""
    away_from: float
    back_at: float
    taken: list[tuple[float, str, str]] = field(default_factory=list)
    """When it took a call, its method and the text."""

    @property
    def is_away(self) -> bool:
        return self.away_from <= self.clock.now() < self.back_at

    def posts(self) -> list[float]:
        """When it took each message after the greeting."""
        posts = [(at, text) for at, method, text in self.taken if method == "chat.postMessage"]
        return [at for at, text in posts if not text.startswith("Hello")]

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.is_away and isinstance(self.failure, Exception):
            is_archived = str(self.failure) == "is_archived" and method == "chat.update"
            raise refusal("is_inactive") if is_archived else self.failure
        if self.is_away and isinstance(self.failure, float):
            await self.clock.sleep(self.failure)
            raise Doubt("Slack", "timeout")
        self.taken.append((self.clock.now(), method, params.get("text", "")))
        channel = {"id": "D1"} if method == "conversations.open" else "C1"
        ts, link = f"{len(self.taken)}.0", "https://acme.slack.com/p1"
        return {"channel": channel, "ts": ts, "permalink": link, "messages": []}

    async def respond(self, response_url: str, params: Mapping[str, Any]) -> None:
        raise NotImplementedError


@dataclass
class Notifier:
    """A contact point that takes everything."""

    clock: VirtualClock
    pages: list[tuple[float, PagerMessage]] = field(default_factory=list)

    async def notify(self, message: PagerMessage) -> None:
        self.pages.append((self.clock.now(), message))

    def between(self, begin: float, end: float) -> list[float]:
        triggers = [at for at, page in self.pages if page.action is PagerAction.TRIGGER]
        return [at for at in triggers if begin <= at <= end]


@dataclass
class Town:
    """The bot in virtual time; logins fail from an instant on."""

    loop: VirtualLoop
    failure: Exception | float = field(default_factory=lambda: refusal("unreachable"))
    away_from: float = 0.0
    back_at: float = NEVER
    down_from: dict[str, float] = field(default_factory=lambda: {"prod": 100.0})
    repeat: int = 0
    every_s: float = 60.0
    effects: list[tuple[float, Effect]] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.clock = VirtualClock(self.loop, 0.0)
        self.slack = Slack(self.clock, self.failure, self.away_from, self.back_at)
        self.notifiers = {name: Notifier(self.clock) for name in POINTS}

    async def live(self, for_s: float) -> None:
        """Start the bot, and kill it after a while."""
        limits = ProbeLimits(self.every_s, self.every_s / 2, fail_count=2, window=4)
        tenants = {
            name: TenantRules(name, f"{name}.us.auth0.com", "US-1", limits=limits)
            for name in ("prod", "shop")
        }
        rules = Rules(
            tenants,
            controls=(Target(CONTROL, "neutral"),),
            mention="@here",
            mention_after_s={"prod": 90.0},
            policies={Severity.CRITICAL: EscalationPolicy(STEPS, self.repeat, 500.0)},
            contact_points=POINTS,
            on_call=Shifts(0.0, (Shift("U1", 0.0, NEVER),)),
        )
        messenger = SlackMessenger(self.slack, channel="C1", status_link="https://x.example")
        engine = Engine(
            rules,
            clock=self.clock,
            prober=self,
            store=self.store,
            timer=VirtualTimer(self.clock),
            listener=self,
        )
        delivery = OutboxDelivery(
            clock=self.clock,
            store=self.store,
            messenger=NotificationRouter(messenger, self.notifiers),
            view=engine.view,
            submit=engine.submit,
        )
        engine.attach(delivery)
        tasks = [self.loop.create_task(part.run()) for part in (engine, delivery)]
        await self.clock.sleep(for_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def probe(self, target: Target) -> Observation:
        now = self.clock.now()
        is_down = target.name == LOGIN and now >= self.down_from.get(target.owner, NEVER)
        outcome = Outcome.FAILED if is_down else Outcome.OK
        return Observation(target, now, outcome, 0.1, GONE if is_down else None)

    async def measure(self, target: Target) -> Measurement:
        raise NotImplementedError

    async def poll_feed(self, target: Target) -> FeedReading:
        return FeedReading(target, self.clock.now(), FeedState.EMPTY)

    async def poll_shifts(self) -> Shifts:
        raise NotImplementedError

    def listen(self, at: float, effect: Effect) -> None:
        self.effects.append((at, effect))

    def calls(self, since: float = 0.0) -> list[Call]:
        """Return the calls to Slack that were decided since an instant, each once."""
        sends = [e for _, e in self.effects if isinstance(e, Send) and "page" not in e.lane]
        return [send.call for send in sends if send.call and send.call.decided_at >= since]


def play(*lives_s: float, **given: Any) -> Town:
    """Let the bot run for so long, and start it again as often as there are lives."""
    towns: list[Town] = []

    async def main(loop: VirtualLoop) -> None:
        towns.append(Town(loop, **given))
        for for_s in lives_s:
            await towns[0].live(for_s)

    run_virtually(main)
    return towns[0]


@pytest.mark.parametrize(
    ("failure", "away_from"),
    [
        (refusal("token_revoked"), 0.0),
        (refusal("ratelimited", 86_400.0), 0.0),
        (Doubt("Slack", "http_503"), 0.0),
        (refusal("unreachable"), 155.0),
        (refusal("is_archived"), 155.0),
        (refusal("ratelimited", 300.0), 155.0),
        (10.0, 155.0),
    ],
    ids=str,
)
def test_every_call_reaches_every_contact_point_in_time(
    failure: Exception | float, away_from: float
) -> None:
    """Alert, mention, step and direct message, and a tenant that joins; within 65 s of each.

    Slack goes away before the alert, or after it and before the first mention.
    """
    town = play(460.0, failure=failure, away_from=away_from, down_from={"prod": 100, "shop": 310})
    calls = town.calls(since=away_from)

    assert {call.reason for call in calls} == {"begun", "wider", "unacknowledged"}
    assert len(calls) == (5 if away_from == 0.0 else 4)
    for call in calls:
        for name, notifier in town.notifiers.items():
            since, until = call.decided_at, call.decided_at + 65.0
            assert notifier.between(since, until), (call, name, notifier.pages)


def test_nobody_is_paged_twice_for_one_call() -> None:
    """The first mention and the alert are one call; after that each step is one more."""
    town = play(460.0)
    (opened_at,) = {call.decided_at for call in town.calls()[:1]}

    for notifier in town.notifiers.values():
        first, *later = notifier.between(0.0, 460.0)
        assert opened_at + 60 <= first <= opened_at + 65
        assert len(later) <= len(STEPS)


def test_slack_away_for_two_hours() -> None:
    """Each step of each round is a page within 65 s; a minute after the end the alert is there."""
    town = play(7300.0, back_at=7200.0, repeat=100, every_s=600.0)
    calls = [call for call in town.calls() if call.decided_at < 7135.0]

    assert len(calls) > 15
    for call in calls:
        for notifier in town.notifiers.values():
            assert notifier.between(call.decided_at, call.decided_at + 65.0), call
    posts = town.slack.posts()
    assert 7200.0 <= posts[0] <= 7260.0


def test_with_slack_only_the_policy_pages() -> None:
    """The contact point that a step names, when that step is due; the other one never."""
    town = play(460.0, away_from=NEVER)

    assert len(town.notifiers["pager"].pages) == 1
    assert town.notifiers["mail"].pages == []


CRASH_LOOP = (160.0, *[25.0] * 8)
"""The alert is decided at 150 s; then a crash every 25 s."""


def test_a_crash_loop_in_mid_post_still_tells() -> None:
    """A message that was being sent when the bot died counts from that try, not from each start."""
    town = play(*CRASH_LOOP, failure=1000.0, away_from=149.0, back_at=160.0)
    posts = town.slack.posts()

    assert 190.0 <= posts[0] <= 215.0


def test_a_crash_loop_still_pages() -> None:
    """At the first start after the call is a minute old; and only once."""
    town = play(*CRASH_LOOP, failure=1000.0, away_from=149.0)
    (decided_at, *_) = sorted(call.decided_at for call in town.calls())

    for notifier in town.notifiers.values():
        assert len(notifier.between(decided_at + 60, decided_at + 90)) == 1
        assert len(notifier.pages) <= 2  # the first mention comes at 210 s
