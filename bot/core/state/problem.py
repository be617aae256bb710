"""What fails in an incident, and what of it was known when somebody was called or did something.

An acknowledgement, a call, a silence by number and a resolution by hand all hold for what was
known, and for nothing beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Fault, Severity, Target
from bot.core.signals.probe_threshold import Reason


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

    def names_from(self, least: Impact) -> tuple[str, ...]:
        """Return the tenants that do at least so badly."""
        return tuple(name for name, impact in self.impacts.items() if impact >= least)

    def is_exceeded_by(self, current: Known) -> bool:
        """Tell whether things are worse now, at the tenants that are known or as a whole."""
        if current.severity.rank < self.severity.rank and current.worst >= Impact.DOWN:
            return True
        known = self.impacts
        return any(now.is_beyond(known[n]) for n, now in current.impacts.items() if n in known)


@dataclass(frozen=True, slots=True)
class _Problem:
    tenant: str
    signal: str
    since: float
    is_over: bool = field(default=False, kw_only=True)

    @property
    def target(self) -> Target:
        """The signal that fails."""
        return Target(self.tenant, self.signal)


@dataclass(frozen=True, slots=True)
class ProbeProblem(_Problem):
    """A probe fails."""

    failed: int
    tries: int
    fault: Fault | None = None
    """The most frequent one."""
    is_stopped: bool = False
    kind: Literal["probe"] = "probe"


@dataclass(frozen=True, slots=True)
class SlowProblem(_Problem):
    """A probe succeeds, but slowly against its own past."""

    slow: int
    tries: int
    latency_s: float
    """Now."""
    usual_s: float
    kind: Literal["slow"] = "slow"


@dataclass(frozen=True, slots=True)
class MetricProblem(_Problem):
    """A metric fires."""

    source: MetricKind
    reason: Reason | None
    failed: int
    total: int
    """0: it counts failures only."""
    span_s: float
    baseline: float | None = None
    """How many usually fail in the same span (if successes are missing: succeed), if known."""
    no_data_reason: str = ""
    """Why there is no data now."""
    link: str = ""
    """An https address with more details; foreign."""
    kind: Literal["metric"] = "metric"


@dataclass(frozen=True, slots=True)
class AlertProblem(_Problem):
    """An external monitor, after which the signal is named, has alerts."""

    alerts: int
    title: str = ""
    """Of the newest one: foreign text."""
    link: str = ""
    """An https address with more details; foreign."""
    kind: Literal["alert"] = "alert"


@dataclass(frozen=True, slots=True)
class NoDataProblem(_Problem):
    """A source of metrics has no data, or a status feed cannot be read."""

    source: MetricKind | None
    """None: the feed that the signal is named after."""
    no_data_reason: str = ""
    """Why a source has none; a feed has a fault in its place."""
    fault: Fault | None = None
    kind: Literal["no_data"] = "no_data"


Problem = ProbeProblem | SlowProblem | MetricProblem | AlertProblem | NoDataProblem
"""One failing signal of an incident, with its numbers."""


def problem_counts(problem: Problem) -> tuple[int, int]:
    """Return how many failed, of how many; 0: that is not known."""
    match problem:
        case ProbeProblem():
            return problem.failed, problem.tries
        case SlowProblem():
            return problem.slow, problem.tries
        case MetricProblem():
            return problem.failed, problem.total
        case AlertProblem():
            return problem.alerts, 0
        case NoDataProblem():
            return 0, 0
