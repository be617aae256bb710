"""The real bot and a Slack that is away from the first second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from bot.simulator.workspace.model import Fault, FaultKind
from bot.simulator.workspace.transports import RequestUrl
from bot.simulator.workspace.workspace import no_fault
from tests.live.test_http_mode import in_http_mode

if TYPE_CHECKING:
    from tests.live.conftest import Town


class Pager:
    """PagerDuty's Events API, which keeps what it gets."""

    def __init__(self) -> None:
        self.actions: list[str] = []
        app = web.Application()
        app.router.add_post("/v2/enqueue", self._enqueue)
        self.server = TestServer(app)

    async def _enqueue(self, request: web.Request) -> web.Response:
        self.actions.append((await request.json())["event_action"])
        return web.json_response({"status": "success"}, status=202)

    def as_contact_point(self) -> dict[str, Any]:
        address = {"routing_key": "k" * 32, "url": f"http://127.0.0.1:{self.server.port}"}
        return {"name": "pager", "pagerduty": address}


async def test_it_watches_and_pages_without_slack(town: Town, auth0_check: Any) -> None:
    """Keys fail while Slack is away: the pager calls. Once Slack is back, all is right there."""
    pager = Pager()
    await town.server.stop()
    async with pager.server:
        config = town.write(
            notify=[pager.as_contact_point()],
            escalation={"warning": [{"after": "0s", "tell": "pager"}]},
        )
        async with auth0_check("run", "--config", config) as child:
            admin = "http://" + (await child.says(r"admin_listen: listening on (\S+)"))[1]
            await child.says("Slack at .* cannot be reached")
            await child.says("first check of prod.wellknown: ok")
            town.world.is_down = True
            await town.until(lambda: pager.actions)
            async with ClientSession() as session, session.get(f"{admin}/readyz") as answer:
                assert answer.status == 200

            await town.server.start()
            await child.says("Connected to Slack")
            await town.until(town.said)
            await town.command("status")
            await town.until(lambda: town.said("U1"))
            town.world.is_down = False
            await town.until(lambda: "work again" in town.said()[0].text)

    assert pager.actions[0] == "trigger"
    assert [m.thread_ts for m in town.said()].count("") == 1


async def test_http_mode_begins_without_slack(town: Town, auth0_check: Any) -> None:
    """A command that comes before Slack accepts the bot fails; soon after that it is answered."""
    town.workspace.fault = lambda _: Fault(FaultKind.SERVER_ERROR)
    async with auth0_check("run", "--config", in_http_mode(town)) as child:
        port = (await child.says(r"server\.listen: listening on 127\.0\.0\.1:(\d+)"))[1]
        url = f"http://127.0.0.1:{port}/slack/events"
        town.server.people.transport = RequestUrl(town.workspace.state, url)
        await child.says("gives no usable answer to auth.test")
        await child.says("first check of prod.login: ok")
        await town.command("status")
        await child.says("Refused a request to /slack/events: not connected to Slack yet")

        town.workspace.fault = no_fault
        await child.says("Slack accepts the bot")
        await town.command("status", user="U2")
        await town.until(lambda: any("prod" in m.text for m in town.said("U2")))
