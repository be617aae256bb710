"""What a step asks does not grow with all tenants: counted, as times depend on the machine."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.alerting import calls
from bot.core.incidents import lifecycle
from bot.core.model.observation import CONTROL, Fault, Observation, Outcome, Stage, Target
from bot.core.state.desk import BotState, DeskState
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import Observed, Started, Tick
from bot.core.state.tenant import Tenants, TenantState
from bot.core.step import due_at, step
from bot.core.triage import from_others

if TYPE_CHECKING:
    from types import ModuleType

GONE = Fault(Stage.HTTP, "http_503", 503)
MANY, FAILING = 200, 100


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count the calls of what costs most, by its name."""
    counts: Counter[str] = Counter()

    def count(module: ModuleType, name: str) -> None:
        function = getattr(module, name)

        def counting(*args: Any, **more: Any) -> Any:
            counts[name] += 1
            return function(*args, **more)

        monkeypatch.setattr(module, name, counting)

    count(calls, "measure_known")
    count(lifecycle, "_judge_severity")
    count(from_others, "is_slow")
    return counts


def see(state: BotState, rules: Rules, at: float, failing: int) -> BotState:
    """Return the state after the login of each tenant was seen, within a second."""
    for number, name in enumerate(rules.tenants):
        now, fault = at + number / MANY, GONE if number < failing else None
        outcome = Outcome.FAILED if fault else Outcome.OK
        seen = Observation(Target(name, "login"), now, outcome, 0.2, fault)
        state, _ = step(state, Observed(now, seen), rules)
        due = due_at(state, rules)
        if due is not None and due <= now:
            state, _ = step(state, Tick(now), rules)
    return state


@pytest.fixture(scope="module")
def storm() -> tuple[BotState, Rules]:
    """Make an outage of half of all tenants, half a minute after its begin."""
    names = [f"t{number:03}" for number in range(MANY)]
    rules = Rules({n: TenantRules(n, n, "EU-1") for n in names}, (Target(CONTROL, "one"),))
    phases = {n: TenantState(phase=place / MANY) for place, n in enumerate(names)}
    state, _ = step(BotState(Tenants(phases), DeskState()), Started(0.0), rules)
    state = see(state, rules, 1.0, 0)
    for turn in range(6):
        state = see(state, rules, 60.0 + 5 * turn, FAILING)
    return state, rules


def test_in_a_storm_a_step_does_not_ask_who_is_to_be_called(
    storm: tuple[BotState, Rules], asked: Counter[str]
) -> None:
    """Calls are decided with each evaluation, which comes every two seconds here."""
    state, rules = storm
    assert [len(each.tenants) for each in state.desk.open_incidents] == [FAILING]

    see(state, rules, 90.0, FAILING)

    assert asked["_judge_severity"] <= 2
    assert asked["measure_known"] <= 3 * 2


def test_a_verdict_asks_each_tenant_once_what_fails(
    storm: tuple[BotState, Rules], asked: Counter[str]
) -> None:
    """Not for each other tenant that might be well."""
    state, rules = storm

    step(state, Tick(100.0), rules)

    assert 0 < asked["is_slow"] <= 3 * FAILING
