"""The workspace as one object that answers calls. No sockets, no waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.simulator.workspace import chat
from bot.simulator.workspace.lookups import find_visible_channel
from bot.simulator.workspace.methods import METHODS, POSTS, Method
from bot.simulator.workspace.model import (
    Channel,
    Fault,
    Message,
    MessageKind,
    Refused,
    Reply,
    rate_limited,
)
from bot.simulator.workspace.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


ROUNDING_S = 1e-3


def no_fault(_method: str) -> Fault | None:
    """Inject no fault."""
    return None


class Workspace:
    """A Slack workspace with one bot in it.

    `now` is Slack's own clock in seconds: its limits, and the `ts` of messages, go by it.
    `given` (app, channels, people, groups, team …) are the fields of `State`.
    """

    def __init__(self, now: Callable[[], float], **given: Any) -> None:
        """Set up the workspace; what is not given has a usable default."""
        self.state = State(now, **given)
        self.fault: Callable[[str], Fault | None] = no_fault
        """Called with the method's name (`respond` for response URLs) before each answer."""
        self._free_at: dict[tuple[str, str], float] = {}

    def on_message(self, listener: Callable[[Channel, MessageKind, Message], None]) -> None:
        """Call `listener` with every message when it is posted, changed or deleted."""
        self.state.listeners.append(listener)

    def messages(self, channel: str) -> list[Message]:
        """Return all messages of a channel, oldest first, replies and ephemeral ones included."""
        return list(self.state.channel(channel).messages.values())

    def call(self, method: str, token: str, params: Mapping[str, Any]) -> Reply:
        """Answer a Web API call. An empty `token` means that none was sent."""
        fault = self.fault(method)
        if fault:
            return fault.apply(lambda: self._answer(method, token, params))
        return self._answer(method, token, params)

    def respond(self, url: str, params: Mapping[str, Any]) -> Reply:
        """Answer a post to a response URL, given whole or by its last part."""
        fault = self.fault("respond")
        if fault:
            return fault.apply(lambda: self._respond(url, params))
        return self._respond(url, params)

    def _respond(self, url: str, params: Mapping[str, Any]) -> Reply:
        try:
            grant = self.state.grants.spend_url(url.rsplit("/", 1)[-1])
        except Refused as refused:
            return Reply(refused.body, status=404)
        try:
            chat.respond(self.state, grant, params)
        except Refused as refused:
            return Reply(refused.body, status=400)
        return Reply({"ok": True})

    def _answer(self, name: str, token: str, params: Mapping[str, Any]) -> Reply:
        method = METHODS.get(name)
        if method is None:
            return Reply({"ok": False, "error": "unknown_method", "req_method": name})
        try:
            self._authorise(method, token, params)
            wait_s = self._reserve_turn(name, method, params)
            if wait_s:
                return rate_limited(wait_s)
            body = {"ok": True, **method.answer(self.state, params)}
        except Refused as refused:
            body = refused.body
        scopes = ",".join(sorted(self.state.app.scopes))
        return Reply(body, headers={"X-OAuth-Scopes": scopes})

    def _authorise(self, method: Method, token: str, params: Mapping[str, Any]) -> None:
        if method.is_open:
            return
        app = self.state.app
        if not token:
            raise Refused("not_authed")
        if token not in (app.bot_token, app.app_token):
            raise Refused("invalid_auth")
        if method.is_app_level != (token == app.app_token):
            raise Refused("not_allowed_token_type")
        needed = method.scope
        if needed.startswith("*"):
            if "channel" not in params:
                return  # the method checks it itself
            needed = find_visible_channel(self.state, params).kind + needed[1:]
        if needed and needed not in app.scopes:
            provided = ",".join(sorted(app.scopes))
            raise Refused("missing_scope", needed=needed, provided=provided)

    def _lane(self, ref: str) -> str:
        """Return a channel's id, whether the call names it by id or by name."""
        return next((c.id for c in self.state.channels if ref.lstrip("#") in (c.id, c.name)), ref)

    def _reserve_turn(self, name: str, method: Method, params: Mapping[str, Any]) -> float:
        """Take a turn of a method (posts: of a channel). Returns 0, or how long to wait."""
        pace = method.rate_limit
        lane = self._lane(str(params.get("channel"))) if pace is POSTS else ""
        now, gap = self.state.now(), 60 / pace.per_minute
        free_at = max(self._free_at.get((name, lane), now), now) + gap
        ahead = free_at - now - pace.burst * gap
        if ahead > ROUNDING_S:
            return ahead
        self._free_at[name, lane] = free_at
        return 0
