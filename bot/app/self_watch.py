"""The bot watches itself: builds what does, from the parts that are watched."""

from __future__ import annotations

import asyncio
import gc
import logging
from functools import partial
from typing import TYPE_CHECKING

from bot.app.health import Health, admin_routes
from bot.app.rules import count_probes_a_minute, find_most_a_minute
from bot.app.self_checks import Auditor, FaultReport
from bot.app.watchdog import LoopGuard, Progress, SystemdNotifier, Watchdog, end_at_once
from bot.core.alerting import notification_policy
from bot.core.model.wall_clock import DAY_S
from bot.core.state.incident import OwnFaultKind
from bot.ports import LeaseHeldError, StoreError
from bot.runtime.probe_runner import FEEDS, PROBES, SOURCES
from bot.store import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from bot.app.http_server import Routes, Server
    from bot.app.watchdog import Part
    from bot.core.state.rules import Rules
    from bot.ports import Clock, View
    from bot.runtime.delivery import OutboxDelivery
    from bot.runtime.engine import Engine
    from bot.runtime.guarded_store import GuardedStore
    from bot.runtime.probe_runner import Lateness
    from bot.store import SqlStore
    from bot.telemetry import Metrics

log = logging.getLogger(__name__)

PART_LIMIT_S = 60.0
"""Real seconds without progress after which a part is started again."""
CHECKS_LIMIT_S = 180.0
"""The same for checks, or three times the interval, if that is longer."""
STUCK_S = 60.0
"""A message that has waited for longer is a problem, in real seconds."""
STAND_BY_EVERY_S = 1.0
"""Real seconds between two looks whether the active process has ended."""
UNSAVED_S = 30.0
"""State that cannot be saved for longer is posted, in real seconds."""
REFUSAL_SHOWN_S = DAY_S
"""A call that was refused is a problem for so long, unless a later one is taken."""
ENGINE, DELIVERY, SOCKET = "engine", "delivery", "Slack socket"
"""The parts that the watchdog starts again."""


