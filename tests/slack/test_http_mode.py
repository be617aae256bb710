from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot.core.model.access import Verb
from bot.slack.actions import CHECK_AGAIN, CheckAgainValue
from bot.slack.inbound.http_mode import MAX_BODY, EventsEndpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.slack.inbound.listeners import Listeners
    from tests.faults.drills import Repeats

SECRET = "canary-signing-secret"
FORM = "application/x-www-form-urlencoded"


class SetClock:
    speed = 1.0

    def __init__(self, now: float) -> None:
        self.at = now

    def now(self) -> float:
        return self.at

    async def sleep(self, span_s: float) -> None:
        raise AssertionError(span_s)


class Door:
    """The endpoint behind a real server; it signs requests as Slack does."""

    def __init__(self, url: str, session: ClientSession, clock: SetClock) -> None:
        self._url = url
        self._session = session
        self.clock = clock

    async def send(
        self, body: bytes, headers: dict[str, str] | None = None, kind: str = FORM
    ) -> tuple[int, str]:
        headers = self.signed(body) if headers is None else headers
        async with self._session.post(
            self._url, data=body, headers={"Content-Type": kind} | headers
        ) as response:
            return response.status, await response.text()

    def signed(self, body: bytes, secret: str = SECRET, stamp: str | None = None) -> dict[str, str]:
        stamp = stamp or str(int(self.clock.now()))
        mac = hmac.new(secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256)
        return {
            "X-Slack-Request-Timestamp": stamp,
            "X-Slack-Signature": f"v0={mac.hexdigest()}",
        }


@asynccontextmanager
async def opened(endpoint: EventsEndpoint, clock: SetClock) -> AsyncIterator[Door]:
    app = web.Application()
    app.router.add_post("/slack/events", endpoint.handle)
    async with TestServer(app) as server, ClientSession() as session:
        yield Door(str(server.make_url("/slack/events")), session, clock)


@pytest.fixture
async def door(listeners: Listeners, clock: Any) -> AsyncIterator[Door]:
    time = SetClock(clock.now())
    endpoint = EventsEndpoint(SECRET, time)
    endpoint.attach(listeners.build_app(SECRET))
    async with opened(endpoint, time) as door:
        yield door


@pytest.fixture
def command(payloads: Any) -> bytes:
    return urlencode(payloads.command("run prod")).encode()


async def test_signed(door: Door, payloads: Any, inbox: Any, command: bytes) -> None:
    """Signed commands, clicks and events are accepted as over Socket Mode."""
    value = CheckAgainValue(tenant="eu").model_dump_json()
    click = urlencode({"payload": json.dumps(payloads.click(CHECK_AGAIN, value))}).encode()
    mention = json.dumps(payloads.mention("alerts")).encode()

    assert await door.send(command) == (200, "")
    assert await door.send(click) == (200, "")
    assert await door.send(mention, kind="application/json") == (200, "")

    assert [(request.command.verb, request.words) for request in inbox.requests.values()] == [
        (Verb.RUN, "prod"),
        (Verb.RUN, "eu"),
        (Verb.ALERTS, ""),
    ]


async def test_challenge(door: Door) -> None:
    """The endpoint answers Slack's check of the address."""
    body = json.dumps({"type": "url_verification", "challenge": "c-1"}).encode()

    status, answer = await door.send(body, kind="application/json")

    assert (status, json.loads(answer)) == (200, {"challenge": "c-1"})


async def test_replay(door: Door, inbox: Any, command: bytes) -> None:
    """A repeated request is refused for as long as its timestamp counts as fresh."""
    ahead = door.signed(command, stamp=str(int(door.clock.now()) + 299))
    assert (await door.send(command, ahead))[0] == 200

    replays = []
    for _ in range(12):
        replays.append(await door.send(command, ahead))
        door.clock.at += 50

    assert replays[0] == (401, "seen before")
    assert {status for status, _ in replays} == {401}
    assert len(inbox.requests) == 1


