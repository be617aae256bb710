"""When people are called again: worse, wider, back, coming and going, corrected."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.incidents.recurrence import STICKY_RESOLVE_S
from bot.core.model.observation import Cause, Fault, Severity, Stage, Target
from bot.core.oncall import CallReason, CallsWhen, EscalationPolicy, EscalationStep
from bot.core.state.incident import IncidentState
from bot.core.state.outbox import Post, Reply
from bot.core.state.problem import Impact, Known
from bot.core.state.stimulus import Send, Tick
from bot.core.state.timeline import CorrectedEntry, MentionEntry

BEGUN, WORSE, WIDER, BACK, FLAPPING = (
    CallReason.BEGUN,
    CallReason.WORSE,
    CallReason.WIDER,
    CallReason.BACK,
    CallReason.FLAPPING,
)
GONE = Fault(Stage.HTTP, "http_503", 503)
CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


@pytest.fixture
def calm(make: Any) -> Any:
    """A healthy world whose logins have a usual latency; who is called is `mention`."""
    steps = make(mention="U0CHIEF")
    for _ in range(12):
        steps.wait(60)
        steps.healthy()
    return steps


def calls(steps: Any, since: int = 0) -> list[CallReason]:
    """The calls, without the alert where the mention that follows makes it."""
    return [e.call.reason for e in steps.effects[since:] if isinstance(e, Send) and e.call]


def slow_down(steps: Any) -> None:
    """Let prod's login be slow, which is a warning."""
    for _ in range(8):
        steps.wait(15)
        steps.see_slowly("prod.login", 4.0)


def partly(steps: Any, where: str, pattern: str, every_s: float = 10.0) -> None:
    """Let a login fail where the pattern has an x."""
    for each in pattern:
        steps.wait(every_s)
        steps.see(where, GONE if each == "x" else None)
        steps.on_desk(Tick(steps.now))


def fail_for(steps: Any, span_s: float, *tenants: str) -> None:
    """Let the logins of some tenants fail for a while, and the others and the control work."""
    end = steps.now + span_s
    while steps.now < end:
        steps.wait(10)
        for name in steps.rules.tenants:
            steps.see(f"{name}.login", GONE if name in tenants else None)
        steps.see("control.neutral")


@pytest.mark.parametrize(
    ("known", "now", "is_call"),
    [
        (Impact.SLOW, Impact.PART, False),
        (Impact.SLOW, Impact.DOWN, True),
        (Impact.PART, Impact.DOWN, True),
        (Impact.PART, Impact.ALL, True),
        (Impact.DOWN, Impact.MOST, False),
        (Impact.DOWN, Impact.ALL, True),
        (Impact.MOST, Impact.ALL, False),
        (Impact.ALL, Impact.PART, False),
    ],
)
def test_worse_is_beyond_what_was_known(known: Impact, now: Impact, *, is_call: bool) -> None:
    """Slow or a part becomes down, or half becomes all; a number that moves is nothing new."""
    before = Known(CRITICAL, {"prod": known})
    assert before.is_exceeded_by(Known(CRITICAL, {"prod": now})) is is_call


def test_a_graver_severity_needs_a_login_that_is_down() -> None:
    """The severity alone may move with the verdict."""
    before = Known(WARNING, {"prod": Impact.MOST})
    assert before.is_exceeded_by(Known(CRITICAL, {"prod": Impact.MOST}))
    assert not before.is_exceeded_by(Known(CRITICAL, {"prod": Impact.PART}))


@pytest.mark.parametrize("said", ["ack 1", "silence #1 2h known", "resolve 1 anyway"])
def test_what_was_slow_and_is_down_calls(calm: Any, said: str) -> None:
    """Though somebody acknowledged, silenced or resolved it: that was for what was slow.

    Not at the first failure, but once the login has met its own threshold; and once.
    """
    slow_down(calm)
    assert calls(calm) == []
    calm.ask(said)
    partly(calm, "prod.login", "xxxx")
    assert calls(calm) == []
    partly(calm, "prod.login", "x" * 40)

    (incident,) = calm.incidents
    assert calls(calm) == [WORSE]
    assert incident.state is IncidentState.OPEN
    assert not calm.desk.active_silences
    if said.startswith("ack"):
        ended = incident.life.acknowledgement_ended
        assert (ended.by, ended.impact) == ("U0ANN", Impact.SLOW)


