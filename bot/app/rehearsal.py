"""`test-alert`: a marked incident goes the whole way, so that a team has seen an alert before it.

It is played by a bot of its own with a database of its own: it is in no report and no metric.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bot.app.bot import Bot
from bot.app.clock import SystemClock
from bot.config.settings import ProbeSettings, Server, Tenant, Thresholds
from bot.config.settings_oncall import OnCall
from bot.config.settings_sources import Webhooks
from bot.core.model.finding import Finding, Level
from bot.core.model.measurement import Measurement
from bot.core.model.observation import (
    Fault,
    FeedReading,
    FeedState,
    Observation,
    Outcome,
    Stage,
    Timing,
)
from bot.core.oncall import DM, Shifts
from bot.core.state.outbox import (
    DirectMessage,
    Greeting,
    PagerAction,
    Paging,
    Post,
    Reply,
)
from bot.ports import CallFailed, Reason, Refused, StoreError
from bot.slack.checks import SlackStatus
from bot.slack.web_api import open_web
from bot.store import inspect_database

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.config import Settings
    from bot.core.model.observation import Target
    from bot.core.state.incident import Incident, MessageRef
    from bot.core.state.outbox import Delivery
    from bot.ports import Clock, Messenger, Prober, View

    Note = Callable[[Finding], None]

NAME = "TEST-please-ignore"
"""The tenant of the incident. Every message names it, also those beyond Slack."""
STEP_S = 4.0
"""Between two steps of the escalation."""
ACKNOWLEDGE_S = 120.0
"""How long somebody has to press the button."""
SETTLE_S = 60.0
"""After which what has not arrived counts as lost."""
PATIENCE_S = 30.0
"""Real seconds without Slack after which the test ends."""


def shorten(settings: Settings, only: str = "") -> Settings:
    """Return the settings of a test: one tenant that is none, and short waits."""
    login = settings.tenants[0].logins[0].model_copy(update={"name": "login"})
    tenant = Tenant(
        name=NAME,
        domain=settings.tenants[0].domain,
        environment=settings.tenants[0].environment,
        probe=ProbeSettings(every=1.0, confirm_every=1.0),
        logins=(login,),
    )
    steps = {
        severity: tuple(
            step.model_copy(update={"after": STEP_S * number})
            for number, step in enumerate(getattr(settings.escalation, severity), start=1)
            if not only or step.tell == DM
        )
        for severity in ("critical", "warning")
    }
    changes = {
        "tenants": (tenant,),
        "thresholds": Thresholds(
            fail_count=2, window=20, recover_count=1, recover_for=0.0, mention_after=0.0
        ),
        "escalation": settings.escalation.model_copy(update={**steps, "repeat": 0}),
        "controls": (),
        "hooks": Webhooks(),
        "server": Server(admin_listen="127.0.0.1:0"),
        "maintenance": (),
        "report": None,
        "ping_url": None,
    }
    if only:
        turns = {"people": [only], "hand_over": "Mon 09:00", "start": "2026-01-05"}
        slack = settings.slack.model_copy(update={"mention": only})
        changes |= {
            "slack": slack,
            "notify": (),
            "oncall": OnCall.model_validate({"rotation": turns}),
        }
    return settings.model_copy(update=changes)


class StagedProber:
    """A `Prober` of a tenant that works, fails while it is told to, and works again."""

    _real: Prober

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._has_begun = False
        self.is_failing = True

    def stand_before(self, real: Prober) -> StagedProber:
        """Stand before the bot's own prober, of which only the calendar is read."""
        self._real = real
        return self

    async def probe(self, target: Target) -> Observation:
        """Return what the stage says; the first login works."""
        now = self._clock.now()
        fault = Fault(Stage.HTTP, "http_503", status=503, description="a test: nothing is wrong")
        fails = self.is_failing and self._has_begun and target.name == "login"
        self._has_begun = self._has_begun or target.name == "login"
        return Observation(
            target=target,
            at=now,
            outcome=Outcome.FAILED if fails else Outcome.OK,
            latency_s=0.1,
            fault=fault if fails else None,
            timings=(Timing(Stage.HTTP, 0.1),),
        )

    async def measure(self, target: Target) -> Measurement:
        """Return nothing: there is no source."""
        return Measurement(target, self._clock.now(), no_data_reason="a test")

    async def poll_feed(self, target: Target) -> FeedReading:
        """Return an empty status page."""
        return FeedReading(target, self._clock.now(), FeedState.EMPTY)

    async def poll_shifts(self) -> Shifts:
        """Read the real calendar: who is on call is part of the test."""
        return await self._real.poll_shifts()


