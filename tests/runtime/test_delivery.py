from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, get_args

import pytest

from bot.core.model.command import ALL_SIGNALS, Request, ShowHelp
from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.oncall import CallReason, Shift
from bot.core.state.desk import BotState, DeskState
from bot.core.state.incident import (
    Acknowledgement,
    Incident,
    IncidentKind,
    IncidentLife,
    IncidentMessage,
    MessageRef,
    NotificationState,
)
from bot.core.state.outbox import (
    SETTLE_S,
    Answer,
    Body,
    Call,
    CatchUp,
    ChannelBody,
    CrossPost,
    Delivery,
    DeliveryStatus,
    DirectBody,
    DirectEdit,
    DirectMessage,
    Edit,
    Greeting,
    IncidentBody,
    NobodyReached,
    OverrideAnnouncement,
    PagerAction,
    Paging,
    Post,
    Reply,
    ReportDue,
    SilenceAnnouncement,
    recover,
)
from bot.core.state.rules import Rules
from bot.core.state.silence import Silence
from bot.core.state.stimulus import (
    CallOverdue,
    CallRefused,
    CallTaken,
    Delivered,
    MessageLost,
    Send,
    Stimulus,
)
from bot.core.state.tenant import Tenants
from bot.core.state.timeline import (
    AcknowledgedEntry,
    DirectEntry,
    JoinedEntry,
    MentionEntry,
    ReopenedEntry,
    TimelineEntry,
)
from bot.core.step import step_desk
from bot.ports import Change, Doubt, StoreError, View
from bot.runtime.delivery import SEND_LIMIT_S, OutboxDelivery
from bot.runtime.outbox_writer import OutboxWriter
from bot.simulator.memory import MemoryStore
from bot.simulator.virtual import VirtualClock, VirtualLoop, run_virtually
from bot.slack.web_api import refusal

if TYPE_CHECKING:
    from collections.abc import Callable

MESSAGE = MessageRef("C1", "1.0")
POST = Delivery("1:post:1", "incident:1", 1, Post(1), created_at=0.0)
EDIT = Delivery("1:edit:1", "incident:1", 2, Edit(1), created_at=0.0)
REPLY = Delivery("1:reply:1", "incident:1", 3, Reply(1, MentionEntry(0.0)), 0.0)
ANSWER = Delivery("answer:r:1", "answer:r", 1, Answer(Request("r", 0.0, ShowHelp())), 0.0)
LOST, CUT_OFF = Doubt("Slack", "timeout"), refusal("unreachable")
INCIDENT = Incident(
    id=1,
    kind=IncidentKind.FAILING,
    severity=Severity.CRITICAL,
    tenants=("prod",),
    since=0.0,
    life=IncidentLife(0.0),
    verdict=Verdict(Cause.UNCLEAR, Scope.UNKNOWN, 0.0),
    notification=NotificationState(nobody_at=0.0),
)


def of_incident(number: int, delivery: Delivery) -> Delivery:
    """Return the same delivery for another incident."""
    key = delivery.key.replace("1:", f"{number}:", 1)
    assert isinstance(delivery.body, IncidentBody)
    body = replace(delivery.body, incident=number)
    return replace(delivery, key=key, lane=f"incident:{number}", body=body)


class FullStore(MemoryStore):
    """Has no room for anything."""

    async def commit(self, change: Change) -> None:  # noqa: ARG002 - no room for any
        raise StoreError("disk full")


class UnsureStore(MemoryStore):
    """Of a process that another one may have replaced; it knows more after a while.

    Args:
        hears_at: when it hears that its database is away, so that what is urgent may leave.
        has_it_at: when it hears that nobody has replaced it.
    """

    def __init__(self, hears_at: float, has_it_at: float) -> None:
        super().__init__()
        self.hears_at, self.has_it_at = hears_at, has_it_at

    def may_send(self, *, is_urgent: bool) -> bool:
        now = asyncio.get_running_loop().time()
        return now >= (self.hears_at if is_urgent else self.has_it_at)