@pytest.mark.parametrize("said", ["ack 1", "silence #1 2h known", "resolve 1 anyway"])
def test_what_was_down_and_stays_down_calls_nobody(calm: Any, said: str) -> None:
    """Also when another signal of the same outage follows."""
    partly(calm, "prod.login", "xxxxxx")
    calm.ask(said)
    since = len(calm.effects)
    for _ in range(40):
        partly(calm, "prod.login", "x", 5)
        partly(calm, "prod.wellknown", "x", 5)

    assert calls(calm, since) == []
    if said.startswith("resolve"):
        assert not calm.incidents[0].is_open


def test_an_outage_called_by_0_1_0_calls_for_what_is_new_only(calm: Any) -> None:
    """That version kept no record of what people knew when it called them."""
    partly(calm, "prod.login", "xoxoxoxoxoxoxoxo")
    (incident,) = calm.incidents
    notification = replace(incident.notification, known=None, called_at=None)
    calm.desk = calm.desk.with_incident(replace(incident, notification=notification))
    since = len(calm.effects)
    partly(calm, "prod.login", "xoxoxoxoxoxoxoxo")
    assert calls(calm, since) == []
    partly(calm, "prod.login", "x" * 25)
    assert calls(calm, since) == [WORSE]


def test_half_that_becomes_all_calls(calm: Any) -> None:
    """Once every try of a whole window failed, and not before."""
    partly(calm, "prod.login", "xoxoxoxoxoxoxoxo")
    since = len(calm.effects)
    partly(calm, "prod.login", "xoxoxoxoxoxoxoxoxo")
    calm.ask("ack 1")
    partly(calm, "prod.login", "o" + "x" * 19)
    assert calls(calm, since) == []
    partly(calm, "prod.login", "xx")

    assert calls(calm, since) == [WORSE]


def test_tenants_that_join_later_are_one_call(calm: Any) -> None:
    """The first one at once, the others after five minutes; the acknowledgement stays."""
    fail_for(calm, 200, "prod")
    calm.ask("ack 1")
    since = len(calm.effects)
    fail_for(calm, 150, "prod", "staging")
    assert calls(calm, since) == [WIDER]
    fail_for(calm, 100, "prod", "staging", "eu")
    assert calls(calm, since) == [WIDER]
    fail_for(calm, 300, "prod", "staging", "eu")

    assert calls(calm, since) == [WIDER, WIDER]
    (incident,) = calm.incidents
    assert incident.life.acknowledged_by == "U0ANN"


def test_a_tenant_that_fails_much_later_has_an_incident_of_its_own(calm: Any) -> None:
    """It calls at once, and says what may be the same cause; the two are not merged."""
    fail_for(calm, 200, "prod")
    calm.ask("ack 1")
    fail_for(calm, 900, "prod")
    since = len(calm.effects)
    fail_for(calm, 600, "prod", "staging")

    assert calls(calm, since) == [BEGUN]
    assert [(i.tenants, i.perhaps_same_as) for i in calm.incidents] == [
        (("prod",), None),
        (("staging",), 1),
    ]
    assert all(incident.is_open for incident in calm.incidents)


def test_what_was_called_for_is_known_where_it_is_merged(calm: Any, make_notice: Any) -> None:
    """The earlier incident called nobody; its thread goes on, and who has the later one has it."""
    for each in range(100):
        calm.wait(10)
        for name, fails in (("eu", each % 4 == 0), ("prod", each > 75), ("staging", False)):
            calm.see(f"{name}.login", GONE if fails else None)
        calm.see("control.neutral")
    assert [one.notification.known is None for one in calm.incidents] == [True, False]
    calm.ask("ack 2")
    since = len(calm.effects)
    for feed in ("US-1", "EU-1"):
        calm.read(Target("feed", feed), make_notice(at=calm.now))
    partly(calm, "prod.login", "x" * 30)

    first, second = calm.incidents
    assert second.life.merged_into == first.id
    assert first.life.acknowledged_by == "U0ANN"
    assert calls(calm, since) == []


