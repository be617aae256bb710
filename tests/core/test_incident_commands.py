from __future__ import annotations

from typing import Any

import pytest

from bot.core.alerting.paging import due_at
from bot.core.model.access import AuditEntry, CommandOutcome, Person, Verb
from bot.core.model.command import PLAIN_QUESTIONS, Request
from bot.core.model.observation import Fault, Stage, Target
from bot.core.state.incident import IncidentState
from bot.core.state.outbox import (
    Answer,
    AnswerResult,
    OverrideAnnouncement,
    Post,
    SilenceAnnouncement,
)
from bot.core.state.stimulus import CommandReceived
from bot.core.state.timeline import MentionEntry, PagedEntry

ANN, BEN = "U0ANN", "U0BEN"


def test_acknowledging_stops_the_escalation(down: Any) -> None:
    """The message names who acknowledged; nobody is called any more."""
    down.later(130)
    result = down.ask("ack #1 looking at it")
    since = len(down.effects)
    down.later(4000)

    (incident,) = down.incidents
    assert result == AnswerResult(CommandOutcome.DONE, 1)
    assert (incident.state, incident.life.acknowledged_by) == (IncidentState.ACKNOWLEDGED, ANN)
    assert [note.text for note in incident.notes] == ["looking at it"]
    assert due_at(incident, down.rules) is None
    assert not {PagedEntry, MentionEntry} & set(down.entries(since))


def test_the_second_of_two_people_hears_who_was_first(down: Any) -> None:
    """Both click at once: one acknowledges, the other changes nothing."""
    first, second = down.ask("ack", ANN), down.ask("ack", BEN)

    assert (first.outcome, second.outcome) == (CommandOutcome.DONE, CommandOutcome.ALREADY)
    assert down.incidents[0].life.acknowledged_by == ANN


def test_acknowledging_a_resolved_incident_changes_nothing(down: Any) -> None:
    """Late clicks get an answer, and never reopen it."""
    down.ask("resolve #1 anyway")
    before = down.incidents

    assert down.ask("ack #1").outcome is CommandOutcome.TOO_LATE
    assert down.ask("resolve #1 anyway").outcome is CommandOutcome.ALREADY
    assert down.ask("ack #9").outcome is CommandOutcome.NO_SUCH
    assert down.incidents == before


def test_resolved_by_hand_it_opens_nothing_while_it_still_fails(down: Any) -> None:
    """But it does if something else fails, or after an hour."""
    down.ask("resolve #1 anyway a vendor's ticket is open")
    assert not down.incidents[0].problems[0].is_over
    since = len(down.effects)
    down.later(1800)
    assert not any(isinstance(body, Post) for body in down.bodies(since))

    down.fail("prod.wellknown", 10)
    assert any(incident.is_open for incident in down.incidents)


def test_resolved_by_hand_and_recovered(down: Any) -> None:
    """After the recovery the next failure opens an incident."""
    down.ask("resolve #1 anyway")
    for _ in range(40):
        down.wait(20)
        down.see("prod.login")
    assert down.incidents[0].life.still_failing == ()
    since = len(down.effects)
    down.fail("prod.login", 10)

    assert down.incidents[0].state is IncidentState.RESOLVED
    assert any(isinstance(body, Post) for body in down.bodies(since))


def test_failing_an_hour_after_resolving(down: Any) -> None:
    """If it still fails an hour after it was resolved by hand, a new incident opens."""
    down.ask("resolve #1 anyway")
    down.later(3700)

    assert any(incident.is_open for incident in down.incidents)


def test_notes_and_false_alarms_need_words(down: Any) -> None:
    """The report needs the reason, so there must be one; a false alarm is marked once."""
    assert down.ask("note #1").outcome is CommandOutcome.INVALID
    assert down.ask("false-alarm #1").outcome is CommandOutcome.INVALID
    assert down.ask("false-alarm #1 our load test").outcome is CommandOutcome.DONE
    assert down.ask("false-alarm #1 again").outcome is CommandOutcome.ALREADY
    assert down.incidents[0].false_alarm == "our load test"
    assert down.incidents[0].is_open


def test_in_a_thread_its_incident_is_meant(down: Any) -> None:
    """Without a number; elsewhere the only open one."""
    down.fail("eu.login", 5, Fault(Stage.OAUTH, "access_denied", 403, "access_denied"))
    assert len(down.incidents) == 2

    assert down.ask("ack").outcome is CommandOutcome.NO_SUCH
    assert down.ask("ack", thread_ts="1.1") == AnswerResult(CommandOutcome.DONE, 1)


