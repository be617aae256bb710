from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from bot.ports import Doubt, Refused
from bot.simulator.virtual import VirtualLoop, run_virtually
from bot.slack.web_api import RetryAfter, SlackWeb, refusal
from tests.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import Mapping

HTML = {"Content-Type": "text/html"}
JSON = {"Content-Type": "application/json"}

REFUSALS: list[tuple[Any, str, float | None]] = [
    ({"ok": False, "error": "channel_not_found"}, "channel_not_found", None),
    ({"ok": False, "error": "ratelimited"}, "ratelimited", None),
    ((429, JSON | {"Retry-After": "7"}, b'{"ok":false,"error":"ratelimited"}'), "ratelimited", 7.0),
    ((429, HTML | {"Retry-After": "30"}, b"<h1>slow down</h1>"), "ratelimited", 30.0),
    ((429, {}, b""), "ratelimited", None),
    ((429, {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}, b""), "ratelimited", None),
    ((200, {"x-envoy-ratelimited": "true"}, b""), "ratelimited", None),
    ((403, HTML, b"<h1>proxy says no</h1>"), "http_403", None),
    ((404, JSON, b'{"ok":false,"error":"unknown_method"}'), "unknown_method", None),
    ((302, {"Location": "http://127.0.0.1:9/"}, b""), "http_302", None),
]
DOUBTS: list[Any] = [
    "reset",
    "hang",
    {"ok": False, "error": "internal_error"},
    {"ok": False, "error": "fatal_error"},
    {"ok": False},
    {},
    [],
    (200, JSON, b""),
    (200, JSON, b'{"ok":tr'),
    (200, JSON, b"\xff\xfe"),
    (200, {"Content-Type": "text/plain"}, b"ok"),
    (200, {"Content-Type": "application/gzip"}, b"\x1f\x8b"),
    (200, JSON | {"Content-Length": "99"}, b'{"ok":true}'),
    (500, JSON, b'{"ok":false,"error":"internal_error"}'),
    (502, HTML, b"<h1>bad gateway</h1>"),
    (503, {}, b""),
]


@pytest.mark.parametrize(("answer", "error", "wait_s"), REFUSALS)
async def test_refusal(
    slack: Any, api: SlackWeb, answer: object, error: str, wait_s: float | None
) -> None:
    """If Slack certainly did nothing, that is a refusal, with the wait that Slack asked for."""
    slack.answers["chat.postMessage"] = answer

    with pytest.raises(Refused) as caught:
        await api.call("chat.postMessage", {"channel": "C1", "text": "hello"})

    assert (caught.value.code, caught.value.retry_after_s) == (error, wait_s)
    assert len(slack.calls) == 1


@pytest.mark.parametrize("answer", DOUBTS, ids=str)
async def test_doubt(slack: Any, answer: object) -> None:
    """If Slack may have done it, that is in doubt, and is not sent a second time."""
    slack.answers["chat.postMessage"] = answer
    api = SlackWeb("xoxb-canary", slack.api_url)

    with pytest.raises(Doubt):
        await api.call("chat.postMessage", {"channel": "C1", "text": "hello"})

    await api.close()
    assert len(slack.calls) == 1


@pytest.mark.parametrize(
    "api_url",
    [f"http://127.0.0.1:{find_free_port()}/api/", "http://nowhere.invalid/api/"],
    ids=["refused", "dns"],
)
async def test_never_connected(api_url: str) -> None:
    """Without a connection it is a refusal."""
    api = SlackWeb("xoxb-canary", api_url)

    with pytest.raises(Refused, match="unreachable"):
        await api.call("chat.postMessage", {"channel": "C1", "text": "hello"})

    await api.close()


async def test_no_tls(slack: Any) -> None:
    """A failed TLS handshake is a refusal, not a doubt."""
    api = SlackWeb("xoxb-canary", slack.api_url.replace("http", "https", 1))

    with pytest.raises(Refused, match="unreachable"):
        await api.call("auth.test", {})

    await api.close()
    assert slack.calls == []


@pytest.mark.parametrize("family", ["ipv4", "ipv6"])
async def test_address_family(slack: Any, family: str) -> None:
    """A name's addresses of the other family are left alone; this Slack has none of IPv6."""
    api = SlackWeb("xoxb-canary", slack.api_url.replace("127.0.0.1", "localhost"), family=family)

    with suppress(Refused):
        await api.call("auth.test", {})

    await api.close()
    assert bool(slack.calls) is (family == "ipv4")


