from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from slackblocks.blocks import TableBlock
from slackblocks.objects import ColumnSettings, RawText

from bot.core.commands.parse import parse_words
from bot.core.model.access import Verb
from bot.core.model.command import ALL_SIGNALS, Request, ShowReport, UnclearQuestion
from bot.core.model.observation import Cause, Scope, Severity, Target, Verdict
from bot.core.signals.history import Day
from bot.core.signals.probe_threshold import ProbeState
from bot.core.state.desk import DeskState
from bot.core.state.incident import (
    MESSAGE,
    STATUS_INCIDENT,
    Acknowledgement,
    Incident,
    IncidentHistory,
    IncidentKind,
    IncidentLife,
    NotificationState,
    Resolution,
)
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.silence import Silence
from bot.core.state.tenant import Tenants, TenantState
from bot.ports import View
from bot.simulator.workspace.blocks import MAX_WEIGHT, Surface, check, weight
from bot.slack.render.report import ROWS, render_report

if TYPE_CHECKING:
    from bot.slack.render.text import Block

NOW = 1_772_445_600.0  # Mon 2026-03-02 10:00 UTC
HOUR, DAY, WEEK = 3600.0, 86400.0, 7 * 86400.0


def incident(
    number: int, ago_h: float, lasted_h: float, taken: Acknowledgement | None = None, **more: Any
) -> Incident:
    since = NOW - ago_h * HOUR
    given: dict[str, Any] = {
        "kind": IncidentKind.FAILING,
        "severity": Severity.CRITICAL,
        "tenants": ("prod",),
        "life": IncidentLife(since + 48, taken, Resolution(since + lasted_h * HOUR)),
        "verdict": Verdict(Cause.AUTH0, Scope.TENANT, 0.9),
    }
    return Incident(id=number, since=since, **{**given, **more})


