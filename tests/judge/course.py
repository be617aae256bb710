"""How strong a fault is over time, and what recovers first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from tests.judge.fault import Fault


@dataclass(frozen=True, slots=True)
class Course:
    """Steps of a fault's strength."""

    name: str
    steps: tuple[tuple[float, float, float], ...]
    """From, until (minutes) and the factor on all shares."""

    def strength(self, minutes: float) -> float:
        """Return the mean strength over the first minutes."""
        spans = ((min(until, minutes) - since, factor) for since, until, factor in self.steps)
        return sum(span * factor for span, factor in spans if span > 0) / minutes

    def passed(self, minutes: float) -> float:
        """Return when it has been in force for so long; half the strength takes twice that."""
        for since, until, factor in self.steps:
            if (until - since) * factor >= minutes:
                return since + minutes / factor
            minutes -= (until - since) * factor
        return self.steps[-1][1]

    def in_step(self, minutes: float) -> float:
        """Return the instant, or a later one, from which the fault lasts for two minutes more."""
        for since, until, _ in self.steps:
            if minutes + 2 <= until:
                return max(minutes, since + 0.5 if since else 0.0)
        return minutes


def draw_course(random: Random, fault: Fault, ends_min: float) -> Course:
    """Draw a course. What is either so or not (a latency, a clock, a certificate) is steady."""
    if fault.lasts_s:
        return Course("moment", ((0.0, fault.lasts_s / 60, 1.0),))
    is_whole = any("latency" in a or "clock" in a or "dns: nx" in a for a, _ in fault.hits.values())
    kinds = ("steady", "creeping", "flapping", "easing")
    kind = "steady" if is_whole or fault.begun else random.choices(kinds, (72, 10, 8, 10))[0]
    if kind == "creeping":
        steps: tuple[tuple[float, float, float], ...] = (
            (0.0, 3.0, 0.35), (3.0, 6.0, 0.65), (6.0, ends_min, 1.0),
        )  # fmt: skip
    elif kind == "flapping":
        on, off = random.choice(((4, 2), (3, 1), (5, 2)))
        starts = range(0, int(ends_min), on + off)
        steps = tuple((float(at), float(at + on), 1.0) for at in starts)
    elif kind == "easing":
        steps = ((0.0, 8.0, 1.0), (8.0, ends_min, 0.5))
    else:
        steps = ((0.0, ends_min, 1.0),)
    return Course(kind, steps)
