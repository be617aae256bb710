"""Examines what the bot needs of Slack: tokens, scopes, the socket, channels, people."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import aiohttp

from bot.core.model.access import Right
from bot.core.model.finding import Finding, Level
from bot.core.oncall import Rotation, UserGroup
from bot.ports import CallFailed, Refused
from bot.slack.checks import (
    OPTIONAL_SCOPES,
    SCOPES,
    SlackProblem,
    SlackStatus,
    check_app_token,
    check_bot_token,
    check_channel,
    needed_scopes,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bot.core.state.rules import Rules
    from bot.slack.checks import Workspace
    from bot.slack.web_api import SlackWeb

AREA = "Slack"
HELLO_LIMIT_S = 10.0
"""Real seconds for Slack to say hello on a new connection, as Socket Mode itself waits."""
UNKNOWN_PERSON = frozenset({"user_not_found", "user_not_visible", "no_such_subteam"})
UNFIT = {
    "deleted": "has left the workspace",
    "is_bot": "is a bot",
    "is_restricted": "is a guest, who may not use the bot",
    "is_ultra_restricted": "is a guest, who may not use the bot",
}
"""Who cannot acknowledge, by a flag of Slack's user object."""
REINSTALL = (
    "paste manifest.yml at https://api.slack.com/apps, your app, App Manifest, then Install App > "
    "Reinstall to Workspace"
)


