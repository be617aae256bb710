from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.live.conftest import Town

LOGINS = 100


async def test_two_hundred_probes_that_hang(town: Town, auth0_check: Any) -> None:
    """People get answers although every login hangs, and an on-demand check of all tenants too."""
    hanging = 0

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal hanging
        hanging += 1
        await reader.read(-1)  # TLS begins with the client's hello: this one gets no answer
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        tenant = town.config["tenants"][0]
        login = tenant["logins"][0]
        logins = [login | {"name": f"login-{n}", "username": f"probe-{n}"} for n in range(LOGINS)]
        config = town.write(
            tenants=[tenant | {"logins": logins, "probe": {"timeout": "30s"}}],
            resolve={tenant["domain"]: f"127.0.0.1:{port}"},
        )
        async with auth0_check("run", "--config", config) as child:
            await child.says("Connected to Slack")
            await town.command("run", user="U1")
            await town.until(lambda: hanging >= 2 * LOGINS)
            await town.command("status", user="U2")
            await town.until(lambda: town.said("U2"))
            (answer,) = town.said("U2")

    assert answer.user == town.workspace.state.app.user_id