def view(*incidents: Incident, tenants: int = 3, **desk: Any) -> View:
    names = ["prod", "shop", *(f"t{number}" for number in range(2, tenants))][:tenants]
    rules = Rules({name: TenantRules(name, f"{name}.us.auth0.com") for name in names})
    days = tuple(Day(int(NOW // DAY) - n, 1440, (n * 5) % 4) for n in range(6, -1, -1))
    states = {name: TenantState(watched_since=NOW - 30 * DAY) for name in names}
    states["prod"] = replace(states["prod"], probes={"login": ProbeState(trend=days)})
    if "t2" in states:
        states["t2"] = replace(states["t2"], watched_since=NOW - 2 * DAY)
    known = {one.id: one for one in incidents}
    return View(NOW, rules, Tenants(states), DeskState(incidents=known, **desk))


def week() -> View:
    """A week that has some of everything."""
    tenant = Verdict(Cause.TENANT, Scope.TENANT, 0.8)
    ours = Verdict(Cause.NETWORK, Scope.UNKNOWN, 1.0)
    silence = Silence(
        1,
        Target("shop", ""),
        NOW - 50 * HOUR,
        NOW - 48 * HOUR,
        "U0ANN",
        "Upgrade <!here>",
        7,
    )
    return view(
        incident(
            1,
            100,
            2,
            tenants=("prod", "shop"),
            taken=Acknowledgement("U0ANN", NOW - 100 * HOUR + 400),
            history=IncidentHistory(
                detected_at={MESSAGE: NOW - 100 * HOUR, STATUS_INCIDENT: NOW - 99.5 * HOUR}
            ),
            notification=NotificationState(paged_at={"pager": 1.0}),
        ),
        incident(2, 60, 0.5, severity=Severity.WARNING, verdict=tenant),
        incident(3, 49, 0.2, tenants=("shop",), notification=NotificationState(is_muted=True)),
        incident(4, 30, 1, false_alarm="The load test of *Monday*"),
        incident(5, 20, 3, kind=IncidentKind.NO_DATA, severity=Severity.WARNING, verdict=ours),
        silences={1: replace(silence, ended_at=NOW - 48 * HOUR)},
    )


def table(blocks: list[Block]) -> list[list[str]]:
    (found,) = [block for block in blocks if block["type"] == "table"]
    return [[cell["text"] for cell in row] for row in found["rows"]]


def built(block: Block) -> Block:
    """Return the same table, built by slackblocks, which refuses what Slack would refuse."""
    rows = [[RawText(cell["text"]) for cell in row] for row in block["rows"]]
    columns = [ColumnSettings(each["align"]) for each in block["column_settings"]]
    made: Block = TableBlock(rows, columns)._resolve()  # type: ignore[arg-type]  # invariant lists
    return {key: value for key, value in made.items() if key != "block_id"}


def test_the_report_of_a_week() -> None:
    """It says who was down, how fast we were, and what was hidden; the validators take it."""
    report = render_report(week(), WEEK)

    assert (
        "Incidents: 3 (1 Auth0, 1 this tenant's settings or code, 1 my own network or machine)"
        in report.text
    )
    assert "Muted, nobody was notified: #3" in report.text
    assert "we were first 1 of 1 times, 30 min before its post" in report.text
    assert "#4 “The load test of" in report.text
    assert "Silences: 1 (alerts suppressed: 7)" in report.text
    assert check(report.blocks, Surface.MESSAGE) == []
    (shown,) = [block for block in report.blocks if block["type"] == "table"]
    assert built(shown) == shown


def test_an_empty_past_says_so() -> None:
    """A quiet week, and a week in which nothing was watched."""
    quiet = render_report(view(), WEEK)
    blank = view(tenants=2)
    unwatched = replace(blank, tenants=Tenants({"prod": TenantState(), "shop": TenantState()}))

    assert "100.00 % up" in quiet.text
    assert "No incident." in quiet.text
    assert "Nothing was watched in this time." in render_report(unwatched, WEEK).text


def test_more_than_is_remembered() -> None:
    """The report of a month covers a week, and says so."""
    assert "the last 7 d*, until" in render_report(view(), 30 * DAY).blocks[0]["text"]["text"]
    assert "More is not remembered" in render_report(view(), 30 * DAY).text
    assert "More is not remembered" not in render_report(view(), WEEK).text


def test_a_hundred_percent_means_no_downtime() -> None:
    """Ten seconds of downtime in a week are not rounded away."""
    report = render_report(view(incident(1, 5, 10 / HOUR), tenants=1), WEEK)

    assert table(report.blocks)[1][:4] == ["prod", "99.99 %", "-", "10 s"]


def test_five_hundred_tenants_fit() -> None:
    """The worst are first, the rest are one row, and Slack takes it."""
    down = [incident(n, n / 10, 0.05, tenants=(f"t{n}",)) for n in range(2, 400)]
    report = render_report(view(*down, tenants=500), WEEK)
    rows = table(report.blocks)

    assert rows[1][0] == "t2"  # of the shortest time
    assert rows[-1][0] == f"{500 - ROWS} others, a tenant"
    assert rows[-1][4] == rows[ROWS][4]  # no longer than one tenant was not seen
    assert check(report.blocks, Surface.MESSAGE) == []
    assert weight(report.blocks) < MAX_WEIGHT
    assert len(report.text) < 4000


HOSTILE = ("<!channel> *x* " * 40, "<https://evil.example|status>", "&" * 400, "\u202e@here")


@pytest.mark.parametrize("text", HOSTILE)
def test_what_people_wrote_is_harmless(text: str) -> None:
    """Reasons of silences and false alarms cannot mention anybody or make a link."""
    silence = Silence(1, ALL_SIGNALS, NOW - HOUR, NOW + HOUR, "U1", text)
    alarms = [incident(n, 5, 1, false_alarm=text) for n in range(9)]
    silences = {n: replace(silence, id=n) for n in range(9)}
    report = render_report(view(*alarms, silences=silences), WEEK)

    assert check(report.blocks, Surface.MESSAGE) == []
    assert len(report.text) < 4000
    alarms_text, silences_text = (block["text"]["text"] for block in report.blocks[2:4])
    assert alarms_text.endswith("… and 4 more")
    assert silences_text.endswith("… and 4 more")
    for text_shown in (report.text, alarms_text, silences_text):
        assert not set("<>") & set(text_shown)
        assert "@here" not in text_shown


@pytest.mark.parametrize(
    ("argument", "span_s"),
    [("", WEEK), ("24h", DAY), ("7d", WEEK), ("30D", 30 * DAY), ("90m", 5400.0)]
    + [(wrong, None) for wrong in ("0d", "week", "until", "until 14:00", "7 d", "-1d")],
)
def test_spans_that_people_write(argument: str, span_s: float | None) -> None:
    """A span is a number and its unit; an empty one is a week."""
    found = parse_words(Verb.REPORT, argument, Request("r", NOW), DeskState(), Rules({}))

    unclear = UnclearQuestion(Verb.REPORT, argument)
    assert found == (ShowReport(span_s) if span_s else unclear)
