from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slackblocks.blocks import DataVisualizationBlock
from slackblocks.objects import AxisConfig, DataPoint, DataSeries, LineChart

from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.signals.history import Minute, RecentLogins
from bot.core.signals.probe_threshold import ProbeLimits
from bot.core.state.desk import DeskState
from bot.core.state.incident import Incident, IncidentKind, IncidentLife, Resolution
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.tenant import Tenants, TenantState
from bot.ports import View
from bot.simulator.workspace.blocks import Surface, check
from bot.slack.render.chart import MAX_POINTS, fallback_blocks, render_charts, sparkline

GOLDEN = Path(__file__).parent / "golden" / "chart.json"
START = 1_772_445_600.0  # Mon 2026-03-02 10:00 UTC
FIRST = int(START // 60)
OUTAGE = Incident(
    id=7,
    kind=IncidentKind.FAILING,
    severity=Severity.CRITICAL,
    tenants=("prod", "shop"),
    since=START,
    life=IncidentLife(START + 48),
    verdict=Verdict(Cause.AUTH0, Scope.ENVIRONMENT, 0.9),
)


def hour(*, fails: bool = True, begin: int = -60, end: int = 10, every: int = 1) -> RecentLogins:
    """One login a minute; from START on six failed tries of ten seconds each."""
    well, bad = (1, 0, 0.21), (0, 6, 60.0)
    return tuple(
        Minute(FIRST + n, *(bad if fails and n >= 0 else well)) for n in range(begin, end, every)
    )[-60:]


def view(after_s: float = 590, every_s: float = 60, **tenants: RecentLogins) -> View:
    return view_of(tenants, after_s, every_s)


def view_of(tenants: dict[str, RecentLogins], after_s: float, every_s: float = 60) -> View:
    limits = ProbeLimits(every_s=every_s)
    rules = Rules({n: TenantRules(n, f"{n}.us.auth0.com", limits=limits) for n in tenants})
    states = Tenants({name: TenantState(recent_logins=recent) for name, recent in tenants.items()})
    return View(START + after_s, rules, states, DeskState())


def values(block: dict[str, Any]) -> dict[str, list[float]]:
    return {one["name"]: [p["value"] for p in one["data"]] for one in block["chart"]["series"]}


def built(block: dict[str, Any]) -> dict[str, Any]:
    """Return the same chart, built by slackblocks, which refuses what Slack would refuse."""
    drawn, axes = block["chart"], block["chart"]["axis_config"]
    series = [
        DataSeries(one["name"], [DataPoint(p["label"], p["value"]) for p in one["data"]])
        for one in drawn["series"]
    ]
    line = LineChart(series, AxisConfig(**axes))
    made: dict[str, Any] = DataVisualizationBlock(block["title"], line)._resolve()
    return {key: value for key, value in made.items() if key != "block_id"}


def test_the_chart_is_the_golden_one() -> None:
    """Both lines of an outage ten minutes old, as blocks and as text."""
    blocks = render_charts(OUTAGE, view(prod=hour(), shop=hour(fails=False)))
    text = json.dumps(fallback_blocks(blocks), indent=1, ensure_ascii=False) + "\n"
    if os.environ.get("GOLDEN") == "write":  # noqa: TID251 - asked for by a person
        GOLDEN.write_text(text)

    assert GOLDEN.read_text() == text
    assert check(blocks, Surface.MESSAGE) == []
    assert [built(block) for block in blocks] == blocks


def test_it_begins_a_quarter_of_an_hour_before() -> None:
    """Logins succeed until the incident begins, then fail; each point has its minute from there."""
    share, latency = render_charts(OUTAGE, view(after_s=120, prod=hour(end=3)))
    times = share["chart"]["axis_config"]["categories"]

    assert (times[0], times[-1], len(times)) == ("-15", "+2", 18)
    assert values(share) == {"prod": [100.0] * 15 + [0.0] * 3}
    assert values(latency) == {"prod": [210] * 15 + [10_000] * 3}


def test_lines_that_lie_on_one_another_are_one() -> None:
    """Two tenants of the same values share a line, which names both."""
    (share, _) = render_charts(
        replace(OUTAGE, tenants=("prod", "shop")), view(prod=hour(), shop=hour())
    )

    assert [*values(share)] == ["prod, shop"]


def test_it_ends_soon_after_the_incident() -> None:
    """The chart does not show what comes long after the end."""
    life = replace(OUTAGE.life, resolved=Resolution(START + 120))
    over = replace(OUTAGE, life=life)
    (share, _) = render_charts(over, view(after_s=1500, prod=hour(end=25)))

    assert share["chart"]["axis_config"]["categories"][-1] == "+6"
    assert render_charts(over, view(after_s=7200, prod=hour(begin=60, end=120))) == []


def test_a_long_incident_shows_its_last_hour() -> None:
    """The bot remembers one hour: at most twenty points of three minutes each."""
    (share,) = render_charts(OUTAGE, view(after_s=7200, prod=hour(begin=60, end=121)))[:1]
    axis = share["chart"]["axis_config"]

    assert axis["categories"][:2] == ["+63", "+66"]
    assert len(axis["categories"]) == MAX_POINTS


NOTHING = {
    "no login yet": view(prod=()),
    "too few": view(prod=hour(begin=7)),
    "no longer configured": view(other=hour()),
    "nothing moved": view(prod=hour(fails=False)),
}


@pytest.mark.parametrize("name", NOTHING)
def test_no_chart_without_a_change(name: str) -> None:
    """Without data, or if nothing changed, there is no chart."""
    assert render_charts(OUTAGE, NOTHING[name]) == []


def test_a_tenant_with_few_logins_is_left_out() -> None:
    """Its login was stopped, and Slack wants a value of each line at every point."""
    (share, _) = render_charts(OUTAGE, view(prod=hour(), shop=hour(begin=-15, end=-10)))

    assert set(values(share)) == {"prod"}


def test_slow_probes_have_wider_points() -> None:
    """With a login every five minutes there is a point every five minutes."""
    (share, _) = render_charts(OUTAGE, view(after_s=1800, every_s=300, prod=hour(end=30, every=5)))

    assert share["chart"]["axis_config"]["categories"][:2] == ["-15", "-10"]
    assert values(share)["prod"] == [100.0] * 3 + [0.0] * 6


@given(
    st.dictionaries(
        st.text("abcü-", min_size=1, max_size=30),
        st.lists(st.tuples(st.integers(0, 80), st.integers(0, 9), st.integers(1, 9)), max_size=60),
        min_size=1,
        max_size=5,
    ),
    st.floats(0, 7200),
)
def test_any_past_makes_blocks_that_slack_takes(
    pasts: dict[str, list[tuple[int, int, int]]], after_s: float
) -> None:
    """Slack takes the blocks for any history and any names of tenants."""
    known = {
        name: tuple(
            {n: Minute(FIRST - 20 + n, ok, bad, ok * 0.1 + bad) for n, ok, bad in past}.values()
        )
        for name, past in pasts.items()
    }
    blocks = render_charts(replace(OUTAGE, tenants=tuple(known)), view_of(known, after_s))

    assert check(blocks, Surface.MESSAGE) == []
    assert all(check(less, Surface.MESSAGE) == [] for less in fallback_blocks(blocks))


def test_refused_charts_become_text() -> None:
    """If Slack refuses the blocks, first the charts become text, then all blocks go."""
    section = {"type": "section", "text": {"type": "mrkdwn", "text": "x"}}
    charts = render_charts(OUTAGE, view(prod=hour()))
    rich, lettered, bare = fallback_blocks([section, *charts])

    assert rich == [section, *charts]
    assert [block["type"] for block in lettered] == ["section", "context", "context"]
    assert bare == []
    assert fallback_blocks([section]) == [[section], []]


def test_a_chart_as_text() -> None:
    """The bars go from zero to the top; only zeros make a flat line."""
    assert sparkline([0, 50, 100, 7, 8], 100) == "▁▅█▁▂"
    assert sparkline([0, 0], 0) == "▁▁"