MALFORMED = {
    "X-Slack-Request-Timestamp": [
        "",
        "abc",
        "1e9",
        "-1",
        "0",
        "9" * 12,
        "9" * 5000,
        "1780000000.0",
        "\u0661\u0662\u0663",
        "0x10",
        "nan",
    ],
    "X-Slack-Signature": [
        "",
        "v0=",
        "v0=" + "0" * 63,
        "v0=" + "g" * 64,
        "v0=" + "A" * 64,
        "v1=" + "0" * 64,
        "v0=" + "\u00e9" * 64,
        "v0=" + "0" * 64,
        "0" * 5000,
    ],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in MALFORMED.items() for value in values]
)
async def test_malformed_header(
    door: Door, inbox: Any, command: bytes, name: str, value: str
) -> None:
    """A missing or malformed header gets a 401 in one line."""
    status, text = await door.send(command, door.signed(command) | {name: value})

    assert status == 401
    assert len(text.splitlines()) == 1
    assert inbox.requests == {}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"\xff\xfe\x00", 400),
        (b"x" * (MAX_BODY + 1), 413),
        (b"{", 400),
        (b"payload=%7B", 400),
        (b"payload=[]", 400),
        (b'{"authorizations":5}', 400),
        (b'{"event":{"user":5}}', 400),
        (b"{" * 5000, 400),
        (b'{"a":' * 5000, 400),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_malformed_body(door: Door, inbox: Any, body: bytes, status: int) -> None:
    """Even a signed body cannot cause a 500."""
    assert (await door.send(body))[0] == status
    assert inbox.requests == {}


@pytest.mark.no_cover
@pytest.mark.drill(few=300, full=10_000)
async def test_forged_requests_of_slack(
    door: Door, inbox: Any, command: bytes, repeats: Repeats
) -> None:
    """Commands that Slack did not sign are refused with 400 or 401, and none is carried out."""
    dice = repeats.dice

    def forge() -> tuple[bytes, dict[str, str]]:
        good = door.signed(command)
        digits = good["X-Slack-Signature"]
        at = dice.randrange(3, len(digits))
        return dice.choice(
            [
                (command, door.signed(command, secret=str(dice.random()))),
                (command + b"x", good),
                (command, good | {"X-Slack-Signature": digits[:at] + "_" + digits[at + 1 :]}),
                (command, good | {"X-Slack-Signature": digits.upper()}),
                (command, good | {"X-Slack-Request-Timestamp": str(dice.randrange(2**40))}),
                (command, door.signed(command, stamp=str(int(door.clock.now()) - 301))),
                (command, door.signed(command, stamp=str(int(door.clock.now()) + 302))),
                (dice.randbytes(50).replace(b"\xff", b"a"), {}),
            ]
        )

    statuses = [(await door.send(*forge()))[0] for _ in repeats]

    assert set(statuses) <= {400, 401}
    assert inbox.requests == {}


async def test_refusal_in_the_log(
    door: Door, command: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Refusals are one line a minute in the log, without payload, signature or traceback."""
    for _ in range(20):
        await door.send(command, {})

    (record,) = [
        record for record in caplog.records if record.name == "bot.slack.inbound.http_mode"
    ]
    assert record.getMessage() == "Refused a request to /slack/events: no fresh timestamp"
    assert record.exc_info is None


async def test_inbox_hangs(door: Door, inbox: Any, command: bytes) -> None:
    """The answer comes in time while the inbox hangs."""
    inbox.delay_s = 60.0

    async with asyncio.timeout(2):
        status, text = await door.send(command)

    assert status == 200
    assert "ask again" in text


async def test_before_slack_accepts_the_bot(
    listeners: Listeners, clock: Any, command: bytes
) -> None:
    """A signed request waits a little, and then gets 503; any other gets 401 at once."""
    time = SetClock(clock.now())
    endpoint = EventsEndpoint(SECRET, time)
    async with opened(endpoint, time) as door:
        assert await door.send(command) == (503, "not connected to Slack yet")
        assert (await door.send(command, {}))[0] == 401
        forged = door.signed(command, secret="another")
        assert await door.send(command, forged) == (401, "wrong signature")
        ahead = door.signed(command, stamp=str(int(time.at) + 302))
        assert await door.send(command, ahead) == (401, "no fresh timestamp")

        time.at += 1  # Slack signs a repeated request anew
        waiting = asyncio.create_task(door.send(command))
        await asyncio.sleep(0.2)
        endpoint.attach(listeners.build_app(SECRET))
        assert (await waiting)[0] == 200


def test_empty_secret(clock: Any) -> None:
    """Without a signing secret there is no endpoint."""
    with pytest.raises(ValueError, match="signing_secret"):
        EventsEndpoint("", clock)