class SlackExamination:
    """One examination.

    Args:
        web: asks Slack.
        rules: what the configuration needs of Slack.
        channels: the configured channels, each with the setting that names it.
        app_token: of Socket Mode; None in HTTP mode.
        opens_socket: whether to open a connection. While a bot runs, Slack would send a part of
            the clicks to this one.
    """

    def __init__(
        self,
        web: SlackWeb,
        rules: Rules,
        *,
        channels: Mapping[str, str],
        app_token: str | None,
        opens_socket: bool,
    ) -> None:
        self._web = web
        self._rules = rules
        self._channels = channels
        self._app_token = app_token
        self._opens_socket = opens_socket

    async def examine(self) -> AsyncIterator[Finding]:
        """Yield what is found. Without a good bot token nothing else can be asked."""
        try:
            me = await check_bot_token(self._web)
        except SlackProblem as problem:
            yield _from_problem("bot token", problem)
        else:
            yield _ok("bot token", f"posts to {me.team} as @{me.bot_name}")
            for finding in self._examine_scopes():
                yield finding
            async for finding in self._examine_channels(me):
                yield finding
            for each, setting in list_named_people(self._rules).items():
                yield await self._examine_person(each, setting, me)
        if self._app_token:
            yield await self._examine_app_token(self._app_token)

    def _examine_scopes(self) -> list[Finding]:
        granted = self._web.granted_scopes
        if not granted:
            remedy = "look at OAuth & Permissions > Scopes of your app"
            return [_advice("scopes", "Slack did not name them", remedy)]
        needed = needed_scopes(self._rules)
        missing = [
            Finding(AREA, f"scope {name}", Level.PROBLEM, f"is missing: {lost}", REINSTALL)
            for name, lost in sorted(needed.items())
            if name not in granted
        ]
        unused = [
            _advice(f"scope {name}", f"is not granted; if you come to need it: {lost}", REINSTALL)
            for name, lost in sorted(OPTIONAL_SCOPES.items())
            if name not in granted | needed.keys()
        ]
        every = SCOPES | OPTIONAL_SCOPES
        return [*missing, *unused] or [_ok("scopes", f"all {len(every)} are granted")]

    async def _examine_channels(self, me: Workspace) -> AsyncIterator[Finding]:
        for channel, setting in self._channels.items():
            what = f"channel {channel}"
            try:
                found = await check_channel(self._web, channel, setting, me)
            except SlackProblem as problem:
                yield _from_problem(what, problem)
                continue
            if found is None:
                detail = "cannot be looked up: the app lacks channels:read or groups:read"
                yield Finding(AREA, what, Level.PROBLEM, detail, REINSTALL)
            else:
                named = f"is {found}, " if found != channel else ""
                yield _ok(what, f"{named}is there, and the bot may post")

    async def _examine_person(self, each: str, setting: str, me: Workspace) -> Finding:
        what = f"{setting} {each}"
        is_group = each.startswith("S")
        method, key = ("usergroups.users.list", "usergroup") if is_group else ("users.info", "user")
        try:
            answer = await self._web.call(method, {key: each})
        except CallFailed as failed:
            if isinstance(failed, Refused) and failed.code in UNKNOWN_PERSON:
                detail = f"is unknown in {me.team} ({failed.code})"
                remedy = f"correct {setting}: copy the ID anew"
                return Finding(AREA, what, Level.PROBLEM, detail, remedy)
            return Finding(AREA, what, Level.UNKNOWN, str(failed), REINSTALL)
        if is_group:
            count = len(answer.get("users", ()))
            detail = f"{count} member(s)"
            level, remedy = (Level.OK, "") if count else (Level.PROBLEM, "add somebody in Slack")
            return Finding(AREA, what, level, detail, remedy)
        person = answer.get("user", {})
        name = str(person.get("real_name") or person.get("name") or each)
        for flag, wrong in UNFIT.items():
            if person.get(flag):
                detail = f"{name} {wrong}"
                return Finding(AREA, what, Level.PROBLEM, detail, f"correct {setting}")
        return _ok(what, name)

    async def _examine_app_token(self, token: str) -> Finding:
        try:
            await check_app_token(self._web, token)
        except SlackProblem as problem:
            return _from_problem("app token", problem)
        if not self._opens_socket:
            return _ok("app token", "accepted; the running bot holds the connection")
        try:
            opened = await self._web.call("apps.connections.open", {"token": token})
            async with asyncio.timeout(HELLO_LIMIT_S):
                async with self._web.session.ws_connect(str(opened["url"])) as connection:
                    hello = json.loads(await connection.receive_str())
            connections = int(hello.get("num_connections", 1))  # this one included
            is_hello = hello.get("type") == "hello"
        except (aiohttp.ClientError, CallFailed, KeyError, OSError, TimeoutError, ValueError):
            is_hello, connections = False, 0
        if not is_hello:
            remedy = "allow WebSockets (wss, port 443) to *.slack.com in your firewall or proxy"
            detail = "the token is good, but Slack did not say hello on a connection"
            return Finding(AREA, "socket", Level.PROBLEM, detail, remedy)
        if connections > 1:
            detail = f"Slack counts {connections} connections of this app: each gets some clicks"
            remedy = "stop the other process, or give it a Slack app of its own"
            return _advice("socket", detail, remedy)
        return _ok("socket", "opened, and Slack said hello")


def list_named_people(rules: Rules) -> dict[str, str]:
    """Return the ids of all people and user groups of a configuration, each with its setting."""
    named: dict[str, str] = {}
    holders = (each for right in Right for each in rules.access.who_may(right))
    named |= dict.fromkeys((each for each in holders if each[0] in "UWS"), "access")
    named |= dict.fromkeys(rules.mention.replace(",", " ").split(), "slack.mention")
    if isinstance(rules.on_call, UserGroup):
        named[rules.on_call.id] = "oncall.group"
    elif isinstance(rules.on_call, Rotation):
        named |= dict.fromkeys(rules.on_call.people, "oncall.rotation")
    named.pop("@here", None)
    return named


def _from_problem(what: str, problem: SlackProblem) -> Finding:
    detail, _, remedy = str(problem).partition(": ")
    level = Level.UNKNOWN if problem.status is SlackStatus.CONNECTING else Level.PROBLEM
    return Finding(AREA, what, level, detail, remedy)


def _ok(what: str, detail: str) -> Finding:
    return Finding(AREA, what, Level.OK, detail)


def _advice(what: str, detail: str, remedy: str) -> Finding:
    return Finding(AREA, what, Level.ADVICE, detail, remedy)
