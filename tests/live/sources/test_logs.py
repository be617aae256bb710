"""A tenant's log with many failures of one connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from bot.simulator.log_api import LOG_READER

if TYPE_CHECKING:
    from tests.live.sources.conftest import Scene

STREAM = "canary-stream-token"
PERSONAL = rb"canary|jane\.doe|203\.0\.113"
LOGS = {"every": "1s", "min_rows": 5}


async def test_polled(scene: Scene) -> None:
    """By the Management API: a warning that blames the identity provider behind the connection."""
    reader = {"client_id": LOG_READER, "client_secret": scene.town.tenants.secret}
    async with scene.bot(scene.write({"logs": LOGS | reader})):
        await blamed(scene)


async def test_pushed(scene: Scene) -> None:
    """By the tenant's log stream: the same, although rows come twice and in the wrong order."""
    async with scene.bot(scene.write({"logs": LOGS | {"stream_token": STREAM}})) as bot:
        rows = [*map(row, range(40))]
        for batch in (rows[20:], rows[:30]):
            status, _ = await bot.push("auth0/prod", batch, {"Authorization": STREAM})
            assert status == 202
        assert (await bot.push("auth0/prod", rows, {"Authorization": STREAM}))[0] == 200
        assert (await bot.push("auth0/prod", rows, {"Authorization": "canary-forged"}))[0] == 401
        await blamed(scene)


def row(number: int) -> dict[str, Any]:
    """Return one row as a log stream sends it: every second one failed."""
    is_failed = number % 2
    told = {
        "type": "f" if is_failed else "s",
        "client_id": "web",
        "user_name": f"canary{number}@acme.example",
        "connection": "saml-corp" if is_failed else "google-oauth2",
        "strategy_type": "enterprise" if is_failed else "social",
        "description": "SAML response without assertion" if is_failed else "",
    }
    return {"log_id": f"900{number:053d}", "data": told}


async def blamed(scene: Scene) -> None:
    """Wait for the message; no personal data is in the database."""
    firing = await scene.card("(?s)user logins to prod.*Degraded")
    assert "saml-corp" in firing
    assert "an identity provider" in firing
    files = [file.read_bytes() for file in scene.town.folder.glob("auth0-check.sqlite*")]
    assert files
    assert not any(re.search(PERSONAL, content) for content in files)
