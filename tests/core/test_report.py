from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.command import ALL_SIGNALS
from bot.core.model.observation import Cause, Scope, Severity, Target, Verdict
from bot.core.reports import (
    Availability,
    DurationStats,
    LeadTime,
    Report,
    ResponseTimes,
    SingleFailures,
    _time_by_status,
    build_report,
    combine_availability,
    list_intervals,
    measure_availability,
)
from bot.core.signals.history import Day
from bot.core.signals.probe_threshold import ProbeState
from bot.core.state.desk import DeskState
from bot.core.state.incident import (
    MESSAGE,
    STATUS_INCIDENT,
    Acknowledgement,
    FailingSpan,
    Incident,
    IncidentHistory,
    IncidentKind,
    IncidentLife,
    NotificationState,
    Resolution,
)
from bot.core.state.problem import ProbeProblem
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.silence import Silence
from bot.core.state.tenant import Tenants, TenantState

UNTIL = 1_772_445_600.0
HOUR, DAY, WEEK = 3600.0, 86400.0, 7 * 86400.0
SINCE = UNTIL - DAY
RULES = Rules({name: TenantRules(name, f"{name}.us.auth0.com") for name in ("prod", "shop")})
WATCHED = TenantState(watched_since=UNTIL - 30 * DAY)
WORLD = Tenants({"prod": WATCHED, "shop": WATCHED})
MUTED = NotificationState(is_muted=True)


def incident(
    begin: float,
    end: float | None,
    *,
    opened_at: float | None = None,
    taken_at: float | None = None,
    merged_into: int | None = None,
    **more: Any,
) -> Incident:
    """One incident, with start and end in hours after the start of the day."""
    life = IncidentLife(
        SINCE + begin * HOUR + 60 if opened_at is None else opened_at,
        None if taken_at is None else Acknowledgement("U1", taken_at),
        None if end is None else Resolution(SINCE + end * HOUR, merged_into=merged_into),
    )
    given: dict[str, Any] = {
        "kind": IncidentKind.FAILING,
        "severity": Severity.CRITICAL,
        "tenants": ("prod",),
        "verdict": Verdict(Cause.AUTH0, Scope.TENANT, 0.9),
        "life": life,
    }
    return Incident(id=1, since=SINCE + begin * HOUR, **{**given, **more})


def looked_back(*incidents: Incident, span_s: float = DAY, **desk: Any) -> Report:
    known = {number: replace(one, id=number) for number, one in enumerate(incidents, 1)}
    return build_report(DeskState(incidents=known, **desk), WORLD, RULES, UNTIL - span_s, UNTIL)


def hours(one: Availability) -> tuple[float, ...]:
    """Up, degraded, down, unobserved."""
    return tuple(s / HOUR for s in (one.up_s, one.degraded_s, one.down_s, one.unobserved_s))


WARNING: dict[str, Any] = {"severity": Severity.WARNING}
BLIND: dict[str, Any] = {"kind": IncidentKind.NO_DATA, "severity": Severity.WARNING}
GAP: dict[str, Any] = {
    "kind": IncidentKind.MONITORING_GAP,
    "severity": Severity.INFO,
    "tenants": ("shop",),
}
SILENT: dict[str, Any] = {"kind": IncidentKind.SOURCE_NO_DATA, "severity": Severity.INFO}
TIMES: dict[str, tuple[list[Incident], tuple[float, float, float, float]]] = {
    "nothing": ([], (24, 0, 0, 0)),
    "down": ([incident(2, 5)], (21, 0, 3, 0)),
    "degraded": ([incident(2, 5, **WARNING)], (21, 3, 0, 0)),
    "still open": ([incident(20, None)], (20, 0, 4, 0)),
    "began before": ([incident(-5, 1)], (23, 0, 1, 0)),
    "one in the other": ([incident(2, 8), incident(3, 5)], (18, 0, 6, 0)),
    "down within degraded": ([incident(2, 8, **WARNING), incident(3, 5)], (18, 4, 2, 0)),
    "blind": ([incident(2, 5, **BLIND)], (21, 0, 0, 3)),
    "blind while down": ([incident(2, 8), incident(3, 5, **BLIND)], (18, 0, 4, 2)),
    "a gap is everybody's": (
        [incident(2, 4, opened_at=SINCE + 4 * HOUR, **GAP)],
        (22, 0, 0, 2),
    ),
    "a silent source": ([incident(2, 5, **SILENT)], (24, 0, 0, 0)),
    "somebody else's": ([incident(2, 5, tenants=("shop",))], (24, 0, 0, 0)),
    "joined later": (
        [
            incident(
                2,
                8,
                tenants=("shop", "prod"),
                problems=(
                    ProbeProblem("shop", "login", SINCE + 2 * HOUR, 5, 5),
                    ProbeProblem("prod", "login", SINCE + 7 * HOUR, 5, 5),
                ),
            )
        ],
        (23, 0, 1, 0),
    ),
    "merged": ([incident(2, 4, merged_into=2), incident(2, 8)], (18, 0, 6, 0)),
    "false alarm": ([incident(2, 5, false_alarm="a test")], (24, 0, 0, 0)),
    "muted": ([incident(2, 5, notification=MUTED)], (21, 0, 3, 0)),
}