async def test_form(slack: Any, api: SlackWeb) -> None:
    """Parameters are a form, structures in it JSON, and the token is only in the header."""
    blocks = [{"type": "divider"}]

    await api.call(
        "chat.postMessage",
        {"channel": "C1", "blocks": blocks, "unfurl_links": False, "limit": 3, "thread_ts": None},
    )
    await api.call("apps.connections.open", {"token": "xapp-canary"})

    form: Mapping[str, str] = slack.calls[0][1]
    assert json.loads(form["blocks"]) == blocks
    assert {key: form[key] for key in form if key != "blocks"} == {
        "channel": "C1",
        "unfurl_links": "false",
        "limit": "3",
    }
    assert slack.calls[0][2] == "Bearer xoxb-canary"
    assert slack.calls[1] == ("apps.connections.open", {}, "Bearer xapp-canary")


async def test_environment(slack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy variable of the environment does not re-route calls."""
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{find_free_port()}")
    api = SlackWeb("xoxb-canary", slack.api_url)

    assert (await api.call("auth.test", {}))["ok"] is True

    await api.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((200, {"Content-Type": "text/plain"}, b"ok"), None),
        ({"ok": True}, None),
        ((404, {"Content-Type": "text/plain"}, b"used_url"), "used_url"),
        ((404, JSON, b'{"ok":false,"error":"expired_url"}'), "expired_url"),
        ((200, JSON, b'{"ok":false,"error":"invalid_blocks"}'), "invalid_blocks"),
        ((429, {"Retry-After": "1"}, b""), "ratelimited"),
        ((404, HTML, b"<h1>Not here</h1>"), "http_404"),
    ],
)
async def test_respond(slack: Any, api: SlackWeb, answer: object, error: str | None) -> None:
    """A used or expired `response_url` is a refusal; the post is sent once, without the token."""
    slack.answers["command"] = answer
    params = {"text": "hello", "response_type": "ephemeral"}
    raised = None

    try:
        await api.respond(slack.hook("command"), params)
    except Refused as refused:
        raised = refused.code

    assert raised == error
    assert slack.calls == [("command", params, "")]


@pytest.mark.parametrize(
    "url", ["https://evil.example/hook", "https://notslack.com/x", "nonsense", "file:///etc/passwd"]
)
async def test_foreign_response_url(api: SlackWeb, url: str) -> None:
    """A `response_url` that is not Slack's is refused."""
    with pytest.raises(Refused, match="foreign_response_url"):
        await api.respond(url, {"text": "hello"})


async def test_secrets(slack: Any, api: SlackWeb) -> None:
    """Errors and representations show neither tokens nor the `response_url`."""
    slack.answers["secret-path"] = "reset"

    with pytest.raises(Doubt) as caught:
        await api.respond(slack.hook("secret-path"), {})

    shown = repr(caught.value) + repr(api) + repr(vars(caught.value))
    assert "secret-path" not in shown
    assert "canary" not in shown


async def test_a_wait_is_kept(slack: Any, api: SlackWeb) -> None:
    """Until it is over the same method is not called for the same channel; all else is."""
    slack.answers["chat.postMessage"] = 429, {"Retry-After": "30"}, b""
    waits = []
    for _ in range(3):
        with pytest.raises(Refused, match="ratelimited") as caught:
            await api.call("chat.postMessage", {"channel": "C1", "text": "hello"})
        waits.append(caught.value.retry_after_s or 0.0)
    assert len(slack.calls) == 1
    assert waits[0] == 30.0
    assert 29.0 < waits[2] <= 30.0

    del slack.answers["chat.postMessage"]
    await api.call("chat.postMessage", {"channel": "C2", "text": "hello"})
    await api.call("chat.update", {"channel": "C1", "ts": "1.0", "text": "hello"})
    assert len(slack.calls) == 3


@pytest.mark.parametrize(
    ("method", "asked_s", "kept_s"),
    [
        ("chat.postMessage", 30.0, 30.0),
        ("chat.postMessage", 86_400.0, 300.0),
        ("chat.update", 86_400.0, 86_400.0),
    ],
)
def test_a_wait_ends(method: str, asked_s: float, kept_s: float) -> None:
    """When Slack said; for new messages, as alerts are, after five minutes at the latest."""

    async def main(loop: VirtualLoop) -> None:
        retry_after = RetryAfter()
        with pytest.raises(Refused), retry_after.keep(method, "C1"):
            raise refusal("ratelimited", asked_s)
        await asyncio.sleep(kept_s - 0.1)
        with pytest.raises(Refused), retry_after.keep(method, "C1"):
            raise AssertionError("it was called too early")
        await asyncio.sleep(0.2)
        with retry_after.keep(method, "C1"):
            assert loop.time() > kept_s

    run_virtually(main)
