"""The real clock, at speed 1 or, for the demo, faster; its timer; and whether it is right."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger

from bot.app.self_checks import FaultReport
from bot.core.signals.clock_check import ClockCheck, SeenDate
from bot.core.state.incident import OwnFaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.state.stimulus import OwnFaultSeen
    from bot.http import HttpResult
    from bot.ports import Clock

log = logging.getLogger(__name__)


def _monotonic_s() -> float:
    """Return seconds that never step and, where the system can, go on while it is suspended."""
    source = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(source)


class SystemClock:
    """The `Clock` port: the wall clock as it was at the start, and what has elapsed since.

    A wall clock that is set later moves nothing: all that is due stays due. Only `ClockWatch`
    corrects it.

    Args:
        speed: how many times as fast as a real clock it runs.
        start: the instant to begin at; None: now.
        wall_time: the host's wall clock, which may be set.
        monotonic: the host's clock that nobody sets.
    """

    def __init__(
        self,
        speed: float = 1.0,
        start: float | None = None,
        *,
        wall_time: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = _monotonic_s,
    ) -> None:
        self.speed = speed
        self.is_wall_time = start is None and speed == 1.0
        """Whether it shows the time of today, and not of a story or a faster one."""
        self._wall_time = wall_time
        self._monotonic = monotonic
        self._start = wall_time() if start is None else start
        self._zero = monotonic()

    def now(self) -> float:
        """Return seconds since the Unix epoch, UTC."""
        return self._start + (self._monotonic() - self._zero) * self.speed

    async def sleep(self, span_s: float) -> None:
        """Wait for a span of this clock."""
        await asyncio.sleep(span_s / self.speed)

    def wall_clock_step_s(self) -> float:
        """Return how far the host's wall clock is ahead of this one; 0 in a story."""
        return self._wall_time() - self.now() if self.is_wall_time else 0.0

    def correct(self, by_s: float) -> None:
        """Move it: it was wrong."""
        self._start += by_s


JOB_ID = "wake"
LATE_S = 5.0
"""Real seconds after which the watchdog wakes the engine itself: APScheduler 3.11 silently stops
all jobs when a trigger raises once, or when the wall clock is set back (agronholm/apscheduler
#1132 and own measurement)."""


class APSchedulerTimer:
    """The `Timer` port over APScheduler, which only wakes: in memory, UTC, late jobs run, once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        self._due_at: float | None = None
        self._wake: Callable[[], None] = lambda: None

    def start(self, wake: Callable[[], None]) -> None:
        """Set what to call when something is due."""
        self._wake = wake
        if not self._scheduler.running:
            self._scheduler.start()

    def wake_at(self, at: float) -> None:
        """Call `wake` at this instant, in place of the one set before."""
        if at == self._due_at:
            return
        self._due_at = at
        real_s = max(0.0, at - self._clock.now()) / self._clock.speed
        # APScheduler compares its triggers with the wall clock.
        run_at = datetime.now(UTC) + timedelta(seconds=real_s)
        self._scheduler.add_job(
            self._on_due, DateTrigger(run_at, timezone=UTC), id=JOB_ID, replace_existing=True
        )

    async def watch(self) -> None:
        """Wake the engine whenever APScheduler does not. Never ends."""
        while True:
            await asyncio.sleep(LATE_S)
            late_s = self._clock.now() - (self._due_at or float("inf"))
            if late_s > LATE_S * self._clock.speed:
                log.warning("the timer is %.0f s late; waking the engine without it", late_s)
                self._fire()

    def stop(self) -> None:
        """Stop; the engine is not woken any more."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    async def _on_due(self) -> None:
        # A coroutine, as APScheduler runs plain functions in a thread.
        self._fire()

    def _fire(self) -> None:
        self._due_at = None
        self._wake()


MOST_HOSTS = 20
"""Those that answered last are compared: a thousand would say no more, and cost each probe time."""
CHECK_EVERY_S = 1.0
HOST_WRONG_S = 300.0
"""A host's clock that is wrong for so long is posted; a time service has put it right by then."""


