"""The workspace on a port: the SDK, response URLs, and refused clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientConnectorError, ClientSession, ServerDisconnectedError
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from bot.simulator.workspace.model import Fault, FaultKind
from bot.simulator.workspace.server import WorkspaceServer
from tests.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.simulator.workspace.conftest import Bench


@pytest.fixture
async def session() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@pytest.fixture
def client(server: WorkspaceServer, bench: Bench, session: ClientSession) -> AsyncWebClient:
    return AsyncWebClient(
        token=bench.app.bot_token,
        base_url=server.api_url,
        session=session,
        proxy="",
        retry_handlers=[],
    )


async def test_the_sdk_is_understood(client: AsyncWebClient) -> None:
    """JSON, forms and queries all arrive as the SDK sends them, and scopes come as a header."""
    posted = await client.chat_postMessage(
        channel="C0ALERTS", text="hi", blocks=[{"type": "divider"}]
    )
    found = await client.conversations_history(channel=posted["channel"], oldest="0", limit=1)
    tested = await client.auth_test()

    assert found["messages"][0]["ts"] == posted["ts"]
    assert "chat:write" in tested.headers["x-oauth-scopes"]


@pytest.mark.parametrize(
    ("kind", "status"),
    [(FaultKind.RATE_LIMITED, 429), (FaultKind.SERVER_ERROR, 500), (FaultKind.HTML, 503)],
)
async def test_refusals_reach_the_sdk(
    bench: Bench, client: AsyncWebClient, kind: FaultKind, status: int
) -> None:
    """An error of Slack reaches the SDK as an answer with its status."""
    bench.workspace.fault = lambda _method: Fault(kind, 7)

    with pytest.raises(SlackApiError) as caught:
        await client.chat_postMessage(channel="C0ALERTS", text="hi")

    response: Any = caught.value.response
    code = response["status"] if isinstance(response, dict) else response.status_code
    assert code == status


@pytest.mark.parametrize(("kind", "posts"), [(FaultKind.LOST, 1), (FaultKind.CUT, 0)])
async def test_connections_break(
    bench: Bench, client: AsyncWebClient, kind: FaultKind, posts: int
) -> None:
    """After a broken connection the bot does not know whether the call was carried out."""
    bench.workspace.fault = lambda _method: Fault(kind)

    with pytest.raises((ServerDisconnectedError, ConnectionError)):
        await client.chat_postMessage(channel="C0ALERTS", text="hi")

    assert len(bench.workspace.messages("C0ALERTS")) == posts


async def test_a_stopped_server_refuses_and_comes_back_on_its_port(bench: Bench) -> None:
    """While it is stopped it refuses connections; nothing in the workspace is lost."""
    server = WorkspaceServer(bench.workspace, port=find_free_port())
    await server.start()
    url = server.api_url
    await server.stop()
    async with ClientSession() as session:
        with pytest.raises(ClientConnectorError):
            await session.post(f"{url}api.test")
        await server.start()
        assert (server.api_url, (await session.post(f"{url}api.test")).status) == (url, 200)
    await server.stop()


async def test_a_response_url_works_five_times(
    server: WorkspaceServer, bench: Bench, session: ClientSession
) -> None:
    """The sixth answer is 404 `used_url`; refused ones count, too."""
    name = bench.workspace.state.grants.issue_response_url("C0ALERTS", "U1")
    url = f"{server.page_url}commands/{name}"
    bad = {"blocks": [{"type": "boom"}]}

    answers = []
    for body in ({"text": "a"}, bad, *[{"text": "b", "response_type": "in_channel"}] * 4):
        async with session.post(url, json=body) as response:
            answers.append((response.status, (await response.json()).get("error")))

    assert answers == [(200, None), (400, "invalid_blocks"), *[(200, None)] * 3, (404, "used_url")]
    shown = [(m.text, m.only_for) for m in bench.workspace.messages("C0ALERTS")]
    assert shown == [("a", "U1"), *[("b", "")] * 3]


def test_a_response_url_lives_half_an_hour(bench: Bench) -> None:
    """After 30 minutes, or if unknown, a response URL is gone."""
    name = bench.workspace.state.grants.issue_response_url("C0ALERTS", "U1")
    bench.at += 30 * 60 + 1

    for url in (name, "R9"):
        reply = bench.workspace.respond(url, {"text": "hi"})
        assert (reply.status, reply.body["error"]) == (404, "expired_url")


@pytest.mark.parametrize("replace", [True, False])
def test_an_answer_may_replace_or_delete_the_original(bench: Bench, *, replace: bool) -> None:
    """The answer to a click changes the message in place, or deletes it."""
    ts = bench.post()
    name = bench.workspace.state.grants.issue_response_url("C0ALERTS", "U1", ts)
    deed = {"replace_original": True, "text": "new"} if replace else {"delete_original": True}

    assert bench.workspace.respond(f"http://any/{name}", deed).body == {"ok": True}

    texts = [m.text for m in bench.workspace.messages("C0ALERTS")]
    assert texts == (["new"] if replace else [])


@pytest.mark.parametrize("path", ["", "page/state", "page/changes", "api/api.test", "socket"])
async def test_other_host_names_are_refused(
    server: WorkspaceServer, session: ClientSession, path: str
) -> None:
    """A name that points here by DNS rebinding gets nothing."""
    async with session.get(server.page_url + path, headers={"Host": "evil.example"}) as response:
        assert response.status == 403


@pytest.mark.parametrize(
    ("method", "path", "origin", "status"),
    [
        ("POST", "page/say", "http://evil.example", 403),
        ("POST", "page/say", "null", 403),
        ("POST", "page/say", None, 403),
        ("GET", "page/state", "http://evil.example", 403),
        ("GET", "page/state", None, 200),
        ("GET", "page_secret.js", None, 404),
    ],
)
async def test_other_sites_are_refused(
    server: WorkspaceServer,
    session: ClientSession,
    method: str,
    path: str,
    origin: str | None,
    status: int,
) -> None:
    """Only the page itself may act or read."""
    headers = {"Origin": origin} if origin else {}
    url = server.page_url + path
    async with session.request(method, url, headers=headers, json={}) as response:
        assert response.status == status


@pytest.mark.parametrize(
    ("body", "status"), [("[]", 400), ("{", 400), ('{"channel": "C9", "text": "x"}', 404)]
)
async def test_the_page_api_survives_nonsense(
    server: WorkspaceServer, session: ClientSession, body: str, status: int
) -> None:
    """Malformed requests get an answer, and are not logged as errors."""
    headers = {"Origin": server.page_url.rstrip("/")}
    async with session.post(server.page_url + "page/say", data=body, headers=headers) as response:
        assert response.status == status


@pytest.mark.parametrize("path", ["api/chat.postMessage", "commands/R1"])
async def test_json_that_is_none_is_refused(
    server: WorkspaceServer, session: ClientSession, path: str
) -> None:
    """A broken body is `invalid_json`."""
    headers = {"Content-Type": "application/json"}
    async with session.post(server.page_url + path, data="{", headers=headers) as response:
        assert (await response.json())["error"] == "invalid_json"
