"""How long an acknowledgement holds, who takes it over, and what a resolution by hand asks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bot.core.alerting import acknowledgements, notification_policy
from bot.core.model.access import CommandOutcome
from bot.core.model.observation import Fault, Severity, Stage, Target
from bot.core.oncall import CallReason, EscalationPolicy, EscalationStep
from bot.core.state import clock_shift
from bot.core.state.incident import IncidentState, reopen
from bot.core.state.outbox import Edit, Reply
from bot.core.state.rules import TenantRules
from bot.core.state.silence import MaintenanceWindow
from bot.core.state.stimulus import PersonActed, Send, Started, Tick
from bot.core.state.timeline import (
    AcknowledgedEntry,
    DirectEntry,
    MentionEntry,
    PagedEntry,
    StillOnItEntry,
)
from bot.store.store import DESK_JSON, INCIDENT_JSON, decode, encode

ANN, BEN, CLEO = "U0ANN", "U0BEN", "U0CLEO"
MIN = 60.0
GONE = Fault(Stage.HTTP, "http_503", 503)
PROD = {"prod": TenantRules("prod", "acme.us.auth0.com", "US-1", feed=Target("feed", "US-1"))}


def world(make: Any, **given: Any) -> Any:
    """A posted outage of prod's login that Ann has acknowledged."""
    policy = EscalationPolicy((EscalationStep(5 * MIN, "mention"), EscalationStep(10 * MIN, "dm")))
    kept = {"policies": {Severity.CRITICAL: policy}, "remind_after_s": 30 * MIN, **given}
    steps = make(tenants=PROD, mention=CLEO, **kept)
    steps.healthy()
    steps.fail("prod.login", 30)
    steps.ask("ack 1", ANN)
    return steps


@pytest.fixture
def taken(make: Any) -> Any:
    return world(make)


def asked(steps: Any, since: int = 0) -> list[str]:
    """Who was asked whether they are still on it: each question goes into the thread as well."""
    bodies = [body for body in steps.bodies(since) if isinstance(body, DirectEntry)]
    people = [body.person for body in bodies if isinstance(body.entry, StillOnItEntry)]
    assert steps.entries(since).count(StillOnItEntry) == len(people)
    return people


def calls(steps: Any, since: int) -> list[CallReason]:
    return [e.call.reason for e in steps.effects[since:] if isinstance(e, Send) and e.call]


def due(steps: Any) -> float:
    """When the bot is to be woken for what concerns people."""
    at: float | None = notification_policy.due_at(steps.desk, steps.rules)
    return float("inf") if at is None else at


def wait(steps: Any, span_s: float) -> None:
    """Let the outage go on, and the bot be woken when it wants to be, and at the end."""
    end = steps.now + span_s
    while steps.now < end:
        steps.now = min(end, max(steps.now, due(steps)))
        steps.on_desk(Tick(steps.now))


def test_without_an_answer_people_are_called_as_at_first(taken: Any) -> None:
    """Asked after half an hour; a quarter of an hour later nobody has it, and steps follow."""
    since = len(taken.effects)
    wait(taken, 30 * MIN + 1)
    assert asked(taken, since) == [ANN]
    assert calls(taken, since) == []
    wait(taken, 14 * MIN + 50)
    assert calls(taken, since) == []
    wait(taken, 20)

    (incident,) = taken.incidents
    assert calls(taken, since) == [CallReason.EXPIRED]
    assert incident.state is IncidentState.OPEN
    assert incident.life.acknowledgement_ended.by == ANN
    assert any(isinstance(body, Edit) for body in taken.bodies(since))
    wait(taken, 11 * MIN)
    assert taken.entries(since).count(PagedEntry) == 2


def test_without_an_escalation_people_are_called_too(make: Any) -> None:
    """The mention is the first call, and so it is this one."""
    taken = world(make, policies={})
    since = len(taken.effects)
    wait(taken, 46 * MIN)

    assert calls(taken, since) == [CallReason.EXPIRED]
    assert MentionEntry in taken.entries(since)


def test_each_answered_question_doubles_the_wait(taken: Any) -> None:
    """30, 60, 120 and 240 minutes, and no longer."""
    waits = []
    for _ in range(6):
        begun, since = taken.now, len(taken.effects)
        while not asked(taken, since):
            wait(taken, MIN)
        waits.append(round((taken.now - begun) / MIN))
        assert taken.ask("ack 1", ANN).outcome is CommandOutcome.ALREADY

    assert waits == pytest.approx([30, 60, 120, 240, 240, 240], abs=2)


