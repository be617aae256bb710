from __future__ import annotations

from dataclasses import replace
from functools import cache
from math import cos, pi
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.auth0_logs.events import RowKind
from bot.core.model.measurement import Group, Measurement, MetricKind
from bot.core.model.observation import SignalState, Target
from bot.core.signals.metric_threshold import (
    NO_REPORT_S,
    POOL_S,
    MetricLimits,
    MetricState,
    observe_metric,
)
from bot.core.signals.probe_threshold import Reason

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

TARGET = Target("prod", "it")
METRICS = MetricLimits(MetricKind.METRICS)
REPORTS = MetricLimits(MetricKind.METRICS, is_pushed=True)
ERRORS = MetricLimits(MetricKind.ERRORS)
LOGS = MetricLimits(MetricKind.LOGS, share=0.1)
DAY_S = 86400.0
START = 20_000 * DAY_S
Counted = tuple[float, float | None]
"""Failed, and all."""


class Story:
    """One metric that is polled every 30 s."""

    def __init__(self, limits: MetricLimits) -> None:
        self.limits, self.metric, self.now = limits, MetricState(), START
        self.changes: list[tuple[float, Reason]] = []
        self.fired: list[float] = []
        self.span_s = 30.0 if limits.kind is MetricKind.LOGS else 120.0
        self.is_alive = False

    def see(self, failed: float, total: float | None, *groups: Group) -> Story:
        return self._see(
            Measurement(TARGET, self.now + 30, self.span_s, failed, total, groups=groups)
        )

    def miss(self, why: str = "HTTP 503") -> Story:
        return self._see(Measurement(TARGET, self.now + 30, no_data_reason=why))

    def _see(self, measurement: Measurement) -> Story:
        self.now = measurement.at
        measurement = replace(measurement, is_source_alive=self.is_alive)
        self.metric, reason = observe_metric(self.metric, measurement, self.limits)
        if reason:
            self.changes.append((self.now, reason))
        if reason and self.state is SignalState.FIRING:
            self.fired.append(self.now)
        return self

    def usually(self, failed: float, total: float | None, span_s: float = 3600.0) -> Story:
        for _ in range(int(span_s / 30)):
            self.see(failed, total)
        return self

    def know(self, each: Callable[[float], float], days: float) -> Story:
        """Let it learn days, polled every two minutes: four times as few readings."""
        limits, self.limits = self.limits, replace(self.limits, every_s=POOL_S)
        for _ in range(int(days * DAY_S / POOL_S)):
            at = self.now + POOL_S
            total = each(self.now % DAY_S / 3600) * POOL_S / 30
            self._see(Measurement(TARGET, at, POOL_S, 0, total))
        self.limits = limits
        return self

    def day(self, each: Callable[[float], float]) -> Story:
        """Play a day of logins; `each` gives how many succeed in 30 s at an hour of the day."""
        for _ in range(int(DAY_S / 30)):
            self.see(0, each(self.now % DAY_S / 3600))
        return self

    @property
    def state(self) -> SignalState:
        return self.metric.state


def after(limits: MetricLimits, readings: Iterable[Counted | None]) -> Story:
    story = Story(limits)
    for reading in readings:
        if reading is None:
            story.miss()
        else:
            story.see(*reading)
    return story


TRACE: dict[str, Counted | None] = {
    "g": (1.0, 200.0),
    "n": (8.0, 200.0),
    "f": (5.0, 19.0),
    "b": (40.0, 200.0),
    "w": (80.0, 200.0),
    "-": None,
}
"""Good, near the limit, few calls, bad, worse, missing."""


def play(trace: str, limits: MetricLimits = METRICS) -> Story:
    return after(limits, [TRACE[sign] for sign in trace])


@pytest.mark.parametrize(
    ("trace", "state"),
    [
        ("g", SignalState.OK),
        ("b", SignalState.PENDING),
        ("bw", SignalState.FIRING),
        ("bb", SignalState.PENDING),
        ("bbbb", SignalState.PENDING),
        ("bbbbb", SignalState.FIRING),
        ("b-w", SignalState.FIRING),
        ("b---", SignalState.PENDING),
        ("bgwg", SignalState.OK),
        ("bgw", SignalState.PENDING),
        ("bn", SignalState.PENDING),
        ("bf", SignalState.PENDING),
        ("nnn", SignalState.OK),
        ("fff", SignalState.OK),
        ("---", SignalState.OK),
        ("bwfff", SignalState.FIRING),
        ("bw---", SignalState.FIRING),
        ("bwnnn", SignalState.FIRING),
        ("bwgg", SignalState.FIRING),
        ("bwggbgg", SignalState.FIRING),
        ("bwggg", SignalState.OK),
        ("bwg-gfg", SignalState.OK),
        ("wwwwwbggg", SignalState.OK),
    ],
)
def test_a_trace_leads_to_its_state(trace: str, state: SignalState) -> None:
    """Two bad readings fire if the second is worse or a window later. Three good ones end it."""
    assert play(trace).state is state


