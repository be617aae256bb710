"""Slack's Web API without a socket: the local workspace, with the scenario's faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.ports import Doubt
from bot.slack.web_api import SYSTEM, RetryAfter, refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.ports import Clock
    from bot.simulator.workspace.model import Reply
    from bot.simulator.workspace.workspace import Workspace
    from bot.simulator.world import World

SLACK = "slack"
SLACK_TIMEOUT_S = 10.0
"""The time-out of the bot's calls to the real Slack."""
BROKEN = 500
TOO_MANY = 429


class VirtualSlack:
    """The `WebApi` port in virtual time."""

    def __init__(self, workspace: Workspace, world: World, clock: Clock) -> None:
        self._workspace = workspace
        self._world = world
        self._clock = clock
        self._retry_after = RetryAfter()

    async def call(self, method: str, params: Mapping[str, Any]) -> Mapping[str, Any]:
        """Call a method; see the port."""
        with self._retry_after.keep(method, str(params.get("channel", ""))):
            await self._apply_fault()
            token = self._workspace.state.app.bot_token
            return _unwrap(self._workspace.call(method, token, params))

    async def respond(self, response_url: str, params: Mapping[str, Any]) -> None:
        """Answer by a response_url; see the port."""
        with self._retry_after.keep(response_url):
            await self._apply_fault()
            _unwrap(self._workspace.respond(response_url, params))

    async def _apply_fault(self) -> None:
        """Apply the scenario's faults; whatever they are, Slack did not do it."""
        drawn = self._world.draw_request(SLACK, self._clock.now())
        happening = drawn.fault
        if happening.kind in {"dns", "connect", "tls"}:
            raise refusal("unreachable")
        if happening.kind in {"hang", "trickle"}:
            await self._clock.sleep(SLACK_TIMEOUT_S)
            raise Doubt(SYSTEM, "no answer in time")
        await self._clock.sleep(drawn.latency_s)
        if happening.http is None:
            return
        if happening.http.status == TOO_MANY:
            headers = {name.lower(): value for name, value in happening.http.headers}
            raise refusal("ratelimited", float(headers.get("retry-after", 1)))
        if happening.http.status >= BROKEN:
            raise Doubt(SYSTEM, f"HTTP {happening.http.status}")
        raise refusal(happening.http.error or f"http_{happening.http.status}")


def _unwrap(reply: Reply) -> Mapping[str, Any]:
    if reply.status == TOO_MANY:
        raise refusal("ratelimited", float(reply.headers["Retry-After"]))
    if not reply.body.get("ok"):
        raise refusal(str(reply.body.get("error", "unknown")))
    return reply.body
