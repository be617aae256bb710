"""Many tenants of one incident side by side, the worst first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.incidents.notifications import CROWD
from bot.core.signals.probe_threshold import Reason
from bot.slack.render.signals import measured_name
from bot.slack.render.text import Block, clock_utc, context, fault_name, plain, signal_name

if TYPE_CHECKING:
    from bot.core.state.incident import Incident, Trouble
    from bot.ports import View

ROWS = 40
"""Slack takes 100 rows, but no more than about 13,200 characters in all blocks of a message
(bolt-js#2509 and #2867, read 2026-11)."""
CELL_CHARS = 60
HEAD = ("Tenant", "Environment", "What fails", "Failed tries", "Since")


def tenants_table(incident: Incident, view: View) -> list[Block]:
    """Render a row a tenant, where there are too many for lines of text."""
    if len(incident.tenants) <= CROWD:
        return []
    worst = _worst(incident)
    names = sorted(incident.tenants, key=lambda name: _gravity(worst.get(name)))
    rows = [_row(name, worst.get(name), view) for name in names[:ROWS]]
    cells = [[_cell(text) for text in row] for row in (HEAD, *rows)]
    # A new block_id for each version, as Slack wants it of what is edited (@slack/types 3.2).
    block_id = f"tenants-{incident.id}-{incident.edits}"
    table: Block = {"type": "table", "block_id": block_id, "rows": cells}
    return [table, *_rest(names[ROWS:], worst)]


def _worst(incident: Incident) -> dict[str, Trouble]:
    """Return the trouble of each tenant that says most."""
    ordered = sorted(incident.troubles, key=_gravity, reverse=True)
    return {trouble.tenant: trouble for trouble in ordered}


def _gravity(trouble: Trouble | None) -> tuple[bool, float, float]:
    """Order by what goes on, by the share that fails, and by age; the smallest is the worst."""
    if trouble is None:
        return False, 0.0, 0.0
    return trouble.is_over, -trouble.failed / max(trouble.tries, 1), trouble.since


def _row(name: str, trouble: Trouble | None, view: View) -> tuple[str, ...]:
    rules = view.rules.tenants.get(name)
    where = (rules and view.world.environment(name, view.rules)) or "unknown"
    if trouble is None:
        return name, where, "no usable look", "none", "unknown"
    tries = f"{trouble.failed} of {trouble.tries}" if trouble.tries else str(trouble.failed)
    return name, where, _what(trouble), tries, clock_utc(trouble.since)


def _what(trouble: Trouble) -> str:
    is_looked_at = trouble.reason in {None, Reason.SLOW}
    name = signal_name(trouble.signal)
    if not is_looked_at:
        name = measured_name(trouble.signal, trouble.counted)
    if trouble.is_over:
        return f"{name}: works again"
    return f"{name}: {trouble.reason or fault_name(trouble.fault)}"


def _cell(text: str) -> Block:
    return {"type": "raw_text", "text": plain(text, CELL_CHARS)}


def _rest(names: list[str], worst: dict[str, Trouble]) -> list[Block]:
    if not names:
        return []
    well = sum(name in worst and worst[name].is_over for name in names)
    return [context(f"… and {len(names)} more" + (f", {well} of them work again" if well else ""))]
