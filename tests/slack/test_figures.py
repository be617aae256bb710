from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.auth0_logs.events import RowKind
from bot.core.model.measurement import ExternalAlert, Group, Measurement, MetricKind
from bot.core.model.observation import SignalState, Target
from bot.core.signals.baseline import Baseline
from bot.core.signals.external_alerts import Monitor
from bot.core.signals.metric_threshold import MetricLimits, MetricState, observe_metric
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import Problem
from bot.slack.render.signals import (
    measurement_line,
    metric_name,
    metric_state_text,
    monitor_state_text,
    problem_line,
)

NOW = 1_772_445_600.0
TARGET = Target("prod", "checkout")
METRICS = MetricLimits(MetricKind.METRICS)
ERRORS = MetricLimits(MetricKind.ERRORS)
LOGS = MetricLimits(MetricKind.LOGS, share=0.1)
CHECKOUT = Problem(
    tenant="prod",
    signal="checkout",
    since=NOW - 300,
    failed=30,
    tries=200,
    source=MetricKind.METRICS,
    reason=Reason.SHARE,
    baseline=2.0,
    span_s=120.0,
)
CLAIM = Problem(
    tenant="prod",
    signal="alertmanager",
    since=NOW,
    failed=1,
    tries=0,
    reason=Reason.EXTERNAL_ALERT,
    title="Logins <!channel> *down*",
    link="https://prometheus.example/graph",
)


def seen(
    failed: float, total: float | None, *groups: Group, own_rows: int | None = None
) -> Measurement:
    return Measurement(TARGET, NOW, 120.0, failed, total, groups, own_rows)


@pytest.mark.parametrize(
    ("trouble", "line"),
    [
        (CHECKOUT, "calls to Auth0 of checkout: 15% fail (30 of 200 in 2 min, usually 2)"),
        (
            replace(CHECKOUT, baseline=None),
            "calls to Auth0 of checkout: 15% fail (30 of 200 in 2 min)",
        ),
        (replace(CHECKOUT, is_over=True), "calls to Auth0 of checkout: well again"),
        (
            replace(CHECKOUT, no_data_reason="HTTP 503"),
            (
                "calls to Auth0 of checkout: 15% fail (30 of 200 in 2 min, usually 2)"
                " (no figures now: HTTP 503)"
            ),
        ),
        (
            replace(
                CHECKOUT, source=MetricKind.ERRORS, tries=0, reason=Reason.EVENTS, signal="web"
            ),
            "errors of web: 30 in 2 min, usually 2",
        ),
        (
            replace(
                CHECKOUT,
                source=MetricKind.LOGS,
                reason=Reason.SUCCESSES_MISSING,
                failed=2,
                baseline=90.4,
            ),
            "logins of users: 198 succeed in 2 min, usually 90",
        ),
        (
            replace(CHECKOUT, source=MetricKind.LOGS, reason=Reason.QUOTA),
            "logins of users: requests are refused for a rate limit (30 rows in 2 min)",
        ),
    ],
)
def test_a_trouble_is_told_in_figures(trouble: Problem, line: str) -> None:
    """How many of how many, in what time, and what is usual, as far as that is known."""
    assert problem_line(trouble) == line


def test_figures_lead_to_where_people_see_more() -> None:
    """By a link at the end of the line."""
    line = problem_line(replace(CHECKOUT, link="https://prometheus.example/graph"))

    assert line.endswith(" · <https://prometheus.example/graph|see>")


def test_what_a_monitor_says_is_quoted_without_its_mark_up() -> None:
    """Its title is foreign: it mentions nobody and breaks out of no link."""
    line = problem_line(CLAIM)

    assert line.startswith("Alertmanager: <https://prometheus.example/graph|")
    assert "<!channel>" not in line
    assert problem_line(replace(CLAIM, failed=3)).endswith(" and 2 more")


@pytest.mark.parametrize(
    ("counted", "name"),
    [
        (MetricKind.METRICS, "calls to Auth0 of it"),
        (MetricKind.ERRORS, "errors of it"),
        (MetricKind.LOGS, "logins of users"),
        (None, "it"),
    ],
)
def test_everything_that_is_counted_has_a_name(counted: MetricKind | None, name: str) -> None:
    """The user's own name, and what it is."""
    assert metric_name("it", counted) == name