class WatchedMessenger:
    """A `Messenger` that notes what arrived where, and what did not."""

    def __init__(self, messenger: Messenger, note: Note) -> None:
        self._messenger = messenger
        self._note = note
        self.sent: dict[MessageRef, None] = {}
        """All messages in Slack, the oldest first."""
        self.is_cut_off = False
        """Whether the last message did not come as far as Slack."""
        self._failures: set[tuple[str, str]] = set()
        """What did not arrive and why: each new try of it says nothing new."""

    async def send(
        self, delivery: Delivery, view: View, message: MessageRef | None
    ) -> MessageRef | None:
        """Send it, and note the outcome. The greeting of a new bot is left out."""
        if isinstance(delivery.body, Greeting):
            return None
        what = _name_delivery(delivery)
        try:
            ref = await self._messenger.send(delivery, view, message)
        except CallFailed as error:
            is_rejected = isinstance(error, Refused) and error.reason is Reason.REJECTED
            self.is_cut_off = not is_rejected and not isinstance(delivery.body, Paging)
            failure = (what, str(error))
            if what and failure not in self._failures:
                self._failures.add(failure)
                remedy = "run auth0-check doctor"
                self._note(Finding("arrived", what, Level.PROBLEM, str(error), remedy))
            raise
        self.is_cut_off = False
        if ref is not None:
            self.sent[ref] = None
        if what:
            where = f"in {ref.channel}" if ref else ""
            self._note(Finding("arrived", what, Level.OK, where))
        return ref

    async def find(self, delivery: Delivery, message: MessageRef | None) -> MessageRef | None:
        """Search for it; see the port."""
        return await self._messenger.find(delivery, message)

    async def find_unreached(self, names: tuple[str, ...], now: float) -> dict[str, str]:
        """Ask Slack; see the port."""
        unreached = await self._messenger.find_unreached(names, now)
        for name, why in unreached.items():
            detail = f"Slack makes no sound for them: {why}"
            remedy = "add a way beyond Slack (docs/paging.md)"
            self._note(Finding("arrived", f"call of {name}", Level.ADVICE, detail, remedy))
        return unreached


def _name_delivery(delivery: Delivery) -> str:
    match delivery.body:
        case Post():
            return "post, with a mention" if delivery.call else "post"
        case Reply() if delivery.call:
            return "mention"
        case DirectMessage(person=person):
            return f"direct message to {person}"
        case Paging(contact_point=name, action=action):
            verb = {PagerAction.TRIGGER: "call", PagerAction.ACKNOWLEDGE: "acknowledgement"}
            return f"{verb.get(action, 'end')} by {name}"
        case _:
            return ""


class RehearsalBot(Bot):
    """A bot whose messages are watched. Open alerts in Slack are another bot's."""

    marks_abandoned = False
    watched: WatchedMessenger | None = None

    def __init__(
        self, settings: Settings, clock: SystemClock, prober: StagedProber, note: Note
    ) -> None:
        self._note = note
        super().__init__(settings, clock, wrap_prober=prober.stand_before)

    def watch(self, messenger: Messenger) -> Messenger:
        """Note what is sent."""
        self.watched = WatchedMessenger(messenger, self._note)
        return self.watched


