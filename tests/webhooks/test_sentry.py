"""Sentry's alerts in the shapes of its documentation, signed by its own rule (see conftest)."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.measurement import ExternalAlert
from bot.core.model.observation import Target
from tests.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


def issue_alert(received: float | None, **event: Any) -> dict[str, Any]:
    return {
        "action": "triggered",
        "actor": {"id": "sentry", "name": "Sentry", "type": "application"},
        "data": {
            "event": {
                "event_id": "e4874d664c3540c1a32eab185f12c5ab",
                "title": "Timeout for jane@acme.example",
                "user": {"email": "jane@acme.example"},
                "issue_id": "1117540176",
                "received": received,
                "web_url": "https://sentry.io/organizations/acme/issues/1117540176/events/e48/",
                **event,
            },
            "triggered_rule": "Auth0 calls fail",
        },
        "installation": {"uuid": "a8e5d37a-696c-4c54-adb5-b3f28d64c7de"},
    }


async def test_metric_alert(only_door: Any, genuine: Any) -> None:
    """It fires from its start, and is resolved; both are the same alert."""
    content = genuine["sentry"]
    await only_door.push("sentry", content)
    content["data"]["metric_alert"]["date_closed"] = "2026-11-23T08:59:00Z"
    await only_door.push("sentry", {**content, "action": "resolved"})

    firing, resolved = only_door.inbox.items
    assert firing == ExternalAlert(
        Target("prod", "sentry"),
        id="alert 4",
        at=only_door.clock.at - 300,
        is_firing=True,
        title="Logins fail",
        link="https://sentry.io/organizations/acme/alerts/1/",
    )
    assert (resolved.id, resolved.is_firing) == (firing.id, False)
    assert resolved.at == only_door.clock.at - 60


async def test_an_end_without_a_date(only_door: Any, genuine: Any) -> None:
    """Sentry's own sample of a resolved alert has no `date_closed`: it ends now."""
    await only_door.push("sentry", {**genuine["sentry"], "action": "resolved"})

    assert only_door.inbox.items[0].at == only_door.clock.at


async def test_issue_alert(only_door: Any) -> None:
    """It fires for a while, and shows the name of the rule, not the event's title."""
    content = issue_alert(only_door.clock.at - 5)
    status, _ = await only_door.push("sentry", content, **{"Sentry-Hook-Resource": "event_alert"})

    assert status == 202
    (claim,) = only_door.inbox.items
    assert (claim.title, claim.lasts_s, claim.is_firing) == ("Auth0 calls fail", 900, True)
    assert claim.at == only_door.clock.at - 5
    assert "jane" not in repr(claim)


async def test_a_copy_of_an_old_alert(only_door: Any) -> None:
    """With a new timestamp, which is not signed, the event's old time shows it."""
    for content in (
        issue_alert(only_door.clock.at - 900),
        issue_alert(None, datetime="2026-11-23T08:40:00.677000Z"),
    ):
        headers = {"Sentry-Hook-Resource": "event_alert"}
        assert (await only_door.push("sentry", content, **headers))[0] == 200
    assert only_door.inbox.pushes == {}


@pytest.mark.parametrize("stamp", ["", "abc", "-1", "1e9", "9" * 13, "1795424099", "1795424701"])
async def test_timestamp(only_door: Any, genuine: Any, stamp: str) -> None:
    """A timestamp that is missing, malformed, or more than five minutes off is refused."""
    headers = {"Sentry-Hook-Timestamp": stamp}

    assert (await only_door.push("sentry", genuine["sentry"], **headers))[0] == 401


@pytest.mark.parametrize(
    "signature", ["", "0" * 64, "sha256=", "\u00e9" * 64, "F" * 64, "0" * 5_000]
)
async def test_signature(only_door: Any, genuine: Any, signature: str) -> None:
    """A malformed or wrong signature is refused."""
    headers = {"Sentry-Hook-Signature": signature}

    assert (await only_door.push("sentry", genuine["sentry"], **headers))[0] == 401


