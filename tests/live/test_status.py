from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession

if TYPE_CHECKING:
    from tests.live.conftest import Town

TOKEN = "canary-status-token"


async def test_an_application_sees_an_outage(town: Town, auth0_check: Any) -> None:
    """By configuration alone, within a second of the incident, and not without the token."""
    server = {"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0", "status_token": TOKEN}
    async with auth0_check("run", "--config", town.write(server=server)) as child:
        base = "http://" + (await child.says(r"server\.listen: listening on (\S+)"))[1]
        async with ClientSession(base) as session:

            async def ask(token: str = TOKEN) -> tuple[int, Any]:
                headers = {"Authorization": f"Bearer {token}"}
                async with session.get("/status.json", headers=headers) as answer:
                    return answer.status, await answer.json() if answer.ok else None

            await child.says("first check of prod.wellknown: ok")
            await child.says("first check of prod.login: ok")
            before = (await ask())[1]["tenants"]["prod"]
            town.world.is_down = True
            await child.says("incident=1 state=open")
            for _ in range(20):  # a second, and on a busy machine as many turns of the bot
                if (told := (await ask())[1]["tenants"]["prod"])["state"] != "ok":
                    break
                await asyncio.sleep(0.05)

            assert (before["state"], before["incident"]) == ("ok", None)
            assert (told["state"], told["incident"]) == ("degraded", 1)
            assert (told["logins"]["login"], told["signals"]["wellknown"]) == ("ok", "failing")
            assert await ask("wrong") == (401, None)
        assert TOKEN not in "\n".join(child.lines)
