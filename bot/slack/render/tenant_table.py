"""The table of an incident with many tenants, the worst first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.incidents.notifications import MANY_TENANTS
from bot.core.signals.probe_threshold import Reason
from bot.slack.render.signals import metric_name
from bot.slack.render.text import (
    Block,
    clean_text,
    clock_utc,
    context,
    count_rest,
    fault_name,
    signal_name,
)

if TYPE_CHECKING:
    from bot.core.state.incident import Incident, Problem
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
    block_id = f"tenants-{incident.id}-{incident.edits}"
    table: Block = {"type": "table", "block_id": block_id, "rows": cells}
    recovered = sum(name in worst and worst[name].is_over for name in names[ROWS:])
    rest = count_rest(names, ROWS, f", {recovered} of them work again" if recovered else "")
    return [table, *map(context, rest)]


def _rank_problem(problem: Problem | None) -> tuple[bool, float, float]:
    """Order by what goes on, by the share that fails, and by age; the smallest is the worst."""
    if problem is None:
        return False, 0.0, 0.0
    return problem.is_over, -problem.failed / max(problem.tries, 1), problem.since


def _row(name: str, problem: Problem | None, view: View) -> tuple[str, ...]:
    rules = view.rules.tenants.get(name)
    environment = (rules and view.tenants.environment(name, view.rules)) or "unknown"
    if problem is None:
        return name, environment, "no usable look", "none", "unknown"
    if problem.reason in {None, Reason.SLOW}:
        signal = signal_name(problem.signal)
    else:
        signal = metric_name(problem.signal, problem.source)
    failure = "works again" if problem.is_over else problem.reason or fault_name(problem.fault)
    tries = f"{problem.failed} of {problem.tries}" if problem.tries else str(problem.failed)
    return name, environment, f"{signal}: {failure}", tries, clock_utc(problem.since)
