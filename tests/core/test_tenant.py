from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.observation import (
    WELLKNOWN,
    Fault,
    Observation,
    Outcome,
    SignalState,
    Stage,
    Target,
)
from bot.core.signals.probe_threshold import ProbeLimits
from bot.core.state.rules import TenantRules
from bot.core.state.stimulus import (
    CheckRequested,
    CheckStarted,
    Observed,
    Started,
    StartProbe,
    Tick,
    TurnDropped,
    Unanswered,
)
from bot.core.state.tenant import TenantState
from bot.core.tenant import step as tenant_step

START = 1_772_445_600.0
PLAIN = TenantRules("prod", "acme.us.auth0.com")
BOTH = TenantRules("prod", "acme.us.auth0.com", custom_domain="login.acme.example")
MACHINE = TenantRules("prod", "acme.us.auth0.com", has_m2m=True)
GONE = Fault(Stage.HTTP, "http_503", 503)
REFUSED = Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant")


class Alone:
    """One tenant whose probes take no time and have the results that `world` gives."""

    def __init__(self, rules: TenantRules, world: Any) -> None:
        self.rules, self.world, self.now = rules, world, START
        self.looks: list[tuple[float, str]] = []
        self.state = TenantState()
        self._step(Started(START))

    def run(self, span_s: float) -> None:
        until = self.now + span_s
        while (due := tenant_step.due_at(self.state)) is not None and due < until:
            self.now = max(self.now, due)
            self._step(Tick(self.now))
        self.now = until

    def ask(self) -> CheckStarted:
        effects = self._step(CheckRequested(self.now, "r1"))
        return next(effect for effect in effects if isinstance(effect, CheckStarted))

    def _step(self, stimulus: Any) -> tuple[Any, ...]:
        self.state, effects = tenant_step.step(self.state, stimulus, self.rules)
        for effect in effects:
            if isinstance(effect, StartProbe):
                self._look(effect.target)
        return effects

    def _look(self, target: Target) -> None:
        self.looks.append((self.now - START, target.name))
        fault = self.world(target.name, self.now - START)
        outcome = Outcome.FAILED if fault else Outcome.OK
        self._step(Observed(self.now, Observation(target, self.now, outcome, 0.0, fault)))

    def at(self, name: str, since: float = 0.0) -> list[float]:
        return [at for at, looked in self.looks if looked == name and at >= since]


def healthy(_name: str, _at: float) -> Fault | None:
    return None


def test_all_is_probed_at_the_start_and_then_on_the_grid() -> None:
    """The first probe does not wait for the tenant's offset in the minute."""
    alone = Alone(PLAIN, healthy)
    alone.run(185)

    assert alone.at("login") == [0, 60, 120, 180]
    assert alone.at("wellknown") == [0, 30, 90, 150]


def test_a_failure_is_repeated_every_five_seconds_by_the_clock() -> None:
    """Five failures take twenty seconds."""
    alone = Alone(PLAIN, lambda name, at: GONE if name == "login" and at >= 60 else None)
    alone.run(101)

    assert alone.at("login", 60) == [60, 65, 70, 75, 80, 90, 100]


def test_in_a_burst_the_custom_domain_takes_every_fourth_login() -> None:
    """It shares the synthetic user, and shows whether only one domain fails."""
    alone = Alone(BOTH, lambda name, at: GONE if name == "login" and at >= 60 else None)
    alone.run(85)

    assert alone.at("login", 60) == [60, 65, 70, 80]
    assert alone.at("custom", 60) == [75]


def test_a_failing_custom_domain_takes_most_of_its_burst() -> None:
    """Then the canonical domain takes every fourth login."""
    alone = Alone(BOTH, lambda name, at: GONE if name == "custom" and at >= 100 else None)
    alone.run(122)

    assert alone.at("custom", 60)[-4:] == [100, 105, 110, 120]
    assert alone.at("login", 100) == [115]


def test_refused_credentials_stop_both_domains() -> None:
    """They use the same credentials; three tries in all, half a minute apart."""
    alone = Alone(
        BOTH, lambda name, at: REFUSED if name in {"login", "custom"} and at >= 60 else None
    )
    alone.run(3600)
    logins = sorted(alone.at("login", 60) + alone.at("custom", 60))

    assert len(logins) <= 4
    assert all(b - a >= 30 for a, b in pairwise(logins))


def test_an_on_demand_check_of_a_stopped_login_is_one_try() -> None:
    """And none within half a minute of the last."""
    alone = Alone(PLAIN, lambda name, at: REFUSED if name == "login" and at >= 60 else None)
    alone.run(600)
    first, second = alone.ask(), alone.ask()

    assert Target("prod", "login") in first.targets
    assert Target("prod", "login") in second.skipped


def test_a_changed_configuration_starts_a_stopped_login_again() -> None:
    """A new password changes the login's fingerprint."""
    alone = Alone(PLAIN, lambda name, _at: REFUSED if name == "login" else None)
    alone.run(600)
    changed = TenantRules("prod", "acme.us.auth0.com", fingerprints=("new",))
    state, _ = tenant_step.step(alone.state, Started(alone.now), changed)

    assert not state.probes["login"].is_stopped
    assert tenant_step.step(alone.state, Started(alone.now), PLAIN)[0].probes["login"].is_stopped


