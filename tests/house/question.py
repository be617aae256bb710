"""One question on its real way: from what a person types to the answer that Slack took."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.app.clock import SystemClock
from bot.core.state.rules import Rules, TenantRules
from bot.runtime.delivery import OutboxDelivery
from bot.runtime.engine import Engine
from bot.simulator.memory import MemoryStore
from bot.simulator.simulation import examine_nothing
from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.workspace import Workspace
from bot.slack.checks import check_bot_token
from bot.slack.inbound.listeners import Listeners
from bot.slack.inbound.socket_mode import SocketModeConnection
from bot.slack.outbound.answers import QuestionAnswerer
from bot.slack.outbound.home_tabs import HomeTabs
from bot.slack.outbound.messenger import SlackMessenger
from bot.slack.users import UserDirectory
from bot.slack.web_api import SlackWeb

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from bot.core.state.stimulus import Effect
    from bot.ports import Change

CHANNEL = "C0ALERTS"
PATIENCE_S = 10.0


class CountingStore(MemoryStore):
    """Counts the commits."""

    def __init__(self) -> None:
        super().__init__()
        self.commits = 0

    async def commit(self, change: Change) -> None:
        self.commits += 1
        await super().commit(change)


class Still:
    """A prober that never answers, a timer that never wakes, and a listener that keeps nothing."""

    async def probe(self, _target: object) -> Any:
        await asyncio.Event().wait()

    measure = poll_feed = probe

    async def poll_shifts(self) -> Any:
        await asyncio.Event().wait()

    def start(self, wake: Callable[[], None]) -> None:
        pass

    def wake_at(self, at: float) -> None:
        pass

    def listen(self, at: float, effect: Effect) -> None:
        pass


@dataclass
class Asked:
    """What came of a question."""

    answer: str
    commits: int
    """Until the answer was shown."""
    later_commits: int
    """Until the bot was idle again."""
    modules: set[str]
    """The product's, which it passed until the answer was shown."""


class Tracer:
    """Notes the modules of the product that run, in this thread and in those that begin."""

    def __init__(self, *, is_on: bool = False) -> None:
        self.modules: set[str] = set()
        self.is_on = is_on

    def __enter__(self) -> set[str]:
        threading.setprofile(self._on_call)
        sys.setprofile(self._on_call)
        return self.modules

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)
        threading.setprofile(None)

    def _on_call(self, frame: FrameType, _event: str, _argument: object) -> None:
        name = str(frame.f_globals.get("__name__", "")) if self.is_on else ""
        if name.startswith("bot.") and not name.startswith("bot.simulator"):
            self.modules.add(name)


async def ask(text: str, user: str = "U1") -> Asked:  # noqa: PLR0915 - one bot
    """Type `/auth0-check TEXT` in a workspace whose bot is connected and idle."""
    clock, store, still = SystemClock(1.0, 1_772_445_600.0), CountingStore(), Still()
    rules = Rules({"prod": TenantRules("prod", "acme.us.auth0.com", "US-1")})
    engine = Engine(rules, clock=clock, prober=still, store=store, timer=still, listener=still)
    async with AsyncExitStack() as stack:
        local = Workspace(clock.now)
        server = await stack.enter_async_context(WorkspaceServer(local))
        app = local.state.app
        web = SlackWeb(app.bot_token, server.api_url)
        stack.push_async_callback(web.close)
        workspace = await check_bot_token(web)
        delivery = OutboxDelivery(
            clock=clock,
            store=store,
            messenger=SlackMessenger(web, channel=CHANNEL, status_link=""),
            view=engine.view,
            submit=engine.submit,
        )
        engine.attach(delivery)
        people = UserDirectory(web, clock, engine.view, groups=(), workspaces=workspace.workspaces)
        questions = QuestionAnswerer(
            web,
            clock,
            view=engine.view,
            catch_up=engine.catch_up,
            submit=engine.submit,
            examine=examine_nothing,
        )
        listeners = Listeners(
            engine,
            web,
            engine.view,
            workspace,
            answer=questions.answer,
            people=people,
            home_tabs=HomeTabs(web, clock, people=people, view=engine.view, status_link=""),
        )
        stack.push_async_callback(listeners.close)
        bolt = listeners.build_app()
        socket = SocketModeConnection(bolt, app.app_token, web, clock)
        for part in (engine.run, delivery.run, socket.run):
            stack.push_async_callback(stop, asyncio.create_task(part()))
        answers: asyncio.Queue[str] = asyncio.Queue()
        local.on_message(lambda _, __, message: answers.put_nowait(message.text))
        async with asyncio.timeout(PATIENCE_S):
            while not (store.commits and socket.is_connected):  # noqa: ASYNC110 - as health does
                await asyncio.sleep(0.01)
            before = store.commits
            with Tracer(is_on=True) as modules:
                await server.people.type_command(user, CHANNEL, f"/auth0-check {text}")
                answer = await answers.get()
            at_answer = store.commits
        await asyncio.sleep(0.1)
        return Asked(answer, at_answer - before, store.commits - at_answer, modules)


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
