"""Traces of a clock that goes wrong, or of a host whose clock does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.signals.clock_check import LIMIT_S, STEADY_S, ClockCheck, ClockJudgement, SeenDate

HOUR = 3600.0
HOSTS = ("acme.us.auth0.com", "slack.com", "status.auth0.com")


@dataclass
class Host:
    """A machine on which the bot runs. All offsets are from the true time."""

    bot_s: float = 0.0
    clock_s: float = 0.0
    hosts: tuple[str, ...] = HOSTS
    wrong: dict[str, float] = field(default_factory=dict)
    """What other hosts take for the time, where it is not the true one."""
    at: float = 0.0
    check: ClockCheck = field(default_factory=ClockCheck)
    corrections: list[ClockJudgement] = field(default_factory=list)

    def set_clock(self, clock_s: float) -> None:
        self.clock_s = clock_s

    def ask(self) -> bool:
        """Let every host answer once; return whether results count."""
        for name in self.hosts:
            offset_s = self.wrong.get(name, 0.0) - self.bot_s
            dates = {**self.check.dates, name: SeenDate(offset_s, self.at)}
            self.check = replace(self.check, dates=dates)
            is_trusted = self.judge()
        return is_trusted if self.hosts else self.judge()

    def judge(self) -> bool:
        check = self.check.with_host_clock(self.clock_s - self.bot_s, self.at)
        self.check, judgement = check.judge(self.at)
        if judgement.correction_s is not None:
            self.bot_s += judgement.correction_s
            self.corrections.append(judgement)
        return judgement.is_trusted

    def run(self, span_s: float, every_s: float = 10.0) -> float:
        """Let time pass; return for how long results did not count."""
        lost_s = 0.0
        for _ in range(round(span_s / every_s)):
            self.at += every_s
            lost_s += 0.0 if self.ask() else every_s
        return lost_s


def test_a_right_clock_is_trusted_from_the_first_answer() -> None:
    """Also without any answer."""
    host, alone = Host(), Host(hosts=())

    assert (host.run(600), alone.run(600)) == (0.0, 0.0)
    assert host.corrections == alone.corrections == []


@pytest.mark.parametrize("step_s", [-10 * HOUR, -HOUR, -90.0, 90.0, HOUR, 10 * HOUR])
@pytest.mark.parametrize("hosts", [HOSTS, HOSTS[:2], HOSTS[:1]])
def test_a_host_whose_clock_is_set_wrong(step_s: float, hosts: tuple[str, ...]) -> None:
    """The bot goes on by its own time, as the others confirm it, and knows who is wrong."""
    host = Host(hosts=hosts)
    host.run(120)
    host.set_clock(step_s)

    assert host.run(300) <= 10.0
    assert (host.bot_s, host.check.host_ahead_s) == (0.0, step_s)
    host.hosts = ()
    assert host.run(900) == 0.0
    host.set_clock(0.0)
    assert host.run(60) == 0.0
    assert (host.bot_s, host.check.host_ahead_s) == (0.0, 0.0)


@pytest.mark.parametrize("step_s", [-45.0, -31.0, 31.0, 45.0])
@pytest.mark.parametrize(("hosts", "is_named"), [(HOSTS, True), (HOSTS[:2], False)])
def test_half_a_minute_is_named_if_three_hosts_agree(
    step_s: float, hosts: tuple[str, ...], *, is_named: bool
) -> None:
    """In both directions; whether the host's clock is set, or was wrong from the start."""
    host, late = Host(hosts=hosts), Host(bot_s=step_s, clock_s=step_s, hosts=hosts)
    host.run(120)
    host.set_clock(step_s)
    host.run(120)
    late.run(120)

    assert host.check.host_ahead_s == (step_s if is_named else 0.0)
    assert late.check.host_ahead_s == (step_s if is_named else 0.0)
    assert late.bot_s == (0.0 if is_named else step_s)


@pytest.mark.parametrize("step_s", [-10 * HOUR, -90.0, 90.0, 10 * HOUR])
def test_without_any_answer_a_clock_that_is_set_is_followed_once_it_is_steady(
    step_s: float,
) -> None:
    """Nobody can say who is right, and a time service is right more often than not."""
    host = Host(hosts=())
    host.run(120)
    host.set_clock(step_s)

    assert host.run(20) == 20.0
    assert host.bot_s == 0.0
    assert host.run(300) <= STEADY_S
    assert (host.bot_s, host.check.host_ahead_s) == (step_s, 0.0)
    assert not host.corrections[0].was_paused


@pytest.mark.parametrize("wrong_s", [-10 * HOUR, -HOUR, HOUR, 10 * HOUR])
def test_a_clock_that_is_wrong_at_the_start(wrong_s: float) -> None:
    """Two answers correct it; nothing before counts. Later the host's clock is put right."""
    host = Host(bot_s=wrong_s, clock_s=wrong_s)

    assert host.run(600) <= 10.0
    assert (host.bot_s, host.check.host_ahead_s) == (0.0, wrong_s)
    host.set_clock(0.0)
    assert host.run(600) == 0.0
    assert (host.bot_s, host.check.host_ahead_s) == (0.0, 0.0)
    assert len(host.corrections) == 1


def test_a_clock_that_is_wrong_at_the_start_without_answers_and_put_right() -> None:
    """Nobody answered until the time service had set the clock."""
    host = Host(bot_s=-HOUR, clock_s=-HOUR, hosts=())
    host.run(60)
    host.set_clock(0.0)
    host.run(60)

    assert host.bot_s == 0.0
    host.hosts = HOSTS
    assert host.run(600) == 0.0


def test_a_machine_that_stood_still() -> None:
    """A virtual machine was paused: its own clocks did not run, and then it was told the time."""
    host = Host()
    host.run(300)
    host.bot_s, host.clock_s = -HOUR, -HOUR  # as it goes on
    host.set_clock(0.0)
    host.run(10)

    assert [one.was_paused for one in host.corrections] == [True]
    assert host.bot_s == 0.0


@pytest.mark.parametrize("hosts", [HOSTS, HOSTS[:1]])
def test_one_host_with_a_wrong_time_is_wrong_itself(hosts: tuple[str, ...]) -> None:
    """Alone it costs a short doubt, beside two others nothing."""
    host = Host(hosts=hosts, wrong={HOSTS[0]: HOUR})

    assert host.run(1200) <= (STEADY_S + 10.0 if hosts == HOSTS[:1] else 10.0)
    assert host.bot_s == 0.0


def test_small_differences_are_no_matter() -> None:
    """Below a minute nothing happens; a clock that is slow adds up, and is corrected."""
    host = Host()
    for _ in range(20):
        host.set_clock(host.clock_s + 59.0)
        host.run(60)
        assert host.bot_s == 0.0
    host.bot_s = -LIMIT_S - 5.0
    host.run(60)

    assert host.bot_s == 0.0


@given(
    steps=st.lists(
        st.tuples(st.floats(-36_000, 36_000), st.floats(5, 900), st.sampled_from([HOSTS, ()])),
        max_size=12,
    )
)
def test_whatever_is_done_to_the_clock_results_count_again_soon(
    steps: list[tuple[float, float, tuple[str, ...]]],
) -> None:
    """Within a minute and a half of the last step; and where others answer, by the true time."""
    host = Host()
    for clock_s, span_s, hosts in steps:
        host.hosts = hosts
        host.set_clock(clock_s)
        host.run(span_s)
    host.hosts = HOSTS

    assert host.run(90) <= 60.0
    assert host.run(600) == 0.0
    assert abs(host.bot_s) < LIMIT_S
