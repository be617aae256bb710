from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, time
from typing import TYPE_CHECKING, Any

import pytest

from bot.core import step as core
from bot.core.commands.parse import parse_request
from bot.core.model.access import Access, Person
from bot.core.model.command import Request
from bot.core.model.measurement import ChangeMade, ExternalAlert, Measurement, Push
from bot.core.model.observation import (
    CONTROL,
    Fault,
    FeedReading,
    FeedState,
    Observation,
    Outcome,
    Phase,
    Severity,
    Stage,
    StatusIncident,
    Target,
)
from bot.core.model.wall_clock import RecurringTime
from bot.core.oncall import EscalationPolicy, EscalationStep, Rotation
from bot.core.state.desk import BotState, DeskState
from bot.core.state.incident import MessageRef
from bot.core.state.outbox import (
    Answer,
    AnswerResult,
    Delivery,
    DirectMessage,
    Greeting,
    Paging,
    Reply,
)
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import (
    CallRefused,
    CallTaken,
    CommandReceived,
    Delivered,
    DeskStimulus,
    Effect,
    FeedPolled,
    Measured,
    Observed,
    Pushed,
    Send,
    Started,
    Stimulus,
    TenantStimulus,
    Tick,
)
from bot.core.state.tenant import Tenants, TenantState

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.core.state.timeline import TimelineEntry

START = 1_772_445_600.0
ANN = "U0ANN"
US, EU = Target("feed", "US-1"), Target("feed", "EU-1")
NEUTRAL = Target(CONTROL, "neutral")
GONE = Fault(Stage.HTTP, "http_503", 503)


def rules(**given: object) -> Rules:
    """Return the rules of two tenants in US-1 and one in EU-1, and a control endpoint."""
    tenants = {
        "prod": TenantRules("prod", "acme.us.auth0.com", "US-1", feed=US),
        "staging": TenantRules("staging", "acme-staging.us.auth0.com", "US-1", feed=US),
        "eu": TenantRules("eu", "acme.eu.auth0.com", "EU-1", feed=EU),
    }
    kept = {"tenants": tenants, "controls": (NEUTRAL,), "feeds": (US, EU), **given}
    return Rules(**kept)  # type: ignore[arg-type]  # given by the test