@pytest.mark.parametrize(
    ("failed", "total", "fires"),
    [
        (4, 20, False),
        (5, 20, True),
        (5, 19, False),
        (9, 200, False),
        (10, 200, True),
        (20, 20, True),
        (0, 0, False),
    ],
)
def test_a_share_needs_its_limit_and_enough_calls(failed: int, total: int, *, fires: bool) -> None:
    """Five percent of at least twenty calls, and never fewer than five failures."""
    story = after(METRICS, [(failed, total)] * 6)

    assert (story.state is SignalState.FIRING) is fires


@pytest.mark.parametrize(("failed", "fires"), [(160, False), (250, True)])
def test_a_share_is_compared_with_its_baseline(failed: int, *, fires: bool) -> None:
    """If eight percent always fail, it takes three times as many."""
    story = Story(MetricLimits(MetricKind.METRICS, share=0.1)).usually(80, 1000)
    story.usually(failed, 1000, span_s=150)

    assert (story.state is SignalState.FIRING) is fires


def test_however_bad_the_usual_share_is_a_total_outage_fires() -> None:
    """Three times forty percent would be more than all."""
    story = Story(MetricLimits(MetricKind.METRICS, share=0.5)).usually(80, 200)
    story.usually(200, 200, span_s=150)

    assert story.state is SignalState.FIRING


@pytest.mark.parametrize(
    ("usual", "now", "fires"),
    [(0, 19, False), (0, 20, True), (10, 39, False), (10, 41, True)],
)
def test_errors_are_compared_with_their_baseline(usual: int, now: int, *, fires: bool) -> None:
    """Ten a minute, and four times the usual rate, over two minutes."""
    story = Story(ERRORS).usually(usual, None)
    story.usually(now, None, span_s=150)

    assert (story.state is SignalState.FIRING) is fires
    if fires:
        assert story.metric.reason is Reason.EVENTS


def test_bad_times_are_not_learned() -> None:
    """At its end, an outage of hours is as bad as at its beginning."""
    story = Story(METRICS).usually(2, 200)
    before = story.metric.baseline
    story.usually(100, 200, span_s=4 * 3600)

    assert story.state is SignalState.FIRING
    assert story.metric.baseline == before


@given(st.text("gnfbw", max_size=8), st.integers(1, 40))
def test_missing_data_changes_nothing(trace: str, times: int) -> None:
    """Not the state, the reading or the baseline, however long it lasts; only its reason stays."""
    story = play(trace)
    before, changes = story.metric, list(story.changes)
    for _ in range(times):
        story.miss()
    now = story.metric

    assert story.changes == changes
    assert now.no_data_reason == "HTTP 503"
    assert (now.state, now.reading, now.baseline) == (before.state, before.reading, before.baseline)
    assert (now.read_at, now.good_at, now.good_in_a_row) == (
        before.read_at,
        before.good_at,
        before.good_in_a_row,
    )


def test_it_began_with_the_last_good_reading() -> None:
    """A window of two minutes that is bad now may have been bad for a while; it was good before."""
    assert play("ggb-w").metric.since == START + 60
    assert play("bw").metric.since == START + 30 - 120


def test_firing_ends_with_too_little_traffic() -> None:
    """After half an hour with too little traffic it ends, with that reason."""
    story = play("gbw").usually(0, 3, span_s=1770)
    before = story.state
    story.usually(0, 3, span_s=60)

    assert (before, story.state) == (SignalState.FIRING, SignalState.OK)
    assert story.changes[-1][1] is Reason.LOW_TRAFFIC


def test_reported_failures_end_without_further_reports() -> None:
    """Applications send only failures: after ten minutes without any, they have ended."""
    story = play("bw", REPORTS)
    while story.now < START + 60 + NO_REPORT_S:
        story.miss("no reports")
    assert story.state is SignalState.FIRING
    story.miss("no reports")

    assert story.changes[-1][1] is Reason.LOW_TRAFFIC


def test_log_rows_are_pooled() -> None:
    """Four short spans are evaluated together; older ones no longer count."""
    story = after(LOGS, [(3, 10)] * 3)
    assert (story.metric.reading.failed, story.metric.reading.span_s) == (9, 90)
    assert story.changes == [(START + 60, Reason.SHARE), (START + 90, Reason.SHARE)]

    story.usually(0, 10, span_s=POOL_S)
    assert (story.metric.reading.failed, story.metric.reading.span_s) == (0, POOL_S)


