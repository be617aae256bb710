"""One failed login on its real way: from the timer's wake-up to the message that Slack took.

The clock stands still, and is moved to what is due next once the engine has nothing to do: so each
login ends before the timer wakes for the next one, however slow the machine is.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bot.app.clock import APSchedulerTimer, SystemClock
from bot.app.notification_router import NotificationRouter
from bot.app.observability import EffectLogger, MeteredProber
from bot.app.prober import LiveProber
from bot.app.rules import rules_of
from bot.core.model.observation import LOGIN, Outcome, Target
from bot.core.state.outbox import Post
from bot.core.state.stimulus import StartProbe
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import Engine
from bot.simulator.local import LocalTenants
from bot.simulator.reading import load_example
from bot.simulator.simulation import settings_for
from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.workspace import Workspace
from bot.simulator.world import RequestOutcome, World
from bot.slack.outbound.messenger import SlackMessenger
from bot.slack.web_api import SlackWeb
from bot.store import open_store
from bot.telemetry import Metrics
from tests.house.question import CHANNEL, Tracer, stop
from tests.live.fast import PatientClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.model.observation import FeedReading, Observation
    from bot.core.state.incident import MessageRef
    from bot.core.state.outbox import Delivery
    from bot.core.state.stimulus import Effect
    from bot.ports import View
    from bot.simulator.scenario import Scenario

PATIENCE_S = 120.0
LAST = 5
"""The failure that opens an incident."""


class WorldOfFailedLogins(World):
    """Logins fail from the second one on, whenever that comes."""

    def __init__(self, scenario: Scenario) -> None:
        super().__init__(scenario)
        self._has_login = False

    def draw_arrived_request(self, target: Target | str, at: float) -> RequestOutcome:  # noqa: ARG002 - the count decides
        offset_s = 1.0 if self._has_login else -1.0
        self._has_login |= str(target) == "prod.login"
        return super().draw_arrived_request(target, self.scenario.start_at + offset_s)


class Trace:
    """Is on from the wake-up that starts the fifth failing login, until Slack took the message."""

    def __init__(self) -> None:
        self.failures = 0
        self.under_way = 0
        """The logins that have been asked for and have not ended, and the other checks that have
        begun."""
        self.has_started = False
        self.accepted = asyncio.Event()
        self.tracer = Tracer()

    def wake(self) -> None:
        """Begin anew, unless the last login has started."""
        if self.failures == LAST - 1 and not self.has_started:
            self.tracer.modules.clear()
            self.tracer.is_on = True

    def end(self) -> None:
        """Slack has accepted the message."""
        self.tracer.is_on = False
        self.accepted.set()


class TracedTimer(APSchedulerTimer):
    """Moves the clock to what is due, and tells the trace when it wakes the engine."""

    def __init__(self, clock: SystemClock, trace: Trace) -> None:
        super().__init__(clock)
        self._clock_to_move = clock
        self._trace = trace

    def start(self, wake: Callable[[], None]) -> None:
        def begin() -> None:
            self._trace.wake()
            wake()

        super().start(begin)

    def wake_at(self, at: float) -> None:
        if not (self._trace.under_way or self._trace.failures == LAST):
            self._clock_to_move.correct(max(0.0, at - self._clock_to_move.now()))
            super().wake_at(at)


class TracedListener(EffectLogger):
    """Tells the trace which logins the engine asks for."""

    def __init__(self, metrics: Metrics, trace: Trace) -> None:
        super().__init__(metrics)
        self._trace = trace

    def listen(self, at: float, effect: Effect) -> None:
        self._trace.under_way += isinstance(effect, StartProbe) and effect.target.name == LOGIN
        super().listen(at, effect)


class TracedProber(MeteredProber):
    """Tells the trace which failure this is; from the first one on it answers nothing else."""

    def __init__(self, prober: LiveProber, metrics: Metrics, trace: Trace) -> None:
        super().__init__(prober, metrics)
        self._trace = trace

    async def probe(self, target: Target) -> Observation:
        is_login = target.name == LOGIN
        if not is_login:
            await self._begin()
        self._trace.has_started |= is_login and self._trace.failures == LAST - 1
        observation = await super().probe(target)
        self._trace.failures += is_login and observation.outcome is Outcome.FAILED
        self._trace.under_way -= 1
        return observation

    async def poll_feed(self, target: Target) -> FeedReading:
        await self._begin()
        reading = await super().poll_feed(target)
        self._trace.under_way -= 1
        return reading

    async def _begin(self) -> None:
        """Begin what is no login; but from the first failure on, nothing."""
        if self._trace.failures:
            await asyncio.Event().wait()
        self._trace.under_way += 1


class TracedRouter(NotificationRouter):
    """Tells the trace when Slack has taken a message."""

    def __init__(self, slack: SlackMessenger, trace: Trace) -> None:
        super().__init__(slack, {})
        self._trace = trace

    async def send(
        self, delivery: Delivery, view: View, message: MessageRef | None
    ) -> MessageRef | None:
        sent = await super().send(delivery, view, message)
        if isinstance(delivery.body, Post):
            self._trace.end()
        return sent


async def fail_login() -> set[str]:
    """Let logins fail until it is told; return the modules that the last one passed.

    The engine, the store and all that they use are real, and do nothing else meanwhile: there is
    one tenant, and nobody in Slack.
    """
    scenario = load_example("region-503")  # whose first entry lets logins fail
    scenario = replace(
        scenario,
        tenants=scenario.tenants[:1],
        controls=(),
        timeline=scenario.timeline[:1],
        feed=(),
        metrics=(),
        logs=(),
    )
    trace, metrics = Trace(), Metrics()
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.enter_context(trace.tracer)
        store = await open_store(str(Path(folder) / "house.sqlite"), scenario.start_at)
        stack.push_async_callback(store.close)
        clock = SystemClock(1.0, scenario.start_at, monotonic=lambda: 0.0)
        local = Workspace(clock.now)
        server = await stack.enter_async_context(WorkspaceServer(local))
        logins = {each.name: each.logins for each in settings_for(scenario).tenants}
        local_tenants = LocalTenants(WorldOfFailedLogins(scenario), clock, logins)
        tenants = await stack.enter_async_context(local_tenants)
        settings = settings_for(
            scenario,
            tenants=[
                {
                    "name": name,
                    "ca_file": str(tenants.ca_file),
                    "feed_url": tenants.feed_urls[name],
                    "probe": {"every": "10s"},
                }
                for name in logins
            ],
            resolve=tenants.resolve,
        )
        web = SlackWeb(local.state.app.bot_token, server.api_url)
        stack.push_async_callback(web.close)
        timer = TracedTimer(clock, trace)
        stack.callback(timer.stop)
        engine = Engine(
            rules_of(settings),
            clock=clock,
            prober=TracedProber(LiveProber(settings, PatientClock(clock)), metrics, trace),
            store=store,
            timer=timer,
            listener=TracedListener(metrics, trace),
        )
        messenger = SlackMessenger(web, channel=CHANNEL, status_link=settings.status_link)
        delivery = OutboxDelivery(
            clock=clock,
            store=store,
            messenger=TracedRouter(messenger, trace),
            view=engine.view,
            submit=engine.submit,
        )
        engine.attach(delivery)
        for part in (engine.run, delivery.run):
            stack.push_async_callback(stop, asyncio.create_task(part()))
        async with asyncio.timeout(PATIENCE_S):
            await trace.accepted.wait()
    return trace.tracer.modules
