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
from bot.core.state.desk import DeskState
from bot.core.state.problem import AlertProblem, MetricProblem
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.tenant import Tenants, TenantState
from bot.ports import View
from bot.slack.render.signals import (
    measurement_line,
    metric_name,
    metric_state_text,
    problem_line,
)
from bot.slack.render.status import tenant_line
from bot.slack.render.text import foreign_link

NOW = 1_772_445_600.0
TARGET = Target("prod", "checkout")
METRICS = MetricLimits(MetricKind.METRICS)
ERRORS = MetricLimits(MetricKind.ERRORS)
LOGS = MetricLimits(MetricKind.LOGS, share=0.1)
CHECKOUT = MetricProblem(
    tenant="prod",
    signal="checkout",
    since=NOW - 300,
    failed=30,
    total=200,
    source=MetricKind.METRICS,
    reason=Reason.SHARE,
    baseline=2.0,
    span_s=120.0,
)
ALERT = AlertProblem(
    tenant="prod",
    signal="alertmanager",
    since=NOW,
    alerts=1,
    title="Logins <!channel> *down*",
    link="https://prometheus.example/graph",
)


def measured(
    failed: float, total: float | None, *groups: Group, own_rows: int | None = None
) -> Measurement:
    return Measurement(TARGET, NOW, 120.0, failed, total, groups, own_rows)


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (CHECKOUT, "checkout's calls to Auth0: 15% fail (30 of 200 in 2 min; usually 2 fail)"),
        (
            replace(CHECKOUT, baseline=None),
            "checkout's calls to Auth0: 15% fail (30 of 200 in 2 min)",
        ),
        (replace(CHECKOUT, is_over=True), "checkout's calls to Auth0: fine again"),
        (
            replace(CHECKOUT, no_data_reason="HTTP 503"),
            (
                "checkout's calls to Auth0: 15% fail (30 of 200 in 2 min; usually 2 fail)"
                " (no data now: HTTP 503)"
            ),
        ),
        (
            replace(
                CHECKOUT, source=MetricKind.ERRORS, total=0, reason=Reason.EVENTS, signal="web"
            ),
            "web's errors: 30 in 2 min; usually 2",
        ),
        (
            replace(
                CHECKOUT,
                source=MetricKind.LOGS,
                reason=Reason.SUCCESSES_MISSING,
                failed=2,
                baseline=90.4,
            ),
            "logins of users: 198 succeed in 2 min; usually 90 succeed",
        ),
        (
            replace(CHECKOUT, source=MetricKind.LOGS, reason=Reason.QUOTA),
            "logins of users: requests are refused for a rate limit (30 rows in 2 min)",
        ),
    ],
)
def test_a_problem_is_said_in_counts(problem: MetricProblem, line: str) -> None:
    """The line says how many of how many, in what time, and what is usual if that is known."""
    assert problem_line(problem, ()) == line


def test_a_metric_links_to_its_source() -> None:
    """The link is at the end of the line."""
    line = problem_line(replace(CHECKOUT, link="https://prometheus.example/graph"), ())

    assert line.endswith(" · <https://prometheus.example/graph|open it>")


def test_a_monitors_title_is_quoted_without_its_mark_up() -> None:
    """The title is foreign: it cannot mention anybody, and labels no link."""
    line = problem_line(ALERT, ["prometheus.example"])

    assert line.startswith("Alertmanager: “")
    assert line.endswith("” · <https://prometheus.example/graph|open it on prometheus.example>")
    assert "<!channel>" not in line
    assert problem_line(replace(ALERT, alerts=3), ()).endswith("” and 2 more")


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://status.auth0.com", "status.auth0.com"),
        ("https://Status.Auth0.com/incidents/1?a=b#c", "Status.Auth0.com"),
        ("https://acme.sentry.io/issues/1", "acme.sentry.io"),
        ("https://prom.acme.example:9090/graph", "prom.acme.example:9090"),
        ("https://evil.example/login", ""),
        ("https://status.auth0.com.evil.example/", ""),
        ("https://status.auth0.com@evil.example/", ""),
        ("https://status.auth0.com:443@evil.example/", ""),
        ("https://status.auth0.com\\@evil.example/", ""),
        ("https://status.auth0.com\\.evil.example/", ""),
        ("https://st\u0430tus.auth0.com/", ""),
        ("https://evilsentry.io/", ""),
        ("https://prom.acme.example/graph", ""),
        ("http://status.auth0.com/", ""),
        ("https://status.auth0.com/|Log in", ""),
        ("https://status.auth0.com/><!channel>", ""),
        ("https:///", ""),
        ("", ""),
    ],
)
def test_where_foreign_links_may_lead(url: str, host: str) -> None:
    """To hosts that are configured, or the vendor's; the label is ours, with the host in it."""
    hosts = ("status.auth0.com", "sentry.io", ".sentry.io", "prom.acme.example:9090")

    assert foreign_link(url, hosts) == (f"<{url}|open it on {host.lower()}>" if host else "")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (MetricKind.METRICS, "it's calls to Auth0"),
        (MetricKind.ERRORS, "it's errors"),
        (MetricKind.LOGS, "logins of users"),
        (None, "it"),
    ],
)
def test_every_kind_of_metric_has_a_name(kind: MetricKind | None, name: str) -> None:
    """The name says what the metric counts, with the user's own name for it."""
    assert metric_name("it", kind) == name