async def test_the_signature_is_of_the_bytes(only_door: Any, genuine: Any) -> None:
    """The same JSON in another format is not what was signed."""
    body = json.dumps(genuine["sentry"]).encode()
    other = json.dumps(genuine["sentry"], indent=1).encode()

    proof = only_door.proof("sentry", body)
    assert (await only_door.send("/hooks/sentry", other, proof))[0] == 401


@pytest.mark.parametrize("resource", ["installation", "issue", "comment", "error", "", "seer"])
async def test_other_resources(only_door: Any, resource: str) -> None:
    """Other resources are acknowledged and ignored."""
    headers = {"Sentry-Hook-Resource": resource}
    status, _ = await only_door.push("sentry", {"action": "created"}, **headers)

    assert status == 200
    assert only_door.counted == {("sentry", "ignored"): 1}


async def test_which_tenant(door: Any, default_door: Any, genuine: Any) -> None:
    """With several tenants the configuration must name one."""
    status, text = await door.push("sentry", genuine["sentry"])
    await default_door.push("sentry", genuine["sentry"])

    assert (status, "hooks.sentry.tenant" in text) == (422, True)
    assert default_door.inbox.items[0].target.owner == "eu"


SENDER = """
import sys, sentry_sdk
sentry_sdk.init(sys.argv[1], server_name="web-1")
sentry_sdk.set_user({"email": "jane@acme.example"})
try:
    raise TimeoutError("login of jane@acme.example timed out")
except TimeoutError as error:
    sentry_sdk.capture_exception(error)
sentry_sdk.flush(60)
"""
SERVER = """
import sys
from kent.app import create_app
create_app().run("127.0.0.1", int(sys.argv[1]))
"""


@pytest.fixture
async def recorded_event(door: Any) -> AsyncIterator[dict[str, Any]]:
    """An event as the real SDK sends it, recorded by a server that speaks Sentry's protocol."""
    if not (find_spec("kent") and find_spec("sentry_sdk")):
        pytest.skip("needs the package kent and the package sentry-sdk")
    host = f"127.0.0.1:{find_free_port()}"
    server = await _python(SERVER, host.rpartition(":")[2])
    try:
        for _ in range(4000):
            if await _get(door, f"http://{host}/api/eventlist/"):
                break
            await asyncio.sleep(0.05)
        sender = await _python(SENDER, f"http://public@{host}/1")
        assert await asyncio.wait_for(sender.wait(), 200) == 0
        listed = await _get(door, f"http://{host}/api/eventlist/")
        event = await _get(door, f"http://{host}/api/event/{listed['events'][0]['event_id']}")
        yield event["payload"]["body"]
    finally:
        server.kill()
        await server.wait()


async def _python(program: str, *arguments: str) -> asyncio.subprocess.Process:
    nowhere = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments), stdout=nowhere, stderr=nowhere
    )


async def _get(door: Any, url: str) -> dict[str, Any]:
    try:
        async with door.session.get(url) as answer:
            return dict(await answer.json())
    except OSError:
        return {}


async def test_an_event_of_the_real_sdk(only_door: Any, recorded_event: dict[str, Any]) -> None:
    """An alert with this event is accepted, and nothing personal in it is stored."""
    only_door.clock.at = datetime.fromisoformat(recorded_event["timestamp"]).timestamp() + 5
    content = issue_alert(None, **recorded_event, datetime=recorded_event["timestamp"])
    status, _ = await only_door.push("sentry", content, **{"Sentry-Hook-Resource": "event_alert"})

    assert "jane@acme.example" in str(recorded_event)
    assert status == 202
    (claim,) = only_door.inbox.items
    assert claim.at == pytest.approx(only_door.clock.at - 5, abs=0.001)
    assert "jane" not in repr(claim)
