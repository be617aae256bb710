"""What was known of an incident when people were called for it, or did something about it.

An acknowledgement, a call, a silence by number and a resolution by hand all hold for that, and for
nothing beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum

from bot.core.model.observation import Severity


class Impact(IntEnum):
    """How badly a tenant does. A signal counts once it has met its own threshold."""

    NONE = 0
    SLOW = 1
    PART = 2
    """A part of the logins fails, or only one path, or a source says that users fail."""
    DOWN = 3
    """At least half of the logins fail."""
    MOST = 4
    """Nearly all fail: a window of a half outage hardly ever shows so many."""
    ALL = 5
    """Every try of the last whole window failed."""

    def is_another_than(self, known: Impact) -> bool:
        """Tell whether it is more than a person left, who resolved what still failed."""
        return self.is_beyond(known) or known <= Impact.SLOW < self

    def is_beyond(self, known: Impact) -> bool:
        """Tell whether it is worse than what was known, so that people are called again."""
        if known <= Impact.PART:
            return self >= Impact.DOWN
        return known is Impact.DOWN and self is Impact.ALL


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an incident, or was when people were called or did something."""

    severity: Severity
    impacts: dict[str, Impact] = field(default_factory=dict)
    """By tenant: the worst so far. A tenant that is missing has not been known to fail."""

    @property
    def worst(self) -> Impact:
        """The impact at the tenant that does worst."""
        return max(self.impacts.values(), default=Impact.NONE)

    def join(self, other: Known) -> Known:
        """Return what either knows."""
        names = dict.fromkeys((*self.impacts, *other.impacts))
        nothing = Impact.NONE
        return Known(
            min(self.severity, other.severity, key=lambda each: each.rank),
            {n: max(self.impacts.get(n, nothing), other.impacts.get(n, nothing)) for n in names},
        )

    def without_parts(self) -> Known:
        """Return what people know whom a return called: few tries do not tell a part from half."""
        parts = {n: Impact.DOWN for n, impact in self.impacts.items() if impact is Impact.PART}
        return replace(self, impacts={**self.impacts, **parts})

    def is_exceeded_by(self, current: Known) -> bool:
        """Tell whether things are worse now, at the tenants that are known or as a whole."""
        if current.severity.rank < self.severity.rank and current.worst >= Impact.DOWN:
            return True
        known = self.impacts
        return any(now.is_beyond(known[n]) for n, now in current.impacts.items() if n in known)

    def newly_down(self, current: Known) -> tuple[str, ...]:
        """Return the tenants that are down now and were not known to fail at all."""
        new = (n for n in current.impacts if n not in self.impacts)
        return tuple(n for n in new if current.impacts[n] >= Impact.DOWN)
