from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.simulator.workspace.transports import RequestUrl
from bot.slack.actions import ACKNOWLEDGE

if TYPE_CHECKING:
    from tests.live.conftest import Town


def in_http_mode(town: Town) -> str:
    slack = {key: value for key, value in town.config["slack"].items() if key != "app_token"}
    secret = town.workspace.state.app.signing_secret
    return town.write(
        slack=slack | {"mode": "http", "signing_secret": secret},
        server={"listen": "127.0.0.1:0", "admin_listen": "127.0.0.1:0"},
    )


async def test_http_mode_by_configuration_alone(town: Town, auth0_check: Any) -> None:
    """A command, a click and a mention arrive at /slack/events and get answers."""
    async with auth0_check("run", "--config", in_http_mode(town)) as child:
        port = (await child.says(r"server\.listen: listening on 127\.0\.0\.1:(\d+)"))[1]
        url = f"http://127.0.0.1:{port}/slack/events"
        town.server.people.transport = RequestUrl(town.workspace.state, url)

        await town.command("status", user="U1")
        await town.until(lambda: town.said("U1"))
        await town.server.people.mention("U2", "C0ALERTS", "help")
        await town.until(lambda: town.said("U2"))
        town.world.is_down = True
        await town.until(lambda: [m for m in town.said() if " fail" in m.text])
        (card,) = [m for m in town.said() if " fail" in m.text]
        await town.server.people.click("U1", "C0ALERTS", card.ts, ACKNOWLEDGE)
        await town.until(lambda: len(town.said("U1")) == 2)

        assert "prod" in town.said("U1")[0].text
        assert "What you can ask" in town.said("U2")[0].text
        assert "is yours" in town.said("U1")[1].text
