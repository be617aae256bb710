from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass
from datetime import time
from types import UnionType
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

import pytest

from bot.core.model.command import Acknowledge, AddSilence, Request
from bot.core.model.observation import Fault, Severity, Stage, Target
from bot.core.model.wall_clock import RecurringTime
from bot.core.oncall import EscalationPolicy, EscalationStep
from bot.core.state import clock_shift
from bot.core.state.desk import BotState
from bot.core.state.incident import IncidentKind, OwnFault, OwnFaultKind
from bot.core.state.outbox import Delivery, ReportDue
from bot.core.state.rules import Recurrence
from bot.core.state.stimulus import ClockCorrected, CommandReceived, Send, StartProbe, Tick

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.state.stimulus import Effect, Stimulus

GONE = Fault(Stage.HTTP, "http_503", 503)
HOUR = 3600.0
NO_INSTANTS = {
    *(
        "confidence",
        "values",
        "weight",
        "strength",
        "failed",
        "total",
        "baseline",
        "expected_failures",
    ),
    "earlier_share",
    *("score", "usual_rate", "amount", "calm", "fired_rate"),
    *("expected_successes", "phase", "recent", "seconds", "first_bad", "report_at", "reported_at"),
}
"""Fields with numbers that are no instants of the bot's clock, beside spans (`…_s`)."""
POLICY = EscalationPolicy(
    (EscalationStep(300.0, "mention"), EscalationStep(600.0, "pager")), repeat=2, every_s=600.0
)


def float_fields(kind: Any, seen: set[Any]) -> Iterator[tuple[type, str]]:
    """Yield the fields that hold numbers, of a record and all that is inside it."""
    if get_origin(kind) in {UnionType, Union, tuple, dict}:
        for each in get_args(kind):
            yield from float_fields(each, seen)
        return
    is_record = is_dataclass(kind) and isinstance(kind, type)
    if not is_record or kind in seen or issubclass(kind, clock_shift.FOREIGN):
        return
    seen.add(kind)
    hints = get_type_hints(kind, vars(sys.modules[kind.__module__]))
    for each in fields(kind):
        if "float" in str(hints[each.name]):
            yield kind, each.name
        yield from float_fields(hints[each.name], seen)


def test_every_number_of_the_state_is_known_as_an_instant_or_not() -> None:
    """By its name. A new field gets a name that says it, or is listed here."""
    seen: set[Any] = set()
    found = [*float_fields(BotState, seen), *float_fields(Delivery, seen)]

    assert len(found) > 60
    for kind, name in found:
        is_instant = bool(clock_shift.INSTANT.fullmatch(name))
        is_other = name.endswith("_s") or name in NO_INSTANTS
        assert is_instant is not is_other or name in NO_INSTANTS, f"{kind.__name__}.{name}"


