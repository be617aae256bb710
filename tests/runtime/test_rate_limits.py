"""Many deliveries at once, and a Slack that asks to wait: what goes first, and when."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import TYPE_CHECKING

import pytest

from bot.core.model.command import ALL_SIGNALS, Request, ShowHelp
from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.oncall import CallReason
from bot.core.state.desk import DeskState
from bot.core.state.incident import (
    Incident,
    IncidentKind,
    IncidentLife,
    IncidentMessage,
    MessageRef,
)
from bot.core.state.outbox import (
    Answer,
    Body,
    Call,
    Delivery,
    DeliveryStatus,
    DirectMessage,
    Edit,
    PagerAction,
    Paging,
    Post,
    Reply,
    SilenceAnnouncement,
    mark_sent,
)
from bot.core.state.rules import Rules
from bot.core.state.silence import Silence
from bot.core.state.stimulus import CallOverdue, CallTaken, Delivered, Stimulus
from bot.core.state.tenant import Tenants
from bot.core.state.timeline import MentionEntry, NoteEntry
from bot.ports import Reason, Refused, View
from bot.runtime.delivery import SHARES, OutboxDelivery
from bot.simulator.memory import MemoryStore
from bot.simulator.virtual import VirtualClock, VirtualLoop, run_virtually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    WaitAsked = Callable[[Delivery, float], float | None]
    """The `Retry-After` of an attempt at an instant; None: it is taken."""

INCIDENT = Incident(
    id=1,
    kind=IncidentKind.FAILING,
    severity=Severity.CRITICAL,
    tenants=("prod",),
    since=0.0,
    life=IncidentLife(0.0),
    verdict=Verdict(Cause.UNCLEAR, Scope.UNKNOWN, 0.0),
)
LATENCY_S = 0.2
NEW = 100
"""Incidents from this number on have no message yet."""
COUNT = 1000
STORM_S = 300.0


def limit_of(body: Body) -> str:
    """Name what Slack or a contact point counts together."""
    match body:
        case Paging(contact_point=name):
            return name
        case DirectMessage(person=person):
            return person
        case Edit():
            return "chat.update"
        case Answer(request=request) as answer if not answer.is_shared:
            return request.id
        case _:
            return "chat.postMessage"


@dataclass
class Town:
    """Slack and contact points that may ask to wait; incidents 1 to 99 are in the channel."""

    loop: VirtualLoop
    wait_s: WaitAsked
    held_until: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    attempts: list[tuple[float, Delivery]] = field(default_factory=list)
    taken: list[tuple[float, Delivery]] = field(default_factory=list)
    too_early: list[tuple[float, str]] = field(default_factory=list)
    """Attempts within a `Retry-After`."""
    overdue: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = VirtualClock(self.loop, 0.0)
        known = IncidentMessage(MessageRef("C1", "1.0"))
        self.incidents = {
            number: replace(
                INCIDENT, id=number, message=known if number < NEW else IncidentMessage()
            )
            for number in range(1, NEW + COUNT)
        }
        self.delivery = OutboxDelivery(
            clock=self.clock,
            store=MemoryStore(),
            messenger=self,
            view=lambda: View(self.clock.now(), Rules({}), Tenants({}), DeskState(self.incidents)),
            submit=self.submit,
        )

    async def send(
        self, delivery: Delivery, _: View, message: MessageRef | None
    ) -> MessageRef | None:
        now, limit = self.clock.now(), limit_of(delivery.body)
        self.attempts.append((now, delivery))
        if now < self.held_until[limit] - 1e-6:
            self.too_early.append((now, delivery.key))
        wait_s = self.wait_s(delivery, now)
        if wait_s is not None:
            self.held_until[limit] = now + wait_s
        await self.clock.sleep(LATENCY_S)
        if wait_s is not None:
            raise Refused("Slack", Reason.RATE_LIMITED, "ratelimited", wait_s)
        self.taken.append((now, delivery))
        return MessageRef("C1", "1.0") if isinstance(delivery.body, Post) else message

    async def find(self, delivery: Delivery, _: MessageRef | None) -> MessageRef | None:
        raise NotImplementedError

    async def find_unreached(self, _: tuple[str, ...], __: float) -> dict[str, str]:
        return {}

    def submit(self, stimulus: Stimulus) -> None:
        if isinstance(stimulus, CallOverdue):
            self.overdue.append(stimulus.at)
            return
        if isinstance(stimulus, CallTaken):
            self.delivery.offer([mark_sent(stimulus.delivery)])
            return
        assert isinstance(stimulus, Delivered)
        incident = self.incidents[stimulus.incident]
        message = IncidentMessage(MessageRef(stimulus.channel, stimulus.ts))
        self.incidents[stimulus.incident] = replace(incident, message=message)
        lane = self.delivery.lane(f"incident:{stimulus.incident}")
        self.delivery.offer([mark_sent(d) for d in lane if d.status is DeliveryStatus.SENDING])

    def tried_at(self, key: str) -> list[float]:
        return [round(at, 1) for at, delivery in self.attempts if delivery.key == key]


def never_limited(_: Delivery, __: float) -> None:
    """Let everything be taken at once."""


def play(
    offers: Iterable[Delivery],
    wait_s: WaitAsked = never_limited,
    for_s: float = 100.0,
    prepare: Callable[[Town], object] = lambda _: None,
) -> Town:
    """Offer each delivery when it is created, and let time pass."""
    towns: list[Town] = []

    async def main(loop: VirtualLoop) -> None:
        town = Town(loop, wait_s)
        towns.append(town)
        prepare(town)
        for each in offers:
            town.clock.call_at(each.created_at, partial(town.delivery.offer, [each]))
        task = loop.create_task(town.delivery.run())
        await town.clock.sleep(for_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(main)
    return towns[0]


def post(number: int, at: float = 0.0) -> Delivery:
    """An alert: the first message of a critical incident."""
    call = Call(number, CallReason.BEGUN, at)
    return Delivery(f"{number}:post:1", f"incident:{number}", 1, Post(number), at, call=call)


def line(number: int, seq: int, at: float = 0.0) -> Delivery:
    body = Reply(number, NoteEntry(at, "U1", "note"))
    return Delivery(f"{number}:reply:{seq}", f"incident:{number}", seq, body, at)


def mention(number: int, seq: int, at: float = 0.0) -> Delivery:
    body, call = Reply(number, MentionEntry(at)), Call(number, CallReason.BEGUN, at)
    return Delivery(f"{number}:reply:{seq}", f"incident:{number}", seq, body, at, call=call)


def edit(number: int, seq: int, at: float = 0.0) -> Delivery:
    return Delivery(f"{number}:edit:{seq}", f"incident:{number}", seq, Edit(number), at)


def page(number: int, name: str = "pager", at: float = 0.0) -> Delivery:
    body = Paging(number, name, PagerAction.TRIGGER)
    call = Call(number, CallReason.BEGUN, at)
    return Delivery(f"{number}:page:{name}", f"page:{number}:{name}", 1, body, at, call=call)


def announcement(number: int, at: float = 0.0) -> Delivery:
    silence = Silence(number, ALL_SIGNALS, at, at + 60, "U1", "test")
    key = f"silence:{number}:begin"
    return Delivery(key, key, 1, SilenceAnnouncement(silence), at)


def share(number: int, at: float = 0.0, user: str = "U1") -> Delivery:
    request = Request(f"r{number}", at, ShowHelp(), user=user, channel="C1", share=True)
    return Delivery(f"answer:r{number}:1", f"answer:r{number}", 1, Answer(request), at)


def limited_once(key: str, wait_s: float) -> WaitAsked:
    """Refuse the first attempt of one delivery."""
    return lambda each, _: wait_s if each.key == key and each.tries == 1 else None


def test_a_wait_holds_for_all_that_goes_the_same_way() -> None:
    """Ten announcements, of which the first is to wait: none of the others asks meanwhile."""
    first, *others = [announcement(number, at=number / 1000) for number in range(10)]
    town = play([first, *others, edit(1, 1)], limited_once(first.key, 30.0))

    assert town.tried_at(first.key) == [0.0, 30.2]
    assert min(town.tried_at(each.key)[0] for each in others) > 31.0
    assert town.tried_at("1:edit:1") == [0.0]
    assert (town.too_early, town.delivery.depth) == ([], 0)


def test_a_contact_point_that_asks_to_wait_is_left_alone() -> None:
    """By the pages of all incidents; another contact point gets its page at once."""
    town = play([page(1), page(2), page(2, "mail")], limited_once("1:page:pager", 30.0), 40.0)

    assert town.tried_at("2:page:mail") == [0.0]
    assert town.tried_at("1:page:pager")[1:] == [30.2]
    assert town.too_early == [(0.0, "2:page:pager")]  # it began before the answer was there
    assert town.delivery.depth == 0


def test_an_alert_does_not_wait_for_a_day() -> None:
    """It is tried again after five minutes; what is not urgent waits until it was taken."""
    town = play([post(100), announcement(1, 0.5)], limited_once("100:post:1", 86_400.0), 400.0)

    assert town.tried_at("100:post:1") == [0.0, 300.2]
    assert town.tried_at("silence:1:begin") == [301.2]
    assert town.overdue == [60.0]


def test_a_call_overtakes_what_waits_in_its_lane() -> None:
    """A hundred notes, and an edit that is to wait for five minutes, do not delay the mention."""
    notes = [line(1, seq) for seq in range(2, 102)]
    town = play([edit(1, 1), *notes, mention(1, 200, at=3.5)], limited_once("1:edit:1", 299.0))

    assert town.tried_at("1:reply:200")[0] <= 4.5


def test_nothing_overtakes_an_incidents_message() -> None:
    """A mention that stood above it would be about nothing; so also if it is posted again."""
    again = replace(post(100), call=None)
    town = play([again, mention(100, 2)], limited_once("100:post:1", 20.0))

    assert town.tried_at("100:reply:2") > town.tried_at("100:post:1")


def test_what_a_person_shares_delays_no_alert() -> None:
    """120 answers in a second: the next alert and the lines of a thread come first."""
    shares = [share(number, at=number / 120) for number in range(120)]
    town = play([*shares, post(100, at=1.5), line(1, 1, at=1.5)], for_s=200.0)

    assert town.tried_at("100:post:1")[0] <= 2.5
    assert town.tried_at("1:reply:1")[0] <= 3.5
    assert town.delivery.depth == 0


def test_who_shares_too_much_is_answered_alone() -> None:
    """Each person may share a few answers a minute; whoever shares one is not affected."""
    shares = [share(number) for number in range(20)]
    town = play([*shares, share(50, user="U2"), share(60, at=61.0)])
    shared = [d.key for _, d in town.taken if isinstance(d.body, Answer) and d.body.is_shared]

    assert Counter(limit_of(d.body) for _, d in town.taken)["chat.postMessage"] == SHARES + 2
    assert {"answer:r50:1", "answer:r60:1"} < set(shared)
    assert len(town.taken) == 22


def test_all_instants_move_with_the_clock() -> None:
    """After a correction by 100 s a call is overdue, and an edit due, as much later."""

    def correct(town: Town) -> None:
        town.clock.call_at(5.0, lambda: town.delivery.shift(100.0))

    waiting = replace(edit(1, 1), due_at=10.0)
    limited = limited_once("100:post:1", 86_400.0)
    town = play([post(100), waiting], limited, for_s=200.0, prepare=correct)

    assert town.overdue == [160.0]
    assert town.tried_at("1:edit:1") == [110.0]


def storm(random: Random) -> list[Delivery]:
    """A thousand deliveries of all kinds in a minute."""
    kinds: list[Callable[[int, float], Delivery]] = [
        lambda n, at: post(NEW + n, at),
        lambda n, at: line(1 + n % 50, n, at),
        lambda n, at: line(1 + n % 50, n, at),
        lambda n, at: mention(51 + n % 49, n, at),
        lambda n, at: edit(1 + n % 50, n, at),
        announcement,
        lambda n, at: share(n, at, user=f"U{n % 7}"),
        lambda n, at: page(1 + n, random.choice(["pager", "mail"]), at),
    ]
    times = sorted(random.uniform(0.0, 60.0) for _ in range(COUNT))
    return [random.choice(kinds)(number, at) for number, at in enumerate(times)]


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", range(2))
def test_a_storm_of_1000_deliveries_while_slack_asks_to_wait(seed: int) -> None:
    """Nothing is lost or doubled, no call is made too early, and pages leave in time."""
    random = Random(seed)  # noqa: S311 - for a test
    offers = storm(random)
    keys = {each.key for each in offers}

    def limit(delivery: Delivery, now: float) -> float | None:
        is_over = now > STORM_S or isinstance(delivery.body, Paging)
        return None if is_over or random.random() < 0.7 else random.randint(1, 30)

    town = play(offers, limit, for_s=2000.0)

    assert Counter(delivery.key for _, delivery in town.taken) == dict.fromkeys(keys, 1)
    assert (town.delivery.depth, town.too_early) == (0, [])
    first = {key: at for at, key in reversed([(at, d.key) for at, d in town.attempts])}
    pages = [each for each in offers if isinstance(each.body, Paging)]
    assert max(first[each.key] - each.created_at for each in pages) < 30.0
