from __future__ import annotations

from typing import Any

from bot.core.model.observation import Cause, Fault, Scope, Severity, Stage, Verdict
from bot.core.state.desk import DeskState
from bot.core.state.incident import Incident, IncidentKind, IncidentLife
from bot.core.state.problem import ProbeProblem, Problem
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.tenant import Tenants, TenantState
from bot.ports import View
from bot.slack.render.incident import TABLE_ROWS, tenants_table

GONE = Fault(Stage.HTTP, "http_503", 503)


def shown(count: int, *problems: Problem) -> list[dict[str, Any]]:
    """Render the table of an incident with `count` tenants."""
    names = tuple(f"t{number}" for number in range(count))
    incident = Incident(
        id=1,
        kind=IncidentKind.FAILING,
        severity=Severity.CRITICAL,
        tenants=names,
        since=0.0,
        life=IncidentLife(0.0),
        verdict=Verdict(Cause.AUTH0, Scope.ENVIRONMENT, 0.9),
        problems=problems,
    )
    rules = Rules({name: TenantRules(name, f"{name}.us.auth0.com", "US-1") for name in names})
    tenants = Tenants({name: TenantState() for name in names})
    return tenants_table(incident, View(0.0, rules, tenants, DeskState()))


def problem(tenant: str, failed: int, *, is_over: bool = False) -> Problem:
    return ProbeProblem(tenant, "login", 60.0, failed, 20, GONE, is_over=is_over)


def test_a_few_tenants_need_no_table() -> None:
    """A few tenants are lines of text."""
    assert shown(5, problem("t1", 5)) == []


def test_the_worst_come_first() -> None:
    """The order is by failed share; recovered tenants are last; a second signal adds no row."""
    table, *rest = shown(
        6,
        problem("t0", 20, is_over=True),
        *(problem(f"t{number}", number) for number in range(1, 6)),
        ProbeProblem("t5", "wellknown", 60.0, 1, 20, GONE),
    )
    rows = [[cell["text"] for cell in row] for row in table["rows"]]

    assert rows[0] == ["Tenant", "Environment", "What fails", "Failed tries", "Since"]
    assert [row[0] for row in rows[1:]] == ["t5", "t4", "t3", "t2", "t1", "t0"]
    assert rows[1][1:] == ["US-1", "login: HTTP 503", "5 of 20", "00:01 UTC"]
    assert rows[-1][2] == "login: works again"
    assert rest == []


def test_the_rest_is_counted() -> None:
    """Slack takes no more rows; the line below counts the rest, and how many of them work again."""
    over = [problem(f"t{number}", 20, is_over=number < 3) for number in range(TABLE_ROWS + 10)]
    table, rest = shown(TABLE_ROWS + 10, *over)

    assert len(table["rows"]) == TABLE_ROWS + 1
    assert rest["elements"][0]["text"] == "… and 10 more, 3 of them work again"
