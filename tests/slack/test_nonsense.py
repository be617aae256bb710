"""Payloads that Slack signed and that make no sense."""

from __future__ import annotations

import json
from copy import deepcopy
from itertools import count, cycle
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from bot.core.model.access import Verb
from bot.slack.actions import CHECK_AGAIN, MORE, WHAT, CheckAgainValue, MenuValue
from bot.slack.inbound.http_mode import EventsEndpoint
from bot.slack.inbound.payloads import build_bolt_request
from bot.slack.render.modals import Origin, silence_form
from tests.slack.test_http_mode import FORM, SECRET, SetClock, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.slack.inbound.listeners import Listeners
    from tests.faults.drills import Repeats

NONSENSE: tuple[Any, ...] = (None, [], {}, 7, True, "", "x", [None], [{}], {"id": {}})
KINDS = ("click", "menu", "shortcut", "submission", "preview", "mention", "direct", "home")


@pytest.fixture
def by_kind(payloads: Any, known: Any) -> dict[str, dict[str, Any]]:
    origin = Origin(channel="C1", is_direct=False, verb=Verb.SILENCE, incident=None)
    form = silence_form(known.view(), origin, "", "") | {"blocks": []}
    menu = payloads.click(MORE)
    chosen = MenuValue(verb=Verb.RUN, tenant="prod").model_dump_json()
    menu["actions"][0]["selected_option"] = {"value": chosen}
    what = {"type": "static_select", "selected_option": {"value": "prod"}}
    shown = form | {"id": "V1", "hash": "h1"}
    return {
        "click": payloads.click(CHECK_AGAIN, CheckAgainValue(tenant="eu").model_dump_json()),
        "menu": menu,
        "shortcut": payloads.shortcut(),
        "submission": payloads.submission(form, what=what),
        "preview": payloads.in_view(WHAT, shown | {"state": {"values": {WHAT: {WHAT: what}}}}),
        "mention": payloads.mention("run prod"),
        "direct": payloads.direct("run prod"),
        "home": payloads.event("app_home_opened", tab="home"),
    }


def find_places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Yield each container in a payload with each of its keys."""
    keys = node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    for key in keys:
        yield node, key
        yield from find_places(node[key])


def spoil(payload: dict[str, Any]) -> Iterator[Any]:
    """Yield the payload with each of its values in turn left out, and replaced by nonsense."""
    copy = deepcopy(payload)
    for node, key in [*find_places(copy)]:
        value = node[key]
        for nonsense in NONSENSE:
            node[key] = nonsense
            yield copy
        del node[key]
        yield copy
        if isinstance(node, list):
            node.insert(key, value)
        else:
            node[key] = value


@pytest.mark.no_cover
@pytest.mark.drill(few=100, full=2000)
@pytest.mark.parametrize("kind", KINDS)
async def test_signed_nonsense(
    listeners: Listeners,
    clock: Any,
    by_kind: Any,
    caplog: pytest.LogCaptureFixture,
    repeats: Repeats,
    *,
    kind: str,
) -> None:
    """Whatever is left out or replaced in what Slack signed: no answer 5xx, and no traceback."""
    time = SetClock(clock.now())
    endpoint = EventsEndpoint(SECRET, time)
    endpoint.attach(listeners.build_app(SECRET))
    numbers, statuses = count(), set()
    async with opened(endpoint, time) as door:
        bare = [[], {}, 7, "x", None, {"type": "nonsense"}]
        texts = [json.dumps(spoilt) for spoilt in (*bare, *spoil(by_kind[kind]))]
        repeats.dice.shuffle(texts)
        for _, text in zip(repeats, cycle(texts), strict=False):
            if "event" in by_kind[kind]:  # no body may be sent twice in a second
                body, mime = (text + next(numbers) * " ").encode(), "application/json"
            else:
                body, mime = urlencode({"payload": text, "n": next(numbers)}).encode(), FORM
            statuses.add((await door.send(body, door.signed(body), mime))[0])
    await listeners.close()

    assert statuses <= {200, 400}
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("kind", KINDS)
def test_slacks_own_payloads(by_kind: Any, *, kind: str) -> None:
    """What Slack really sends passes, also with fields that we do not know."""
    body = by_kind[kind] | {"new_field": [{"a": 1}]}

    assert build_bolt_request(body, mode="socket_mode").body == body