@pytest.mark.parametrize("name", TIMES)
def test_availability_of_a_tenant(name: str) -> None:
    """Up, degraded, down and unobserved, in hours of a day."""
    incidents, expected = TIMES[name]

    assert hours(looked_back(*incidents).tenants[0]) == expected


def test_unobserved_time_is_neither_up_nor_down() -> None:
    """A tenant of this morning has no full week."""
    world = Tenants({"prod": TenantState(watched_since=UNTIL - HOUR), "shop": TenantState()})
    told = build_report(DeskState(), world, RULES, SINCE, UNTIL)

    assert [hours(one) for one in told.tenants] == [(1, 0, 0, 23), (0, 0, 0, 24)]
    assert [one.share for one in told.tenants] == [1.0, None]


@st.composite
def any_incident(draw: st.DrawFn) -> Incident:
    begin = draw(st.floats(-10, 24))
    lasts = draw(st.none() | st.floats(0.02, 40))
    return incident(
        begin,
        None if lasts is None else begin + lasts,
        kind=draw(st.sampled_from(IncidentKind)),
        severity=draw(st.sampled_from(Severity)),
        tenants=draw(st.sampled_from([("prod",), ("shop",), ("prod", "shop")])),
        false_alarm=draw(st.sampled_from(["", "none"])),
        merged_into=draw(st.none() | st.just(9)),
    )


@given(st.lists(any_incident(), max_size=12), st.none() | st.floats(-30, 30))
def test_no_time_is_lost_or_counted_twice(incidents: list[Incident], watched: float | None) -> None:
    """However incidents overlap, the sum is the span, and the share is between 0 and 1."""
    since = None if watched is None else SINCE + watched * HOUR
    found = list_intervals(incidents, ("prod",), UNTIL)["prod"]
    one = measure_availability("prod", found, since, SINCE, UNTIL)
    spans = hours(one)

    assert min(spans) >= 0
    assert sum(spans) == pytest.approx(24)
    assert one.share is None or 0 <= one.share <= 1


@given(st.lists(any_incident(), max_size=12))
def test_any_past_gives_a_report(incidents: list[Incident]) -> None:
    """No incident counts twice, and the sum over tenants adds up."""
    told = looked_back(*incidents)

    assert sum(told.causes.values()) + len(told.false_alarms) <= len(incidents)
    assert sum(hours(combine_availability(told.tenants))) == pytest.approx(48)


def test_an_empty_past() -> None:
    """Without incidents the report is empty."""
    told = looked_back()

    assert (
        told.causes,
        told.muted,
        told.false_alarms,
        told.silences,
        told.pages_by_contact_point,
    ) == (
        {},
        (),
        (),
        (),
        {},
    )
    assert told.response == ResponseTimes(None, None, None, None)


def test_more_than_a_week_is_cut() -> None:
    """For a month it reports the week that is stored, and says so."""
    told = looked_back(span_s=30 * DAY)

    assert (told.since, told.is_truncated) == (UNTIL - WEEK, True)
    assert not looked_back(span_s=WEEK).is_truncated


def test_incidents_are_counted_by_cause() -> None:
    """The most frequent first, as the channel saw them; merged ones once, muted ones only named."""
    tenants = Verdict(Cause.TENANT, Scope.TENANT, 0.8)
    told = looked_back(
        incident(1, 2, verdict=tenants),
        incident(2, 3),
        incident(3, 4),
        incident(4, 5, notification=MUTED),
        incident(4, 5, merged_into=3),
        incident(6, 7, false_alarm="a test"),
        incident(8, 9, **SILENT),
        incident(-9, -2),
    )

    assert told.causes == {Cause.AUTH0: 2, Cause.TENANT: 1}
    assert list(told.causes) == [Cause.AUTH0, Cause.TENANT]
    assert told.muted == (4,)
    assert [(one.id, one.false_alarm) for one in told.false_alarms] == [(6, "a test")]