@pytest.mark.parametrize("said", ["note 1 looking", "unsilence 9", "false-alarm 1 a test", "ack 9"])
def test_whatever_they_do_starts_the_wait_again(taken: Any, said: str) -> None:
    """Before the question and after it, and without doubling it."""
    for _ in range(2):
        wait(taken, 29 * MIN)
        taken.ask(said, ANN)
    assert asked(taken) == []
    wait(taken, 31 * MIN)
    assert asked(taken) == [ANN]
    taken.ask(said, ANN)
    since = len(taken.effects)
    wait(taken, 31 * MIN)

    assert asked(taken, since) == [ANN]
    assert calls(taken, since) == []


def test_a_question_or_a_word_in_the_thread_counts_as_well(taken: Any) -> None:
    """Those commit nothing else. What others do does not count."""
    wait(taken, 29 * MIN)
    taken.step(PersonActed(taken.now, ANN))
    wait(taken, 29 * MIN)
    assert asked(taken) == []
    taken.step(PersonActed(taken.now, BEN))
    wait(taken, 2 * MIN)

    assert asked(taken) == [ANN]


def test_a_warning_or_a_bot_that_is_told_so_asks_nobody(taken: Any) -> None:
    """`remind: off`; and what is not critical."""
    (incident,) = taken.incidents
    off = replace(taken.rules, remind_after_s=None)
    assert acknowledgements.due_at(incident, taken.rules) is not None
    assert acknowledgements.due_at(incident, off) is None
    warning = replace(incident, severity=Severity.WARNING)
    assert acknowledgements.due_at(warning, taken.rules) is None


def test_the_times_survive_a_restart_and_a_clock_that_was_wrong(taken: Any) -> None:
    """The question waits for its answer, in the time of the right clock."""
    wait(taken, 31 * MIN)
    desk, (incident,) = taken.desk, taken.incidents
    again = decode(INCIDENT_JSON, encode(incident), "incident")
    bare = decode(DESK_JSON, encode(replace(desk, incidents={})), "desk")
    taken.desk = replace(bare, incidents={again.id: again})
    taken.state = clock_shift.shift(taken.state, 7200.0)
    taken.now += 7200.0
    since = len(taken.effects)
    taken.step(Started(taken.now))
    wait(taken, 13 * MIN)
    assert calls(taken, since) == []
    wait(taken, 3 * MIN)

    assert calls(taken, since) == [CallReason.EXPIRED]
    assert asked(taken, since) == []


def test_the_bot_wakes_for_the_question_and_for_its_deadline(taken: Any) -> None:
    """Also if nothing else happens."""
    (incident,) = taken.incidents
    assert due(taken) == incident.life.acknowledged.active_at + 30 * MIN
    taken.now = due(taken)
    taken.on_desk(Tick(taken.now))

    assert due(taken) == taken.now + 15 * MIN


@pytest.mark.parametrize("said", ["silence #1 2h known", "silence prod 2h known"])
def test_in_a_silence_nobody_is_asked_or_called(taken: Any, said: str) -> None:
    """Once it has ended, they are."""
    taken.ask(said, BEN)
    wait(taken, 119 * MIN)
    since = len(taken.effects)
    assert asked(taken) == []
    wait(taken, 3 * MIN)

    assert asked(taken, since) == [ANN]


def test_in_maintenance_nobody_is_asked_or_called(taken: Any) -> None:
    """Not even if the question was asked before."""
    wait(taken, 31 * MIN)
    since = len(taken.effects)
    everything = MaintenanceWindow(
        datetime.fromtimestamp(taken.now - 60, UTC).replace(tzinfo=None), 3600.0, "UTC"
    )
    taken.rules = replace(taken.rules, maintenance_windows=(everything,))
    wait(taken, 50 * MIN)
    assert calls(taken, since) == []
    wait(taken, 12 * MIN)

    assert calls(taken, since) == [CallReason.EXPIRED]


def test_what_is_over_asks_nobody_and_healthy_time_does_not_count(taken: Any) -> None:
    """A question that waits for its answer is asked anew, once it is clear that it is back."""
    wait(taken, 29 * MIN)
    for _ in range(60):
        taken.wait(10)
        taken.see("prod.login")
        taken.step(Tick(taken.now))
    assert not taken.incidents[0].is_open
    assert asked(taken) == []
    assert due(taken) == float("inf")
    ended_at, before = taken.incidents[0].life.resolved_at, taken.incidents[0].life.acknowledged
    again = reopen(taken.incidents[0], ended_at + 5 * MIN).life.acknowledged
    assert again is not None
    assert again.active_at == before.active_at + 5 * MIN
    assert again.asked_at is None
    taken.fail("prod.login", 1)
    assert taken.incidents[0].is_open
    assert due(taken) == float("inf")