def test_a_silenced_incident_hides_no_other_tenant(calm: Any) -> None:
    """Nobody was called for it yet: the tenant that joins calls at once."""
    calm.ask("silence staging 4h our migration")
    calm.fail("staging.login", 10)
    assert calls(calm) == []
    assert not any(isinstance(body, Post) for body in calm.bodies())
    calm.fail("prod.login", 10)

    assert any(isinstance(body, Post) for body in calm.bodies())
    assert MentionEntry in calm.entries()


@pytest.fixture(params=list(CallsWhen)[:2], ids=["staging may call", "staging never calls"])
def open_for_staging(calm: Any, request: pytest.FixtureRequest) -> Any:
    """An incident of prod and staging, of which staging goes on failing while prod works again."""
    limits = replace(calm.rules.tenants["staging"], calls=request.param)
    calm.rules = replace(calm.rules, tenants={**calm.rules.tenants, "staging": limits})
    fail_for(calm, 300, "prod", "staging")
    fail_for(calm, 300, "staging")
    assert [one.tenants for one in calm.desk.open_incidents] == [("prod", "staging")]
    return calm


def test_a_tenant_that_is_back_while_another_fails_calls(open_for_staging: Any) -> None:
    """Once, and whoever had acknowledged the incident no longer has it."""
    open_for_staging.ask("ack 1")
    since = len(open_for_staging.effects)
    fail_for(open_for_staging, 240, "prod", "staging")

    assert calls(open_for_staging, since) == [BACK]
    assert open_for_staging.incidents[0].life.acknowledged is None


def test_a_tenant_that_comes_and_goes_while_another_fails_is_damped(open_for_staging: Any) -> None:
    """Until all of its logins have failed for five minutes in a row, which calls once."""
    for _ in range(3):
        fail_for(open_for_staging, 200, "prod", "staging")
        fail_for(open_for_staging, 300, "staging")
    assert calls(open_for_staging)[-1] is FLAPPING
    since = len(open_for_staging.effects)
    fail_for(open_for_staging, 200, "prod", "staging")
    fail_for(open_for_staging, 300, "staging")
    assert calls(open_for_staging, since) == []
    fail_for(open_for_staging, 900, "prod", "staging")

    assert calls(open_for_staging, since) == [BACK]


def test_what_comes_and_goes_at_one_tenant_damps_no_other(open_for_staging: Any) -> None:
    """Staging's end lets the other one's first outage be a return of the incident."""
    for _ in range(3):
        fail_for(open_for_staging, 200, "prod", "staging")
        fail_for(open_for_staging, 300, "staging")
    fail_for(open_for_staging, 300)
    assert not open_for_staging.desk.open_incidents
    assert open_for_staging.incidents[0].notification.damping.tenants == ("prod",)
    limits = replace(open_for_staging.rules.tenants["staging"], calls=CallsWhen.ALWAYS)
    tenants = {**open_for_staging.rules.tenants, "staging": limits}
    open_for_staging.rules = replace(open_for_staging.rules, tenants=tenants)
    since = len(open_for_staging.effects)
    fail_for(open_for_staging, 200, "staging")

    assert calls(open_for_staging, since) == [BACK]


def test_a_lucky_run_right_after_a_call_is_no_return(calm: Any) -> None:
    """Also where another tenant has failed on."""
    fail_for(calm, 90, "prod", "staging")
    assert calls(calm) == [BEGUN]
    fail_for(calm, 40, "staging")
    since = len(calm.effects)
    fail_for(calm, 300, "prod", "staging")

    assert calls(calm, since) == []


def test_what_our_network_hid_calls_once_it_is_seen(calm: Any) -> None:
    """The network is back and prod is down: that other sites failed before says nothing of now."""
    cut_off = Fault(Stage.CONNECT, "timeout")
    for _ in range(30):
        calm.wait(10)
        for where in ("prod.login", "staging.login", "eu.login", "control.neutral"):
            calm.see(where, cut_off)
    (incident,) = calm.incidents
    assert (incident.verdict.cause, incident.severity) == (Cause.NETWORK, WARNING)
    fail_for(calm, 400, "prod")

    assert incident.id == 1
    assert calm.incidents[0].verdict.cause is not Cause.NETWORK
    assert calls(calm) == [WORSE]


