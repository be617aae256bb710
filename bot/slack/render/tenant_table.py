"""Many tenants of one incident side by side, the worst first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.incidents.notifications import MANY_TENANTS
from bot.core.signals.probe_threshold import Reason
from bot.slack.render.signals import metric_name
from bot.slack.render.text import Block, clean_text, clock_utc, context, fault_name, signal_name

if TYPE_CHECKING:
    from bot.core.state.incident import Incident, Problem
    from bot.ports import View

ROWS = 40
"""Slack takes 100 rows, but no more than about 13,200 characters in all blocks of a message
(bolt-js#2509 and #2867, read 2026-11)."""
CELL_CHARS = 60
HEADER = ("Tenant", "Environment", "What fails", "Failed tries", "Since")


def tenants_table(incident: Incident, view: View) -> list[Block]:
    """Render a row a tenant, where there are too many for lines of text."""
    if len(incident.tenants) <= MANY_TENANTS:
        return []
    worst = _worst_problems(incident)
    names = sorted(incident.tenants, key=lambda name: _rank_problem(worst.get(name)))
    rows = [_row(name, worst.get(name), view) for name in names[:ROWS]]
    cells = [[_cell(text) for text in row] for row in (HEADER, *rows)]
    # A new block_id for each version, as Slack wants it of what is edited (@slack/types 3.2).
    block_id = f"tenants-{incident.id}-{incident.edits}"
    table: Block = {"type": "table", "block_id": block_id, "rows": cells}
    return [table, *_rest(names[ROWS:], worst)]


def _worst_problems(incident: Incident) -> dict[str, Problem]:
    """Return the trouble of each tenant that says most."""
    ordered = sorted(incident.problems, key=_rank_problem, reverse=True)
    return {trouble.tenant: trouble for trouble in ordered}


def _rank_problem(trouble: Problem | None) -> tuple[bool, float, float]:
    """Order by what goes on, by the share that fails, and by age; the smallest is the worst."""
    if trouble is None:
        return False, 0.0, 0.0
    return trouble.is_over, -trouble.failed / max(trouble.tries, 1), trouble.since


def _row(name: str, trouble: Problem | None, view: View) -> tuple[str, ...]:
    rules = view.rules.tenants.get(name)
    where = (rules and view.tenants.environment(name, view.rules)) or "unknown"
    if trouble is None:
        return name, where, "no usable look", "none", "unknown"
    tries = f"{trouble.failed} of {trouble.tries}" if trouble.tries else str(trouble.failed)
    return name, where, _failure_text(trouble), tries, clock_utc(trouble.since)


def _failure_text(trouble: Problem) -> str:
    is_looked_at = trouble.reason in {None, Reason.SLOW}
    name = signal_name(trouble.signal)
    if not is_looked_at:
        name = metric_name(trouble.signal, trouble.source)
    if trouble.is_over:
        return f"{name}: works again"
    return f"{name}: {trouble.reason or fault_name(trouble.fault)}"


def _cell(text: str) -> Block:
    return {"type": "raw_text", "text": clean_text(text, CELL_CHARS)}


def _rest(names: list[str], worst: dict[str, Problem]) -> list[Block]:
    if not names:
        return []
    well = sum(name in worst and worst[name].is_over for name in names)
    return [context(f"… and {len(names)} more" + (f", {well} of them work again" if well else ""))]
