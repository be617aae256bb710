"""The records of a workspace: people, channels, messages, replies and faults."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SCOPES = frozenset(
    {
        "app_mentions:read",
        "channels:history",
        "channels:read",
        "chat:write",
        "chat:write.public",
        "commands",
        "groups:history",
        "groups:read",
        "im:history",
        "im:write",
        "usergroups:read",
        "users:read",
    }
)


@dataclass(frozen=True, slots=True)
class App:
    """The bot's Slack app. Its secrets are valid in this workspace only."""

    name: str = "auth0-check"
    command: str = "/auth0-check"
    usage_hint: str = "[status | run TENANT | alerts | ack | silence | oncall | help] [share]"
    shortcuts: Mapping[str, str] = field(default_factory=lambda: {"ask": "Ask Auth0 Check"})
    """Global ones: callback id -> name."""
    scopes: frozenset[str] = SCOPES
    bot_token: str = "xoxb-local-workspace"  # noqa: S105 - opens nothing elsewhere
    app_token: str = "xapp-local-workspace"  # noqa: S105 - opens nothing elsewhere
    signing_secret: str = "local-signing-secret"  # noqa: S105 - signs nothing elsewhere
    id: str = "A0LOCAL"
    bot_id: str = "B0LOCAL"
    user_id: str = "U0BOT"


class MessageKind(StrEnum):
    """What happened to a message."""

    POST = "post"
    REPLY = "reply"
    DIRECT = "dm"
    EPHEMERAL = "ephemeral"
    UPDATE = "update"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class User:
    """Somebody in the workspace."""

    id: str
    name: str
    real_name: str
    zone: str = "UTC"
    is_guest: bool = False
    is_in_dnd: bool = False
    """Do Not Disturb: Slack takes messages to them, and makes no sound."""


@dataclass(frozen=True, slots=True)
class Group:
    """A user group, as in `<!subteam^S1>`."""

    id: str
    handle: str
    users: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """A message in a channel. An edit makes a new record with the same `ts`."""

    ts: str
    user: str
    text: str
    blocks: list[dict[str, Any]] = field(default_factory=list)
    thread_ts: str = ""
    """The parent's `ts`, in a reply."""
    broadcast: bool = False
    """A reply that is broadcast to the channel."""
    metadata: dict[str, Any] | None = None
    edited_at: str = ""
    """The `ts` of the last edit, or empty."""
    only_for: str = ""
    """The one user who sees it (an ephemeral message), or empty."""


@dataclass(slots=True)
class Channel:
    """A public or private channel, or the direct messages of one person and the bot."""

    id: str
    name: str
    is_private: bool = False
    is_archived: bool = False
    is_member: bool = True
    """Whether the bot has been invited."""
    partner: str = ""
    """The person, in direct messages."""
    messages: dict[str, Message] = field(default_factory=dict)
    """By `ts`, oldest first."""

    @property
    def kind(self) -> str:
        """The first word of the scopes for it."""
        return "im" if self.partner else "groups" if self.is_private else "channels"

    def kind_of_post(self, thread_ts: str = "") -> MessageKind:
        """Return the kind of a new message in this channel."""
        return (
            MessageKind.DIRECT
            if self.partner
            else MessageKind.REPLY
            if thread_ts
            else MessageKind.POST
        )

    def thread(self, ts: str) -> list[Message]:
        """List the replies that everybody sees, oldest first."""
        return [m for m in self.messages.values() if m.thread_ts == ts and not m.only_for]


class Fate(StrEnum):
    """What happens to an answer."""

    ANSWERED = "answered"
    LOST = "lost"
    """It was done, and the connection closed before the answer."""
    CUT = "cut"
    """The connection closed before anything was done."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    body: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    raw: str | None = None
    """The body in place of JSON."""
    fate: Fate = Fate.ANSWERED
    delay_s: float = 0


class FaultKind(StrEnum):
    """The kinds of faults between the bot and Slack."""

    RATE_LIMITED = "rate_limited"
    SERVER_ERROR = "server_error"
    HTML = "html"
    EMPTY = "empty"
    LOST = "lost"
    CUT = "cut"
    SLOW = "slow"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault."""

    kind: FaultKind
    seconds: float = 1
    """Seconds: `Retry-After` of a refusal, or the delay of a slow answer."""

    def apply(self, answer: Callable[[], Reply]) -> Reply:
        """Return the reply with this fault; calls `answer` only if Slack carries out the call."""
        match self.kind:
            case FaultKind.RATE_LIMITED:
                return rate_limited(self.seconds)
            case FaultKind.LOST:
                return replace(answer(), fate=Fate.LOST)
            case FaultKind.SLOW:
                return replace(answer(), delay_s=self.seconds)
            case _:
                return _BROKEN[self.kind]


_BROKEN = {
    FaultKind.SERVER_ERROR: Reply({"ok": False, "error": "internal_error"}, status=500),
    FaultKind.HTML: Reply(status=503, raw="<!DOCTYPE html><title>Server error | Slack</title>"),
    FaultKind.EMPTY: Reply(raw=""),
    FaultKind.CUT: Reply(fate=Fate.CUT),
}


def rate_limited(wait_s: float) -> Reply:
    """Return the reply to too many calls."""
    seconds = str(max(1, -int(-wait_s // 1)))
    return Reply({"ok": False, "error": "ratelimited"}, 429, {"Retry-After": seconds})


class Refused(Exception):  # noqa: N818 - says what happened
    """Slack answers `ok: false`."""

    def __init__(self, error: str, *problems: str, **extra: str) -> None:
        """Keep the error code, and the problems with their JSON pointers."""
        super().__init__(error)
        self.body: dict[str, Any] = {"ok": False, "error": error, **extra}
        if problems:
            self.body["errors"] = list(problems)
            self.body["response_metadata"] = {"messages": [f"[ERROR] {p}" for p in problems]}
