"""The bot, put together once: for `run`, the demo and the tests."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from bot.app.clock import APSchedulerTimer, ClockWatch
from bot.app.doctor import examine
from bot.app.health import admin_routes
from bot.app.http_server import LISTEN_REMEDIES, Server
from bot.app.notification_router import NotificationRouter, build_notifiers
from bot.app.observability import EffectLogger, MeteredNotifier, MeteredProber, register_gauges
from bot.app.prober import ClockCheckedProber, LiveProber, webhook_config
from bot.app.rules import find_silent_escalation, rules_of
from bot.app.self_checks import CyclePing
from bot.app.self_watch import DELIVERY, ENGINE, SOCKET, SelfWatch
from bot.app.status_json import status_routes
from bot.app.status_page import page_handler
from bot.app.watchdog import Supervisor
from bot.ports import CallFailed
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import Engine
from bot.runtime.guarded_store import GuardedStore
from bot.slack.checks import SlackStatus
from bot.slack.inbound.http_mode import EventsEndpoint
from bot.slack.inbound.listeners import Listeners
from bot.slack.inbound.socket_mode import SocketModeConnection
from bot.slack.outbound.answers import QuestionAnswerer
from bot.slack.outbound.home_tabs import HomeTabs
from bot.slack.outbound.messenger import SlackMessenger
from bot.slack.outbound.own_messages import mark_abandoned, watch_messages
from bot.slack.session import SlackHealth, SlackSession
from bot.slack.users import UserDirectory, groups_with_rights
from bot.slack.web_api import POST, open_web
from bot.store import maintain_hourly
from bot.telemetry import Metrics
from bot.webhooks.counts import PushedCounts
from bot.webhooks.routes import webhook_routes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bot.app.clock import SystemClock
    from bot.app.http_server import Routes
    from bot.app.watchdog import Part
    from bot.config import Settings
    from bot.core.model.observation import Observation
    from bot.core.state.rules import Rules
    from bot.http import Fetcher, Network
    from bot.ports import Clock, Messenger, Prober, Store
    from bot.slack.checks import Workspace
    from bot.slack.web_api import SlackWeb

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
        environment: the process's, if it is the bot's alone: then the bot ends the process where
            nothing else helps, and tells systemd how it is. None: it is a part of another program.

    Raises ConfigError where Apprise does not know the address of a contact point.
    """

    marks_abandoned = True
    """Whether a new database means that an earlier one was lost, with the open alerts in it."""
    watch: Callable[[Messenger], Messenger] = staticmethod(lambda messenger: messenger)

    def __init__(
        self,
        settings: Settings,
        clock: SystemClock,
        *,
        prober_clock: Clock | None = None,
        network: Network | None = None,
        wrap_prober: Callable[[Prober], Prober] = lambda prober: prober,
        environment: Mapping[str, str] | None = None,
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
        self._self_watch = SelfWatch(clock, self.metrics, self._count_restart, environment)
        self._parts: dict[str, Part] = {"clock": self._clock_watch.run}
        note = self._build_ping(prober.fetchers["notify"])
        self._prober = MeteredProber(wrap_prober(checked), self.metrics, note)
        self._notifiers = {
            name: MeteredNotifier(name, notifier, self.metrics)
            for name, notifier in build_notifiers(settings, prober.fetchers["notify"]).items()
        }
        self._exit_stack = AsyncExitStack()
        self._slack_parts: dict[str, Part] = {}
        vital = {ENGINE, DELIVERY, "timer"}
        self._supervisor = Supervisor(self._parts, self._count_restart, vital)
        self._slack_supervisor = Supervisor(self._slack_parts, self._count_restart)
        self.metrics.slack_connected.set_function(
            lambda: self.slack_health.status is SlackStatus.CONNECTED
        )
        self._database_warning = ""
        self._slack: SlackSession | None = None
        self.delivery: OutboxDelivery | None = None
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

    async def warn(self, text: str) -> None:
        """Post a warning about the bot itself to the default channel, if Slack takes it."""
        channel, web = self._settings.slack.channel, open_web(self._settings)
        try:
            await web.call(POST, {"channel": channel, "text": f":warning: {text}"})
        except CallFailed as error:
            log.warning("cannot post to the channel: %s", error)
        finally:
            await web.close()

    async def run(self) -> None:
        """Run until cancelled, with Slack or without it.

        Raises StartupError, StoreError or OSError where it cannot begin, and PartLostError where a
        part cannot be kept running.
        """
        async with self._exit_stack:
            engine = await self._assemble()
            try:
                await self._supervisor.run()
            except asyncio.CancelledError:
                await engine.note_stop()
                raise

    async def _assemble(self) -> Engine:
        settings = self._settings
        store = await self._open_database()
        web = open_web(settings)
        self._exit_stack.push_async_callback(web.close)
        rules = rules_of(settings)
        if warning := find_silent_escalation(rules):
            log.warning("%s", warning)
        session = self._slack = SlackSession(
            web, self._clock, rules, channels=settings.slack_channels(), app_token=self._app_token()
        )
        engine = self._build_engine(store, rules)
        messenger = SlackMessenger(
            web,
            channel=settings.slack.channel,
            channel_ids=session.channel_ids,
            status_link=settings.status_link,
            broadcasts_calls=settings.slack.broadcast,
        )
        delivery = self._build_delivery(engine, store, messenger, web)
        engine.attach(delivery)
        self._clock_watch.attach(partial(self._on_clock_correction, engine), engine.submit)
        await engine.load()
        self._parts |= self._self_watch.watch(
            engine,
            delivery,
            store,
            rules,
            restart=self._restart,
            socket_checks=self._count_socket_checks,
        )
        self._self_watch.add_health("slack", lambda: self.slack_health.reason)
        self._self_watch.add_health("clock", lambda: self._clock_watch.problem)
        await self._listen(engine, store)
        self._parts |= {
            ENGINE: engine.run,
            DELIVERY: delivery.run,
            "Slack session": session.run,
            "Slack": partial(self._use_slack, engine, web, session),
        }
        states, now = engine.view().tenants.states.values(), self._clock.now()
        ages = [now - state.last_data_at for state in states if state.last_data_at is not None]
        before = f" again, {min(ages):.0f} s after the last check" if ages else ""
        log.info("watching %d tenant(s)%s", len(states), before)
        return engine

    async def _open_database(self) -> GuardedStore:
        address = self._settings.database_address
        database = await self._self_watch.open_store(address, self._listen_admin)
        self._exit_stack.push_async_callback(database.close)
        self._database_warning = database.warning
        if database.warning:
            log.error("%s", database.warning)
        self._parts["backup"] = partial(maintain_hourly, database, self._clock)
        return GuardedStore(database)

    def _on_clock_correction(self, engine: Engine, by_s: float, was_paused: bool) -> None:  # noqa: FBT001 - a callback
        """Forget what has the time of a wrong clock, or move it."""
        self.metrics.clock_corrections.inc()
        self._live_prober.forget()
        if not was_paused:  # else the time has really passed
            engine.correct_clock(by_s)

    def _build_ping(self, fetcher: Fetcher) -> Callable[[Observation], None] | None:
        """Build the ping after each cycle of checks; return what takes the results of those."""
        if self._settings.ping_url is None:
            return None
        url = self._settings.ping_url.get_secret_value()
        names = [tenant.name for tenant in self._settings.tenants]
        ping = CyclePing(fetcher, url, names, lambda: self._self_watch.is_well)
        self._parts["ping"] = ping.run
        return ping.note

    def _count_restart(self, part: str) -> None:
        self.metrics.part_restarts.labels(part).inc()

    def _restart(self, part: str) -> None:
        (self._slack_supervisor if part in self._slack_parts else self._supervisor).restart(part)

    def _count_socket_checks(self) -> int | None:
        """Return how often the socket was checked; None while Slack does not accept the bot."""
        is_accepted = self._slack and self._slack.health.status is SlackStatus.CONNECTED
        return self._socket.checks if self._socket and is_accepted else None

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
        self, engine: Engine, store: Store, messenger: SlackMessenger, web: SlackWeb
    ) -> OutboxDelivery:
        delivery = self.delivery = OutboxDelivery(
            clock=self._clock,
            store=store,
            messenger=self.watch(NotificationRouter(messenger, self._notifiers)),
            view=engine.view,
            submit=engine.submit,
        )
        self.metrics.outbox_waiting.set_function(lambda: delivery.depth)
        ways = delivery.update_soon, delivery.repeated
        self._parts["messages"] = partial(watch_messages, web, self._clock, engine.view, *ways)
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
        public = None
        if routes and settings.server.listen:
            public = Server(settings.server.listen, routes, is_public=True)
            await self._serve(public, "server.listen")
            self.public_address = public.address

        def find_unready() -> str:
            """Without Slack it is ready: it takes webhooks, and pages beyond Slack."""
            is_deaf = public is not None and not public.is_listening
            return "server.listen takes no connections" if is_deaf else store.problem

        admin = dict(admin_routes(self.metrics.registry, self._self_watch.health, find_unready))
        admin["GET", "/status"] = page_handler(engine.view, store)
        await self._listen_admin(admin)

    async def _listen_admin(self, routes: Routes) -> Server:
        server = Server(self._settings.server.admin_listen, routes)
        await self._serve(server, "server.admin_listen")
        return server

    async def _use_slack(self, engine: Engine, web: SlackWeb, session: SlackSession) -> None:
        """Once Slack accepts the bot: say what became of the database, then serve people."""
        workspace = await session.wait_until_accepted()
        is_lost = engine.is_new or bool(self._database_warning)
        if self._database_warning:
            text, self._database_warning = self._database_warning, ""  # said once
            await self.warn(text)
        if is_lost and self.marks_abandoned:
            engine.is_new = False
            channels = session.channel_ids.values()
            await mark_abandoned(web, channels, engine.view, self._started_at)
        await self._serve_people(engine, web, session, workspace)

    async def _serve_people(
        self, engine: Engine, web: SlackWeb, session: SlackSession, workspace: Workspace
    ) -> None:
        """Take what people do in Slack, for ever."""
        groups = groups_with_rights(engine.view().rules.access)
        people = UserDirectory(
            web, self._clock, engine.view, groups=groups, workspaces=workspace.workspaces
        )
        link = self._settings.status_link
        homes = HomeTabs(web, self._clock, people=people, view=engine.view, status_link=link)
        listeners = self._build_listeners(engine, web, workspace, people, homes)
        self._slack_parts.clear()
        self._slack_parts |= {"directory": people.run, "home tabs": homes.run}
        secret = self._settings.slack.signing_secret
        app = listeners.build_app(secret.get_secret_value() if secret else "")
        if app_token := self._app_token():
            self._socket = SocketModeConnection(
                app, app_token, web, self._clock, check_token=session.check_again
            )
            self._slack_parts[SOCKET] = self._socket.run
        elif self._events_endpoint is not None:
            self._events_endpoint.attach(app)
        try:
            await self._slack_supervisor.run()
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
            examine=partial(examine, self._settings, self._clock),
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
            said = f"{error.strerror}{LISTEN_REMEDIES.get(error.errno or 0, '')}"
            raise StartupError(f"{key} cannot be listened on: {said}") from error
        log.info("%s: listening on %s:%d", key, *server.address)
