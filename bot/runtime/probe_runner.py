"""Runs the checks that the steps ask for, at a limited rate, and submits the results."""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from bot.core.model.observation import CONTROL
from bot.core.state.stimulus import (
    Effect,
    FeedPolled,
    Measured,
    Observed,
    PollFeed,
    PollShifts,
    Priority,
    QueryMetrics,
    ShiftsPolled,
    StartProbe,
    Stimulus,
    TurnDropped,
    Unanswered,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.model.observation import Observation, Target
    from bot.ports import Clock, Prober

log = logging.getLogger(__name__)

Check = StartProbe | QueryMetrics | PollFeed | PollShifts
"""An effect that asks for a check."""
PROBES, CONTROLS, FEEDS, SOURCES, SHIFTS = "probes", "controls", "feeds", "sources", "shifts"
"""What is checked: tenants, control endpoints, status feeds, metrics, the on-call calendar."""
PROBES_PER_S = 50.0
"""The pace over all tenants at first: a burst of many must not look like our own outage."""
MOST_PER_S = 350.0
"""What one core carries (docs/dev/performance.md); the event loop uses no more than one."""
LATE_TURN_S = 0.05
"""Real seconds. A turn that comes later than that shows that the event loop has too much to do:
well before it is so late that checks have no data (`bot.http.loop_lag`)."""
SLOWER, FASTER = 0.7, 1.1
"""What the pace is multiplied by, every `ADAPT_EVERY_S`, if a turn was late, or if many wait."""
ADAPT_EVERY_S = 0.25
CATCH_UP_S = 0.25
"""Turns that the event loop was too late for are made up for, up to so many seconds of them."""
FIRST_COME_S = 0.5
"""While no more waits than starts within this time, the order is that in which it came: nothing is
gained by another one."""
LONGEST_WAIT_S = 60.0
"""What has waited for so long is only less urgent than what is never to be late."""
NEVER_LATE = Priority.ROUTINE
ROUTINES = (Priority.ROUTINE, Priority.LIGHT)
HANGS_S = 300.0
"""Real seconds beyond which no check lasts: each has a time-out of its own, which is shorter."""
Rank = tuple[Priority, int]
"""The lower, the sooner: of two alike, the signal with more failures is nearer to its threshold."""


class ProbeQueue:
    """Probes that wait for their turn: the most urgent first, of these the one that waits longest.

    A target waits only once. So the queue never holds more than one probe a target, and each result
    is as fresh as the rate allows. What a person asked for always has a turn of its own.

    Args:
        few: while no more wait, it is first come, first served.
    """

    def __init__(self, few: int = 0) -> None:
        self._few = few
        self._waiting: dict[Target | int, tuple[Rank, float]] = {}
        """The rank of each, and since when it waits; oldest first."""
        self._lines: dict[Rank, dict[Target | int, StartProbe]] = {}
        self._numbers = count()
        self.dropped: Counter[Priority] = Counter()
        """Turns that came while the target still waited for the one before."""
        self.routine_delay_s = 0.0
        """The longest wait of a routine probe; whoever reads it sets it back."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, probe: StartProbe, now: float) -> bool:
        """Let a probe wait. If its target waits already, only the more urgent of both does.

        Return whether that gives the target one more turn.
        """
        key = next(self._numbers) if probe.request_id else probe.target
        rank, since = (probe.priority, -probe.failures), now
        if key in self._waiting:
            self.dropped[probe.priority] += 1
            known, since = self._waiting[key]
            if rank >= known:
                return False
            del self._lines[known][key]
        is_new = key not in self._waiting
        self._waiting[key] = (rank, since)
        self._lines.setdefault(rank, {})[key] = probe
        return is_new

    def pop(self, now: float) -> StartProbe:
        """Take out the probe whose turn it is."""
        oldest, (rank, since) = next(iter(self._waiting.items()))
        first = min(rank for rank, line in self._lines.items() if line)
        is_overdue = now - since >= LONGEST_WAIT_S and first[0] > NEVER_LATE
        is_first_come = is_overdue or len(self) <= self._few
        key = oldest if is_first_come else next(iter(self._lines[first]))
        rank, since = self._waiting.pop(key)
        if rank[0] in ROUTINES:
            self.routine_delay_s = max(self.routine_delay_s, now - since)
        return self._lines[rank].pop(key)

    def clear(self) -> None:
        """Forget all that waits."""
        self._waiting.clear()
        self._lines.clear()


@dataclass(frozen=True, slots=True)
class Lateness:
    """How far the probes that are due by the clock were behind it."""

    delay_s: float
    """The longest wait for a turn."""
    dropped: int
    """Turns that came while the target still waited for the one before."""


class Pace:
    """How many probes start in a second: as many as wait, and the event loop carries.

    It rises while probes wait and the loop is in time, and falls as soon as the loop is late.
    """

    def __init__(self) -> None:
        self.per_s = min(PROBES_PER_S, MOST_PER_S)
        self._adapted_at = 0.0
        self._was_late = False

    def adapt(self, now: float, late_s: float, waiting: int) -> None:
        """Note how late a turn came, and how many probes wait then."""
        self._was_late = self._was_late or late_s > LATE_TURN_S
        if now - self._adapted_at < ADAPT_EVERY_S:
            return
        if self._was_late:
            self.per_s = max(self.per_s * SLOWER, 1.0)
        elif waiting > FIRST_COME_S * self.per_s:
            self.per_s = min(self.per_s * FASTER, MOST_PER_S)
        self._adapted_at, self._was_late = now, False


class ProbeRunner:
    """Runs probes and queries as tasks.

    Args:
        clock: the time.
        prober: probes targets and queries sources.
        submit: takes each result.
    """

    def __init__(self, clock: Clock, prober: Prober, submit: Callable[[Stimulus], None]) -> None:
        self._clock = clock
        self._prober = prober
        self._submit = submit
        self._tasks: set[asyncio.Task[None]] = set()
        self._queue = ProbeQueue(int(FIRST_COME_S * PROBES_PER_S))
        self._pace = Pace()
        # Each has a connection: the other half of the files is for all else that the bot does.
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_running = sys.maxsize if files == resource.RLIM_INFINITY else files // 2
        self._next_turn_at = 0.0
        self._next_turn: asyncio.TimerHandle | None = None
        """None: nothing waits."""
        self.finished: Counter[str] = Counter()
        """How many checks have ended, whatever came of them: by the names below."""

    def launch(self, effect: Effect) -> None:
        """Start the check that an effect asks for, if it asks for one; a probe in its turn."""
        if isinstance(effect, StartProbe):
            now = self._now()
            if not self._queue.add(effect, now) and effect.target.owner != CONTROL:
                self._submit(TurnDropped(self._clock.now(), effect.target))
            if self._next_turn is None:
                self._next_turn_at = max(now, self._next_turn_at)
                self._await_turn(now)  # also if it has come: more that is due may be more urgent
        elif isinstance(effect, Check):
            self._start(effect)

    def take_lateness(self) -> Lateness:
        """Return how late routine probes were since the last call."""
        queue = self._queue
        dropped = sum(queue.dropped.pop(each, 0) for each in ROUTINES)
        delay_s, queue.routine_delay_s = queue.routine_delay_s, 0.0
        return Lateness(delay_s, dropped)

    def restart(self) -> None:
        """Cancel what is running, as it gets nowhere. What is due next is started as always."""
        self._queue.clear()
        self._next_turn_at = 0.0
        if self._next_turn:
            self._next_turn.cancel()
            self._next_turn = None
        for task in self._tasks:
            task.cancel()

    async def stop(self) -> None:
        """Cancel what is running."""
        self.restart()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _now(self) -> float:
        # Not the clock's time, which may be corrected.
        return asyncio.get_running_loop().time() * self._clock.speed

    def _start_probes(self) -> None:
        """Start the probes whose turn has come, and come back for the next turn."""
        now = self._now()
        self._pace.adapt(now, (now - self._next_turn_at) / self._clock.speed, len(self._queue))
        self._next_turn_at = max(self._next_turn_at, now - CATCH_UP_S)
        while self._queue and self._next_turn_at <= now:
            self._next_turn_at += 1 / self._pace.per_s
            if len(self._tasks) < self._most_running:
                self._start(self._queue.pop(now))
        self._next_turn = None
        if self._queue:
            self._await_turn(now)

    def _await_turn(self, now: float) -> None:
        wait_s = (self._next_turn_at - now) / self._clock.speed
        self._next_turn = asyncio.get_running_loop().call_later(wait_s, self._start_probes)

    def _start(self, check: Check) -> None:
        task = asyncio.get_running_loop().create_task(self._run(check))
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    async def _run(self, effect: Check) -> None:
        """Check, and submit the result."""
        async with asyncio.timeout(HANGS_S):
            match effect:
                case StartProbe():
                    observation = await self._probe(effect)
                    self._submit(Observed(self._clock.now(), observation, effect.request_id))
                case QueryMetrics():
                    measurement = await self._prober.measure(effect.target)
                    self._submit(Measured(self._clock.now(), measurement, effect.request_id))
                case PollFeed():
                    reading = await self._prober.poll_feed(effect.target)
                    self._submit(FeedPolled(self._clock.now(), reading))
                case PollShifts():
                    shifts = await self._prober.poll_shifts()
                    self._submit(ShiftsPolled(self._clock.now(), shifts))
        self.finished[_name_of(effect)] += 1

    async def _probe(self, probe: StartProbe) -> Observation:
        """Probe a target; say meanwhile if it is to be repeated because it has no answer."""
        if probe.repeat_after_s is None:
            return await self._prober.probe(probe.target)
        unanswered = asyncio.get_running_loop().call_later(
            probe.repeat_after_s / self._clock.speed,
            lambda: self._submit(Unanswered(self._clock.now(), probe.target)),
        )
        try:
            return await self._prober.probe(probe.target)
        finally:
            unanswered.cancel()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception():
            log.error("a check failed unexpectedly", exc_info=task.exception())


def _name_of(effect: Check) -> str:
    match effect:
        case StartProbe(target=target):
            return CONTROLS if target.owner == CONTROL else PROBES
        case QueryMetrics():
            return SOURCES
        case PollFeed():
            return FEEDS
        case PollShifts():
            return SHIFTS