class ClockWatch:
    """Corrects the clock where it is wrong, and says meanwhile that results do not count.

    Args:
        clock: the bot's.
    """

    def __init__(self, clock: SystemClock) -> None:
        self.corrections = 0
        self._clock = clock
        self._check = ClockCheck()
        self._on_correction: Callable[[float, bool], None] = lambda _by_s, _was_paused: None
        self.problem = ""
        """What is wrong with the host's clock or the bot's time, in one line; empty: nothing."""
        self._report = self._build_report(lambda _: None)

    def attach(
        self,
        on_correction: Callable[[float, bool], None],
        submit: Callable[[OwnFaultSeen], None] = lambda _: None,
    ) -> None:
        """Set what hears of it.

        Args:
            on_correction: called after a correction, with the seconds and whether the machine had
                stood still: then the time that was missing has really passed.
            submit: takes what is to be posted about the host's clock.
        """
        self._on_correction, self._report = on_correction, self._build_report(submit)

    def _build_report(self, submit: Callable[[OwnFaultSeen], None]) -> FaultReport:
        return FaultReport(OwnFaultKind.CLOCK, HOST_WRONG_S, self._clock.now, submit)

    @property
    def host_ahead_s(self) -> float:
        """How far the host's clock is ahead of the right time; 0: it is right, or nobody knows."""
        return self._check.host_ahead_s

    async def run(self) -> None:
        """Watch the host's clock. Never ends."""
        while True:
            self.find_doubt()
            await asyncio.sleep(CHECK_EVERY_S)

    def note_answer(self, host: str, result: HttpResult) -> None:
        """Take the `Date` of an answer, unless a cache gave the answer.

        It counts as the bot's time if it lies within the request: a slow answer tells no more.
        """
        began_at, ended_at = result.at, result.at + result.latency_s
        try:
            at = parsedate_to_datetime(result.headers["date"]).timestamp()
        except (LookupError, ValueError, OverflowError):
            return
        if result.headers.get("age", "0") == "0":
            # A `Date` has no fractions.
            self.note_offset(host, at - min(max(at, began_at - 1.0), ended_at))

    def note_offset(self, host: str, offset_s: float) -> None:
        """Take how much later than the bot's time a host says that it is."""
        if self._clock.is_wall_time:
            before = self._check.dates
            newest = [each for each in before if each != host][-MOST_HOSTS + 1 :]
            dates = {each: before[each] for each in newest}
            dates[host] = SeenDate(offset_s, _loop_time())
            self._check = replace(self._check, dates=dates)

    def find_doubt(self) -> str:
        """Return why results do not count now; empty: they do. Corrects the clock if it can."""
        now = _loop_time()
        check = self._check.with_host_clock(self._clock.wall_clock_step_s(), now)
        self._check, judgement = check.judge(now)
        if (by_s := judgement.correction_s) is not None:
            self._clock.correct(by_s)
            self.corrections += 1
            log.warning("the bot's time was %s; corrected", _side(-by_s))
            self._on_correction(by_s, judgement.was_paused)
        ahead_s = round(self.host_ahead_s)
        self._report.update(is_there=bool(ahead_s), ahead_s=ahead_s)
        self.problem = f"this host's clock is {_side(ahead_s)}" if ahead_s else ""
        if judgement.is_trusted:
            return ""
        host, offset_s = check.largest_offset
        if by_s is not None:
            doubt = f"the bot's time was {_side(-by_s)}"
        elif self._check.doubt_since is None:
            doubt = f"this host's clock was set; it is {_side(check.host_s)} now"
        else:
            doubt = f"this host's clock is {_side(-offset_s)}, by the answer of {host}"
        self.problem = doubt
        return doubt


def _side(ahead_s: float) -> str:
    return f"{abs(ahead_s):.0f} s {'ahead' if ahead_s > 0 else 'behind'}"


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
