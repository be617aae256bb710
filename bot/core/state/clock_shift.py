"""Moves a state in time, after the clock that it was written by turned out to be wrong.

What was 40 s ago stays 40 s ago, and what is due in five minutes stays so. Instants that others
named stay as they are: what the status page, monitors, calendars and Auth0 say.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from bot.core.model.access import AuditEntry
from bot.core.model.measurement import ChangeMade, ExternalAlert
from bot.core.model.observation import Fault, StatusIncident, Verdict
from bot.core.oncall import Override, Shift, Shifts
from bot.core.signals.history import MINUTE_S, Minute

if TYPE_CHECKING:
    from bot.core.state.desk import BotState

T = TypeVar("T")

INSTANT = re.compile(r"(?:.*_)?(?:at|since|until|due|before|starts)|.*_times")
"""The names of fields that hold instants of the bot's own clock; spans end in `_s`."""
FOREIGN = (
    AuditEntry,
    ChangeMade,
    ExternalAlert,
    Fault,
    Override,
    Shift,
    Shifts,
    StatusIncident,
    Verdict,
)
"""Records whose instants are others', or whose record must not change."""
BY_CALENDAR = frozenset({"report_at", "reported_at"})


def shift(value: T, by_s: float) -> T:
    """Return a state, or any part of one, with all of its instants moved."""
    moved: T = _shift(value, by_s)
    return moved


def _shift(value: Any, by_s: float) -> Any:
    if isinstance(value, FOREIGN):
        return value
    if isinstance(value, Minute):
        return value._replace(number=value.number + round(by_s / MINUTE_S))
    if is_dataclass(value) and not isinstance(value, type):
        moved = dict[str, Any]()
        for name in {each.name for each in fields(value)} - BY_CALENDAR:
            before = getattr(value, name)
            if name == "first_bad":
                at, failed = before
                moved[name] = at + by_s, failed
            else:
                moved[name] = (_move if INSTANT.fullmatch(name) else _shift)(before, by_s)
        return replace(value, **moved)
    if isinstance(value, dict):
        return {key: _shift(each, by_s) for key, each in value.items()}
    return tuple(_shift(each, by_s) for each in value) if type(value) is tuple else value


def _move(value: Any, by_s: float) -> Any:
    """Move one instant, or several: some fields hold them by name, some may have none."""
    if isinstance(value, dict):
        return {key: _move(each, by_s) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_move(each, by_s) for each in value)
    return value + by_s if isinstance(value, float) else value


def seconds_ahead(state: BotState, now: float) -> float:
    """Return by how much a saved state is ahead of the clock, at least; 0: it is not.

    It was written by a clock that was ahead, or this one is behind.
    """
    seen = [tenant.last_data_at for tenant in state.tenants.states.values()]
    newest = max((at for at in (*seen, state.desk.evaluated_at) if at is not None), default=now)
    return max(0.0, newest - now)