def test_durations() -> None:
    """Median and maximum; an unfinished incident is left out."""
    told = looked_back(
        incident(1, 2, taken_at=SINCE + HOUR + 120),
        incident(2, 4, opened_at=SINCE + 2 * HOUR + 30),
        incident(5, None, taken_at=SINCE + 5 * HOUR + 300),
        incident(6, 7, **BLIND),
    )

    assert told.response.to_detect == DurationStats(60, 60, 3)
    assert told.response.to_acknowledge == DurationStats(150, 240, 2)
    assert told.response.to_resolve == DurationStats(1.5 * HOUR, 2 * HOUR, 2)


def test_each_time_that_an_incident_failed_counts_by_itself() -> None:
    """Never the healthy time between; a tenant only where it failed, and each lead by its post."""
    first = FailingSpan(
        SINCE + HOUR,
        SINCE + 2 * HOUR,
        {"prod": SINCE + HOUR, "shop": SINCE + 1.5 * HOUR},
        {MESSAGE: SINCE + HOUR + 60, STATUS_INCIDENT: SINCE + HOUR + 30},
    )
    again = SINCE + 5 * HOUR
    life = IncidentLife(
        SINCE + HOUR + 60,
        resolved=Resolution(again + HOUR, ended_at=again + 0.5 * HOUR),
        reopened_at=again,
        failing_since=again,
        past=(first,),
    )
    detected = {MESSAGE: again, STATUS_INCIDENT: again + 120}
    told = looked_back(
        incident(
            1,
            6,
            tenants=("prod", "shop"),
            life=life,
            problems=(ProbeProblem("prod", "login", again, failed=9, tries=9),),
            history=IncidentHistory(detected_at=detected),
        )
    )

    assert [one.down_s for one in told.tenants] == [1.5 * HOUR, 0.5 * HOUR]
    assert [one.incidents for one in told.tenants] == [1, 1]
    assert told.response.to_detect == DurationStats(30, 60, 2)
    assert told.response.to_resolve == DurationStats(0.75 * HOUR, HOUR, 2)
    assert told.response.lead == LeadTime(45.0, 1, 2)
    assert (told.causes, told.relapses) == ({Cause.AUTH0: 1}, 1)


def test_the_lead_over_the_status_page() -> None:
    """Only if both detected it; a faster status page counts against us."""
    told = looked_back(
        incident(
            1, 2, history=IncidentHistory(detected_at={MESSAGE: 100.0, STATUS_INCIDENT: 700.0})
        ),
        incident(
            3, 4, history=IncidentHistory(detected_at={MESSAGE: 100.0, STATUS_INCIDENT: 40.0})
        ),
        incident(5, 6, history=IncidentHistory(detected_at={MESSAGE: 100.0})),
    )

    assert told.response.lead == LeadTime(270.0, 1, 2)


def test_single_failures_by_login_and_day() -> None:
    """Only days of the span; a login without any is left out."""
    today = int(UNTIL // DAY)
    trend = tuple(Day(number, 1440, number % 2) for number in range(today - 7, today + 1))
    signals = {"login": ProbeState(trend=trend), "wellknown": ProbeState(trend=trend)}
    world = Tenants({"prod": replace(WATCHED, probes=signals), "shop": WATCHED})
    told = build_report(DeskState(), world, RULES, SINCE, UNTIL)

    assert told.single_failures == (SingleFailures("prod", "login", trend[-2:]),)


def test_silences_and_pages() -> None:
    """Silences within the span, and how many incidents each contact point was notified of."""
    old = Silence(1, ALL_SIGNALS, SINCE - WEEK, SINCE - DAY, "U1", "old", ended_at=SINCE - DAY)
    ran = Silence(
        2,
        Target("prod", ""),
        SINCE - HOUR,
        SINCE + HOUR,
        "U1",
        "x",
        7,
        ended_at=SINCE + HOUR,
    )
    runs = Silence(3, Target("shop", ""), UNTIL - HOUR, UNTIL + HOUR, "U1", "x")
    told = looked_back(
        incident(1, 2, notification=NotificationState(paged_at={"pager": 1.0, "sms": 1.0})),
        incident(3, 4, notification=NotificationState(paged_at={"pager": 1.0})),
        silences={each.id: each for each in (old, ran, runs)},
    )

    assert [each.id for each in told.silences] == [2, 3]
    assert told.pages_by_contact_point == {"pager": 2, "sms": 1}


def test_tenants_that_failed_together_are_measured_once() -> None:
    """An outage of a whole region is no more work than one of a single tenant."""
    names = [f"t{number}" for number in range(300)]
    incidents = [incident(1, 2, tenants=tuple(names))]
    found = list_intervals(incidents, names, UNTIL)

    assert len({id(each) for intervals in found.values() for each in intervals}) == 1
    _time_by_status.cache_clear()
    for name in names:
        measure_availability(name, found[name], SINCE, SINCE, UNTIL)
    assert _time_by_status.cache_info().misses == 1
