"""Calls: what is meant to wake people, as Slack and the contact points accepted it.

The bot's own word does not count. A message is a call if it notifies somebody: by a mention in a
top-level message or in a reply that is broadcast, or as a direct message. Its metadata says what it
is about. A mention that the metadata does not label as a call is none where it only names who did
something, or brings news to somebody who was called for the incident before; else it is one.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.core.oncall import CallReason
from bot.simulator.workspace.blocks import find_elements
from bot.simulator.workspace.model import MessageKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.simulator.contact_points import AcceptedPage
    from bot.simulator.scenario import Answer
    from bot.simulator.workspace.model import Channel, Message
    from bot.simulator.workspace.state import State

ONE_STEP_S = 30.0
"""Calls of one step by several ways come within this span, and count once."""
STILL_ON_IT = "still_on_it"
"""The button of the question whether an acknowledgement still holds, which is no call."""
_MENTION = re.compile(r"<(?:@([UW][A-Z0-9]+)|!subteam\^(\w+)|!(here|channel|everyone))[^>]*>")
_PERSON = re.compile(r"[UW][A-Z0-9]+")


@dataclass(frozen=True, slots=True)
class Call:
    """One call."""

    t: float
    """Seconds from t=0."""
    incident: int | None
    how: str
    """`mention`, `dm` or `page`."""
    who: tuple[str, ...]
    """The ids of those who are notified, or the name of a contact point."""
    reason: CallReason
    tenants: tuple[str, ...]


@dataclass(slots=True)
class CallWatch:
    """Finds the calls among what was accepted.

    Args:
        state: the workspace, which knows its people.
    """

    state: State
    calls: list[Call] = field(default_factory=list)
    has_acted: set[str] = field(default_factory=set)
    """The ids of the people who typed or clicked something."""

    def watch_message(
        self, t: float, channel: Channel, kind: MessageKind, message: Message
    ) -> Call | None:
        """Return the call that a message is, if it is one."""
        payload = (message.metadata or {}).get("event_payload", {})
        number = payload.get("incident", str(payload.get("k", "")).partition(":")[0])
        incident = int(number) if str(number).isdecimal() else None
        is_seen = kind is MessageKind.POST or (kind is MessageKind.REPLY and message.broadcast)
        if kind is MessageKind.DIRECT:
            how, who = "dm", self._reachable([channel.partner])
            is_question = STILL_ON_IT in {e.get("action_id") for e in find_elements(message.blocks)}
            who = [] if is_question else who
        else:
            how, who = "mention", self._reachable(_find_mentions(message)) if is_seen else []
        if not who:
            return None
        before = {name for call in self.calls if call.incident == incident for name in call.who}
        reason = payload.get("reason")
        if reason is None and (incident is None or {*who} <= self.has_acted | before):
            return None
        tenants = tuple(payload.get("tenants", ()))
        return self._record(t, incident, how, who, str(reason or ""), tenants)

    def watch_page(self, t: float, page: AcceptedPage) -> Call | None:
        """Return the call that a page is, if it wakes anybody."""
        if not page.is_loud:
            return None
        who = [page.contact_point]
        return self._record(t, page.incident, "page", who, page.reason, page.tenants)

    def _record(
        self,
        t: float,
        incident: int | None,
        how: str,
        who: Iterable[str],
        reason: str,
        tenants: tuple[str, ...],
    ) -> Call:
        is_first = all(call.incident != incident for call in self.calls)
        default = CallReason.BEGUN if is_first else CallReason.UNACKNOWLEDGED
        said = CallReason(reason) if reason in {*CallReason} else default
        self.calls.append(Call(t, incident, how, tuple(who), said, tenants))
        return self.calls[-1]

    def _reachable(self, names: Iterable[str]) -> list[str]:
        """Leave out those who are not there, or for whom Slack makes no sound."""
        people = {person.id: person for person in self.state.people}
        return [
            name
            for name in names
            if not _PERSON.fullmatch(name) or (name in people and not people[name].is_in_dnd)
        ]


def _find_mentions(message: Message) -> list[str]:
    """Return who is mentioned: in the text, which is what a notification shows, or else below."""
    for text in (message.text, json.dumps(message.blocks)):
        found = [user or group or f"@{word}" for user, group, word in _MENTION.findall(text)]
        if found:
            return list(dict.fromkeys(found))
    return []


def are_calls_right(answer: Answer, calls: Sequence[Call]) -> bool | None:
    """Compare the calls with the truth; None: it does not say who must be called."""
    if not answer.called and not answer.quiet and answer.calls_most is None:
        return None
    is_called = all(
        any(
            span.since_s <= call.t <= span.until_s
            and (span.tenant is None or span.tenant in call.tenants)
            for call in calls
        )
        for span in answer.called
    )
    is_quiet = not any(span.is_active(call.t) for span in answer.quiet for call in calls)
    is_few = answer.calls_most is None or count_steps(calls) <= answer.calls_most
    return is_called and is_quiet and is_few


def count_steps(calls: Sequence[Call]) -> int:
    """Count the calls, those of one step by several ways as one.

    They are about one incident, at most 30 s apart, and no way occurs twice among them.
    """
    steps: dict[int | None, tuple[float, set[tuple[str, tuple[str, ...]]]]] = {}
    count = 0
    for call in calls:
        way = call.how, call.who
        begun_at, ways = steps.get(call.incident, (float("-inf"), set()))
        if call.t - begun_at > ONE_STEP_S or way in ways:
            count += 1
            begun_at, ways = call.t, set()
        steps[call.incident] = begun_at, {*ways, way}
    return count
