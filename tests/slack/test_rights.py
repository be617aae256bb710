"""Every way to act, by everybody who may not."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from bot.core.commands.dispatch import required_right
from bot.core.commands.parse import VERBS
from bot.core.model.access import Access, Right, authorize
from bot.slack.actions import BUTTONS, CHECK_AGAIN, CONFIRM, END_SILENCE, MORE, TAKE_OVER, MenuValue
from bot.slack.inbound.http_mode import EventsEndpoint
from tests.slack.test_http_mode import FORM, SECRET, SetClock, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from bot.slack.inbound.listeners import Listeners
    from tests.faults.drills import Repeats
    from tests.slack.test_http_mode import Door

WORDS = "#3 1h because"
INCIDENT = '{"v":1,"incident":3}'
VALUES = {
    CHECK_AGAIN: '{"v":1,"tenant":"prod"}',
    CONFIRM: '{"v":1,"incident":3,"note":"x"}',
    END_SILENCE: '{"v":1,"silence":3}',
    TAKE_OVER: '{"v":1,"incident":3,"owner":"U2"}',
}
MENU = [verb.value for verb in MenuValue.model_fields["verb"].annotation.__args__]  # type: ignore[union-attr]
WAYS = (
    *(f"command {verb}" for verb in VERBS),
    *(f"mention {verb}" for verb in VERBS),
    *(f"direct {verb}" for verb in VERBS),
    *(f"click {button}" for button in BUTTONS if button != MORE),
    *(f"menu {verb}" for verb in MENU),
    "shortcut ask",
)
OLD = (
    "",
    "{}",
    "[]",
    "7",
    '{"v":0}',
    '{"v":2,"incident":3,"tenant":"prod","silence":3}',
    "[" * 999,
)
BUTTON_WAYS = [way for way in WAYS if way.startswith(("click", "menu"))]
OLD_BUTTONS = [*product(BUTTON_WAYS, OLD)]


class Caller:
    """Acts in each way, as the person U1 of a team, in the channel C1."""

    def __init__(self, door: Door, payloads: Any) -> None:
        self._door = door
        self._payloads = payloads

    async def act(self, way: str, team: str = "T1", value: str | None = None) -> None:
        """Act once; a `value` replaces that of the button."""
        kind, _, what = way.partition(" ")
        words, make = f"{what} {WORDS}", self._payloads
        user = {"id": "U1", "username": "ann", "team_id": team}
        if kind in {"mention", "direct"}:
            event = {"team": team, "user_team": team}
            made = (
                make.mention(words, **event) if kind == "mention" else make.direct(words, **event)
            )
            body, mime = json.dumps(made).encode(), "application/json"
        elif kind == "command":
            body, mime = urlencode(make.command(words, team_id=team)).encode(), FORM
        elif kind == "shortcut":
            body, mime = self._form(make.shortcut(user=user)), FORM
        else:
            action = MORE if kind == "menu" else what
            chosen = json.dumps({"v": 1, "verb": what, "incident": 3, "tenant": "prod"})
            chosen = VALUES.get(what, INCIDENT) if kind == "click" else chosen
            made = make.click(action, chosen if value is None else value, user=user)
            if kind == "menu":
                made["actions"][0]["selected_option"] = {
                    "value": chosen if value is None else value
                }
            body, mime = self._form(made), FORM
        status, _ = await self._door.send(body, self._door.signed(body), mime)
        assert status == 200

    @staticmethod
    def _form(made: dict[str, Any]) -> bytes:
        return urlencode({"payload": json.dumps(made)}).encode()


@pytest.fixture
async def caller(listeners: Listeners, clock: Any, payloads: Any) -> AsyncIterator[Caller]:
    time = SetClock(clock.now())
    endpoint = EventsEndpoint(SECRET, time)
    endpoint.attach(listeners.build_app(SECRET))
    async with opened(endpoint, time) as door:
        yield Caller(door, payloads)


def find_allowed(inbox: Any, known: Any) -> Iterator[Any]:
    """Yield the requests that the core would carry out or answer."""
    view = known.view()
    for request in inbox.requests.values():
        right = required_right(request, view.desk)
        if not authorize(view.rules.access, right, request.person, request.channel):
            yield request


def opened_forms(slack: Any) -> list[Any]:
    return [call for call in slack.calls if call[0] == "views.open"]


@pytest.mark.no_cover
@pytest.mark.drill(few=len(WAYS), full=len(WAYS))
@pytest.mark.parametrize("facts", ["is_restricted", "is_ultra_restricted", "is_stranger", "T9"])
async def test_guests_act_in_every_way(
    caller: Caller, slack: Any, inbox: Any, known: Any, repeats: Repeats, listeners: Any, facts: str
) -> None:
    """Guests and members of other workspaces get nothing by any command, button or form."""
    user = {"id": "U1", "team_id": "T1", facts: True} if facts != "T9" else {"team_id": "T9"}
    slack.answers["users.info"] = {"ok": True, "user": user}
    for _, way in zip(repeats, WAYS, strict=False):
        await caller.act(way)
    await listeners.close()

    assert len(inbox.requests) > len(WAYS) / 2
    assert [*find_allowed(inbox, known)] == []
    assert opened_forms(slack) == []


@pytest.mark.no_cover
@pytest.mark.drill(few=len(WAYS), full=len(WAYS))
async def test_strangers_act_in_every_way(
    caller: Caller, slack: Any, inbox: Any, repeats: Repeats, listeners: Any
) -> None:
    """Of what people of another company do in a shared channel, nothing is taken."""
    for _, way in zip(repeats, WAYS, strict=False):
        await caller.act(way, team="T9")
    await listeners.close()

    assert inbox.requests == {}
    assert opened_forms(slack) == []


@pytest.mark.no_cover
@pytest.mark.drill(few=len(WAYS), full=len(WAYS))
async def test_people_act_in_the_wrong_channel(
    caller: Caller, slack: Any, inbox: Any, known: Any, repeats: Repeats, listeners: Any
) -> None:
    """A right that a channel gives is none in another channel."""
    known.rules = replace(known.rules, access=Access(*[("C9",)] * len(Right)))
    for _, way in zip(repeats, WAYS, strict=False):
        await caller.act(way)
    await listeners.close()

    assert len(inbox.requests) > len(WAYS) / 2
    assert [*find_allowed(inbox, known)] == []
    assert opened_forms(slack) == []


@pytest.mark.no_cover
@pytest.mark.drill(few=len(OLD_BUTTONS), full=len(OLD_BUTTONS))
async def test_people_click_old_buttons(
    caller: Caller, slack: Any, inbox: Any, repeats: Repeats, listeners: Any
) -> None:
    """A button whose value is from another version does nothing."""
    for _, (way, value) in zip(repeats, OLD_BUTTONS, strict=False):
        await caller.act(way, value=value)
    await listeners.close()

    assert inbox.requests == {}
    assert opened_forms(slack) == []


async def test_members_may(caller: Caller, inbox: Any, known: Any, listeners: Any) -> None:
    """What is refused above is taken from a member, but for what needs a form."""
    for way in WAYS:
        await caller.act(way)
    await listeners.close()

    assert len([*find_allowed(inbox, known)]) > len(WAYS) / 2