def test_what_a_person_resolved_calls_again_when_it_stays_quiet_no_longer(calm: Any) -> None:
    """The answer says for how long that is."""
    fail_for(calm, 120, "prod")
    calm.ask("resolve 1 anyway")
    since = len(calm.effects)
    fail_for(calm, STICKY_RESOLVE_S - 60, "prod")
    assert calls(calm, since) == []
    fail_for(calm, 120, "prod")

    assert calls(calm, since) == [BEGUN]


def end_and_return(steps: Any, good_s: float = 300.0) -> None:
    """Let prod's login work again, for so long, and then fail once."""
    partly(steps, "prod.login", "o" * round(good_s / 10))
    partly(steps, "prod.login", "x")


def test_what_is_back_calls_at_its_own_threshold(calm: Any) -> None:
    """It reopens at the first failure, quietly; whoever had acknowledged it no longer has it."""
    partly(calm, "prod.login", "x" * 20)
    calm.ask("ack 1")
    since = len(calm.effects)
    end_and_return(calm)
    assert calm.incidents[0].is_open
    partly(calm, "prod.login", "xxx")
    assert calls(calm, since) == []
    partly(calm, "prod.login", "x" * 10)

    assert calls(calm, since) == [BACK]
    assert calm.incidents[0].life.acknowledged is None


def test_one_reset_after_an_outage_wakes_nobody(make: Any) -> None:
    """Not by an escalation either, whose next step would have been due long ago."""
    policy = EscalationPolicy((EscalationStep(120, "mention"),), 5, 60)
    steps = make(mention="U0CHIEF", policies={CRITICAL: policy})
    steps.healthy()
    partly(steps, "prod.login", "x" * 10)
    since = len(steps.effects)
    end_and_return(steps)
    partly(steps, "prod.login", "o" * 30)

    assert calls(steps, since) == []
    assert not steps.incidents[0].is_open


def test_a_partial_outage_that_comes_back_is_the_same(calm: Any) -> None:
    """Less than 80 % failed before and after; all of a window is worse."""
    half = "xoxxo" * 8
    partly(calm, "prod.login", half)
    calm.ask("ack 1")
    since = len(calm.effects)
    end_and_return(calm)
    partly(calm, "prod.login", half)
    assert calls(calm, since) == []
    assert calm.incidents[0].life.acknowledged_by
    partly(calm, "prod.login", "x" * 21)

    assert calls(calm, since) == [WORSE]


def test_a_part_that_comes_back_as_all_calls(calm: Any) -> None:
    """Once ten tries since the return tell that it is more than before."""
    partly(calm, "prod.login", "xoxxo" * 8)
    calm.ask("ack 1")
    end_and_return(calm)
    since = len(calm.effects)
    partly(calm, "prod.login", "x" * 8)
    assert calls(calm, since) == []
    partly(calm, "prod.login", "xx")

    assert calls(calm, since) == [BACK]


def test_a_return_in_which_a_part_seems_to_fail_makes_half_no_news(calm: Any) -> None:
    """The first tries do not tell them apart, and people were called."""
    partly(calm, "prod.login", "x" * 20)
    partly(calm, "prod.login", "o" * 30)
    partly(calm, "prod.login", "xooxooxooxoox")
    since = len(calm.effects)
    assert calls(calm)[-1] is BACK
    partly(calm, "prod.login", "xo" * 20)

    assert calls(calm, since) == []


@pytest.mark.parametrize("good_s", [300.0, 780.0])
def test_what_comes_and_goes_is_damped(calm: Any, good_s: float) -> None:
    """The third return in an hour says so; then there is one call an hour at most.

    Also where it is longer apart than what reopens an incident: then no new ones are posted.
    """
    for _ in range(4):
        partly(calm, "prod.login", "x" * 12)
        partly(calm, "prod.login", "o" * round(good_s / 10))
    first = calls(calm)
    begun, posts = calm.now, sum(isinstance(body, Post) for body in calm.bodies())
    since = len(calm.effects)
    while calm.now - begun < 3 * 3600:
        partly(calm, "prod.login", "x" * 12)
        partly(calm, "prod.login", "o" * round(good_s / 10))

    assert (first[0], first[-1]) == (BEGUN, FLAPPING)
    assert set(calls(calm, since)) == {FLAPPING}
    assert len(calls(calm, since)) <= 3
    assert sum(isinstance(body, Post) for body in calm.bodies()) == posts