@pytest.mark.parametrize(("rows", "fires"), [(1, False), (2, True)])
def test_refusals_for_a_rate_limit_fire_by_themselves(rows: int, *, fires: bool) -> None:
    """Four rows in two minutes, and then more; fewer are a client's clumsy retry."""
    story = Story(LOGS).usually(0, 500, span_s=600)
    for _ in range(3):
        story.see(rows, 500, Group(RowKind.QUOTA, rows))

    assert (story.state is SignalState.FIRING) is fires
    if fires:
        assert story.metric.reason is Reason.QUOTA


@pytest.mark.parametrize(
    ("surge", "failed", "fires"),
    [(1.0, 30, True), (1.5, 30, False), (1.5, 46, True), (9, 61, True)],
)
def test_many_who_come_at_once_mistype_more(surge: float, failed: int, *, fires: bool) -> None:
    """The limit of 5 % grows with the traffic, to 10 % at most: retries are traffic, too."""
    story = Story(METRICS).usually(6, 600, span_s=1200)
    reading = Measurement(TARGET, story.now + 30, POOL_S, failed, 600)
    metric, _ = observe_metric(story.metric, reading, METRICS, surge)

    assert (metric.state is SignalState.PENDING) is fires


def test_half_of_the_logins_are_missed_after_a_week_only() -> None:
    """On the first weekend as many are missing, and within minutes: what an hour brings differs."""
    for days, left, is_missed in [(5, 20, False), (5, 7, True), (7.1, 20, True), (7.1, 29, False)]:
        story = Story(LOGS)
        story.metric, story.now = after_days(LOGS, 50, days)
        story.usually(0, left, span_s=240)

        assert (story.state is SignalState.FIRING) is is_missed, (days, left)


def test_few_logins_have_to_be_missed_more_clearly() -> None:
    """A small tenant's evening may bring half of what another one did."""
    for usual, left, is_missed in [(15, 6, False), (15, 2, True), (150, 60, True)]:
        story = Story(LOGS)
        story.metric, story.now = after_days(LOGS, usual, 7.1)
        story.usually(0, left, span_s=240)

        assert (story.state is SignalState.FIRING) is is_missed, (usual, left)


def test_a_sudden_loss_of_logins_fires() -> None:
    """Requests that fail before Auth0 logs them leave a gap and no failed row."""
    story = Story(LOGS).usually(0, 50)
    before = story.now
    story.usually(0, 2, span_s=180)

    assert story.metric.reason is Reason.SUCCESSES_MISSING
    assert story.fired[0] - before <= 150


@cache
def after_days(limits: MetricLimits, usual: int, days: float) -> tuple[MetricState, float]:
    story = Story(limits)
    story.know(lambda _: usual * 30 / story.span_s, days)
    return story.metric, story.now


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("limits", "usual", "left", "days", "is_alive", "is_away"),
    [
        (METRICS, 60, 10, 7.1, False, True),
        (METRICS, 60, 0, 7.1, True, True),
        (METRICS, 60, 0, 7.1, False, False),
        (METRICS, 60, 15, 7.1, True, False),
        (METRICS, 29, 1, 7.1, True, False),
        (METRICS, 60, 10, 6.5, True, False),
        (LOGS, 15, 1, 7.1, False, True),
    ],
)
def test_successes_that_stay_away_are_known_after_a_week(
    limits: MetricLimits, usual: int, left: int, days: float, *, is_alive: bool, is_away: bool
) -> None:
    """80 % fewer of at least 30, none of which fails, while the source counts something."""
    story = Story(limits)
    story.metric, story.now = after_days(limits, usual, days)
    story.is_alive = is_alive
    story.usually(0, left, span_s=240)

    assert story.metric.reading.is_away is is_away
    assert (story.state is SignalState.FIRING) is is_away


@pytest.mark.no_cover
def test_successes_that_stay_away_are_no_new_habit() -> None:
    """For hours they are away, until they are back."""
    story = Story(METRICS)
    story.metric, story.now = after_days(METRICS, 60, 7.1)
    story.usually(0, 6, span_s=3 * 3600)
    assert story.metric.reading.is_away

    story.usually(0, 60, span_s=300)
    assert story.state is SignalState.OK


@pytest.mark.no_cover
def test_a_quiet_weekend_is_learnt_by_the_hour_of_the_week() -> None:
    """The second one fires nothing, though each begins within minutes."""
    story = Story(LOGS).know(lambda _: 3, days=2).know(lambda _: 60, days=5)
    story.changes.clear()
    story.usually(0, 3, span_s=DAY_S)

    assert story.changes == []


def test_a_loss_of_few_logins_does_not_fire() -> None:
    """If five succeed in two minutes, none may be chance."""
    story = Story(LOGS).usually(0, 1.25).usually(0, 0)

    assert story.changes == []