class Bench:
    """An `OutboxDelivery` with a minimal engine, and with a Slack that the test controls."""

    def __init__(self, loop: VirtualLoop, store: MemoryStore) -> None:
        self.clock = VirtualClock(loop, 0.0)
        self.store = store
        self.errors: dict[str, list[Exception]] = {}
        """The errors of the next attempts, by key; later attempts succeed."""
        self.in_channel: dict[str, MessageRef] = {}
        """What a search finds."""
        self.attempts: list[tuple[float, str]] = []
        self.committed: list[tuple[DeliveryStatus, int]] = []
        """Status and number of tries as they were committed when each attempt began."""
        self.searched: list[tuple[float, str]] = []
        self.labelled: list[str] = []
        self.lines: list[TimelineEntry] = []
        """Of the threads, as they were sent."""
        self.submitted: list[Stimulus] = []
        self.overdue: list[tuple[float, str]] = []
        """When calls went beyond Slack, and why they were made."""
        self.handled: list[Stimulus] = []
        self.refused: list[tuple[float, str]] = []
        """When calls were refused for good, and why."""
        self.sending_s = 0.1
        self.searching_s = 0.0
        self.asleep_until = 0.0
        """Until then everybody is in Do Not Disturb."""
        self.is_stuck = False
        """The engine does not handle what is submitted."""
        self.incidents = {number: replace(INCIDENT, id=number) for number in range(1, 5)}
        self.delivery = OutboxDelivery(
            clock=self.clock, store=store, messenger=self, view=self._view, submit=self._submit
        )

    async def send(
        self, delivery: Delivery, view: View, message: MessageRef | None
    ) -> MessageRef | None:
        assert view.desk.incidents
        self.attempts.append((round(self.clock.now(), 3), delivery.key))
        if known := (await self.store.load(self.clock.now())).deliveries.get(delivery.key):
            self.committed.append((known.status, known.tries))
        self.lines += [delivery.body.entry] if isinstance(delivery.body, Reply) else []
        await self.clock.sleep(self.sending_s)
        if errors := self.errors.get(delivery.key):
            raise errors.pop(0)
        if delivery.is_repeat:
            self.labelled.append(delivery.key)
        return MESSAGE if isinstance(delivery.body, Post | Reply) else message

    async def find(self, delivery: Delivery, message: MessageRef | None) -> MessageRef | None:
        assert message or not isinstance(delivery.body, Edit | Reply)
        self.searched.append((round(self.clock.now(), 3), delivery.key))
        await self.clock.sleep(self.searching_s)
        if errors := self.errors.get("search"):
            raise errors.pop(0)
        return self.in_channel.get(delivery.key)

    async def find_unreached(self, names: tuple[str, ...], now: float) -> dict[str, str]:
        assert names
        return dict.fromkeys(names, "in_dnd") if now < self.asleep_until else {}

    def commit_submitted(self) -> None:
        """Do what the engine does: commit what became of a message together with its incident."""
        for stimulus in self.submitted:
            change, writer = Change(), OutboxWriter(self.delivery.lane)
            match stimulus:
                case CallOverdue(at=at, call=call):
                    self.overdue.append((at, call.reason))
                case Delivered() | MessageLost() | CallTaken() | CallRefused():
                    writer.finish_sending(change, stimulus)
                    if isinstance(stimulus, CallRefused):
                        self.refused.append((stimulus.at, stimulus.error))
                case _:
                    raise AssertionError(stimulus)
            state = BotState(Tenants({}), DeskState(self.incidents))
            state, effects = step_desk(state, stimulus, Rules({}))
            self.incidents = state.desk.incidents
            for effect in effects:
                assert isinstance(effect, Send)
                writer.enqueue(change, effect, stimulus.at)
            if isinstance(stimulus, MessageLost):
                writer.requeue_replies(change, stimulus.incident, stimulus.at)
            self.delivery.offer(change.deliveries.values())
        self.handled += self.submitted
        self.submitted.clear()

    def _submit(self, stimulus: Stimulus) -> None:
        self.submitted.append(stimulus)
        if not self.is_stuck:
            self.commit_submitted()

    def _view(self) -> View:
        return View(self.clock.now(), Rules({}), Tenants({}), DeskState(self.incidents))


