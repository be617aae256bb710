"""Anything that can happen to the desk, in any order, and what must always hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from bot.core import step
from bot.core.commands.parse import parse_request
from bot.core.model.access import Access, Person
from bot.core.model.command import ALL_SIGNALS, Escalate, Request
from bot.core.model.observation import Fault, Observation, Outcome, Severity, Stage, Target
from bot.core.model.wall_clock import RecurringTime
from bot.core.oncall import CallReason, EscalationPolicy, EscalationStep, Shift, Shifts
from bot.core.state.desk import BotState, DeskState
from bot.core.state.incident import IncidentKind, IncidentState, MessageRef
from bot.core.state.outbox import (
    Answer,
    Call,
    Delivery,
    DirectMessage,
    IncidentBody,
    PagerAction,
    Paging,
    Post,
    Reply,
)
from bot.core.state.rules import Recurrence
from bot.core.state.silence import MaintenanceWindow
from bot.core.state.stimulus import (
    CallOverdue,
    CallRefused,
    CallTaken,
    CommandReceived,
    Delivered,
    MessageLost,
    Observed,
    Send,
    ShiftsPolled,
    Started,
    Stimulus,
    Tick,
)
from bot.core.state.tenant import Tenants
from bot.core.state.timeline import (
    MentionEntry,
    MergedEntry,
    PagedEntry,
    ReopenedEntry,
    ResolvedEntry,
)
from bot.store.store import DESK_JSON, TENANT_JSON, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bot.core.state.stimulus import Effect

ANN, BEN, GUEST = "U0ANN", "U0BEN", "U0GUEST"
STEPS = (
    EscalationStep(0, "dm"),
    EscalationStep(60, "next"),
    EscalationStep(300, "pager"),
    EscalationStep(600, "mention"),
)
GIVEN: dict[str, Any] = {
    "mention": "@here",
    "policies": {
        Severity.CRITICAL: EscalationPolicy(STEPS, 2, 300),
        Severity.WARNING: EscalationPolicy(STEPS[2:]),
    },
    "contact_points": ("pager",),
    "remind_after_s": 300.0,
    "calendar_every_s": 300.0,
    "access": Access(administer=(ANN,)),
    "maintenance_windows": (
        MaintenanceWindow(RecurringTime(time(11)), 1800.0, "Europe/Berlin", ("eu",)),
    ),
    "report": Recurrence(RecurringTime(time(9), 0), "Europe/Berlin"),
}
GONE = Fault(Stage.HTTP, "http_503", 503)
SIGNALS = st.sampled_from(["prod.login", "prod.wellknown", "staging.login", "eu.login"])
NUMBERS = st.integers(1, 4)
SPANS = st.sampled_from([1.0, 20.0, 61.0, 299.0, 900.0, 7200.0])
SAID = st.sampled_from(
    [
        "ack",
        "ack #1 mine",
        "ack #2",
        "resolve anyway",
        "resolve #1 known",
        "resolve #2 anyway",
        "ack #1 take over",
        "hand-over #1",
        "note #1 <!channel> look",
        "false-alarm #1 a test",
        "silence prod 1m moving",
        "silence login 10m a test",
        "silence #1 1h quiet",
        "silence ALL 5m a test",
        "silence staging until 10:30 a test",
        "unsilence 1",
        "unsilence s2",
        "unsilence all",
        "unsilence #1",
        "oncall swap <@U0BEN> 10m",
        "oncall swap 1h",
        "run prod",
        "status",
        "audit",
    ]
)
CALLS = {MentionEntry, PagedEntry}
ENDS = {ResolvedEntry, MergedEntry}


def is_call(body: IncidentBody) -> bool:
    if isinstance(body, Reply):
        return type(body.entry) in CALLS
    return isinstance(body, DirectMessage) or (
        isinstance(body, Paging) and body.action is PagerAction.TRIGGER
    )


class Conversation(RuleBasedStateMachine):
    """Tenants and desk as the engine steps them, with people, and a world that fails."""

    def __init__(self, make: Callable[..., Any]) -> None:
        super().__init__()
        steps = make(**GIVEN)
        steps.healthy()
        self.fixed, self.now = steps.rules, steps.now
        self.state: BotState = steps.state
        self.keys: set[str] = set()
        self.ended: dict[int, bool] = {}
        """Of incidents whose opening was told: whether the end was told since."""
        self.asked = 0
        self.calls: dict[str, Send] = {}
        """Those of which it is not known what came of them, by key."""

    @property
    def desk(self) -> DeskState:
        return self.state.desk

    def step(self, stimulus: Stimulus) -> Sequence[Effect]:
        self.state, effects = step.step(self.state, stimulus, self.fixed)
        self.check(stimulus, effects)
        return effects

    @rule(where=SIGNALS, is_well=st.booleans(), times=st.integers(1, 8))
    def look(self, where: str, is_well: bool, times: int) -> None:  # noqa: FBT001 - drawn
        owner, name = where.split(".")
        for _ in range(times):
            self.now += 5.0
            outcome = Outcome.OK if is_well else Outcome.FAILED
            fault = None if is_well else GONE
            seen = Observation(Target(owner, name), self.now, outcome, 0.2, fault)
            self.step(Observed(self.now, seen))
        self.tick(1.0)

    @rule(span_s=SPANS)
    def tick(self, span_s: float) -> None:
        self.now += span_s
        self.step(Tick(self.now))
        due = step.due_at(self.state, self.fixed)
        assert due is None or due > self.now

    @rule(said=SAID, user=st.sampled_from([ANN, BEN]))
    def say(self, said: str, user: str) -> None:
        self.answered(said, Person(user))

    @rule(said=SAID)
    def say_without_a_right(self, said: str) -> None:
        before = self.desk
        effects = self.answered(said, Person(GUEST, is_guest=True))
        assert replace(self.desk, audit=before.audit) == before
        assert sum(isinstance(effect, Send) for effect in effects) == 1

    @rule(said=SAID)
    def say_without_the_right_to_administer(self, said: str) -> None:
        everything = {
            key: one for key, one in self.desk.silences.items() if one.about == ALL_SIGNALS
        }
        overrides = self.desk.overrides
        self.answered(said, Person(BEN))
        kept = {key: one for key, one in self.desk.silences.items() if one.about == ALL_SIGNALS}
        assert (kept, self.desk.overrides) == (everything, overrides)

    @rule(number=st.none() | NUMBERS)
    def escalate(self, number: int | None) -> None:
        self.answered(f"escalate #{number}" if number else "escalate", Person(BEN))

    @rule()
    def restart(self) -> None:
        states = self.state.tenants.states
        read = {name: decode(TENANT_JSON, encode(states[name]), name) for name in states}
        state = decode(DESK_JSON, encode(self.desk), "desk")
        assert (state, read) == (self.desk, states)
        self.state = BotState(Tenants(read), state)
        self.step(Started(self.now))

    @rule(number=NUMBERS)
    def lose_message(self, number: int) -> None:
        if number in self.ended:
            self.step(MessageLost(self.now, number))

    @rule(number=NUMBERS, reason=st.sampled_from(CallReason), ago_s=SPANS)
    def miss_call(self, number: int, reason: CallReason, ago_s: float) -> None:
        self.step(CallOverdue(self.now, Call(number, reason, self.now - ago_s)))

    @rule(place=st.integers(0, 5), outcome=st.sampled_from(["taken", "asleep", "gone", "late"]))
    def answer_call(self, place: int, outcome: str) -> None:
        """Let Slack or a contact point take one of the calls on their way, or not."""
        if not self.calls:
            return
        sent = self.calls.pop([*self.calls][place % len(self.calls)])
        assert sent.call
        delivery = Delivery(sent.key, sent.lane, 1, sent.body, self.now, call=sent.call)
        point = sent.body.contact_point if isinstance(sent.body, Paging) else ""
        match outcome:
            case "gone":
                self.step(CallRefused(self.now, delivery, "user_not_found"))
            case "late":
                self.step(CallOverdue(self.now, sent.call, point))
            case _:
                asleep = dict.fromkeys(
                    (ANN, BEN) if outcome == "asleep" and not point else (), "in_dnd"
                )
                self.step(CallTaken(self.now, delivery, MessageRef("D1", sent.key), asleep))
        self.tick(1.0)

    @rule(number=NUMBERS)
    def deliver(self, number: int) -> None:
        if number in self.ended:
            self.step(Delivered(self.now, number, "C1", f"{number}.1", f"{number}:post:1"))

    @rule(user=st.sampled_from([ANN, BEN, ""]), span_s=SPANS, fault=st.sampled_from(["", "gone"]))
    def read_shifts(self, user: str, span_s: float, fault: str) -> None:
        shift = Shift(user, self.now - 10, self.now + span_s, "" if user else "Zoe")
        self.step(ShiftsPolled(self.now, Shifts(self.now, () if fault else (shift,), fault)))

    def answered(self, said: str, person: Person) -> Sequence[Effect]:
        self.asked += 1
        request = Request(str(self.asked), self.now, user=person.id, channel="C1", person=person)
        request = parse_request(said, request, self.desk, self.fixed)
        effects = self.step(CommandReceived(self.now, request))
        answers = [e for e in effects if isinstance(e, Send) and isinstance(e.body, Answer)]
        assert len(answers) == 1
        return effects

    def check(self, stimulus: Stimulus, effects: Sequence[Effect]) -> None:
        sends = [effect for effect in effects if isinstance(effect, Send)]
        keys = {send.key for send in sends}
        assert len(keys) == len(sends)
        assert not keys & self.keys
        self.keys |= keys
        self.calls |= {send.key: send for send in sends if send.call}
        for send in sends:
            if isinstance(send.body, IncidentBody):
                self.check_said(send.body, stimulus)
        for incident in self.desk.incidents.values():
            if incident.id in self.ended and incident.kind is not IncidentKind.MONITORING_GAP:
                assert self.ended[incident.id] is not incident.is_open
        assert all(one.until > stimulus.at for one in self.desk.active_silences)

    def check_said(self, body: IncidentBody, stimulus: Stimulus) -> None:
        incident = self.desk.incidents[body.incident]
        assert not incident.notification.is_muted
        assert incident.id in self.ended or isinstance(body, Post)
        self.ended.setdefault(incident.id, False)
        if isinstance(body, Reply) and type(body.entry) in {*ENDS, ReopenedEntry}:
            self.ended[incident.id] = type(body.entry) in ENDS
        is_wanted = isinstance(stimulus, CommandReceived) and isinstance(
            stimulus.request.command, Escalate
        )
        acknowledged = incident.life.acknowledged
        match stimulus:
            case (
                CallOverdue(call=call)
                | CallRefused(delivery=Delivery(call=Call() as call))
                | CallTaken(delivery=Delivery(call=Call() as call))
            ):
                is_newer = acknowledged is None or call.decided_at > acknowledged.at
            case _:
                is_newer = False
        is_open = incident.state is IncidentState.OPEN
        assert not is_call(body) or is_wanted or is_newer or is_open


@pytest.mark.no_cover
def test_whatever_happens_in_whatever_order(make: Callable[..., Any]) -> None:
    """Acknowledged incidents call nobody, muted ones post nothing, each end is posted."""

    class Made(Conversation):
        def __init__(self) -> None:
            super().__init__(make)

    run_state_machine_as_test(
        Made,
        settings=settings(
            max_examples=100, stateful_step_count=40, deadline=None, derandomize=True
        ),
    )