def evening(hour: float) -> float:
    """Return the logins in 30 s: from 200 in the afternoon to 20 at night, as a wave."""
    return 110 - 90 * cos((hour - 3) / 24 * 2 * pi)


def steep(hour: float, begins_h: float, lasts_h: float) -> float:
    """Return the logins in 30 s: from 200 to 20 in the evening, and up from 6 to 9."""
    if hour < 12:
        return min(200.0, max(20.0, 20 + (hour - 6) * 60))
    if hour < begins_h:
        return 200.0
    return max(20.0, 200 - (hour - begins_h) * 180 / max(lasts_h, 0.001))


@pytest.mark.no_cover
def test_an_evening_like_any_other_is_no_outage() -> None:
    """A wave from day to night fires nothing, not even on the first day."""
    story = Story(LOGS)
    for _ in range(3):
        story.day(evening)

    assert story.changes == []


@pytest.mark.no_cover
@pytest.mark.parametrize("lasts_h", [0.0, 1.0, 4.0])
def test_a_steep_evening_fires_on_the_first_day_only(lasts_h: float) -> None:
    """If nine of ten users leave within hours, or at once, the earlier days predict it."""
    story = Story(LOGS)
    for _ in range(3):
        story.day(lambda hour: steep(hour, 18.5, lasts_h))

    assert len(story.fired) <= 1
    assert all(at < START + DAY_S for at in story.fired)


@pytest.mark.no_cover
def test_a_loss_in_the_evening_fires_as_well() -> None:
    """The usual decline explains no more than itself."""
    story = Story(LOGS).know(evening, 3).day(evening)
    before = story.now
    story.day(lambda hour: evening(hour) * (0.1 if hour >= 19 else 1))

    assert story.fired[0] - before == pytest.approx(19 * 3600, abs=180)


@pytest.mark.no_cover
def test_a_weekend_becomes_the_new_normal() -> None:
    """A quiet day fires; after an hour the baseline has learned it, and firing ends by itself."""
    story = Story(LOGS).usually(0, 200, span_s=3 * 3600)
    before = story.now
    story.usually(0, 20, span_s=12 * 3600)

    assert story.state is SignalState.OK
    assert story.fired[0] - before < 180
    assert before + 3600 < story.changes[-1][0] < before + 4 * 3600


@pytest.mark.no_cover
@given(st.integers(0, 2**32))
def test_the_state_is_bounded(seed: int) -> None:
    """For any times and spans: two minutes of measurements and a day of hours."""
    random = Random(seed)  # noqa: S311 - no secret
    story = Story(LOGS)
    for _ in range(60):
        story.now += random.choice([-30.0, -20.0, 0.0, 600.0, 9000.0])
        story.see(random.randrange(9), random.randrange(9, 90))

    assert len(story.metric.recent) <= 62
    assert len(story.metric.hourly_baselines) <= 24


class Noise:
    """Calls of a constant level that come and fail by chance."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - no secret

    def count(self, mean: float) -> int:
        """Return how often something happens by chance that happens so often in the mean."""
        count, left = -1, mean
        while left >= 0:
            count += 1
            left -= self._random.expovariate(1.0)
        return count


def by_chance(story: Story, failed: float, well: float) -> Story:
    """Play a day of readings of overlapping windows, with these means a minute."""
    noise = Noise(seed=7)
    bad: list[int] = []
    good: list[int] = []
    size = round(story.span_s / 30)
    for place in range(int(DAY_S / 30)):
        bad.append(noise.count(failed / 2))
        good.append(noise.count(well / 2))
        if place >= size:
            count = sum(bad[-size:])
            story.see(
                count, None if story.limits.kind is MetricKind.ERRORS else count + sum(good[-size:])
            )
    return story


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("limits", "failed", "well"),
    [
        (METRICS, 0.1, 10),
        (METRICS, 0.4, 40),
        (METRICS, 3, 300),
        (METRICS, 3, 97),
        (ERRORS, 0.5, 0),
        (ERRORS, 3, 0),
        (ERRORS, 5, 0),
        (LOGS, 0.2, 12),
        (LOGS, 4, 60),
    ],
)
def test_chance_alone_fires_nothing(limits: MetricLimits, failed: float, well: float) -> None:
    """A day of random counts around a constant level, for several levels."""
    assert by_chance(Story(limits), failed, well).fired == []


@pytest.mark.no_cover
def test_a_project_of_many_errors_is_no_outage() -> None:
    """Forty a minute from the first reading on: once known, that is its usual level."""
    story = Story(ERRORS).usually(80, None, span_s=2 * 3600)

    assert story.state is SignalState.OK
