"""The table of an incident with many tenants, the worst first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from bot.core.incidents.notifications import MANY_TENANTS
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import (
    AlertProblem,
    MetricProblem,
    NoDataProblem,
    ProbeProblem,
    Problem,
    SlowProblem,
    problem_counts,
)
from bot.slack.render.signals import problem_name
from bot.slack.render.text import Block, clean_text, clock_utc, context, count_rest, fault_name

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.ports import View

ROWS = 40
"""Slack takes 100 rows, but no more than about 13,200 characters in all blocks of a message
(bolt-js#2509 and #2867, read 2026-11)."""
CELL_CHARS = 60
HEADER = ("Tenant", "Environment", "What fails", "Failed tries", "Since")


def tenants_table(incident: Incident, view: View) -> list[Block]:
    """Render a table with a row for each tenant; nothing if there are few tenants."""
    if len(incident.tenants) <= MANY_TENANTS:
        return []
    ordered = sorted(incident.problems, key=_rank_problem, reverse=True)
    worst = {problem.tenant: problem for problem in ordered}
    names = sorted(incident.tenants, key=lambda name: _rank_problem(worst.get(name)))
    rows = [HEADER, *(_row(name, worst.get(name), view) for name in names[:ROWS])]
    cells = [
        [{"type": "raw_text", "text": clean_text(text, CELL_CHARS)} for text in row] for row in rows
    ]
    # A new block_id for each version, as Slack wants it of what is edited (@slack/types 3.2).
    block_id = f"tenants-{incident.id}-{incident.message.edits}"
    table: Block = {"type": "table", "block_id": block_id, "rows": cells}
    recovered = sum(name in worst and worst[name].is_over for name in names[ROWS:])
    rest = count_rest(names, ROWS, f", {recovered} of them work again" if recovered else "")
    return [table, *map(context, rest)]


def _rank_problem(problem: Problem | None) -> tuple[bool, float, float]:
    """Order by what goes on, by the share that fails, and by age; the smallest is the worst."""
    if problem is None:
        return False, 0.0, 0.0
    failed, tries = problem_counts(problem)
    return problem.is_over, -failed / max(tries, 1), problem.since


def _row(name: str, problem: Problem | None, view: View) -> tuple[str, ...]:
    rules = view.rules.tenants.get(name)
    environment = (rules and view.tenants.environment(name, view.rules)) or "unknown"
    if problem is None:
        return name, environment, "no usable look", "none", "unknown"
    failed, tries = problem_counts(problem)
    failure = "works again" if problem.is_over else _failure(problem)
    what = f"{problem_name(problem)}: {failure}"
    share = f"{failed} of {tries}" if tries else str(failed)
    return name, environment, what, share, clock_utc(problem.since)


def _failure(problem: Problem) -> str:
    match problem:
        case ProbeProblem():
            return fault_name(problem.fault)
        case MetricProblem():
            return problem.reason or fault_name(None)
        case SlowProblem():
            return Reason.SLOW
        case AlertProblem():
            return Reason.EXTERNAL_ALERT
        case NoDataProblem():
            return fault_name(None)
        case _:
            assert_never(problem)
