"""The bot's session with Slack: whether Slack accepts it, as whom, and why not.

Nothing waits for it but what people do in Slack: the bot checks logins and pages without it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.slack.checks import (
    SlackProblem,
    SlackStatus,
    check_app_token,
    check_bot_token,
    check_channel,
    list_missing_scopes,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.core.state.rules import Rules
    from bot.ports import Clock
    from bot.slack.checks import Workspace
    from bot.slack.web_api import SlackWeb

_LOG = logging.getLogger(__name__)

FIRST_PAUSE_S, MAX_PAUSE_S = 1.0, 30.0
"""The pause doubles with each failed check from the first to the last, in real seconds. Up to half
of it is left out by chance: bots that lost Slack together do not come back together."""
REFUSED_PAUSE_S = 60.0
"""A person has to mend a refusal, which takes longer."""
RECHECK_S = 60.0
"""While all is well. A token that was revoked on a quiet day is noticed before it is needed."""
MAX_RETRY_AFTER_S = 300.0
"""A longer `Retry-After` is not obeyed: one call in five minutes harms nobody."""


@dataclass(frozen=True, slots=True)
class SlackHealth:
    """Whether the bot can use Slack, since when, and why not."""

    status: SlackStatus
    since: float
    """Time by the clock."""
    reason: str = ""
    """One line with the remedy; empty while all is well."""


class SlackSession:
    """Checks again and again whether Slack accepts the bot.

    Args:
        web: asks Slack.
        clock: dates the health.
        rules: what the configuration needs of Slack.
        channels: the configured channels, as ids or names, each with the setting that names it.
        app_token: of Socket Mode; None in HTTP mode.
    """

    def __init__(
        self,
        web: SlackWeb,
        clock: Clock,
        rules: Rules,
        *,
        channels: Mapping[str, str],
        app_token: str | None,
    ) -> None:
        self._web = web
        self._clock = clock
        self._rules = rules
        self._channels = channels
        self._app_token = app_token
        self._is_app_token_accepted = app_token is None
        self.health = SlackHealth(SlackStatus.CONNECTING, clock.now())
        self.channel_ids: dict[str, str] = {}
        """By configured channel, as far as Slack has told."""
        self._workspace: Workspace | None = None
        self._is_accepted = asyncio.Event()
        self._is_recheck_due = asyncio.Event()
        self._logged: tuple[SlackStatus, str] | None = None
        self._warnings: set[str] = set()

    async def wait_until_accepted(self) -> Workspace:
        """Return as whom Slack accepts the bot, once it does."""
        await self._is_accepted.wait()
        assert self._workspace is not None  # noqa: S101 - it was set first
        return self._workspace

    async def check_again(self) -> None:
        """Return once Slack accepts the tokens in a new check: Socket Mode does not connect."""
        self._is_accepted.clear()
        self._is_app_token_accepted = self._app_token is None
        self._is_recheck_due.set()
        await self._is_accepted.wait()

    async def run(self) -> None:
        """Check for ever. Never ends: without Slack the bot still watches and pages."""
        pause_s = FIRST_PAUSE_S
        while True:
            self._is_recheck_due.clear()
            try:
                await self._check_answers()
            except SlackProblem as problem:
                self._set_health(problem.status, str(problem))
                wait_s = pause_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
                pause_s = min(2 * pause_s, MAX_PAUSE_S)
                if problem.status is SlackStatus.REFUSED:
                    wait_s = REFUSED_PAUSE_S
                wait_s = max(wait_s, min(problem.retry_after_s, MAX_RETRY_AFTER_S))
            else:
                self._set_health(SlackStatus.CONNECTED)
                pause_s, wait_s = FIRST_PAUSE_S, RECHECK_S
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._is_recheck_due.wait()

    async def _check_answers(self) -> None:
        """Check; answers of another shape than Slack's are a problem like any other."""
        try:
            await self._check()
        except SlackProblem:
            raise
        except Exception as error:
            _LOG.exception("cannot understand Slack's answers")
            line = f"{self._web.api_url} does not answer as Slack does: check slack.api_url"
            raise SlackProblem(line, SlackStatus.CONNECTING) from error

    async def _check(self) -> None:
        """Ask Slack whether it accepts the tokens and the channels. Raises `SlackProblem`."""
        self._workspace = await check_bot_token(self._web)
        if self._app_token is not None and not self._is_app_token_accepted:
            await check_app_token(self._web, self._app_token)
            self._is_app_token_accepted = True
        for warning in list_missing_scopes(self._web.granted_scopes, self._rules):
            self._warn(warning)
        refusals = []
        for channel, setting in self._channels.items():
            try:
                known = self.channel_ids.get(channel, channel)
                channel_id = await check_channel(self._web, known, setting, self._workspace)
            except SlackProblem as problem:
                if problem.status is not SlackStatus.REFUSED:
                    raise
                refusals.append(str(problem))
                continue
            if channel_id is None:
                self._warn(f"{setting} {channel} cannot be checked: the app lacks a scope")
            else:
                self.channel_ids[channel] = channel_id
        self._is_accepted.set()
        if refusals:
            raise SlackProblem("; ".join(refusals))

    def _warn(self, line: str) -> None:
        """Log once what does not work as it could."""
        if line not in self._warnings:
            self._warnings.add(line)
            _LOG.warning("%s", line)

    def _set_health(self, status: SlackStatus, reason: str = "") -> None:
        """Note how things stand. News are logged once; an outage's many reasons are no news."""
        before = self.health
        since = before.since if status is before.status else self._clock.now()
        self.health = SlackHealth(status, since, reason)
        news = status, reason if status is SlackStatus.REFUSED else ""
        if news == self._logged:
            return
        self._logged = news
        if status is SlackStatus.CONNECTED and self._workspace:
            me = self._workspace
            _LOG.info("Slack accepts the bot: it posts to %s as @%s", me.team, me.bot_name)
            return
        level = logging.ERROR if status is SlackStatus.REFUSED else logging.WARNING
        _LOG.log(
            level, "%s. The bot checks logins and pages without Slack, and tries again", reason
        )