def deliver(
    *deliveries: Delivery,
    prepare: Callable[[Bench], Any] = lambda _: None,
    store: MemoryStore | None = None,
    for_s: float = 500.0,
) -> Bench:
    """Resume with deliveries, and let time pass."""
    benches: list[Bench] = []

    async def main(loop: VirtualLoop) -> None:
        bench = Bench(loop, store or MemoryStore())
        benches.append(bench)
        prepare(bench)
        now = bench.clock.now()
        bench.delivery.offer(recover(each, now) for each in deliveries)
        task = loop.create_task(bench.delivery.run())
        await bench.clock.sleep(for_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run_virtually(main)
    return benches[0]


def failing(key: str, *errors: Exception) -> Callable[[Bench], None]:
    return lambda bench: bench.errors.update({key: list(errors)})


def with_message(bench: Bench) -> None:
    """Incident 1 has its message in the channel."""
    bench.incidents[1] = replace(INCIDENT, message=IncidentMessage(MESSAGE))


@pytest.mark.parametrize("errors", [(), (LOST,), (CUT_OFF, LOST)])
def test_which_posts_may_be_there_twice(errors: tuple[Exception, ...]) -> None:
    """Those that were sent more than once: copies of them are looked for."""
    bench = deliver(POST, prepare=failing(POST.key, *errors))

    assert [*bench.delivery.repeated] == [1] * bool(errors)


def test_posts_that_may_be_there_twice_after_a_restart() -> None:
    """The next process looks for copies as well, and sends nothing for that."""
    known = replace(POST, status=DeliveryStatus.SENT, tries=2)

    bench = deliver(known, prepare=with_message)

    assert bench.delivery.repeated == {1: known}
    assert bench.attempts == []


def test_a_lane_keeps_its_order() -> None:
    """The post, then its edit and its reply, each when the one before is done."""
    bench = deliver(REPLY, EDIT, POST)

    assert [key for _, key in bench.attempts] == [POST.key, EDIT.key, REPLY.key]
    assert bench.delivery.depth == 0


def test_each_attempt_is_committed_before_it_is_sent() -> None:
    """After a crash at any moment it is known that the message may have been posted."""
    bench = deliver(POST, prepare=failing(POST.key, CUT_OFF))

    assert bench.committed == [(DeliveryStatus.SENDING, 1), (DeliveryStatus.SENDING, 2)]


def test_a_lane_waits_until_its_post_is_committed() -> None:
    """An edit that is sent earlier would hide the post from a search after a crash."""
    bench = deliver(POST, EDIT, prepare=lambda bench: setattr(bench, "is_stuck", True))

    assert bench.attempts == [(0.0, POST.key)]
    assert (bench.delivery.depth, bench.delivery.waiting_s) == (2, 500.0)


def test_a_refusal_holds_its_own_lane_only() -> None:
    """It waits as long as Slack asks; the other lanes go on."""
    limited = refusal("ratelimited", 30.0)
    bench = deliver(POST, EDIT, ANSWER, prepare=failing(POST.key, limited))

    attempts = [(0.0, POST.key), (0.0, ANSWER.key), (30.1, POST.key), (30.2, EDIT.key)]
    assert sorted(bench.attempts) == sorted(attempts)


def test_edits_wait_while_another_process_may_have_taken_over() -> None:
    """They would overwrite its own. What people must see leaves from a process without database."""
    posts = [of_incident(number, POST) for number in (2, 3)]
    call = Call(3, CallReason.BEGUN, 900.0)
    replies = of_incident(2, REPLY), replace(of_incident(3, REPLY), call=call)
    store = UnsureStore(hears_at=10.0, has_it_at=60.0)

    bench = deliver(POST, EDIT, ANSWER, *posts, *replies, store=store)

    left = {key: at for at, key in bench.attempts}
    urgent = {POST.key, ANSWER.key, "2:post:1", "3:post:1", "3:reply:1"}
    assert {key for key, at in left.items() if 10.0 <= at < 20.0} == urgent
    assert {key for key, at in left.items() if at >= 60.0} == {EDIT.key, "2:reply:1"}


def test_attempts_back_off() -> None:
    """The waits grow to a minute, and the attempts never end."""
    bench = deliver(POST, prepare=failing(POST.key, *[CUT_OFF] * 7))

    times = [at for at, _ in bench.attempts]
    waits = [round(b - a - 0.1) for a, b in pairwise(times)]
    assert waits == [1, 2, 5, 15, 30, 60, 60]


def hang(bench: Bench) -> None:
    bench.sending_s = 1000.0


def test_a_try_that_never_ends_is_given_up() -> None:
    """Its message may have arrived, so that is searched for, and then it is sent again."""
    bench = deliver(POST, prepare=hang)

    assert [at for at, _ in bench.searched][:1] == [SEND_LIMIT_S + SETTLE_S]
    assert len(bench.attempts) > 1


def test_a_search_that_never_ends_is_given_up() -> None:
    """It is searched again, and in the end the message is sent again, labelled."""

    def prepare(bench: Bench) -> None:
        bench.errors, bench.searching_s = {POST.key: [LOST]}, 1000.0

    bench = deliver(POST, prepare=prepare)

    assert len(bench.searched) > 1
    assert bench.labelled == [POST.key]


def lose(bench: Bench) -> None:
    bench.errors = {CALL.key: [LOST], "search": [CUT_OFF] * 99}


CALL = replace(POST, call=Call(1, CallReason.BEGUN, -7.0))
STEP = replace(REPLY, call=Call(1, CallReason.UNACKNOWLEDGED, -7.0, 2))
PAGE = Paging(1, "pager", PagerAction.TRIGGER)
DIRECT = Delivery("1:direct:1", "direct:1", 1, DirectMessage(1, "U1"), 0.0, call=STEP.call)


@pytest.mark.parametrize(
    "prepare",
    [
        failing(CALL.key, *[CUT_OFF] * 7),
        failing(CALL.key, refusal("is_archived"), *[CUT_OFF] * 7),
        failing(CALL.key, refusal("ratelimited", 300.0)),
        failing(CALL.key, refusal("ratelimited", 86_400.0)),
        failing(CALL.key, CUT_OFF, CUT_OFF, refusal("ratelimited", 86_400.0)),
        hang,
        lose,
        lambda bench: bench.delivery._limits.hold("channel", 1000.0),
    ],
    ids=["refused", "archived", "300", "86400", "mixed", "hangs", "lost", "queued"],
)
def test_a_call_that_slack_does_not_take_goes_beyond_it(prepare: Callable[[Bench], Any]) -> None:
    """A minute after it was decided, once, however its tries go: the clock is its own."""
    bench = deliver(CALL, prepare=prepare)

    assert bench.overdue == [(53.0, "begun")]


@pytest.mark.parametrize("call", [STEP, DIRECT])
def test_each_kind_of_call_goes_beyond_slack(call: Delivery) -> None:
    """A line in the thread that waits for the message, and a direct message."""
    bench = deliver(
        *(POST, call),
        prepare=lambda bench: bench.errors.update(
            {each.key: [CUT_OFF] * 99 for each in (POST, call)}
        ),
    )

    assert bench.overdue == [(53.0, "unacknowledged")]


def test_a_call_that_slack_takes_stays_in_slack() -> None:
    """Also where the engine cannot commit that for minutes; what is no call never leaves it."""
    assert deliver(CALL, STEP).overdue == []
    assert deliver(REPLY, prepare=failing(REPLY.key, *[CUT_OFF] * 7)).overdue == []
    stuck = deliver(CALL, prepare=lambda bench: setattr(bench, "is_stuck", True))
    assert [type(each) for each in stuck.submitted] == [Delivered, CallTaken]


def test_a_page_that_is_not_taken_in_time_is_made_in_other_ways_and_tried_on() -> None:
    """The contact point is named, and has it once it works again."""
    page = Delivery("1:page:1", "page:1", 1, PAGE, 0.0, call=STEP.call)
    bench = deliver(page, prepare=failing(page.key, *[CUT_OFF] * 7))

    assert bench.overdue == [(53.0, "unacknowledged")]
    assert bench.delivery.depth == 0


def test_a_page_that_some_recipients_have_is_taken() -> None:
    """The others are tried again, and no other way is."""
    page = Delivery("1:page:1", "page:1", 1, PAGE, 0.0, call=STEP.call)
    some = Doubt("mail", "some have it", has_reached=True)
    bench = deliver(page, prepare=failing(page.key, *[some] * 5))

    assert bench.overdue == []
    assert len(bench.attempts) == 6


def test_whoever_is_in_do_not_disturb_is_named() -> None:
    """Slack took the message, and they do not hear it."""
    bench = deliver(DIRECT, prepare=lambda bench: setattr(bench, "asleep_until", 10.0))
    (taken,) = [each for each in bench.handled if isinstance(each, CallTaken)]

    assert taken.unreached == {"U1": "in_dnd"}


def test_a_call_that_slack_will_never_take_is_made_in_another_way_at_once() -> None:
    """The person is not in this workspace: the delivery ends with the commit of what follows."""
    refused = failing(DIRECT.key, refusal("user_not_found"))
    bench = deliver(DIRECT, prepare=refused)

    assert bench.refused == [(0.1, "user_not_found")]
    assert bench.delivery.depth == 0


def test_an_old_call_goes_beyond_slack_at_the_start() -> None:
    """Whatever a crash left of it: waiting, being sent, in doubt."""
    for status in (DeliveryStatus.PENDING, DeliveryStatus.SENDING, DeliveryStatus.DOUBT):
        old = replace(CALL, status=status, created_at=-61.0, due_at=900.0)
        bench = deliver(replace(old, call=Call(1, CallReason.BEGUN, -61.0)), for_s=3.0)

        assert bench.overdue == [(0.0, "begun")]


def test_messages_come_one_a_second() -> None:
    """Over all incidents; edits and answers do not wait."""
    others = [of_incident(number, POST) for number in (2, 3)]
    bench = deliver(POST, *others, of_incident(3, EDIT), ANSWER)

    assert [at for at, key in bench.attempts if "post" in key] == [0.0, 1.0, 2.0]
    assert (2.1, "3:edit:1") in bench.attempts
    assert (0.0, ANSWER.key) in bench.attempts


def in_channel(number: int, body: ChannelBody) -> Delivery:
    return Delivery(f"channel:{number}", f"channel:{number}", 1, body, 0.0)


def beyond(body: DirectBody | Paging) -> Delivery:
    return Delivery("1:beyond:1", "beyond:1", 1, body, 0.0)


SEARCHED_FOR = (
    POST,
    REPLY,
    in_channel(1, SilenceAnnouncement(Silence(1, ALL_SIGNALS, 0.0, 60.0, "U1", "a test"))),
    in_channel(2, OverrideAnnouncement(Shift("U1", 0.0, 60.0), "U2")),
    in_channel(3, ReportDue(7 * 86400.0)),
    in_channel(4, CatchUp((1, 2))),
    in_channel(5, CrossPost(1, "C2")),
    in_channel(6, NobodyReached(1, "C1")),
    in_channel(7, Greeting(("prod",))),
)
REPEATED = (
    EDIT,
    ANSWER,
    beyond(DirectMessage(1, "U1")),
    beyond(DirectEdit(1, MESSAGE)),
    beyond(DirectEntry(1, "U1", AcknowledgedEntry(0.0, "U2", taken_from="U1"))),
    beyond(Paging(1, "pager", PagerAction.TRIGGER)),
)


def type_of(delivery: Delivery) -> type:
    return type(delivery.body)


def test_every_kind_of_message_is_searched_for_or_may_be_repeated() -> None:
    """The two tests below leave none out."""
    assert {*map(type_of, SEARCHED_FOR + REPEATED)} == {*get_args(Body)}


@pytest.mark.parametrize("doubtful", SEARCHED_FOR, ids=type_of)
def test_what_may_have_arrived_is_searched_for(doubtful: Delivery) -> None:
    """After 40 s; it is sent again only if it is not there."""

    def prepare(bench: Bench, *, is_there: bool) -> None:
        bench.errors[doubtful.key] = [LOST]
        if is_there:
            bench.in_channel[doubtful.key] = MESSAGE

    all_of_them = {each.key: each for each in (POST, doubtful)}.values()
    there = deliver(*all_of_them, prepare=lambda bench: prepare(bench, is_there=True))
    missing = deliver(*all_of_them, prepare=lambda bench: prepare(bench, is_there=False))

    (began,) = [at for at, key in there.attempts if key == doubtful.key]
    assert there.searched == [(round(began + 40.1, 3), doubtful.key)]
    again = [at for at, key in missing.attempts if key == doubtful.key]
    assert len(again) == 2
    assert there.delivery.depth == missing.delivery.depth == 0
    assert there.labelled == missing.labelled == []


@pytest.mark.parametrize("doubtful", REPEATED, ids=type_of)
def test_what_harms_nobody_twice_is_repeated(doubtful: Delivery) -> None:
    """Nobody sees whether a message was edited twice; the others reach one person or pager only.

    There a message twice is better than one that waits 40 seconds for a search.
    """
    bench = deliver(POST, doubtful, prepare=failing(doubtful.key, LOST))

    assert bench.searched == []
    first, second = [at for at, key in bench.attempts if key == doubtful.key]
    assert 1.0 < second - first < 1.5
    assert bench.delivery.depth == 0


def joined(number: int, name: str, *, due_at: float = 0.0) -> Delivery:
    """A line that waits for more of its kind if it has a due time."""
    body = Reply(1, JoinedEntry(0.0, tenants=(name,)))
    return Delivery(f"1:reply:{number}", "incident:1", number + 1, body, 0.0, due_at=due_at)


def names_sent(bench: Bench) -> list[tuple[str, ...]]:
    return [entry.tenants for entry in bench.lines if isinstance(entry, JoinedEntry)]


def test_lines_that_wait_are_sent_together() -> None:
    """When the first of them is due; an edit between them keeps its own due time."""
    edit = replace(EDIT, seq=3, due_at=5.0)
    bench = deliver(POST, joined(1, "a", due_at=30.0), edit, joined(3, "b", due_at=40.0))

    assert names_sent(bench) == [("a", "b")]
    assert [at for at, _ in bench.attempts[1:]] == [5.0, 30.0]
    assert bench.delivery.depth == 0


def test_what_waits_goes_out_before_what_does_not() -> None:
    """The thread keeps its order: the tenants that failed stand above who acknowledged."""
    bench = deliver(POST, joined(1, "a", due_at=30.0), replace(REPLY, key="1:reply:9", seq=9))

    assert [key for _, key in bench.attempts] == [POST.key, "1:reply:1", "1:reply:9"]
    assert bench.attempts[-1][0] < 3.0


def test_a_call_that_is_needless_by_now_keeps_its_place() -> None:
    """Only what wakes people overtakes what stands before it in the thread."""
    acknowledged = replace(
        INCIDENT,
        message=IncidentMessage(MESSAGE),
        life=IncidentLife(0.0, acknowledged=Acknowledgement("U1", 5.0)),
    )
    line = replace(REPLY, body=Reply(1, ReopenedEntry(0.0)))
    bench = deliver(
        *(line, replace(STEP, key="1:reply:2", seq=4, body=Reply(1, MentionEntry(0.0)))),
        prepare=lambda bench: bench.incidents.update({1: acknowledged}),
    )

    assert [key for _, key in bench.attempts] == ["1:reply:1", "1:reply:2"]


def test_what_notifies_people_goes_first() -> None:
    """Then new incidents, then lines in threads; a direct message waits for none of them."""
    messages = {
        number: replace(INCIDENT, id=number, message=IncidentMessage(MESSAGE))
        for number in (1, 2, 3)
    }
    line = replace(REPLY, body=Reply(1, ReopenedEntry(0.0)))
    direct = Delivery("1:direct:1", "direct:1", 1, DirectMessage(1, "U1"), 0.0)
    bench = deliver(
        *(line, of_incident(2, line), of_incident(4, POST), of_incident(3, STEP), direct),
        prepare=lambda bench: bench.incidents.update(messages),
        for_s=10.0,
    )

    assert bench.attempts == [
        *((0.0, "3:reply:1"), (0.0, "1:direct:1")),
        *((1.0, "4:post:1"), (2.0, "1:reply:1"), (3.0, "2:reply:1")),
    ]


@pytest.mark.parametrize(
    ("error", "after_s"),
    [(CUT_OFF, 180.0), (refusal("missing_scope"), 40.0), (refusal("too_many_messages"), 40.0)],
)
def test_what_cannot_be_searched_for_is_sent_again_with_a_label(
    error: Exception, after_s: float
) -> None:
    """A possible double is better than a lost message; where a later search may work, after it."""

    def prepare(bench: Bench) -> None:
        bench.errors = {POST.key: [LOST], "search": [error] * 99}

    bench = deliver(POST, prepare=prepare)

    assert after_s <= bench.attempts[-1][0] < after_s + 15.0
    assert bench.labelled == [POST.key]


def test_a_post_that_its_incident_knows_is_not_searched_for() -> None:
    """The incident was committed, its delivery was not: an edit may have hidden the key by now."""
    bench = deliver(replace(POST, status=DeliveryStatus.SENDING), prepare=with_message)

    assert (bench.attempts, bench.searched, bench.delivery.depth) == ([], [], 0)


@pytest.mark.parametrize("code", ["message_not_found", "edit_window_closed", "is_inactive"])
def test_a_message_that_was_deleted_is_posted_again(code: str) -> None:
    """Its edit is given up, since the new message shows the newest state; its replies follow."""

    def prepare(bench: Bench) -> None:
        with_message(bench)
        bench.errors = {EDIT.key: [refusal(code)]}

    bench = deliver(EDIT, REPLY, prepare=prepare)

    assert [key for _, key in bench.attempts] == [EDIT.key, "1:post:2", REPLY.key]
    assert bench.incidents[1].message.posts == 2
    assert bench.delivery.depth == 0


@pytest.mark.parametrize("waiting", [(), (replace(EDIT, due_at=30.0),)])
def test_a_message_that_may_be_gone(waiting: tuple[Delivery, ...]) -> None:
    """It is updated at once, which finds out, unless an update waits; it is then posted again."""

    def prepare(bench: Bench) -> None:
        with_message(bench)
        bench.delivery.offer(waiting)
        bench.errors["1:gone:0.000"] = [refusal("message_not_found")]
        bench.delivery.update_soon(1)
        bench.delivery.update_soon(1)

    bench = deliver(prepare=prepare)

    keys = [key for _, key in bench.attempts]
    assert keys == (["1:edit:1"] if waiting else ["1:gone:0.000", "1:post:2"])


def test_a_reply_to_a_deleted_message_goes_to_the_new_one() -> None:
    """With all that waits behind it, in its order."""
    later = replace(REPLY, key="1:reply:2", seq=4)

    def prepare(bench: Bench) -> None:
        with_message(bench)
        bench.errors = {REPLY.key: [refusal("thread_not_found")]}

    bench = deliver(REPLY, later, prepare=prepare)

    keys = [key for _, key in bench.attempts]
    assert keys == [REPLY.key, "1:post:2", REPLY.key, later.key]
    assert bench.delivery.depth == 0


def test_a_message_is_posted_again_once() -> None:
    """What is refused while the new message is not there yet is given up, and posts no third."""
    other = replace(EDIT, key="1:edit:2", seq=2)
    bench = deliver(other, prepare=failing(other.key, refusal("message_not_found")))

    assert [key for _, key in bench.attempts] == [other.key]
    assert bench.delivery.depth == 0


def test_an_answer_that_nobody_can_receive_is_given_up() -> None:
    """The person left the channel, or the question is half an hour old."""
    gone = deliver(ANSWER, prepare=failing(ANSWER.key, refusal("user_not_in_channel")))
    late = deliver(replace(ANSWER, due_at=1900.0), for_s=2000.0)

    assert (len(gone.attempts), gone.delivery.depth) == (1, 0)
    assert (late.attempts, late.delivery.depth) == ([], 0)


def test_a_full_disk_stops_no_alert() -> None:
    """An alert without a record is better than none."""
    bench = deliver(POST, EDIT, store=FullStore())

    assert [key for _, key in bench.attempts] == [POST.key, EDIT.key]


def test_a_message_that_cannot_be_rendered_stops_no_other() -> None:
    """It is sent again until it works; the other lanes go on."""
    broken = [KeyError("ts")] * 3
    bench = deliver(POST, of_incident(2, POST), prepare=failing(POST.key, *broken))

    assert [key for _, key in bench.attempts].count(POST.key) == 4
    assert (1.0, "2:post:1") in bench.attempts
    assert bench.delivery.depth == 0


def test_a_refusal_is_described_as_what_it_was() -> None:
    """Who was not reached refused nothing."""
    assert CUT_OFF.describe("a post") == "Slack was not reached with a post"
    assert refusal("is_archived").describe("a post") == "Slack refused a post: is_archived"