class Play:
    """An outage with people, by the true time, on a host whose clock is corrected in the middle."""

    def __init__(self, make: Any, corrected_at: float, by_s: float) -> None:
        self.steps = make(
            mention="U0CHIEF", policies={Severity.CRITICAL: POLICY}, contact_points=("pager",)
        )
        self.begin = self.steps.now
        self.moved_s = 0.0
        self.sent: list[tuple[float, str]] = []
        self.checks: list[tuple[float, str]] = []
        for second in range(30, 2400, 30):
            self.steps.now = self.begin + self.moved_s + second
            if second == corrected_at:
                self.moved_s = by_s
                self.steps.now += by_s
                self.step(second, ClockCorrected(self.steps.now, by_s))
            self._live(second)
            self.step(second, Tick(self.steps.now))

    def _live(self, second: int) -> None:
        """Prod and eu fail for 25 minutes. Eu is silenced for ten, prod acknowledged in the end."""
        now, is_down = self.steps.now, 120 <= second < 1620
        if second == 90:
            silence = AddSilence(Target("eu", ""), now + 600, "an upgrade")
            self.step(second, command("s", silence, now))
        if second == 1200:
            number = next(i.id for i in self.steps.incidents if "prod" in i.tenants)
            self.step(second, command("a", Acknowledge(number), now))
        for name in ("prod", "eu"):
            self._record(second, self.steps.see(f"{name}.login", GONE if is_down else None))
        if second % 60 == 0:
            self._record(second, self.steps.see("staging.login"))

    def step(self, second: int, stimulus: Stimulus) -> None:
        self._record(second, self.steps.step(stimulus))

    def _record(self, second: int, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case StartProbe(target=target):
                    self.checks.append((second, str(target)))
                case Send(body=body) if not self._is_about_clock(body):
                    self.sent.append((second, type(body).__name__))

    def _is_about_clock(self, body: Any) -> bool:
        incident = self.steps.desk.incidents.get(getattr(body, "incident", 0))
        return incident is not None and incident.own_fault is not None


def command(name: str, what: Any, at: float) -> CommandReceived:
    return CommandReceived(at, Request(name, at, what, user="U1", channel="C1"))


@pytest.mark.parametrize("by_s", [-10 * HOUR, -75.0, HOUR])
def test_nothing_comes_late_or_twice_when_the_clock_is_corrected(make: Any, by_s: float) -> None:
    """Posts, mentions, steps, pages, the end of a silence: all at the same true time as without.

    So are the checks, as far as the minute in which they come does not move.
    """
    undisturbed = Play(make, -1.0, 0.0)
    assert len(undisturbed.sent) > 20
    for corrected_at in (60, 420, 1710):
        play = Play(make, corrected_at, by_s)
        assert play.sent == undisturbed.sent
        if by_s % 60 == 0:
            assert play.checks == undisturbed.checks


def test_a_correction_is_posted_once_for_information(steps: Any) -> None:
    """It says which way and how far, and is over."""
    steps.step(ClockCorrected(steps.now + HOUR, HOUR))

    (incident,) = steps.incidents
    assert (incident.severity, incident.is_open) == (Severity.INFO, False)
    assert incident.own_fault == OwnFault(OwnFaultKind.CLOCK_CORRECTED, ahead_s=-HOUR)


def test_what_others_say_of_the_time_does_not_move(steps: Any, make_notice: Any) -> None:
    """A post on the status page was posted when it was posted."""
    notice = make_notice(at=steps.now - 60)
    steps.read(steps.rules.feeds[0], notice)
    steps.now += HOUR
    steps.step(ClockCorrected(steps.now, HOUR))

    view = steps.desk.shared.feeds[steps.rules.feeds[0].name]
    assert view.status_incidents == (notice,)
    assert view.read_at == steps.now


def test_a_report_is_posted_once_for_its_time(make: Any) -> None:
    """The clock is set back over that time, and forward again."""
    steps = make(report=Recurrence(RecurringTime(time(10, 30)), "UTC"))  # it is 10:00
    reports = []
    for by_s in (0.0, 2400.0, -3600.0, 3600.0, -3600.0):
        steps.now += by_s
        steps.step(ClockCorrected(steps.now, by_s))
        reports += [e for e in steps.step(Tick(steps.now)) if is_report(e)]

    assert len(reports) == 1


def is_report(effect: Effect) -> bool:
    return isinstance(effect, Send) and isinstance(effect.body, ReportDue)


@pytest.mark.parametrize("slept_s", [1200.0, 8 * HOUR])
def test_a_machine_that_stood_still_has_a_gap_and_goes_on(steps: Any, slept_s: float) -> None:
    """A suspended host is no host that cannot check: the gap is over when it is noticed."""
    steps.step(Tick(steps.now))
    steps.now += slept_s
    effects = steps.step(Tick(steps.now))

    assert [i.kind for i in steps.incidents] == [IncidentKind.MONITORING_GAP]
    assert sum(isinstance(each, StartProbe) for each in effects) >= len(steps.rules.tenants)


def test_a_state_that_is_ahead_of_the_clock(steps: Any) -> None:
    """By as much as its newest sign of life; a state of the past is not."""
    assert clock_shift.seconds_ahead(steps.state, steps.now - 3 * HOUR) == 3 * HOUR
    assert clock_shift.seconds_ahead(steps.state, steps.now + 1) == 0.0
    back = clock_shift.shift(steps.state, -3 * HOUR)
    assert clock_shift.seconds_ahead(back, steps.now - 3 * HOUR) == 0.0
    assert clock_shift.shift(back, 3 * HOUR) == steps.state