@pytest.mark.parametrize(
    ("series", "line"),
    [
        (None, "not read yet"),
        (MetricState(begun_at=NOW - 90), "not read yet"),
        (
            MetricState(begun_at=NOW - 90, no_data_reason="timeout read"),
            "no figures for 1 min 30 s (timeout read)",
        ),
        (
            replace(
                observe_metric(MetricState(), seen(1, 200), METRICS)[0], no_data_reason="HTTP 503"
            ),
            "no figures for 1 min (HTTP 503)",
        ),
        (observe_metric(MetricState(), seen(1, 200), METRICS)[0], "1 of 200 failed in 2 min"),
        (
            observe_metric(MetricState(), seen(0, 5), METRICS)[0],
            "0 of 5 failed in 2 min (too few to judge)",
        ),
        (
            observe_metric(MetricState(), seen(50, 200), METRICS)[0],
            "suspect: 50 of 200 failed in 2 min",
        ),
        (
            replace(
                observe_metric(MetricState(), seen(50, 200), METRICS)[0], state=SignalState.FIRING
            ),
            "failing: 50 of 200 failed in 2 min",
        ),
        (
            observe_metric(MetricState(baseline=Baseline(3600, 0, 0, 3600)), seen(3, None), ERRORS)[
                0
            ],
            "3 in 2 min",
        ),
    ],
)
def test_the_status_says_how_a_measured_signal_does(series: MetricState | None, line: str) -> None:
    """Without figures it says so, since when and why: silence never looks healthy."""
    assert metric_state_text(series, NOW + 60 if series and series.read_at else NOW) == line


def test_the_status_counts_the_alerts_of_a_monitor() -> None:
    """None is a fact, too."""
    claim = ExternalAlert(Target("prod", "pingdom"), "1", NOW, is_firing=True, title="down")

    assert monitor_state_text(Monitor()) == "no alert"
    assert monitor_state_text(Monitor((claim,), (NOW + 60,))) == "1 alert(s)"


@pytest.mark.parametrize(
    ("told", "limits", "line"),
    [
        (
            seen(1, 200),
            METRICS,
            (
                "1 of 200 failed in 2 min; usually 10.0 failed, 190 well; "
                "limit 5% of at least 20; read as well"
            ),
        ),
        (
            seen(90, 200),
            METRICS,
            (
                "90 of 200 failed in 2 min; usually 10.0 failed, 190 well; "
                "limit 5% of at least 20; read as bad: too many calls fail"
            ),
        ),
        (
            seen(19, 200),
            METRICS,
            (
                "19 of 200 failed in 2 min; usually 10.0 failed, 190 well; "
                "limit 5% of at least 20; not judged: too few, or close to the limit"
            ),
        ),
        (
            seen(2, None),
            ERRORS,
            (
                "2 in 2 min; usually 10.0 failed; "
                "limit 10 a minute and 4 times the usual; read as well"
            ),
        ),
    ],
)
def test_a_run_shows_the_figures_and_how_they_are_read(
    told: Measurement, limits: MetricLimits, line: str
) -> None:
    """Raw figures, what is usual, the limit, and what comes of it."""
    known = MetricState(baseline=Baseline(3600, 300, 6000, 3600))

    assert measurement_line(told, known, limits) == line


def test_a_run_of_a_log_shows_its_groups() -> None:
    """The most frequent first, and our own rows apart; a connection's name is foreign."""
    groups = (
        Group(RowKind.SUCCESS, 40, connection="users"),
        Group(RowKind.APP, 60, "callback_mismatch", "<saml>"),
    )
    line = measurement_line(seen(60, 100, *groups, own_rows=2), MetricState(), LOGS)

    assert "what is usual is not known yet" in line
    assert "; app callback mismatch &lt;saml&gt; 60, success users 40; " in line
    assert line.endswith("; 2 rows of our own")


def test_a_run_without_figures_says_why() -> None:
    """And nothing else: there is nothing to read."""
    none = Measurement(TARGET, NOW, no_data_reason="HTTP 401: check the token")

    assert measurement_line(none, MetricState(), METRICS) == "no figures: HTTP 401: check the token"


def test_figures_are_not_counted_twice() -> None:
    """When the answer is written the series has them already."""
    told = seen(6, 100, Group(RowKind.QUOTA, 2))
    after, _ = observe_metric(MetricState(), told, LOGS)

    assert measurement_line(told, after, LOGS).startswith("6 of 100 failed in 2 min")