@pytest.mark.parametrize(
    ("state", "line"),
    [
        (None, "not read yet"),
        (MetricState(begun_at=NOW - 90), "not read yet"),
        (
            MetricState(begun_at=NOW - 90, no_data_reason="timeout read"),
            "no data for 1 min 30 s (timeout read)",
        ),
        (
            replace(
                observe_metric(MetricState(), measured(1, 200), METRICS)[0],
                no_data_reason="HTTP 503",
            ),
            "no data for 1 min (HTTP 503)",
        ),
        (observe_metric(MetricState(), measured(1, 200), METRICS)[0], "1 of 200 failed in 2 min"),
        (
            observe_metric(MetricState(), measured(0, 5), METRICS)[0],
            "0 of 5 failed in 2 min (too few to judge)",
        ),
        (
            observe_metric(MetricState(), measured(5000, None), ERRORS)[0],
            "5000 in 2 min (what is usual is not known yet)",
        ),
        (
            observe_metric(MetricState(), measured(50, 200), METRICS)[0],
            "suspect: 50 of 200 failed in 2 min",
        ),
        (
            replace(
                observe_metric(MetricState(), measured(50, 200), METRICS)[0],
                state=SignalState.FIRING,
            ),
            "failing: 50 of 200 failed in 2 min",
        ),
        (
            observe_metric(
                MetricState(baseline=Baseline(3600, 0, 0, 3600)), measured(3, None), ERRORS
            )[0],
            "3 in 2 min",
        ),
    ],
)
def test_the_status_says_how_a_metric_is(state: MetricState | None, line: str) -> None:
    """A metric without data says so, since when and why: it never seems healthy."""
    assert metric_state_text(state, NOW + 60 if state and state.read_at else NOW) == line


def test_the_status_counts_the_alerts_of_a_monitor() -> None:
    """The status says so, too, if there is no alert."""
    alert = ExternalAlert(Target("prod", "pingdom"), "1", NOW, is_firing=True, title="down")

    def line(monitor: Monitor) -> str:
        tenants = Tenants({"prod": TenantState(monitors={"pingdom": monitor})})
        rules = Rules({"prod": TenantRules("prod", "acme.us.auth0.com")})
        return tenant_line("prod", View(NOW, rules, tenants, DeskState()))

    assert line(Monitor()).endswith(" no alert")
    assert line(Monitor((alert,), (NOW + 60,))).endswith(" 1 alert(s)")


def test_many_events_are_not_too_few() -> None:
    """The command line does not know what is usual, and says so."""
    line = measurement_line(measured(5000, None), MetricState(), ERRORS)

    assert line == (
        "5000 in 2 min; what is usual is not known yet; limit 10 a minute and 4 times the usual; "
        "not judged: it takes what is usual"
    )


@pytest.mark.parametrize(
    ("measurement", "limits", "line"),
    [
        (
            measured(1, 200),
            METRICS,
            (
                "1 of 200 failed in 2 min; usually 10.0 failed, 190 well; "
                "limit 5% of at least 20; read as fine"
            ),
        ),
        (
            measured(90, 200),
            METRICS,
            (
                "90 of 200 failed in 2 min; usually 10.0 failed, 190 well; "
                "limit 5% of at least 20; read as bad: too many calls fail"
            ),
        ),
        (
            measured(19, 200),
            METRICS,
            (
                "19 of 200 failed in 2 min; usually 10.0 failed, 190 well; "
                "limit 5% of at least 20; not judged: too few, or close to the limit"
            ),
        ),
        (
            measured(2, None),
            ERRORS,
            (
                "2 in 2 min; usually 10.0 failed; "
                "limit 10 a minute and 4 times the usual; read as fine"
            ),
        ),
    ],
)
def test_a_check_shows_the_counts_and_their_judgement(
    measurement: Measurement, limits: MetricLimits, line: str
) -> None:
    """The line has the raw counts, what is usual, the limit, and the judgement."""
    known = MetricState(baseline=Baseline(3600, 300, 6000, 3600))

    assert measurement_line(measurement, known, limits) == line


def test_a_check_of_a_log_shows_its_groups() -> None:
    """The most frequent group is first, our own rows are apart, connection names are escaped."""
    groups = (
        Group(RowKind.SUCCESS, 40, connection="users"),
        Group(RowKind.APP, 60, "callback_mismatch", "<saml>"),
    )
    line = measurement_line(measured(60, 100, *groups, own_rows=2), MetricState(), LOGS)

    assert "what is usual is not known yet" in line
    assert "; app callback mismatch &lt;saml&gt; 60, success users 40; " in line
    assert line.endswith("; 2 rows of our own")


def test_a_check_without_data_says_why() -> None:
    """The reason is all that the line says."""
    none = Measurement(TARGET, NOW, no_data_reason="HTTP 401: check the token")

    assert measurement_line(none, MetricState(), METRICS) == "no data: HTTP 401: check the token"


def test_a_measurement_is_not_counted_twice() -> None:
    """When the answer is rendered, the metric's state already includes the measurement."""
    counted = measured(6, 100, Group(RowKind.QUOTA, 2))
    after, _ = observe_metric(MetricState(), counted, LOGS)

    assert measurement_line(counted, after, LOGS).startswith("6 of 100 failed in 2 min")
