from __future__ import annotations

import asyncio
import gzip
import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot.config.cross_checks import SENDERS
from bot.config.settings_sources import Webhooks
from bot.core.model.measurement import MONITORS
from bot.webhooks.auth import BearerAuth
from bot.webhooks.counts import PushedCounts
from bot.webhooks.endpoint import MAX_UNSAVED, WebhookEndpoint
from bot.webhooks.routes import webhook_routes
from bot.webhooks.sender import SenderConfig, WebhookConfig, WebhookSender, WebhookTenant
from tests.webhooks.conftest import SECRETS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from random import Random

    from tests.faults.drills import Repeats

HOOKS = (*MONITORS, "report", "change", "auth0")
COMMITTED = (*MONITORS, "change")
FORGED = {
    "sentry": {"Sentry-Hook-Signature": "0" * 64},
    "alertmanager": {"Authorization": "Bearer canary-alert-tokem"},
    "report": {"Authorization": "canary-report-token"},
    "change": {"Authorization": "Basic canary-change-token"},
    "auth0": {"Authorization": "Bearer canary-stream-token"},
}


@pytest.fixture(params=HOOKS)
def hook(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_genuine(default_door: Any, genuine: Any, hook: str) -> None:
    """With its secret each webhook accepts what its sender sends, and answers with one line."""
    assert await default_door.push(hook, genuine[hook]) == (202, "accepted\n")
    assert default_door.counted == {(hook, "accepted"): 1}


async def test_committed_first(default_door: Any, genuine: Any) -> None:
    """An alert is in the inbox before the answer is sent."""
    for hook in COMMITTED:
        before = len(default_door.inbox.pushes)
        await default_door.push(hook, genuine[hook])
        assert len(default_door.inbox.pushes) == before + 1


@pytest.mark.parametrize("name", FORGED)
async def test_forged(door: Any, genuine: Any, name: str) -> None:
    """A secret that is almost right, or sent in another way, is refused."""
    status, text = await door.push(name, genuine[name], **FORGED[name])

    assert (status, len(text.splitlines())) == (401, 1)
    assert door.counted == {(name, "refused"): 1}
    assert door.inbox.pushes == {}


async def test_without_any_secret(door: Any, genuine: Any, hook: str) -> None:
    """A request without a secret is refused; a path without its secret does not exist."""
    path = "/hooks/pingdom/none" if hook == "pingdom" else door.path(hook)

    assert (await door.send(path, json.dumps(genuine[hook])))[0] == 401
    assert (await door.send("/hooks/pingdom", b"{}"))[0] == 404


async def test_elsewhere(door: Any) -> None:
    """Unknown paths, tenants without a stream and other methods are 404 and 405."""
    assert (await door.send("/hooks/grafana", b"{}"))[0] == 404
    assert (await door.send("/hooks/auth0/eu", b"[]", {"Authorization": "x"}))[0] == 404
    async with door.session.get(f"{door.url}/hooks/report") as answer:
        assert answer.status == 405


async def test_a_secret_is_checked_before_the_body(door: Any) -> None:
    """Without the secret a malformed body is refused for the secret: strangers learn nothing."""
    for hook in ("alertmanager", "report", "change", "auth0"):
        assert (await door.send(door.path(hook), b"{", {"Authorization": "no"}))[0] == 401
    proof = door.proof("sentry", b"{", secret="wrong")
    assert (await door.send("/hooks/sentry", b"{", proof))[0] == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe{\x00}\x00",
        b'{"a":"\xe9"}',
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b"9" * 5_000,
        b"null",
        b'"text"',
        b"{}{}",
    ],
    ids=lambda body: repr(body[:12]),
)
async def test_malformed(default_door: Any, hook: str, body: bytes) -> None:
    """No body causes a 5xx, and no malformed body is accepted."""
    status, text = await default_door.push(hook, body)

    assert status in {200, 400} if hook == "auth0" else status == 400
    assert len(text.splitlines()) == 1
    assert default_door.inbox.pushes == {}


