from __future__ import annotations

from typing import Any

import pytest

from bot.core import step as core
from bot.core.incidents.lifecycle import CANNOT_CHECK_S
from bot.core.incidents.own_faults import CRASH_FREE_S, CRASH_WINDOW_S, CRASHES
from bot.core.model.observation import Cause, Severity
from bot.core.oncall import CallReason, EscalationPolicy, EscalationStep
from bot.core.state.incident import IncidentKind, IncidentState, OwnFault, OwnFaultKind
from bot.core.state.outbox import Call, Paging, Post, Reply
from bot.core.state.stimulus import OwnFaultSeen, Send, Started, Stopped, Tick
from bot.core.state.timeline import MentionEntry

STORE = OwnFault(OwnFaultKind.STORE, "its disk is full: free some space")
POLICY = {Severity.CRITICAL: EscalationPolicy((EscalationStep(300.0, "pager"),))}


@pytest.fixture
def called(make: Any) -> Any:
    """Tenants with people to mention and a pager."""
    steps = make(mention="U0CHIEF", policies=POLICY, contact_points=("pager",))
    steps.healthy()
    return steps


def bodies(steps: Any, kind: type) -> list[Any]:
    return [e.body for e in steps.effects if isinstance(e, Send) and isinstance(e.body, kind)]


def crash(steps: Any, times: int, every_s: float = 35.0) -> None:
    """Start the process again, as often as this, after crashes."""
    for _ in range(times):
        steps.wait(every_s)
        steps.step(Started(steps.now))


def test_a_fault_of_the_bot_is_one_incident_for_as_long_as_it_lasts(steps: Any) -> None:
    """A warning about our own side, and about no tenant; nobody is mentioned."""
    for is_over in (False, False, True, True):
        steps.wait(60)
        steps.step(OwnFaultSeen(steps.now, STORE, is_over=is_over))

    (incident,) = steps.incidents
    assert (incident.kind, incident.own_fault) == (IncidentKind.OWN_FAULT, STORE)
    assert (incident.severity, incident.verdict.cause) == (Severity.WARNING, Cause.NETWORK)
    assert (incident.state, incident.tenants) == (IncidentState.RESOLVED, ())
    assert incident.since == steps.now - 180
    assert len(bodies(steps, Post)) == 1


def test_tenants_are_judged_as_always_meanwhile(steps: Any) -> None:
    """The bot goes on from memory, so a failing login is an incident of its own."""
    steps.step(OwnFaultSeen(steps.now, STORE))
    steps.fail("prod.login")

    assert [i.kind for i in steps.incidents] == [IncidentKind.OWN_FAULT, IncidentKind.FAILING]


def test_a_crash_loop_calls_people(called: Any) -> None:
    """A mention and every contact point at once, then the policy's steps across more crashes."""
    crash(called, CRASHES - 1)
    assert called.incidents == []
    crash(called, 20)

    (incident,) = called.incidents
    assert incident.severity is Severity.CRITICAL
    assert incident.own_fault.kind is OwnFaultKind.CRASH_LOOP
    assert incident.notification.mentioned == ("U0CHIEF",)
    (post,) = (e for e in called.effects if isinstance(e, Send) and isinstance(e.body, Post))
    assert post.call == Call(incident.id, CallReason.BEGUN, incident.since)
    pages = [e for e in called.effects if isinstance(e, Send) and isinstance(e.body, Paging)]
    assert [e.call.decided_at - incident.since for e in pages if e.call] == [0.0, 315.0]


def test_a_crash_loop_is_over_once_the_process_stays_up(called: Any) -> None:
    """The bot wakes up for that by itself."""
    crash(called, CRASHES)
    called.wait(CRASH_FREE_S - 1)
    called.step(Tick(called.now))
    assert called.incidents[0].is_open
    assert core.due_at(called.state, called.rules) <= called.now + 1
    called.wait(1)
    called.step(Tick(called.now))

    assert called.incidents[0].state is IncidentState.RESOLVED


def test_starts_that_follow_no_crash_are_no_crash_loop(steps: Any) -> None:
    """Neither those after an end in good order, nor crashes that are far apart."""
    for _ in range(CRASHES + 1):
        steps.step(Stopped(steps.now))
        crash(steps, 1)
    crash(steps, 2 * CRASHES, every_s=CRASH_WINDOW_S / (CRASHES - 1))

    assert steps.incidents == []


def test_if_no_tenant_can_be_checked_for_half_an_hour_people_are_called(called: Any) -> None:
    """The incident of minute five becomes critical, by the bot's own clock alone."""
    while not called.incidents or called.incidents[0].severity is Severity.WARNING:
        called.step(Tick(called.now))
        due = core.due_at(called.state, called.rules)
        called.now, before = due, called.now
        assert called.now > before

    due = before
    (incident,) = called.incidents
    assert due - incident.since == CANNOT_CHECK_S
    call = Call(incident.id, CallReason.CANNOT_CHECK, due)
    sent = [e.body for e in called.effects if isinstance(e, Send) and e.call == call]
    entry = MentionEntry(due, ("U0CHIEF",), CallReason.CANNOT_CHECK)
    assert sent == [Reply(incident.id, entry)]
    called.wait(300)
    called.step(Tick(called.now))
    assert [b.contact_point for b in bodies(called, Paging)] == ["pager"]


def test_one_tenant_that_can_be_checked_is_enough_to_call_nobody(called: Any) -> None:
    """The others stay a warning."""
    for _ in range(60):
        called.wait(60)
        called.see("eu.login")
        called.step(Tick(called.now))

    assert [i.severity for i in called.incidents] == [Severity.WARNING]
