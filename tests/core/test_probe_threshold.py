from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.observation import Fault, Observation, Outcome, SignalState, Stage, Target
from bot.core.signals.probe_threshold import (
    ProbeLimits,
    ProbeState,
    Reason,
    observe_probe,
    probe_interval_s,
    successes_needed,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

TARGET = Target("prod", "login")
FAULTS = {
    "F": Fault(Stage.HTTP, "http_503", 503),
    "R": Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant"),
    "L": Fault(Stage.OAUTH, "too_many_requests", 429, "too_many_requests"),
}
LIMITS = ProbeLimits()


def observation(sign: str, at: float) -> Observation:
    """One character for each result: o ok, ? no data, F 503, R refused, L rate limit."""
    if sign == "o":
        return Observation(TARGET, at, Outcome.OK, 0.2)
    if sign == "?":
        return Observation(TARGET, at, Outcome.NO_DATA, no_data_reason="test")
    return Observation(TARGET, at, Outcome.FAILED, 0.2, FAULTS[sign])


def run(trace: Iterable[str], signal: ProbeState | None = None) -> tuple[ProbeState, list[Reason]]:
    """Play a trace, with a result every five seconds."""
    signal = signal or ProbeState()
    reasons = []
    for place, sign in enumerate(trace):
        signal, reason = observe_probe(signal, observation(sign, place * 5.0), LIMITS)
        if reason:
            reasons.append(reason)
    return signal, reasons


@pytest.mark.parametrize(
    ("trace", "state"),
    [
        ("", SignalState.OK),
        ("ooo", SignalState.OK),
        ("F", SignalState.PENDING),
        ("FFFF", SignalState.PENDING),
        ("FFFFF", SignalState.FIRING),
        ("FoFoFoFoF", SignalState.FIRING),
        ("FF?F?FF", SignalState.FIRING),
        ("F" + "o" * 18, SignalState.PENDING),
        ("F" + "o" * 19, SignalState.OK),
        ("FoooooFoooooFoooooFoooooF", SignalState.PENDING),
        ("FFFFFoo", SignalState.FIRING),
        ("FFFFFooo", SignalState.OK),
        ("FFFFFo?o?o", SignalState.OK),
        ("FFFFFoooF", SignalState.FIRING),
        ("FFFFFoooF" + "o" * 5, SignalState.FIRING),
        ("FFFFFoooF" + "o" * 6, SignalState.OK),
        ("FFFFFoooF" + "o" * 6 + "F" + "o" * 8, SignalState.FIRING),
        ("FFFFFoooF" + "o" * 6 + "F" + "o" * 9, SignalState.OK),
        ("RR", SignalState.PENDING),
        ("RRR", SignalState.FIRING),
        ("L", SignalState.PENDING),
        ("LL", SignalState.FIRING),
        ("LoL", SignalState.FIRING),
        ("LoooL", SignalState.FIRING),
        ("L" + "o" * 8 + "L", SignalState.FIRING),
        ("L" + "o" * 8, SignalState.PENDING),
        ("L" + "o" * 9, SignalState.OK),
        ("LL" + "o" * 9, SignalState.FIRING),
        ("LL" + "o" * 10, SignalState.OK),
        ("????", SignalState.OK),
    ],
)
def test_a_trace_leads_to_its_state(trace: str, state: SignalState) -> None:
    """The table of the module's docstring, as traces."""
    assert run(trace)[0].state is state


def test_the_third_refusal_stops_the_login() -> None:
    """The bot does not retry refused credentials by itself."""
    signal, reasons = run("RRR")

    assert signal.is_stopped
    assert reasons[-1] is Reason.REFUSED
    assert probe_interval_s(signal, 100.0, LIMITS) is None


def test_a_success_starts_a_stopped_login_again() -> None:
    """A person's successful check resumes the login, and three successes end the problem."""
    signal, _ = run("o", run("RRR")[0])

    assert not signal.is_stopped
    assert run("ooo", signal)[0].state is SignalState.OK


def test_a_lucky_run_does_not_end_a_partial_outage() -> None:
    """If half of the tries fail, three successes in a row prove nothing."""
    signal, _ = run("FoFoFoFoFooo")

    assert signal.state is SignalState.FIRING
    assert successes_needed(signal, LIMITS) == 6
    assert run("ooo", signal)[0].state is SignalState.OK


def test_a_failure_soon_after_the_end_fires_at_once() -> None:
    """It is the same problem, not a new one."""
    signal, _ = run("FFFFFooo")
    again, reason = observe_probe(signal, observation("F", 35 + 599), LIMITS)

    assert (again.state, reason) == (SignalState.FIRING, Reason.FAILED_AGAIN)


@pytest.mark.parametrize(
    "trace", ["FoFoFoFoF" + "ooooF" * 6, "FFFFFooo" + ("F" + "o" * 19) * 12 + "F"]
)
def test_one_window_of_successes_is_always_enough(trace: str) -> None:
    """However seldom it fails, and however often it came back: the window holds no more."""
    signal, _ = run(trace)

    assert signal.state is SignalState.FIRING
    assert successes_needed(signal, LIMITS) == LIMITS.window - 1
    assert run("o" * 19, signal)[0].state is SignalState.OK


def test_a_failure_long_after_the_end_is_a_first_one() -> None:
    """After `recover_for_s` a failure is repeated before it counts."""
    signal, _ = run("FFFFFooo")
    later, reason = observe_probe(signal, observation("F", 35 + 601), LIMITS)

    assert (later.state, reason) == (SignalState.PENDING, Reason.FIRST_FAILURE)
    assert run("FFFFooo", later)[0].state is SignalState.OK


@pytest.mark.parametrize(
    ("trace", "interval_s"),
    [("o", 60.0), ("F", 5.0), ("FFFFF", 10.0), ("R", 30.0), ("L", 20.0), ("FL", 20.0)],
)
def test_each_kind_of_failure_has_its_interval(trace: str, interval_s: float) -> None:
    """Refusals and rate limits are not probed quickly."""
    assert probe_interval_s(run(trace)[0], 100.0, LIMITS) == interval_s


def test_a_rate_limit_is_waited_out() -> None:
    """If the response says when to try again, we try then."""
    fault = Fault(Stage.HTTP, "http_429", 429, retry_at=115.0)
    signal, _ = observe_probe(
        ProbeState(), Observation(TARGET, 100.0, Outcome.FAILED, 0.1, fault), LIMITS
    )

    assert probe_interval_s(signal, 101.0, LIMITS) == 14.0


@pytest.mark.parametrize(
    ("asked_s", "times", "wait_s"), [(3600.0, 1, 20.0), (3600.0, 2, 900.0), (1.0, 1, 5.0)]
)
def test_a_rate_limit_may_not_ask_for_any_wait(asked_s: float, times: int, wait_s: float) -> None:
    """At least five seconds; at most 20 s until the alert is out, then a quarter of an hour."""
    fault = Fault(Stage.HTTP, "http_429", 429, retry_at=100.0 + asked_s)
    signal = ProbeState()
    for _ in range(times):
        failed = Observation(TARGET, 100.0, Outcome.FAILED, 0.1, fault)
        signal, _ = observe_probe(signal, failed, LIMITS)

    assert probe_interval_s(signal, 100.0, LIMITS) == wait_s


traces = st.text(alphabet="oF?RL", max_size=60)


@given(traces)
def test_no_data_anywhere_changes_nothing(trace: str) -> None:
    """A trace and the same trace without its `no_data` end in the same state."""
    signal = ProbeState()
    for place, sign in enumerate(trace):
        signal, _ = observe_probe(signal, observation(sign, place * 5.0), LIMITS)
    bare = ProbeState()
    for place, sign in enumerate(trace):
        if sign != "?":
            bare, _ = observe_probe(bare, observation(sign, place * 5.0), LIMITS)

    assert signal == bare


@given(traces)
def test_five_failures_in_a_row_always_fire(trace: str) -> None:
    """Whatever came before, a full outage fires."""
    assert run(trace + "FFFFF")[0].state is SignalState.FIRING


@given(traces)
def test_enough_successes_always_end_it(trace: str) -> None:
    """A full window of successes ends every problem."""
    assert run(trace + "o" * 20)[0].state is SignalState.OK


@given(traces)
def test_the_window_never_grows_over_its_size(trace: str) -> None:
    """The state stays small, however long a problem lasts."""
    assert len(run(trace)[0].tries) <= LIMITS.window


@pytest.mark.parametrize(("lasts_s", "is_slow"), [(40, False), (75, True)])
def test_a_burst_does_not_make_a_moment_slow(lasts_s: int, *, is_slow: bool) -> None:
    """It tries every 5 s; slow answers count every 15 s, as without it."""
    signal, _ = run("o" * 20 + "F")
    for after_s in range(5, lasts_s, 5):
        slow = Observation(TARGET, 100.0 + after_s, Outcome.OK, 2.5)
        signal, _ = observe_probe(signal, slow, LIMITS)

    assert signal.latency.is_slow is is_slow