async def test_compressed(door: Any, genuine: Any, hook: str) -> None:
    """A compressed body is refused unread: it is not what was signed."""
    body = gzip.compress(json.dumps(genuine[hook]).encode())

    for content, encoding in (
        (body, "gzip"),
        (b"nonsense", "gzip"),
        (b"{}", "br, gzip"),
        (b"x", "?"),
    ):
        headers = {"Content-Encoding": encoding}
        assert (await door.push(hook, content, **headers))[0] == 400


async def test_oversized(door: Any, hook: str) -> None:
    """A body is cut off at the cap, whether it declares its length or not."""
    cap = 1024 * 1024 if hook == "auth0" else 256 * 1024
    body = b" " * (cap + 1)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield body[: cap // 8]

    assert (await door.push(hook, body))[0] == 413
    proof = door.proof(hook, b"".join([body[: cap // 8]] * 9))
    async with door.session.post(
        door.url + door.path(hook), data=chunks(), headers=proof
    ) as answer:
        assert answer.status == 413
    assert door.counted == {(hook, "too_large"): 2}


async def test_repeated(default_door: Any, genuine: Any) -> None:
    """A second delivery is acknowledged and changes nothing, whatever its request id."""
    for hook in (*COMMITTED, "auth0"):
        await default_door.push(hook, genuine[hook])
        again = {"Request-ID": "another"} if hook == "sentry" else {}
        assert (await default_door.push(hook, genuine[hook], **again))[0] == 200
        assert default_door.counted[hook, "repeated"] == 1
    assert len(default_door.inbox.pushes) == len(COMMITTED)


async def test_said_anew(default_door: Any, genuine: Any) -> None:
    """Later the same body is new (an alert goes on, another deploy), except from Sentry."""
    for hook in COMMITTED:
        await default_door.push(hook, genuine[hook])
    default_door.clock.at += 60
    assert (await default_door.push("alertmanager", genuine["alertmanager"]))[0] == 202
    default_door.clock.at += 640
    statuses = {h: (await default_door.push(h, genuine[h]))[0] for h in COMMITTED}

    assert statuses == {"sentry": 200, "alertmanager": 202, "pingdom": 202, "change": 202}


async def test_two_hooks_with_the_same_words(door: Any) -> None:
    """The same body at another webhook is no repetition."""
    words = {"what": "x", "app": "x", "alerts": []}

    assert (await door.push("change", words))[0] == 202
    assert (await door.push("alertmanager", words))[0] == 200
    assert door.counts["repeated"] == 0


@pytest.mark.parametrize("name", COMMITTED)
async def test_unsaved(default_door: Any, genuine: Any, name: str) -> None:
    """A failed commit gets a 503, so that the sender repeats it; then it is accepted."""
    default_door.inbox.is_broken = True
    assert await default_door.push(name, genuine[name]) == (503, "not saved: send it again\n")
    default_door.inbox.is_broken = False

    assert (await default_door.push(name, genuine[name]))[0] == 202


async def test_a_store_that_hangs(default_door: Any, genuine: Any) -> None:
    """The answer comes in time for its sender; what is committed later is not stored twice.

    A repetition meanwhile waits for the same commit, and is not answered as saved.
    """
    inbox = default_door.inbox
    inbox.may_go_on.clear()
    async with asyncio.timeout(3.0):
        answers = await asyncio.gather(
            *(default_door.push("alertmanager", genuine["alertmanager"]) for _ in range(3))
        )
    inbox.may_go_on.set()

    assert {status for status, _ in answers} == {503}
    assert inbox.asked == 1
    assert (await default_door.push("alertmanager", genuine["alertmanager"]))[0] == 200
    assert len(inbox.items) == 1


async def test_a_store_that_hangs_fills_no_memory(default_door: Any) -> None:
    """A limited number of a webhook's pushes wait for the store; the rest is refused at once."""
    default_door.inbox.may_go_on.clear()
    waiting = [
        asyncio.create_task(default_door.push("change", {"what": f"deploy {n}", "app": "shop"}))
        for n in range(MAX_UNSAVED + 30)
    ]
    statuses = [status for status, _ in await asyncio.gather(*waiting)]
    default_door.inbox.may_go_on.set()
    await asyncio.sleep(0.05)

    assert set(statuses) == {503}
    assert len(default_door.inbox.pushes) == MAX_UNSAVED


async def test_an_undecodable_secret(door: Any) -> None:
    """Bytes that are no text are a wrong secret."""
    reader, writer = await asyncio.open_connection(*door.server.address)
    writer.write(
        b"POST /hooks/report HTTP/1.1\r\nHost: bot.example\r\nContent-Length: 2\r\n"
        b"Authorization: Bearer \xff\xfe\r\nConnection: close\r\n\r\n{}"
    )
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()

    assert b" 401 " in answer.splitlines()[0]


async def test_slow(door: Any) -> None:
    """A body that comes too slowly is refused after its time, and the next request is served."""
    counted = []
    hook = WebhookSender("report", BearerAuth("token"), lambda _: ())
    endpoint = WebhookEndpoint(
        hook,
        inbox=door.inbox,
        clock=door.clock,
        count=lambda *what: counted.append(what),
        read_s=0.2,
    )
    app = web.Application()
    app.router.add_post("/hook", endpoint.handle)
    server = TestServer(app)
    await server.start_server()

    async def trickle() -> AsyncIterator[bytes]:
        while not counted:
            yield b" "
            await asyncio.sleep(0.03)

    headers = {"Authorization": "Bearer token"}
    async with ClientSession(headers=headers) as session:
        async with session.post(server.make_url("/hook"), data=trickle()) as answer:
            assert answer.status == 408
        async with session.post(server.make_url("/hook"), data=b"{}") as answer:
            assert answer.status == 200
    await server.close()
    assert counted == [("report", "too_slow"), ("report", "ignored")]


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 50\r\n\r\n{}",
        b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nnonsense\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\n{}",
        b"Content-Length: 2\r\nContent-Encoding: gzip\r\n\r\n{}",
        b"Content-Length: 2\r\nAuthorization: \xff\xfe\r\n\r\n{}",
        b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    ],
)
async def test_broken_off(
    door: Any, hook: str, rest: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """A request that breaks off, or is malformed, causes nothing but a refusal."""
    host, port = door.server.address
    reader, writer = await asyncio.open_connection(host, port)
    proof = "".join(f"{k}: {v}\r\n" for k, v in door.proof(hook, b"{}").items())
    head = f"POST {door.path(hook)} HTTP/1.1\r\nHost: bot.example\r\n{proof}"
    writer.write(head.encode() + rest)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()

    assert b" 500 " not in answer
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
    assert door.inbox.pushes == {}


@pytest.mark.no_cover
@pytest.mark.drill(few=30, full=1000)
async def test_forged_pushes(door: Any, genuine: Any, hook: str, repeats: Repeats) -> None:
    """Pushes to each webhook without its secret are refused with 401, and none is taken in."""
    dice, body = repeats.dice, json.dumps(genuine[hook]).encode()

    def forge() -> tuple[str, bytes, dict[str, str]]:
        other = dice.choice([name for name in HOOKS if name != hook])
        secret = [*SECRETS[hook]]
        secret[dice.randrange(len(secret))] = dice.choice("_x0-")
        near = "".join(secret) if "".join(secret) != SECRETS[hook] else SECRETS[hook][:-1]
        path = f"/hooks/pingdom/{near}" if hook == "pingdom" else door.path(hook)
        proofs: tuple[dict[str, str], ...] = (
            {},
            {
                "Authorization": dice.choice(
                    ["", "Bearer", "Bearer ", "Basic eDp4", "\xff\xfe", near]
                )
            },
            door.proof(hook, body, secret=near),
            door.proof(hook, body + b" "),
            door.proof(other, body),
        )
        proof = dice.choice(proofs if hook == "sentry" else proofs[:3] + proofs[4:])
        return path, body, proof

    statuses = {(await door.send(*forge()))[0] for _ in repeats}

    assert statuses == {401}
    assert door.inbox.pushes == {}
    assert door.counted.keys() == {(hook, "refused")}


@pytest.mark.no_cover
@pytest.mark.drill(few=60, full=1000)
async def test_spoilt_pushes(door: Any, genuine: Any, hook: str, repeats: Repeats) -> None:
    """Pushes to each webhook with its secret and bytes or values changed cause no answer 5xx."""
    dice = repeats.dice
    good = json.dumps(genuine[hook]).encode()

    def mutated() -> bytes:
        if dice.random() < 1 / 2:
            return with_one_value_replaced(good, dice)
        body = bytearray(good)
        for _ in range(dice.randrange(1, 6)):
            body[dice.randrange(len(body))] = dice.choice(b'"{}[]:,0e-\\\x00\xff ')
        return bytes(body)

    statuses = {(await door.push(hook, mutated()))[0] for _ in repeats}

    assert statuses <= {200, 202, 400, 422}
    for push in door.inbox.pushes.values():  # what was taken in can be stored
        json.dumps([asdict(item) for item in push.items], ensure_ascii=False).encode()


VALUES = (
    *("1e999", "-1e999", "1" + "0" * 400, "1" + "0" * 5000, "1e308", "-0.0", "true", "null"),
    *('"\\ud800"', '"\\u0000"', '"\\u202e"', '"9999-12-31T23:59:59Z"', f'"{"x" * 99_000}"'),
    *("[]", "{}", "[[]]", '[{"a": null}]', "[" * 900 + "]" * 900),
)
"""Values of JSON that break what does not expect them."""


def with_one_value_replaced(body: bytes, dice: Random) -> bytes:
    places = [*re.finditer(rb'(?<=[:\[,] )("[^"]*"|[\d.]+)', body)]
    place = dice.choice(places)
    return body[: place.start()] + dice.choice(VALUES).encode() + body[place.end() :]


async def test_told_quietly(
    door: Any, genuine: Any, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    """Refusals are logged once a minute with the webhook's name, and nothing of the request.

    The next line says how many were left out.
    """
    for _ in range(3):
        await door.send(door.path(hook), b'canary {"', {"Authorization": "canary"})
    door.clock.at += 61
    await door.send(door.path(hook), b'canary {"', {"Authorization": "canary"})
    door.inbox.is_broken = True
    await door.push(hook, genuine[hook])

    lines = [r.getMessage() for r in caplog.records if r.name.startswith("bot.webhooks")]
    receipt = "malformed" if hook == "pingdom" else "refused"
    line = f"refused a request to webhook {hook}: {receipt}"
    assert lines == [line, f"{line} (and 2 more since the last such line)"]
    assert "canary" not in caplog.text


def test_secrets_are_in_no_repr() -> None:
    """Neither the configuration nor the sender's authentication shows its secret."""
    config = WebhookConfig(
        senders={"sentry": SenderConfig("canary")},
        tenants={"prod": WebhookTenant(stream_token="canary")},
    )

    assert "canary" not in f"{config!r} {BearerAuth('canary')!r}"


@pytest.mark.parametrize("secret", ["", "   "])
def test_empty_secret(door: Any, secret: str) -> None:
    """A webhook with an empty secret would be open to all: it is refused."""
    tenants = {"prod": WebhookTenant(stream_token=secret)}

    with pytest.raises(ValueError, match="secret"):
        webhook_routes(
            WebhookConfig(tenants=tenants),
            inbox=door.inbox,
            counters=PushedCounts(tenants, door.clock),
            clock=door.clock,
            count=lambda *_: None,
        )


def test_every_monitor_has_its_webhook_and_its_setting(door: Any) -> None:
    """A monitor is added in one place: what it needs beside its name is not forgotten."""
    config = WebhookConfig(senders={name: SenderConfig("x") for name in MONITORS}, tenants={})
    routes = webhook_routes(
        config,
        inbox=door.inbox,
        counters=PushedCounts({}, door.clock),
        clock=door.clock,
        count=lambda *_: None,
    )

    assert [path.split("/")[2] for _, path in routes] == [*MONITORS]
    assert Webhooks.model_fields.keys() >= {*MONITORS}
    assert {section[1] for section in SENDERS} >= {*MONITORS}