class SelfWatch:
    """What the bot knows of its own work.

    Args:
        clock: the time.
        metrics: show it, too.
        on_restart: called with the name of a part that is started again.
        environment: the process's, if the process is the bot's alone; see `Bot`.
    """

    def __init__(
        self,
        clock: Clock,
        metrics: Metrics,
        on_restart: Callable[[str], None],
        environment: Mapping[str, str] | None,
    ) -> None:
        self.health = Health(clock.now)
        self._clock = clock
        self._metrics = metrics
        self._on_restart = on_restart
        self._environment = environment
        self._watchdog = Watchdog((), on_restart)

    @property
    def is_well(self) -> bool:
        """Whether every part gets on."""
        return self._watchdog.is_well

    async def open_store(
        self, database: str, listen: Callable[[Routes], Awaitable[Server]]
    ) -> SqlStore:
        """Open the database; while another process is the active one, stand by until it is not.

        Args:
            database: as in `open_store` of the store.
            listen: serves what a standby answers: it is healthy, and not ready.

        Raises what opening raises, unless this process stood by before.
        """
        try:
            store = await open_store(database, self._clock.now())
        except LeaseHeldError as error:
            store = await self._stand_by(database, listen, error.holder)
        if self._environment is not None:
            store.on_lost(end_at_once)
        return store

    async def _stand_by(
        self, database: str, listen: Callable[[Routes], Awaitable[Server]], holder: str
    ) -> SqlStore:
        log.info("standing by: %s holds the lease", holder)
        self.health.role = "standby"
        server = await listen(admin_routes(self._metrics.registry, self.health, lambda: "standby"))
        notifier = SystemdNotifier(self._environment or {}, lambda: True)
        notifying, problem = asyncio.create_task(notifier.run()), ""
        try:
            while True:
                await asyncio.sleep(STAND_BY_EVERY_S)
                try:
                    store = await open_store(database, self._clock.now())
                except LeaseHeldError:
                    problem = ""
                except StoreError as error:
                    if str(error) != problem:
                        log.warning("standing by: %s", error)
                    problem = str(error)
                else:
                    log.info("this process holds the lease now, and is the active one")
                    return store
        finally:
            self.health.role = "active"
            notifying.cancel()
            await server.stop()

    def watch(
        self,
        engine: Engine,
        delivery: OutboxDelivery,
        store: GuardedStore,
        rules: Rules,
        *,
        restart: Callable[[str], None],
        socket_checks: Callable[[], int | None],
    ) -> dict[str, Part]:
        """Build what watches these, and return the parts that do.

        Args:
            engine: decides.
            delivery: delivers.
            store: keeps the state.
            rules: the configuration.
            restart: starts a part again, by its name.
            socket_checks: returns how often the socket to Slack was checked; None: there is none.
        """
        progress = [
            *_checks_progress(engine, rules, self._clock.speed),
            *_parts_progress(engine, delivery, self._clock, restart),
            _socket_progress(socket_checks, restart),
        ]
        self._watchdog = Watchdog(progress, self._on_restart)
        if self._environment is None:  # the process is not the bot's: it is not ended
            self._watchdog = Watchdog(progress, self._on_restart, end=lambda _: None)
        auditor = Auditor(store, self._clock, rules)
        pace = PaceWatch(rules, engine.take_lateness, self._metrics)
        for each in progress:
            self.add_health(each.part, partial(self._watchdog.problem, each.part))
        self.add_health("tenants", lambda: _find_unchecked(engine.view()))
        self.add_health("messages", lambda: _find_waiting(delivery, self._clock.speed))
        self.add_health("calls", lambda: find_unreachable(engine.view()))
        self.add_health("store", lambda: store.problem)
        self.add_health("audit", lambda: auditor.problem)
        self.add_health("pace", lambda: pace.problem)
        overdue = self._metrics.overdue
        overdue.labels("step").set_function(lambda: len(auditor.result.steps))
        overdue.labels("message").set_function(lambda: len(auditor.result.undelivered))
        report = FaultReport(OwnFaultKind.STORE, UNSAVED_S, self._clock.now, engine.submit)
        parts: dict[str, Part] = {"watchdog": self._watchdog.run, "auditor": auditor.run}
        parts |= {"pace": pace.run, "store report": partial(_report_store, store, report)}
        if self._environment is not None:
            # What was loaded stays: to search it for garbage takes some 100 ms (measured 2026-12).
            gc.freeze()
            notifier = SystemdNotifier(self._environment, lambda: self.is_well)
            parts |= {"loop guard": LoopGuard().run, "systemd": notifier.run}
        return parts

    def add_health(self, part: str, find_problem: Callable[[], str]) -> None:
        """Add a part to `/health` and to the metrics."""
        self.health.add(part, find_problem)
        self._metrics.part_healthy.labels(part).set_function(lambda: not find_problem())


PACE_EVERY_S = 60.0
"""Real seconds between two looks at the lateness, and two lines in the log."""
LATE_PROBE_S = 10.0
"""A routine probe that waits longer for its turn has lost a sixth of its minute."""


class PaceWatch:
    """Notices that more probes are due than the bot starts. Otherwise that would be silent.

    Args:
        rules: what is to be probed.
        take_lateness: returns how late routine probes were since the last call.
        metrics: show it, too.
    """

    def __init__(
        self, rules: Rules, take_lateness: Callable[[], Lateness], metrics: Metrics
    ) -> None:
        self._take_lateness = take_lateness
        self._metrics = metrics
        wanted, possible = count_probes_a_minute(rules), find_most_a_minute()
        self.problem = (
            f"{wanted:,.0f} probes a minute are configured, and this machine carries some"
            f" {possible:,.0f}: let the bot watch fewer tenants, or raise probe.every"
            if wanted > possible
            else ""
        )
        self._has_too_many = bool(self.problem)

    async def run(self) -> None:
        """Look at it once a minute. Never ends."""
        if self.problem:
            log.warning(self.problem)
        await asyncio.sleep(PACE_EVERY_S)
        self._take_lateness()  # the first probes of all come besides those of the grid
        while True:
            await asyncio.sleep(PACE_EVERY_S)
            lateness = self._take_lateness()
            self._metrics.probe_delay.set(lateness.delay_s)
            self._metrics.probes_dropped.inc(lateness.dropped)
            if not self._has_too_many:
                is_late = lateness.dropped or lateness.delay_s > LATE_PROBE_S
                self.problem = (
                    f"in the last minute routine probes were up to {lateness.delay_s:.0f} s late,"
                    f" and {lateness.dropped} were left out"
                    if is_late
                    else ""
                )
            if self.problem:
                log.warning(self.problem)