def test_handing_over_calls_somebody_else(make: Any) -> None:
    """Whoever is on call hands it over: the next one is called, and the steps begin."""
    taken = world(make, on_call=make.rotation)
    on_call = taken.desk.shift.person
    assert taken.ask("hand-over 1", BEN).outcome is CommandOutcome.ALREADY
    taken.ask("ack 1 take over", on_call)
    since = len(taken.effects)
    assert taken.ask("hand-over 1", on_call).outcome is CommandOutcome.DONE

    replies = [body.entry for body in taken.bodies(since) if isinstance(body, Reply)]
    (entry,) = [entry for entry in replies if isinstance(entry, MentionEntry)]
    assert {on_call, *entry.mentioned} == {"U0CAT", "U0DAN"}
    assert calls(taken, since) == [CallReason.HANDED_OVER]
    assert taken.incidents[0].state is IncidentState.OPEN
    assert taken.ask("hand-over 1", on_call).outcome is CommandOutcome.ALREADY


def test_handing_over_ends_no_silence(taken: Any) -> None:
    """It is no news of the outage; the call comes when the silence is over."""
    taken.ask("silence #1 1h known", BEN)
    since = len(taken.effects)
    taken.ask("hand-over 1", ANN)
    wait(taken, 30 * MIN)
    assert calls(taken, since) == []
    wait(taken, 32 * MIN)

    assert calls(taken, since)[0] is CallReason.HANDED_OVER


def test_taking_over(taken: Any) -> None:
    """Who has it stays so until somebody takes it over; the first one is told, and not called."""
    taken.ask("note 1 the vendor knows", ANN)
    since = len(taken.effects)
    assert taken.ask("ack 1", BEN).outcome is CommandOutcome.ALREADY
    assert taken.incidents[0].life.acknowledged_by == ANN
    assert taken.ask("ack 1 take over at my desk", BEN).outcome is CommandOutcome.DONE

    (incident,) = taken.incidents
    (direct,) = [body for body in taken.bodies(since) if isinstance(body, DirectEntry)]
    assert incident.life.acknowledged_by == BEN
    assert [note.text for note in incident.notes] == ["the vendor knows", "at my desk"]
    assert direct == DirectEntry(1, ANN, AcknowledgedEntry(taken.now, BEN, "at my desk", ANN))
    assert AcknowledgedEntry in taken.entries(since)
    assert calls(taken, since) == []


def test_acknowledging_what_somebody_has_binds_it_to_nothing(taken: Any) -> None:
    """What was known when Ann took it stays so, for the call if it gets worse."""
    known = taken.incidents[0].notification.known
    taken.fail("prod.login", 20)
    taken.ask("ack 1", BEN)
    assert taken.incidents[0].notification.known == known


def test_resolving_what_still_fails_asks_first(taken: Any) -> None:
    """And changes nothing; `anyway` does not ask, nor does what has ended."""
    before = taken.incidents
    result = taken.ask("resolve 1 rolled back", BEN)
    assert result.outcome is CommandOutcome.UNCONFIRMED
    assert [replace(i, message=before[0].message) for i in taken.incidents] == before
    assert taken.ask("resolve 1 anyway rolled back", BEN).outcome is CommandOutcome.DONE

    (incident,) = taken.incidents
    assert incident.life.still_failing
    assert [note.text for note in incident.notes] == ["rolled back"]


@pytest.mark.parametrize("failures", [5, 6, 8, 12, 20])
def test_it_stays_resolved_while_the_same_outage_unfolds(make: Any, failures: int) -> None:
    """At whatever moment: other signals of it begin to fail, and the windows fill up."""
    steps = make(tenants=PROD, mention=CLEO)
    steps.healthy()
    steps.fail("prod.login", failures)
    steps.ask("resolve 1 anyway", BEN)
    since = len(steps.effects)
    for number in range(70):
        steps.wait(10)
        steps.see("prod.login", GONE)
        if number > 3:
            steps.see("prod.wellknown", GONE)
        steps.step(Tick(steps.now))

    assert [incident.is_open for incident in steps.incidents] == [False]
    assert calls(steps, since) == []
