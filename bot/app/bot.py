"""The bot, put together once: for `run`, the demo and the tests."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bot.app.clock import ClockWatch
from bot.app.http_server import Server, admin_routes
from bot.app.notification_router import NotificationRouter, build_notifiers
from bot.app.observability import EffectLogger, MeteredNotifier, MeteredProber, register_gauges
from bot.app.prober import ClockCheckedProber, LiveProber, webhook_config
from bot.app.rules import rules_of
from bot.app.status_json import status_routes
from bot.config import fingerprint
from bot.ports import CallFailed
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import Engine
from bot.runtime.guarded_store import GuardedStore
from bot.runtime.timer import APSchedulerTimer
from bot.slack.checks import SlackStatus
from bot.slack.inbound.http_mode import EventsEndpoint
from bot.slack.inbound.listeners import Listeners
from bot.slack.inbound.socket_mode import SocketModeConnection
from bot.slack.outbound.answers import QuestionAnswerer
from bot.slack.outbound.home_tabs import HomeTabs
from bot.slack.outbound.messenger import SlackMessenger
from bot.slack.session import SlackHealth, SlackSession
from bot.slack.users import UserDirectory, groups_with_rights
from bot.slack.web_api import SlackWeb
from bot.store import open_store
from bot.telemetry import Metrics
from bot.webhooks.counts import PushedCounts
from bot.webhooks.routes import webhook_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from bot.app.clock import SystemClock
    from bot.config import Settings
    from bot.core.state.rules import Rules
    from bot.http import Network
    from bot.ports import Clock, Prober, Store
    from bot.slack.checks import Workspace

log = logging.getLogger(__name__)


class StartupError(Exception):
    """The bot cannot work like this: one line that says what is wrong, where, and what to do."""


class Bot:
    """A bot that can be run once.

    Args:
        settings: the configuration.
        clock: the time.
        prober_clock: the time that probes measure and time out by; None: `clock`.
        network: how probes reach hosts; None: as the system does.
        wrap_prober: puts another prober around the real one.

    Raises ConfigError where Apprise does not know the address of a contact point.
    """

    def __init__(
        self,
        settings: Settings,
        clock: SystemClock,
        *,
        prober_clock: Clock | None = None,
        network: Network | None = None,
        wrap_prober: Callable[[Prober], Prober] = lambda prober: prober,
    ) -> None:
        self.metrics = Metrics()
        self._settings = settings
        self._clock = clock
        self._started_at = clock.now()
        self._counts = PushedCounts(webhook_config(settings).tenants, clock)
        self._clock_watch = ClockWatch(clock)
        prober = self._live_prober = LiveProber(
            settings,
            prober_clock or clock,
            network,
            counts=self._counts,
            clock_watch=self._clock_watch,
        )
        checked = ClockCheckedProber(prober, clock, self._clock_watch)
        self._prober = MeteredProber(wrap_prober(checked), self.metrics)
        self._notifiers = {
            name: MeteredNotifier(name, notifier, self.metrics)
            for name, notifier in build_notifiers(settings, prober.fetcher).items()
        }
        self._exit_stack = AsyncExitStack()
        self._parts: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        self.metrics.slack_connected.set_function(
            lambda: self.slack_health.status is SlackStatus.CONNECTED
        )
        self._slack: SlackSession | None = None
        self._socket: SocketModeConnection | None = None
        self._events_endpoint: EventsEndpoint | None = None
        self.engine: Engine | None = None
        self.public_address: tuple[str, int] | None = None
        """Where `server.listen` listens, once it does."""

    @property
    def slack_health(self) -> SlackHealth:
        """Return whether the bot can use Slack, since when, and why not."""
        if self._slack is None:
            return SlackHealth(SlackStatus.CONNECTING, self._clock.now())
        health, socket = self._slack.health, self._socket
        if health.status is not SlackStatus.CONNECTED or socket is None:
            return health
        since = max(health.since, socket.since)
        if socket.is_connected:
            return replace(health, since=since)
        return SlackHealth(SlackStatus.CONNECTING, since, "no Socket Mode connection")

    async def run(self) -> None:
        """Run until cancelled, with Slack or without it.

        Raises StartupError, StoreError or OSError where it cannot begin, and whatever ends a part
        that should never end.
        """
        async with self._exit_stack:
            await self._assemble()
            await _supervise(self._parts)

    async def _assemble(self) -> None:
        settings = self._settings
        database = await open_store(settings.database, self._clock.now())
        self._exit_stack.push_async_callback(database.close)
        if database.warning:
            log.error("%s", database.warning)
        store = GuardedStore(database)
        web = SlackWeb(settings.slack.bot_token.get_secret_value(), settings.slack.api_url)
        self._exit_stack.push_async_callback(web.close)
        # A fingerprint takes 50 ms of CPU time on purpose: not in the event loop.
        fingerprints = await asyncio.to_thread(
            lambda: {t.name: tuple(map(fingerprint, t.logins)) for t in settings.tenants}
        )
        rules = rules_of(settings, fingerprints)
        session = self._slack = SlackSession(
            web,
            self._clock,
            rules,
            channels=settings.slack_channels(),
            app_token=self._app_token(),
        )
        engine = self._build_engine(store, rules)
        messenger = SlackMessenger(
            web,
            channel=settings.slack.channel,
            channel_ids=session.channel_ids,
            status_link=settings.status_link,
        )
        delivery = self._build_delivery(engine, store, messenger)
        engine.attach(delivery)
        self._clock_watch.attach(partial(self._on_clock_correction, engine), engine.submit)
        await self._listen(engine, store)
        self._parts |= {
            "clock": self._clock_watch.run,
            "engine": engine.run,
            "delivery": delivery.run,
            "Slack session": session.run,
            "Slack": partial(self._use_slack, engine, web, session, messenger, database.warning),
        }
        log.info("watching %d tenant(s)", len(settings.tenants))

    def _on_clock_correction(self, engine: Engine, by_s: float, was_paused: bool) -> None:  # noqa: FBT001 - a callback
        """Forget what has the time of a wrong clock, or move it."""
        self._live_prober.forget()
        if not was_paused:  # else the time has really passed
            engine.correct_clock(by_s)

    def _app_token(self) -> str | None:
        token = self._settings.slack.app_token
        is_socket = self._settings.slack.mode == "socket"
        return token.get_secret_value() if token and is_socket else None

    def _build_engine(self, store: Store, rules: Rules) -> Engine:
        timer = APSchedulerTimer(self._clock)
        self._exit_stack.callback(timer.stop)
        self._parts["timer"] = timer.watch
        self.engine = Engine(
            rules,
            clock=self._clock,
            prober=self._prober,
            store=store,
            timer=timer,
            listener=EffectLogger(self.metrics),
        )
        register_gauges(self.metrics, self.engine.view)
        return self.engine

    def _build_delivery(
        self, engine: Engine, store: Store, messenger: SlackMessenger
    ) -> OutboxDelivery:
        delivery = OutboxDelivery(
            clock=self._clock,
            store=store,
            messenger=NotificationRouter(messenger, self._notifiers),
            view=engine.view,
            submit=engine.submit,
        )
        self.metrics.outbox_waiting.set_function(lambda: delivery.depth)
        return delivery

    async def _listen(self, engine: Engine, store: GuardedStore) -> None:
        settings, requests = self._settings, self.metrics.webhook_requests
        routes = dict(
            webhook_routes(
                webhook_config(settings),
                inbox=engine,
                counters=self._counts,
                clock=self._clock,
                count=lambda hook, outcome: requests.labels(hook, outcome).inc(),
            )
        )
        if status_token := settings.server.status_token:
            routes |= status_routes(engine.view, status_token.get_secret_value())
        if (secret := settings.slack.signing_secret) and not self._app_token():
            self._events_endpoint = EventsEndpoint(secret.get_secret_value(), self._clock)
            routes["POST", "/slack/events"] = self._events_endpoint.handle
        if routes and settings.server.listen:
            server = Server(settings.server.listen, routes, is_public=True)
            await self._serve(server, "server.listen")
            self.public_address = server.address
        # Without Slack it is ready: it takes webhooks, and pages beyond Slack.
        admin = admin_routes(
            self.metrics.registry, lambda: [store.problem] if store.problem else []
        )
        await self._serve(Server(settings.server.admin_listen, admin), "server.admin_listen")

    async def _use_slack(
        self,
        engine: Engine,
        web: SlackWeb,
        session: SlackSession,
        messenger: SlackMessenger,
        warning: str,
    ) -> None:
        """Once Slack accepts the bot: say what became of the database, then serve people."""
        workspace = await session.wait_until_accepted()
        if warning:
            message = {"channel": self._settings.slack.channel, "text": f":warning: {warning}"}
            try:
                await web.call("chat.postMessage", message)
            except CallFailed as error:
                log.warning("cannot post to the channel: %s", error)
        await engine.loaded.wait()
        if engine.is_new:
            await messenger.mark_abandoned(engine.view, self._started_at)
        await self._serve_people(engine, web, session, workspace)

    async def _serve_people(
        self, engine: Engine, web: SlackWeb, session: SlackSession, workspace: Workspace
    ) -> None:
        """Take what people do in Slack, for ever."""
        groups = groups_with_rights(engine.view().rules.access)
        people = UserDirectory(web, self._clock, groups=groups, workspaces=workspace.workspaces)
        homes = HomeTabs(
            web,
            self._clock,
            people=people,
            view=engine.view,
            status_link=self._settings.status_link,
        )
        listeners = self._build_listeners(engine, web, workspace, people, homes)
        parts = {"directory": people.run, "home tabs": homes.run}
        secret = self._settings.slack.signing_secret
        app = listeners.build_app(secret.get_secret_value() if secret else "")
        if app_token := self._app_token():
            self._socket = SocketModeConnection(
                app, app_token, web, self._clock, check_token=session.check_again
            )
            parts["Slack socket"] = self._socket.run
        elif self._events_endpoint is not None:
            self._events_endpoint.attach(app)
        try:
            await _supervise(parts)
        finally:
            await listeners.close()

    def _build_listeners(
        self,
        engine: Engine,
        web: SlackWeb,
        workspace: Workspace,
        people: UserDirectory,
        homes: HomeTabs,
    ) -> Listeners:
        questions = QuestionAnswerer(
            web,
            self._clock,
            view=engine.view,
            catch_up=engine.catch_up,
            submit=engine.submit,
        )
        return Listeners(
            engine,
            web,
            engine.view,
            workspace,
            answer=questions.answer,
            people=people,
            home_tabs=homes,
        )

    async def _serve(self, server: Server, key: str) -> None:
        self._exit_stack.push_async_callback(server.stop)
        try:
            await server.start()
        except OSError as error:
            raise StartupError(f"{key} cannot be listened on: {error.strerror}") from error
        log.info("%s: listening on %s:%d", key, *server.address)


async def _supervise(parts: dict[str, Callable[[], Coroutine[Any, Any, None]]]) -> None:
    """Run parts that never end; when one does, end all and say which."""
    tasks = [asyncio.create_task(part(), name=name) for name, part in parts.items()]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        log.error("%s ended; the bot stops", task.get_name())
        await task
    raise RuntimeError("a part of the bot ended that never should")
