"""Which probe goes first where more are due than the bot can start at once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.incidents.grouping import MOST_CONFIRMED, prioritize
from bot.core.model.observation import WELLKNOWN, Fault, SignalState, Stage, Target
from bot.core.signals.probe_threshold import ProbeState, Try
from bot.core.state.desk import BotState, DeskState
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import Priority, StartProbe
from bot.core.state.tenant import Tenants, TenantState

GONE = Fault(Stage.HTTP, "http_503", 503)
REFUSED = Fault(Stage.OAUTH, "invalid_grant", 403)
NAMES = tuple(f"t{number}" for number in range(8))
OK = ProbeState()
PENDING = ProbeState(SignalState.PENDING, tries=(Try(0.0, GONE),))
TWICE = ProbeState(SignalState.PENDING, tries=(Try(0.0, GONE), Try(5.0, GONE)))
FIRING = ProbeState(SignalState.FIRING, tries=(Try(0.0, GONE),) * 5)


def bot(*, login: ProbeState = OK, keys: ProbeState = OK) -> tuple[BotState, Rules]:
    """Return tenants of one environment whose probes are all in the same state."""
    rules = Rules({name: TenantRules(name, name, "US-1") for name in NAMES})
    tenant = TenantState(probes={"login": login, WELLKNOWN: keys})
    return BotState(Tenants(dict.fromkeys(NAMES, tenant)), DeskState()), rules


def priorities(
    state: BotState, rules: Rules, signal: str = "login", kind: Priority = Priority.REPEAT
) -> list[Priority]:
    """Return the priority of each tenant's probe, which are due one after the other."""
    found = []
    for name in NAMES:
        state, probe = prioritize(state, StartProbe(Target(name, signal), priority=kind), rules)
        found.append(probe.priority)
    return found


@pytest.mark.parametrize(
    ("login", "keys", "signal", "kind", "expected"),
    [
        (OK, OK, "login", Priority.ROUTINE, Priority.ROUTINE),
        (OK, OK, WELLKNOWN, Priority.ROUTINE, Priority.LIGHT),
        (OK, FIRING, "login", Priority.ROUTINE, Priority.ROUTINE),
        (OK, OK, "login", Priority.REPEAT, Priority.LIGHT),  # the desk asks for it
        (PENDING, OK, "login", Priority.REPEAT, Priority.REPEAT),
        (PENDING, OK, WELLKNOWN, Priority.REPEAT, Priority.COMPANION),
        (PENDING, PENDING, WELLKNOWN, Priority.REPEAT, Priority.COMPANION),
        (OK, PENDING, WELLKNOWN, Priority.REPEAT, Priority.REPEAT),
        (FIRING, PENDING, WELLKNOWN, Priority.REPEAT, Priority.KNOWN),
        (FIRING, OK, "login", Priority.REPEAT, Priority.KNOWN),
    ],
)
def test_the_state_of_a_tenant_decides(
    login: ProbeState, keys: ProbeState, signal: str, kind: Priority, expected: Priority
) -> None:
    """Of a tenant that is not among the first to fail."""
    state, rules = bot(login=login, keys=keys)

    assert priorities(state, rules, signal, kind)[-1] is expected


def test_what_a_person_asked_for_is_first() -> None:
    """Whatever the state of the tenant."""
    state, rules = bot(login=FIRING)
    _, probe = prioritize(state, StartProbe(Target("t0", "login"), "r1"), rules)

    assert probe.priority is Priority.PERSON


@pytest.mark.parametrize("signal", ["login", WELLKNOWN])
def test_five_tenants_that_fail_alike_are_confirmed_first(signal: str) -> None:
    """With what helps to find the cause; the others wait behind what is routine."""
    state, rules = bot(login=PENDING)
    found = priorities(state, rules, signal)

    assert [each is Priority.CONFIRM for each in found] == [True] * 5 + [False] * 3
    assert MOST_CONFIRMED == 5


def test_each_environment_and_kind_of_fault_has_its_own_five() -> None:
    """Another outage that begins meanwhile is confirmed as early."""
    state, rules = bot(login=PENDING)
    other = replace(PENDING, tries=(Try(0.0, REFUSED),))
    odd = replace(state.tenants.states["t6"], probes={"login": other, WELLKNOWN: OK})
    state = replace(state, tenants=Tenants({**state.tenants.states, "t6": odd}))
    rules.tenants["t7"] = TenantRules("t7", "t7", "EU-1")

    assert priorities(state, rules)[5:] == [Priority.REPEAT, Priority.CONFIRM, Priority.CONFIRM]


def test_one_that_works_again_gives_its_place_to_another() -> None:
    """One that fires keeps it: then what is to be known about this failure is known."""
    state, rules = bot(login=PENDING)
    for name in NAMES:
        state, _ = prioritize(
            state, StartProbe(Target(name, "login"), priority=Priority.REPEAT), rules
        )
    well = TenantState(probes={"login": OK, WELLKNOWN: OK})
    firing = TenantState(probes={"login": FIRING, WELLKNOWN: OK})
    after = {**state.tenants.states, "t0": well, "t1": firing}
    found = priorities(replace(state, tenants=Tenants(after)), rules)

    assert found[:2] == [Priority.LIGHT, Priority.KNOWN]
    assert found.count(Priority.CONFIRM) == 4
    assert found[5:] == [Priority.CONFIRM, Priority.REPEAT, Priority.REPEAT]


def test_of_two_alike_the_one_with_more_failures_is_first() -> None:
    """So the first of many fire early, instead of all of them late."""
    state, rules = bot(login=TWICE)
    _, probe = prioritize(state, StartProbe(Target("t0", "login"), priority=Priority.REPEAT), rules)

    assert probe.failures == 2
