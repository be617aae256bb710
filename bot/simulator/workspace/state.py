"""The current state of the workspace: channels, messages, people, and listeners for changes."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from bot.simulator.workspace.blocks import find_elements
from bot.simulator.workspace.grants import Grants
from bot.simulator.workspace.model import App, Channel, Group, Message, MessageKind, Refused, User

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SLACKBOT = User("USLACKBOT", "slackbot", "Slackbot")


def default_channels() -> list[Channel]:
    """Return the channels where nobody says it."""
    return [Channel("C0ALERTS", "auth0-alerts"), Channel("C0GENERAL", "general", is_member=False)]


def default_people() -> list[User]:
    """Return who is in the workspace where nobody says it."""
    return [
        User("U1", "dana", "Dana Reyes", "Europe/Berlin"),
        User("U2", "kim", "Kim Osei", "America/New_York"),
        User("U3", "lou", "Lou Vance", is_guest=True),
    ]


@dataclass(slots=True)
class State:
    """One workspace with one bot in it."""

    now: Callable[[], float]
    app: App = field(default_factory=App)
    channels: list[Channel] = field(default_factory=default_channels)
    people: list[User] = field(default_factory=default_people)
    groups: list[Group] = field(default_factory=lambda: [Group("S1", "oncall", ("U1",))])
    team_id: str = "T0LOCAL"
    team: str = "Local workspace"
    base_url: str = "http://workspace.invalid"
    """The address of sockets and response URLs; a server sets its own."""
    home_tabs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The Home tab's view, by user."""
    modals: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The modal that is open, by user."""
    listeners: list[Callable[[Channel, MessageKind, Message], None]] = field(default_factory=list)
    view_listeners: list[Callable[[str], None]] = field(default_factory=list)
    """Called with each user whose modal or Home tab has changed."""
    grants: Grants = field(init=False)
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))
    _last_micros: int = 0

    def __post_init__(self) -> None:
        self.grants = Grants(self.now)

    def user(self, user_id: str) -> User:
        """Find a user, the bot and Slackbot included. Raises `Refused`."""
        bot = User(self.app.user_id, self.app.name, self.app.name)
        for user in (*self.people, bot, SLACKBOT):
            if user.id == user_id:
                return user
        raise Refused("user_not_found")

    def channel(self, ref: str) -> Channel:
        """Find a channel by id, or by name with or without `#`. Raises `Refused`."""
        for channel in self.channels:
            if ref in (channel.id, channel.name, f"#{channel.name}"):
                return channel
        raise Refused("channel_not_found")

    def direct(self, user_id: str) -> Channel:
        """Find the direct messages with a person, or open them. Raises `Refused`."""
        name = f"D{self.user(user_id).id}"
        if all(channel.id != name for channel in self.channels):
            self.channels.append(Channel(name, name, is_private=True, partner=user_id))
        return self.channel(name)

    def new_id(self, prefix: str) -> str:
        """Make a unique id."""
        return f"{prefix}{next(self._numbers):07d}"

    def next_ts(self) -> str:
        """Return the next message timestamp: unique, in microseconds, always growing."""
        self._last_micros = max(self._last_micros + 1, int(self.now() * 1_000_000))
        return f"{self._last_micros // 1_000_000}.{self._last_micros % 1_000_000:06d}"

    def put(self, channel: Channel, kind: MessageKind, message: Message) -> Message:
        """Add, change or delete a message, and call the listeners."""
        message = replace(message, blocks=self.with_ids(message.blocks))
        if kind is MessageKind.DELETE:
            channel.messages.pop(message.ts, None)
        else:
            channel.messages[message.ts] = message
        for listener in self.listeners:
            listener(channel, kind, message)
        return message

    def show_modal(self, user_id: str, view: dict[str, Any] | None) -> None:
        """Open, change or (None) close a person's modal, and call the listeners."""
        self.modals.pop(user_id, None)
        if view:
            self.modals[user_id] = view
        self._notify_view_listeners(user_id)

    def show_home(self, user_id: str, view: dict[str, Any]) -> None:
        """Change a person's Home tab, and call the listeners."""
        self.home_tabs[user_id] = view
        self._notify_view_listeners(user_id)

    def _notify_view_listeners(self, user_id: str) -> None:
        for onlooker in self.view_listeners:
            onlooker(user_id)

    def message(self, channel: Channel, ts: str) -> Message:
        """Find a message that everybody sees. Raises `Refused`."""
        message = channel.messages.get(ts)
        if message is None or message.only_for:
            raise Refused("message_not_found")
        return message

    def with_ids(self, blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Add ids to the blocks and elements without one, as Slack does."""
        blocks = deepcopy(blocks)
        for block in blocks:
            block.setdefault("block_id", self.new_id("b"))
            for element in find_elements(block):
                element.setdefault("action_id", self.new_id("a"))
        return blocks

    def as_json(
        self, channel: Channel, message: Message, *, metadata: bool = False
    ) -> dict[str, Any]:
        """Return a message as the Web API and payloads have it."""
        body: dict[str, Any] = {
            "type": "message",
            "user": message.user,
            "team": self.team_id,
            "ts": message.ts,
            "text": message.text,
        }
        if message.user == self.app.user_id:
            body |= {"bot_id": self.app.bot_id, "app_id": self.app.id}
        if message.blocks:
            body["blocks"] = message.blocks
        if message.broadcast:
            body["subtype"] = "thread_broadcast"
        if message.edited_at:
            body["edited"] = {"user": message.user, "ts": message.edited_at}
        if metadata and message.metadata:
            body["metadata"] = message.metadata
        return body | _thread(channel, message)


def _thread(channel: Channel, message: Message) -> dict[str, Any]:
    if message.thread_ts:
        return {"thread_ts": message.thread_ts}
    replies = channel.thread(message.ts)
    if not replies:
        return {}
    users = list(dict.fromkeys(reply.user for reply in replies))
    return {
        "thread_ts": message.ts,
        "reply_count": len(replies),
        "reply_users": users,
        "reply_users_count": len(users),
        "latest_reply": replies[-1].ts,
    }