def test_what_people_do_is_audited(down: Any) -> None:
    """Each action leaves an audit entry, refused ones too; questions leave none."""
    down.ask("ack #1")
    down.ask("ack #7")
    for verb in (Verb.STATUS, Verb.REPORT, Verb.SILENCES, Verb.ONCALL):
        question = Request(f"look {verb}", down.now, PLAIN_QUESTIONS[verb], user=ANN)
        down.on_desk(CommandReceived(down.now, question))
    lines = [effect for effect in down.effects if isinstance(effect, AuditEntry)]

    assert [(one.user, one.verb, one.outcome) for one in lines] == [
        (ANN, Verb.ACK, CommandOutcome.DONE),
        (ANN, Verb.ACK, CommandOutcome.NO_SUCH),
    ]
    assert down.desk.audit == tuple(lines)


def test_ended_by_hand(down: Any) -> None:
    """By its number or by its scope; ending it twice gets an answer."""
    down.ask("silence staging 2h a test")

    assert down.ask("unsilence staging", BEN).outcome is CommandOutcome.DONE
    assert down.ask("unsilence s1").outcome is CommandOutcome.ALREADY
    assert down.desk.silences[1].ended_by == BEN


def test_who_may_not_is_refused(make: Any) -> None:
    """Each request is checked and audited; guests have no rights."""
    steps = make(access=make.access(acknowledge=(BEN,)))
    steps.healthy()
    steps.fail("prod.login", 10)

    refused = steps.ask("ack #1", ANN)
    assert (refused.outcome, refused.refused and refused.refused.who) == (
        CommandOutcome.REFUSED,
        (BEN,),
    )
    assert (
        steps.ask("ack #1", BEN, person=Person(BEN, is_guest=True)).outcome
        is CommandOutcome.REFUSED
    )
    assert steps.ask("ack #1", BEN).outcome is CommandOutcome.DONE
    assert next(line.outcome for line in steps.desk.audit) is CommandOutcome.REFUSED


def test_a_number_that_is_none_means_nothing(down: Any) -> None:
    """It does not mean the only open incident either, however long the number is."""
    for number in ("#999999999999", "#0", "7" * 10_000):
        assert down.ask(f"ack {number}").outcome is CommandOutcome.NO_SUCH
    assert down.ask("ack #001").outcome is CommandOutcome.DONE


@pytest.mark.parametrize("said", ["silence ALL 1h a test", "unsilence S1", "unsilence All"])
def test_everything_needs_the_right_to_administer(make: Any, said: str) -> None:
    """However it is written."""
    steps = make(access=make.access(administer=(ANN,)))
    steps.ask("silence all 2h moving", ANN)

    assert steps.ask(said, BEN).outcome is CommandOutcome.REFUSED
    assert steps.ask(said, ANN).outcome is CommandOutcome.DONE


def test_a_silence_is_ended_by_its_number_first(down: Any) -> None:
    """S1 is not the silence of incident 1, even if S1 has already ended."""
    down.ask("silence staging 2h a test")
    down.ask("silence #1 2h known")

    assert down.ask("unsilence 1").outcome is CommandOutcome.DONE
    assert down.ask("unsilence 1").outcome is CommandOutcome.ALREADY
    assert [one.id for one in down.desk.active_silences] == [2]
    assert down.ask("unsilence #1").outcome is CommandOutcome.DONE


@pytest.mark.parametrize("span", ["0m", "99999d", "-1h", "until 25:00"])
def test_nobody_is_put_on_call_for_no_time_or_for_ever(make: Any, span: str) -> None:
    """A typing error would last for centuries."""
    steps = make(on_call=make.rotation)

    assert steps.ask(f"oncall swap {span}").outcome is CommandOutcome.INVALID
    assert steps.desk.overrides == ()


def test_no_data_resolved_by_hand_stays_resolved(make: Any) -> None:
    """As long as it lasts; if data is missing again later, an incident opens."""
    steps = make()
    steps.healthy()
    for _ in range(40):
        steps.wait(20)
        steps.see("prod.login", blind="all DNS look-ups hang")
        steps.tick("prod")
    (incident,) = steps.desk.open_incidents
    steps.ask("resolve anyway our network is being moved")
    for _ in range(20):
        steps.wait(20)
        steps.see("prod.login", blind="all DNS look-ups hang")
        steps.tick("prod")

    assert steps.desk.open_incidents == []
    assert steps.incidents[0].life.still_failing == (Target("prod", "blind"),)
    assert incident.life.reopen_count == steps.incidents[0].life.reopen_count


def test_silences_and_overrides_are_posted_to_the_channel(make: Any) -> None:
    """Nothing is muted without a message; a person put on call gets one."""
    steps = make(on_call=make.rotation)
    steps.ask("silence prod 2h moving house")
    steps.ask(f"oncall swap <@{BEN}> 4h")
    bodies = [body for body in steps.bodies() if not isinstance(body, Answer)]

    assert [type(body) for body in bodies] == [SilenceAnnouncement, OverrideAnnouncement]
    assert (bodies[1].shift.person, bodies[1].by) == (BEN, ANN)