def find_unreachable(view: View) -> str:
    """Say who did not take the last call, and which incident nobody was reached for."""
    nobody = [
        f"nobody could be reached for incident {incident.id}"
        for incident in view.desk.open_incidents
        if incident.notification.nobody_at is not None
    ]
    refused = [
        f"{name} did not take the last call ({refusal.error})"
        for name, refusal in view.desk.refusals.items()
        if view.now - refusal.at < REFUSAL_SHOWN_S
    ]
    return ", ".join([*nobody, *refused])


def _checks_progress(engine: Engine, rules: Rules, speed: float) -> list[Progress]:
    """Return the progress of the checks that are configured."""
    every_s = {
        PROBES: [tenant.limits.every_s for tenant in rules.tenants.values()],
        FEEDS: [rules.feed_every_s] if rules.feeds else [],
        SOURCES: [m.every_s for tenant in rules.tenants.values() for m in tenant.metrics.values()],
    }
    return [
        Progress(
            name,
            has_work=lambda: True,
            count=partial(_count_finished, engine, name),
            limit_s=max(CHECKS_LIMIT_S, 3 * min(spans_s) / speed),
            restart=engine.restart_checks,
        )
        for name, spans_s in every_s.items()
        if spans_s
    ]


def _count_finished(engine: Engine, name: str) -> int:
    return engine.finished_checks[name]


def _parts_progress(
    engine: Engine, delivery: OutboxDelivery, clock: Clock, restart: Callable[[str], None]
) -> list[Progress]:
    """Return the progress of the engine, of the escalation in it, and of the outbox."""

    def step_due_at() -> float | None:
        view = engine.view()
        return notification_policy.due_at(view.desk, view.rules)

    def is_step_late() -> bool:
        due = step_due_at()
        return due is not None and due < clock.now()

    return [
        Progress(
            "engine",
            has_work=lambda: engine.has_work,
            count=lambda: engine.batches,
            limit_s=PART_LIMIT_S,
            restart=partial(restart, ENGINE),
        ),
        Progress(
            "escalation",
            has_work=is_step_late,
            count=step_due_at,
            limit_s=PART_LIMIT_S,
            restart=partial(restart, ENGINE),
        ),
        Progress(
            "outbox",
            has_work=lambda: delivery.is_late,
            count=lambda: None,
            limit_s=PART_LIMIT_S,
            restart=partial(restart, DELIVERY),
        ),
    ]


def _socket_progress(
    socket_checks: Callable[[], int | None], restart: Callable[[str], None]
) -> Progress:
    return Progress(
        "socket",
        has_work=lambda: socket_checks() is not None,
        count=socket_checks,
        limit_s=PART_LIMIT_S,
        restart=partial(restart, SOCKET),
    )


def _find_unchecked(view: View) -> str:
    """Name the tenants that cannot be checked."""
    names = [n for n, state in view.tenants.states.items() if state.no_data_since is not None]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""  # noqa: PLR2004
    return f"cannot check {', '.join(names[:5])}{more}" if names else ""


def _find_waiting(delivery: OutboxDelivery, speed: float) -> str:
    waiting_s = delivery.waiting_s / speed
    return f"a message has waited for {waiting_s:.0f} s" if waiting_s > STUCK_S else ""


async def _report_store(store: GuardedStore, report: FaultReport) -> None:
    """Let it be posted that the state cannot be saved. Never ends."""
    while True:
        report.update(is_there=bool(store.problem), detail=store.problem)
        await asyncio.sleep(1.0)