def test_what_works_slowly_and_fails_again_calls(calm: Any) -> None:
    """The incident goes on meanwhile, since it is slow; the next outage is news all the same."""
    slow_down(calm)
    partly(calm, "prod.login", "x" * 20)
    calm.ask("ack 1")
    for _ in range(20):
        calm.wait(10)
        calm.see_slowly("prod.login", 4.0)
    assert calm.incidents[0].is_open
    since = len(calm.effects)
    partly(calm, "prod.login", "x" * 21)

    assert calls(calm, since) == [WORSE]
    assert calm.incidents[0].life.acknowledged is None


def test_half_that_once_seemed_to_be_most_becomes_all(calm: Any) -> None:
    """Of the last minutes about half failed, so all is news, though one window had more."""
    partly(calm, "prod.login", "x" * 9 + "o" + "xo" * 40)
    calm.ask("ack 1")
    since = len(calm.effects)
    partly(calm, "prod.login", "x" * 21)

    assert calls(calm, since) == [WORSE]
    partly(calm, "prod.login", "x" * 40)
    assert calls(calm, since) == [WORSE]


def test_what_comes_back_right_after_a_call_calls_nobody(calm: Any) -> None:
    """People are on their way: the escalation goes on where it was."""
    partly(calm, "prod.login", "x" * 7)
    assert calls(calm) == [BEGUN]
    partly(calm, "prod.login", "o" * 4 + "x")
    assert calm.incidents[0].life.returning
    since = len(calm.effects)
    partly(calm, "prod.login", "x" * 25)

    assert calls(calm, since) == []
    assert calm.incidents[0].notification.escalation is not None


def flap(steps: Any) -> None:
    """Let prod's login come and go until that is damped, and return once more."""
    for _ in range(5):
        partly(steps, "prod.login", "x" * 12)
        partly(steps, "prod.login", "o" * 30)


def test_five_minutes_without_a_success_end_the_damping(calm: Any) -> None:
    """They call, once."""
    flap(calm)
    since = len(calm.effects)
    partly(calm, "prod.login", "x" * 28)
    assert calls(calm, since) == []
    partly(calm, "prod.login", "x" * 40)

    assert calls(calm, since) == [BACK]
    assert calm.incidents[-1].notification.damping is None


def test_damping_is_over_after_half_an_hour_without_a_failure(calm: Any) -> None:
    """What fails then is an incident of its own, which calls as the first one did."""
    flap(calm)
    partly(calm, "prod.login", "o" * 190)
    since = len(calm.effects)
    partly(calm, "prod.login", "x" * 12)

    assert calls(calm, since)[:1] == [BEGUN]
    assert sum(isinstance(body, Post) for body in calm.bodies(since)) == 1


@pytest.mark.parametrize(
    ("told", "mentioned"),
    [(Cause.AUTH0, [("U0CHIEF",)]), (Cause.TENANT, [()]), (Cause.UNCLEAR, [])],
)
def test_a_correction_calls_where_people_now_have_to_act(
    calm: Any, told: Cause, mentioned: list[tuple[str, ...]]
) -> None:
    """From "change nothing" to our network; where no cause was named, nothing is corrected."""
    calm.fail("prod.login", 10)
    (incident,) = calm.incidents
    notification = replace(incident.notification, told_cause=told)
    calm.desk = calm.desk.with_incident(replace(incident, notification=notification))
    since = len(calm.effects)
    lost = Fault(Stage.TIMEOUT, "connect")
    for _ in range(10):
        for where in ("control.neutral", "eu.login", "prod.login"):
            calm.fail(where, 1, lost)
    entries = [b.entry for b in calm.bodies(since) if isinstance(b, Reply)]

    assert [e.mentioned for e in entries if isinstance(e, CorrectedEntry)] == mentioned
    assert calm.incidents[0].notification.told_cause is Cause.NETWORK