@dataclass
class Rehearsal:
    """One test alert.

    Args:
        settings: the real ones.
        note: takes each outcome as soon as it is known.
        only: the one user who is called; empty: all who would be.
        keeps: whether the messages stay in Slack.
        patience_s: real seconds without Slack after which it ends.
    """

    settings: Settings
    note: Note
    only: str = ""
    keeps: bool = False
    patience_s: float = PATIENCE_S
    clock: SystemClock = field(default_factory=SystemClock)

    async def play(self) -> None:
        """Play it to its end."""
        try:
            is_running = inspect_database(self.settings.database_address).is_in_use
        except StoreError:
            is_running = False
        settings = shorten(self.settings, self.only)
        if is_running:  # a second connection would take a part of the clicks from the bot
            settings = settings.model_copy(
                update={"slack": settings.slack.model_copy(update={"mode": "http"})}
            )
        with tempfile.TemporaryDirectory(prefix="auth0-check-") as folder:
            database = str(Path(folder) / "test.sqlite")
            await self._play(settings.model_copy(update={"database": database}), is_running)

    async def _play(self, settings: Settings, is_running: bool) -> None:  # noqa: FBT001
        prober = StagedProber(self.clock)
        bot = RehearsalBot(settings, self.clock, prober, self.note)
        running = asyncio.create_task(bot.run())
        directing = asyncio.create_task(self._direct(bot, prober, settings, is_running))
        try:
            await asyncio.wait({running, directing}, return_when=asyncio.FIRST_COMPLETED)
            for done in (running, directing):
                if done.done():
                    await done
        finally:
            await _end(running, directing)
        if bot.watched and bot.watched.sent and not self.keeps:
            await self._delete(bot.watched.sent)

    async def _direct(
        self,
        bot: RehearsalBot,
        prober: StagedProber,
        settings: Settings,
        is_running: bool,  # noqa: FBT001
    ) -> None:
        """Let it fail and wait for people, as long as Slack is there; then let it work again.

        What was paged beyond Slack is resolved in any case.
        """
        steps = len(settings.escalation.critical)
        waiting = asyncio.create_task(self._wait_for_people(bot, steps, is_running))
        losing = asyncio.create_task(self._wait_until_lost(bot))
        try:
            await asyncio.wait({waiting, losing}, return_when=asyncio.FIRST_COMPLETED)
            if is_lost := losing.done():
                reason = bot.slack_health.reason.partition(": ")[0] or "no message gets through"
                detail = f"no Slack for {self.patience_s:.0f} s, so the test ends: {reason}"
                remedy = f"try again, and delete what is left of {NAME} in Slack by hand"
                self.note(Finding("arrived", "Slack", Level.PROBLEM, detail, remedy))
        finally:
            await _end(waiting, losing)
        prober.is_failing = False
        if await self._wait(bot, lambda one: not one.is_open, SETTLE_S):
            self.note(Finding("arrived", "end", Level.OK, "the incident is resolved"))
        await self._settle(bot, STEP_S if is_lost else SETTLE_S)

    async def _wait_for_people(self, bot: Bot, steps: int, is_running: bool) -> None:  # noqa: FBT001
        posted = await self._wait(bot, lambda one: one.message.ref is not None, SETTLE_S)
        if posted is None:
            reason = bot.slack_health.reason or "nothing arrived within a minute"
            detail, _, remedy = reason.partition(": ")
            remedy = remedy or "run auth0-check doctor"
            self.note(Finding("arrived", "post", Level.PROBLEM, detail, remedy))
        await self.clock.sleep(STEP_S * (steps + 1))
        await self._settle(bot, SETTLE_S)
        if posted and not is_running:
            say = f"press Acknowledge in Slack within {ACKNOWLEDGE_S:.0f} s"
            self.note(Finding("you", "acknowledge", Level.ADVICE, "the incident is open", say))
            held = await self._wait(bot, lambda one: one.life.acknowledged_by, ACKNOWLEDGE_S)
            if held:
                detail = f"by {held.life.acknowledged_by}"
                self.note(Finding("arrived", "click on Acknowledge", Level.OK, detail))
            else:
                remedy = "press it in the next test: it shows that clicks reach the bot"
                detail = "nobody pressed it"
                self.note(Finding("arrived", "click on Acknowledge", Level.ADVICE, detail, remedy))

    async def _wait_until_lost(self, bot: RehearsalBot) -> None:
        """Return once Slack has been away for `patience_s`."""
        now = asyncio.get_running_loop().time
        seen_at = now()
        while now() - seen_at < self.patience_s:
            is_cut_off = bot.watched is not None and bot.watched.is_cut_off
            if bot.slack_health.status is SlackStatus.CONNECTED and not is_cut_off:
                seen_at = now()
            await asyncio.sleep(0.2)

    async def _wait(
        self, bot: Bot, is_so: Callable[[Incident], object], limit_s: float
    ) -> Incident | None:
        """Return the incident once it is so; None: not within the limit."""
        until = self.clock.now() + limit_s
        while self.clock.now() < until:
            incidents = bot.engine.view().desk.incidents.values() if bot.engine else ()
            for incident in incidents:
                if is_so(incident):
                    return incident
            await self.clock.sleep(0.2)
        return None

    async def _settle(self, bot: Bot, limit_s: float) -> None:
        """Wait until all that was to be sent has been sent, but not for ever."""
        until = self.clock.now() + limit_s
        await self.clock.sleep(1.0)
        while bot.delivery and bot.delivery.depth and self.clock.now() < until:
            await self.clock.sleep(0.2)

    async def _delete(self, sent: dict[MessageRef, None]) -> None:
        """Remove the messages from Slack, the newest first."""
        web = open_web(self.settings)
        try:
            for each in reversed(sent):
                await web.call("chat.delete", {"channel": each.channel, "ts": each.ts})
        except CallFailed as error:
            remedy = "delete the test's messages by hand"
            self.note(Finding("end", "messages", Level.ADVICE, str(error), remedy))
        else:
            self.note(Finding("end", "messages", Level.OK, "removed from Slack"))
        finally:
            await web.close()


async def _end(*tasks: asyncio.Task[None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
