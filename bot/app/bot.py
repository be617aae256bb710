"""The bot, put together once: for `run`, the demo and the tests."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from bot.app.http_server import Server, admin_routes
from bot.app.notification_router import NotificationRouter, build_notifiers
from bot.app.observability import EffectLogger, MeteredNotifier, MeteredProber, register_gauges
from bot.app.prober import LiveProber, webhook_config
from bot.app.rules import rules_of
from bot.app.status_json import status_routes
from bot.config import fingerprint
from bot.ports import CallFailed
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import Engine
from bot.runtime.guarded_store import GuardedStore
from bot.runtime.timer import APSchedulerTimer
from bot.slack.inbound.http_mode import EventsEndpoint
from bot.slack.inbound.listeners import Listeners
from bot.slack.inbound.socket_mode import SocketModeConnection
from bot.slack.outbound.answers import QuestionAnswerer
from bot.slack.outbound.home_tabs import HomeTabs
from bot.slack.outbound.messenger import SlackMessenger
from bot.slack.startup import StartupError, check_workspace, list_missing_scopes
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
    from bot.slack.startup import Workspace

log = logging.getLogger(__name__)

STUCK_S = 60.0
"""The bot is not ready while a message has waited longer than this, in real seconds."""


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
        self._counts = PushedCounts(webhook_config(settings).tenants, clock)
        prober = LiveProber(
            settings,
            prober_clock or clock,
            network,
            counts=self._counts,
            wall_clock_step_s=clock.wall_clock_step_s,
        )
        self._prober = MeteredProber(wrap_prober(prober), self.metrics)
        self._notifiers = {
            name: MeteredNotifier(name, notifier, self.metrics)
            for name, notifier in build_notifiers(settings, prober.fetcher).items()
        }
        self._exit_stack = AsyncExitStack()
        self._parts: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        self._socket: SocketModeConnection | None = None
        self.engine: Engine | None = None
        self.public_address: tuple[str, int] | None = None
        """Where `server.listen` listens, once it does."""

    async def run(self) -> None:
        """Run until cancelled.

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
        store = GuardedStore(database)
        token = settings.slack.bot_token.get_secret_value()
        web = SlackWeb(token, settings.slack.api_url)
        self._exit_stack.push_async_callback(web.close)
        workspace = await check_workspace(
            web, channel=settings.slack.channel, app_token=self._app_token()
        )
        for warning in workspace.warnings:
            log.warning("%s", warning)
        if database.warning:
            log.error("%s", database.warning)
            message = {"channel": workspace.channel, "text": f":warning: {database.warning}"}
            try:
                await web.call("chat.postMessage", message)
            except CallFailed as error:
                log.warning("cannot post to the channel: %s", error)
        # A fingerprint takes 50 ms of CPU time on purpose: not in the event loop.
        fingerprints = await asyncio.to_thread(
            lambda: {t.name: tuple(map(fingerprint, t.logins)) for t in settings.tenants}
        )
        rules = rules_of(settings, fingerprints)
        for warning in list_missing_scopes(web.granted_scopes, rules):
            log.warning("%s", warning)
        engine = self._build_engine(store, rules)
        delivery = self._build_delivery(engine, store, web, workspace)
        engine.attach(delivery)
        await self._listen(engine, delivery, web, workspace)
        self._parts |= {"engine": engine.run, "delivery": delivery.run}
        where = f"{workspace.team} as @{workspace.bot_name}"
        log.info("watching %d tenant(s), posting to %s", len(settings.tenants), where)

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
        self, engine: Engine, store: Store, web: SlackWeb, workspace: Workspace
    ) -> OutboxDelivery:
        messenger = SlackMessenger(
            web, channel=workspace.channel, status_link=self._settings.status_link
        )
        delivery = OutboxDelivery(
            clock=self._clock,
            store=store,
            messenger=NotificationRouter(messenger, self._notifiers),
            view=engine.view,
            submit=engine.submit,
        )
        self.metrics.outbox_waiting.set_function(lambda: delivery.depth)
        return delivery

    async def _listen(
        self, engine: Engine, delivery: OutboxDelivery, web: SlackWeb, workspace: Workspace
    ) -> None:
        settings = self._settings
        listeners = self._build_listeners(engine, web, workspace)
        secret = settings.slack.signing_secret
        app = listeners.build_app(secret.get_secret_value() if secret else "")
        requests = self.metrics.webhook_requests
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
        if app_token := self._app_token():
            self._socket = SocketModeConnection(app, app_token, web, self._clock)
            self._parts["Slack socket"] = self._socket.run
        elif secret:
            endpoint = EventsEndpoint(app, secret.get_secret_value(), self._clock)
            routes["POST", "/slack/events"] = endpoint.handle
        if routes and settings.server.listen:
            server = Server(settings.server.listen, routes, is_public=True)
            await self._serve(server, "server.listen")
            self.public_address = server.address
        admin = admin_routes(self.metrics.registry, lambda: self._readiness_problems(delivery))
        await self._serve(Server(settings.server.admin_listen, admin), "server.admin_listen")

    def _build_listeners(self, engine: Engine, web: SlackWeb, workspace: Workspace) -> Listeners:
        groups = groups_with_rights(engine.view().rules.access)
        people = UserDirectory(web, self._clock, groups=groups, workspaces=workspace.workspaces)
        homes = HomeTabs(
            web,
            self._clock,
            people=people,
            view=engine.view,
            status_link=self._settings.status_link,
        )
        self._parts |= {"directory": people.run, "home tabs": homes.run}
        questions = QuestionAnswerer(
            web,
            self._clock,
            view=engine.view,
            catch_up=engine.catch_up,
            submit=engine.submit,
        )
        listeners = Listeners(
            engine,
            web,
            engine.view,
            workspace,
            answer=questions.answer,
            people=people,
            home_tabs=homes,
        )
        self._exit_stack.push_async_callback(listeners.close)
        return listeners

    async def _serve(self, server: Server, key: str) -> None:
        self._exit_stack.push_async_callback(server.stop)
        try:
            await server.start()
        except OSError as error:
            raise StartupError(f"{key} cannot be listened on: {error.strerror}") from error
        log.info("%s: listening on %s:%d", key, *server.address)

    def _readiness_problems(self, delivery: OutboxDelivery) -> list[str]:
        problems = []
        if self._socket is not None and not self._socket.is_connected:
            problems.append("no Socket Mode connection to Slack")
        if delivery.waiting_s > STUCK_S * self._clock.speed:
            problems.append(f"a message waits for {delivery.waiting_s / self._clock.speed:.0f} s")
        return problems


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
