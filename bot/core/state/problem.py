"""What fails in an incident: its signals, with their numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Fault, Target
from bot.core.signals.probe_threshold import Reason


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
