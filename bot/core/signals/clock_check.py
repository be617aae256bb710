"""Is the bot's own time right? Decides by the host's clock and by the `Date` of others' answers.

The bot's time never moves by itself; the host's clock may be set. All offsets are relative to the
bot's time, in seconds: `+60` is a minute later. All instants are of a clock that nobody sets.

    the others agree (two or more;   with the bot's time    it is right, whatever the host says
    three where it is below a minute)
                                     with another time      the bot's time is corrected
    they do not, or nobody answers   the host was not set   it is right
                                     the host was set       distrusted until the host's clock has
                                                            been steady, then corrected to that
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import median

LIMIT_S = 60.0
"""A clock that is wrong by this or more spoils results; it is also the leeway of tokens."""
NAMED_S, NAMED_HOSTS = 30.0, 3
"""From this on it is wrong as well, if so many hosts agree on the time."""
SAME_S = 10.0
"""Offsets that differ by less are the same: a `Date` has whole seconds, and answers take time."""
STEADY_S = 45.0
"""After a clock was set it must stay so for this long to be trusted by itself."""
FRESH_S = 300.0
"""How long an answer's `Date` counts."""
MIN_HOSTS = 2
"""One host alone may be wrong itself, or be somebody in between."""


@dataclass(frozen=True, slots=True)
class SeenDate:
    """The `Date` of a host's newest answer."""

    offset_s: float
    at: float


@dataclass(frozen=True, slots=True)
class ClockJudgement:
    """What follows from all that is known of the time."""

    is_trusted: bool = True
    """Whether results count."""
    correction_s: float | None = None
    """By how much the bot's time is to be moved."""
    was_paused: bool = False
    """The time that is missing has really passed: the machine stood still."""


@dataclass(frozen=True, slots=True)
class ClockCheck:
    """What is known of the time."""

    dates: dict[str, SeenDate] = field(default_factory=dict)
    """By host."""
    host_s: float = 0.0
    """The offset of the host's clock."""
    host_since: float = float("-inf")
    """Since when it has been so; it was set then."""
    judged_s: float = 0.0
    """The offset of the host's clock that was last judged: the bot's time is right beside it."""
    doubt_since: float | None = None
    """Since when a single host has named another time, and nobody else could be asked."""
    confirmed_at: float = float("-inf")
    """When others last agreed with the bot's time."""

    @property
    def host_ahead_s(self) -> float:
        """How far the host's clock is ahead of the right time; 0: it is right, or not known."""
        return self.judged_s if abs(self.judged_s) >= NAMED_S else 0.0

    @property
    def largest_offset(self) -> tuple[str, float]:
        """The host whose answer differs most from the bot's time, and by how much."""
        offsets = ((host, seen.offset_s) for host, seen in self.dates.items())
        return max(offsets, key=lambda each: abs(each[1]), default=("", 0.0))

    def with_host_clock(self, offset_s: float, at: float) -> ClockCheck:
        """Return the check with the host's clock as it is now."""
        is_set = abs(offset_s - self.host_s) >= 1.0
        return replace(self, host_s=offset_s, host_since=at if is_set else self.host_since)

    def judge(self, at: float) -> tuple[ClockCheck, ClockJudgement]:
        """Judge, and return the check as it is after that."""
        since = max(self.host_since, at - FRESH_S)
        seen = {host: one.offset_s for host, one in self.dates.items() if one.at >= since}
        truth_s, others = _agreed(list(seen.values())), [*seen.values()]
        # A smaller fault spoils nothing yet; it is believed of more hosts only.
        limit_s = NAMED_S if _agreed(others, NAMED_HOSTS) is not None else LIMIT_S
        if truth_s is None and len(others) == 1 and self._is_set:  # one host, and the host's clock
            truth_s = _agreed([*others, 0.0, self.host_s])
        if truth_s is not None and abs(truth_s) < limit_s:
            judged_s = self.host_s if abs(self.host_s) >= limit_s else 0.0
            check = replace(self, judged_s=judged_s, doubt_since=None, confirmed_at=at)
            return check, ClockJudgement()
        if truth_s is not None:
            is_host_right = abs(self.host_s - truth_s) < SAME_S
            return self._correct(self.host_s if is_host_right else truth_s, at)
        if self._is_set:
            if at - self.host_since >= STEADY_S:
                return self._correct(self.host_s, at)
            return self, ClockJudgement(is_trusted=False)
        if not any(abs(offset_s) >= LIMIT_S for offset_s in others):
            judged_s = 0.0 if abs(self.host_s) < NAMED_S else self.judged_s
            return replace(self, judged_s=judged_s, doubt_since=None), ClockJudgement()
        doubt_since = at if self.doubt_since is None else self.doubt_since
        check = replace(self, doubt_since=doubt_since)
        return check, ClockJudgement(is_trusted=at - doubt_since >= STEADY_S)

    @property
    def _is_set(self) -> bool:
        """Whether the host's clock was set since it was last judged, and not to the bot's time."""
        return min(abs(self.host_s - self.judged_s), abs(self.host_s)) >= LIMIT_S

    def _correct(self, by_s: float, at: float) -> tuple[ClockCheck, ClockJudgement]:
        host_s = self.host_s - by_s
        was_right = self.host_since - self.confirmed_at < FRESH_S
        judgement = ClockJudgement(
            is_trusted=False,  # what was measured by the wrong time does not count
            correction_s=by_s,
            was_paused=by_s > 0 and was_right and abs(host_s) < SAME_S,
        )
        return ClockCheck(host_s=host_s, host_since=at, judged_s=host_s), judgement


def _agreed(offsets_s: list[float], hosts: int = MIN_HOSTS) -> float | None:
    """Return the time that most of them, and at least so many, agree on; None: they do not."""
    if len(offsets_s) < hosts:
        return None
    middle_s = median(offsets_s)
    same = [offset_s for offset_s in offsets_s if abs(offset_s - middle_s) < SAME_S]
    return middle_s if len(same) >= hosts and 2 * len(same) > len(offsets_s) else None