def test_a_machine_token_is_requested_every_five_minutes() -> None:
    """A fifth as often as a login, and without spending any user's login budget."""
    alone = Alone(MACHINE, healthy)
    alone.run(3600)

    assert len(alone.at("m2m", 1)) == 12
    assert len(alone.at("login", 1)) == 59
    assert alone.state.budgets.keys() == {"login"}


def test_in_a_burst_a_machine_token_takes_every_fourth_slot() -> None:
    """Until the login fires; then at its own interval again."""
    alone = Alone(MACHINE, lambda name, at: GONE if name == "login" and at >= 60 else None)
    alone.run(600)

    assert [at for at in alone.at("m2m", 60) if at < 100] == [60, 80]
    assert len(alone.at("m2m", 100)) == 2


def test_a_refused_machine_token_is_probed_on() -> None:
    """It blocks no user, and it recovers by itself."""
    denied = Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant")
    alone = Alone(MACHINE, lambda name, at: denied if name == "m2m" and at < 900 else None)
    alone.run(1000)

    assert len(alone.at("m2m")) > 60
    assert alone.state.probes["m2m"].state is SignalState.OK


@pytest.mark.parametrize("every_s", [1.0, 7.0, 60.0, 3600.0])
def test_any_interval_is_kept(every_s: float) -> None:
    """Slots stay on their grid, and logins keep their minimum distance."""
    rules = TenantRules("prod", "d", limits=ProbeLimits(every_s=every_s))
    alone = Alone(rules, healthy)
    alone.run(3 * max(every_s, 60))
    logins = alone.at("login", 1)

    assert alone.at("wellknown", 1)[1] - alone.at("wellknown", 1)[0] == pytest.approx(every_s)
    assert min(b - a for a, b in pairwise(logins)) >= min(every_s, 10) - 1e-6


@pytest.mark.no_cover
@given(signs=st.lists(st.sampled_from("oFRL"), min_size=1, max_size=40), has_custom=st.booleans())
def test_the_user_never_logs_in_too_often(signs: list[str], *, has_custom: bool) -> None:
    """At most twelve a minute over both domains, for any results."""
    faults = {"o": None, "F": GONE, "R": REFUSED, "L": Fault(Stage.HTTP, "http_429", 429)}
    answers = iter(signs * 50)
    alone = Alone(
        BOTH if has_custom else PLAIN,
        lambda name, _at: None if name == "wellknown" else faults[next(answers, "o")],
    )
    alone.run(900)
    logins = sorted(alone.at("login") + alone.at("custom"))

    assert all(sum(at <= other < at + 60 for other in logins) <= 12 for at in logins)


def test_a_first_slow_answer_starts_what_tells_where_it_is_slow(steps: Any) -> None:
    """The keys at once, and control endpoints soon: they would be slow as well on our own line."""
    for _ in range(12):
        steps.wait(60)
        steps.healthy()
        steps.step(Tick(steps.now))
    steps.wait(5)
    started = steps.see_slowly("prod.login", 3.0)
    due = steps.desk.controls_due["neutral"]

    assert Target("prod", WELLKNOWN) in [e.target for e in started if isinstance(e, StartProbe)]
    assert due <= steps.now + 15


@pytest.mark.parametrize(("every_s", "after_s"), [(5.0, 5.0), (1.0, 3.0), (2.0, 4.0), (15.0, 15.0)])
def test_a_routine_probe_says_when_its_repeat_is_due(every_s: float, after_s: float) -> None:
    """By the clock, from when it was sent, once it has had no answer for three seconds."""
    rules = replace(PLAIN, limits=ProbeLimits(confirm_every_s=every_s))
    state, _ = tenant_step.step(TenantState(), Started(START), rules)
    _, effects = tenant_step.step(state, Tick(START), rules)
    probes = [effect for effect in effects if isinstance(effect, StartProbe)]

    assert {probe.repeat_after_s for probe in probes} == {after_s}


def test_a_probe_without_an_answer_is_repeated_once(steps: Any) -> None:
    """Its repeat is one like any other: it has no further one, and counts as a login."""
    effects = steps.step(Unanswered(steps.now + 5.0, Target("prod", "login")))

    assert effects == [StartProbe(Target("prod", "login"))]
    assert effects[0].repeat_after_s is None


@pytest.mark.parametrize("name", ["login", "custom", WELLKNOWN])
def test_a_login_that_was_left_out_is_given_back(name: str) -> None:
    """The queue had no turn for it: the user's budget is as before it, by either domain."""
    alone = Alone(BOTH, healthy)
    alone.run(61)
    before = alone.state.budgets["login"].starts

    dropped = TurnDropped(alone.now, Target("prod", name))
    state = tenant_step.step(alone.state, dropped, BOTH)[0]

    expected = before if name == WELLKNOWN else before[:-1]
    assert state.budgets["login"].starts == expected
