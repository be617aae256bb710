"""Many tenants at once: looked over together from time to time, and told in few messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.peer_clues import kinds
from bot.core.review import is_failing, is_troubled

if TYPE_CHECKING:
    from bot.core.case import Case
    from bot.core.desk_state import DeskState
    from bot.core.incident import Incident, Kind
    from bot.core.model import Cause
    from bot.core.rules import Rules
    from bot.core.stimulus import World

MANY = 5
LATELY_S = 600.0
"""So many open incidents, begun so lately, are enough: what fails of a like cause joins the newest
of its cause."""
AT_ONCE = 100
"""A review looks at each tenant once an incident; as long as it takes so few looks, each new fact
is reviewed at once."""
LOOKS_PER_S = 100.0
"""Beyond that so many are taken a second: a few per cent of a core."""
LONGEST_S = 5.0


def is_put_off(state: DeskState, now: float, rules: Rules) -> bool:
    """Tell whether the last review was so short ago that the next one has to wait."""
    return state.reviewed_at <= now < next_review(state, rules)


def next_review(state: DeskState, rules: Rules) -> float:
    """Return when the incidents may be looked at again."""
    return state.reviewed_at + _pace_s(state, rules)


def _pace_s(state: DeskState, rules: Rules) -> float:
    looks = len(state.open_troubles) * len(rules.tenants)
    return min(looks / LOOKS_PER_S, LONGEST_S) if looks > AT_ONCE else 0.0


def untold(state: DeskState, world: World) -> list[str]:
    """Return the tenants in trouble that no open incident speaks of."""
    told = {name for incident in state.open_troubles for name in incident.tenants}
    return [name for name in world.tenants if name not in told and is_troubled(world, name)]


def alike(case: Case) -> list[tuple[str, ...]]:
    """Group a case's tenants by environment and by how they fail: one speaks for its group."""
    groups: dict[object, list[str]] = {}
    for name in case.tenants:
        fails = is_failing(case.world.tenants[name])
        key = (fails, frozenset(kinds(case, name)), case.environment(name))
        groups.setdefault(key, []).append(name)
    return [tuple(names) for names in groups.values()]


def gathering(state: DeskState, kind: Kind, cause: Cause, now: float) -> Incident | None:
    """Return the incident that takes in more of its cause, where there are many new ones."""
    new = [i for i in state.open_incidents if i.kind is kind and now - i.opened_at < LATELY_S]
    same = [incident for incident in new if incident.verdict.cause is cause]
    return same[-1] if len(new) >= MANY and same else None