@dataclass
class Steps:
    """The bot's state, stepped by hand. Whatever calls people is taken at once."""

    rules: Rules
    refusing: dict[str, str] = field(default_factory=dict)
    """Contact points and people who take no call, and why."""
    is_deaf: bool = False
    """Nothing is taken, and nothing refused."""
    asleep: set[str] = field(default_factory=set)
    """People in Do Not Disturb."""
    state: BotState = field(init=False)
    now: float = START
    effects: list[Effect] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.state = BotState(
            Tenants({name: TenantState() for name in self.rules.tenants}), DeskState()
        )
        self.step(Started(self.now))

    @property
    def world(self) -> Tenants:
        return self.state.tenants

    @world.setter
    def world(self, tenants: Tenants) -> None:
        self.state = replace(self.state, tenants=tenants)

    @property
    def desk(self) -> DeskState:
        return self.state.desk

    @desk.setter
    def desk(self, desk: DeskState) -> None:
        self.state = replace(self.state, desk=desk)

    def step(self, stimulus: Stimulus) -> list[Effect]:
        return self._after(core.step(self.state, stimulus, self.rules))

    def tenant(self, name: str, stimulus: TenantStimulus) -> list[Effect]:
        return self._after(core.step_tenant(self.state, name, stimulus, self.rules))

    def on_desk(self, stimulus: DeskStimulus) -> list[Effect]:
        return self._after(core.step_desk(self.state, stimulus, self.rules))

    def _after(self, stepped: tuple[BotState, list[Effect]]) -> list[Effect]:
        self.state, effects = stepped
        self.effects += effects
        calls = [e for e in effects if isinstance(e, Send) and e.call and not self.is_deaf]
        answers = [self.answer(sent) for sent in calls]
        return [*effects, *(more for answer in answers for more in self.step(answer))]

    def answer(self, sent: Send) -> Stimulus:
        """Return what Slack or a contact point makes of a call."""
        delivery = Delivery(sent.key, sent.lane, 1, sent.body, self.now, call=sent.call)
        match sent.body:
            case Paging(contact_point=name) | DirectMessage(person=name) if name in self.refusing:
                return CallRefused(self.now, delivery, self.refusing[name])
        message = MessageRef("D1", sent.key) if isinstance(sent.body, DirectMessage) else None
        return CallTaken(self.now, delivery, message, dict.fromkeys(self.asleep, "in_dnd"))

    def wait(self, span_s: float) -> None:
        self.now += span_s

    def see(self, where: str, fault: Fault | None = None, blind: str = "") -> list[Effect]:
        """Let one probe have a result: `prod.login`, or `control.neutral`."""
        owner, name = where.split(".")
        outcome = Outcome.NO_DATA if blind else Outcome.FAILED if fault else Outcome.OK
        seen = Observation(Target(owner, name), self.now, outcome, 0.2, fault, blind)
        return self.step(Observed(self.now, seen))

    def see_slowly(self, where: str, latency_s: float) -> list[Effect]:
        """Let one probe succeed after so long."""
        owner, name = where.split(".")
        seen = Observation(Target(owner, name), self.now, Outcome.OK, latency_s)
        return self.step(Observed(self.now, seen))

    def tick(self, name: str) -> list[Effect]:
        return self.tenant(name, Tick(self.now))

    def starve(self, *names: str) -> None:
        """Let five minutes pass in which tenants are probed, and no result comes."""
        for span_s in (*[60.0] * 5, 1.0):
            self.wait(span_s)
            for name in names:
                self.tick(name)

    def healthy(self) -> None:
        """Let every probe succeed."""
        for name, one in self.rules.tenants.items():
            for signal in one.probes:
                self.see(f"{name}.{signal}")
        for control in self.rules.controls:
            self.see(str(control))

    def fail(self, where: str, times: int = 5, fault: Fault = GONE) -> None:
        """Let a signal fail this often, five seconds apart."""
        for _ in range(times):
            self.wait(5)
            self.see(where, fault)

    def count(self, where: str, **figures: Any) -> list[Effect]:
        """Let a source report: `prod.checkout`, `failed=3, total=100`, or `no_data_reason=…`."""
        owner, name = where.split(".")
        if not figures.get("no_data_reason"):
            figures = {"span_s": 30.0, "total": 0.0, **figures}
        stimulus = Measured(self.now, Measurement(Target(owner, name), self.now, **figures))
        return self.step(stimulus)

    def push(self, *items: ExternalAlert | ChangeMade) -> list[Effect]:
        """Let a webhook receive something."""
        stimulus = Pushed(self.now, Push(f"push {self.now}", self.now, items))
        effects = [e for name in self.rules.tenants for e in self.tenant(name, stimulus)]
        return effects + self.on_desk(stimulus)

    def read(self, target: Target, *notices: StatusIncident) -> None:
        reading = FeedReading(target, self.now, FeedState.OK, notices)
        self.on_desk(FeedPolled(self.now, reading))

    @property
    def incidents(self) -> list[Incident]:
        return list(self.desk.incidents.values())

    def bodies(self, since: int = 0) -> list[Any]:
        """What was sent, from a number of effects on; not the greeting, which each start sends."""
        sent = (effect.body for effect in self.effects[since:] if isinstance(effect, Send))
        return [body for body in sent if not isinstance(body, Greeting)]

    def entries(self, since: int = 0) -> list[type[TimelineEntry]]:
        """The kinds of timeline entries that were sent."""
        return [type(body.entry) for body in self.bodies(since) if isinstance(body, Reply)]

    def ask(self, text: str, user: str = ANN, **more: Any) -> AnswerResult:
        """Let a person send a command; return its result."""
        request = Request(
            f"ask {len(self.effects)}",
            self.now,
            user=user,
            channel="C1",
            **{"person": Person(user), **more},
        )
        request = parse_request(text, request, self.desk, self.rules)
        self.on_desk(CommandReceived(self.now, request))
        answers = [body for body in self.bodies() if isinstance(body, Answer)]
        result = answers[-1].result
        assert isinstance(result, AnswerResult)
        return result

    def later(self, span_s: float) -> None:
        """Let time pass, with an outage of prod going on and the desk woken.

        It is probed every five seconds, and after ten minutes every thirty, as by the bot.
        """
        begun = self.now
        while (left_s := begun + span_s - self.now) > 0:
            self.wait(min(left_s, 5 if self.now < begun + 600 else 30))
            self.see("prod.login", GONE)
            self.on_desk(Tick(self.now))


def notice(
    title: str = "Login errors", phase: Phase = Phase.INVESTIGATING, at: float = START
) -> StatusIncident:
    return StatusIncident(
        "a1", title, phase, "We look.", "https://status.auth0.com/incidents/a1", at, at
    )


@pytest.fixture
def make_notice() -> object:
    return notice


@pytest.fixture
def make_rules() -> object:
    return rules


class Make:
    """Steps by other rules."""

    rotation = Rotation(
        ("U0CAT", "U0DAN"), RecurringTime(time(9), 0), "Europe/Berlin", date(2026, 3, 2)
    )

    policy = EscalationPolicy(
        (
            EscalationStep(0, "dm"),
            EscalationStep(300, "next"),
            EscalationStep(600, "pager"),
            EscalationStep(900, "mention"),
        ),
        1,
        1200,
    )

    def __call__(self, **given: object) -> Steps:
        return Steps(rules(**given))

    def access(self, **given: tuple[str, ...]) -> Access:
        return Access(**given)


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def steps() -> Steps:
    made = Steps(rules())
    made.healthy()
    return made


@pytest.fixture
def new_steps() -> Steps:
    """Just started, without any result."""
    return Steps(rules())


@pytest.fixture
def down(make: Make) -> Steps:
    """A posted outage of prod's login, with a paging policy for critical incidents."""
    made = make(
        mention="@here",
        policies={Severity.CRITICAL: make.policy},
        contact_points=("pager",),
        on_call=None,
    )
    made.healthy()
    made.fail("prod.login", 10)
    made.on_desk(Delivered(made.now, 1, "C1", "1.1", "1:post:1"))
    return made
