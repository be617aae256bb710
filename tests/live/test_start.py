from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, Any

import pytest

from bot.simulator.workspace.model import App

if TYPE_CHECKING:
    from tests.live.conftest import Town

CANARIES = r"canary|local-workspace"


async def refusal(town: Town, auth0_check: Any, **changes: Any) -> str:
    """Run with sections replaced; return the one line that it ends with."""
    async with auth0_check("run", "--config", town.write(**changes)) as child:
        assert await child.ended() == 1
    (line,) = [line for line in child.lines if not re.match(r"\d{4}-.* INFO ", line)]
    assert not re.search(CANARIES, "\n".join(child.lines))
    return str(line)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"bot_token": "xoxb-canary"}, "SLACK_BOT_TOKEN (invalid_auth): copy the Bot User OAuth"),
        ({"app_token": "xapp-canary"}, "SLACK_APP_TOKEN is refused by Slack (invalid_auth)"),
        ({"channel": "C0NOWHERE"}, "SLACK_CHANNEL C0NOWHERE is unknown to the bot"),
        ({"channel": "#nowhere"}, "SLACK_CHANNEL #nowhere is unknown to the bot"),
        ({"api_url": "http://127.0.0.1:9/api/"}, "cannot be reached: check this machine's network"),
    ],
)
async def test_what_is_wrong_with_slack(
    town: Town, auth0_check: Any, changed: dict[str, str], told: str
) -> None:
    """One line with the remedy, and the bot watches all the same."""
    config = town.write(slack=town.config["slack"] | changed)
    async with auth0_check("run", "--config", config) as child:
        line = (await child.says(rf"(?:ERROR|WARNING) bot\.slack\.session: .*{re.escape(told)}.*"))[
            0
        ]
        await child.says("first check of prod.login: ok")
        assert await child.stop() == 0

    assert "The bot checks logins and pages without Slack" in line
    assert not re.search(CANARIES, "\n".join(child.lines))


async def test_a_missing_scope(town: Town, auth0_check: Any) -> None:
    """Without chat:write the bot says so, and watches."""
    town.workspace.state.app = App(scopes=frozenset({"commands", "channels:read"}))
    async with auth0_check("run", "--config", town.write()) as child:
        await child.says("lacks the scopes app_mentions:read, chat:write")
        await child.says("first check of prod.login: ok")
        assert await child.stop() == 0


async def test_a_channel_by_its_name(town: Town, auth0_check: Any) -> None:
    """The bot posts to the channel of that name; SIGTERM ends it cleanly."""
    slack = town.config["slack"] | {"channel": "#auth0-alerts"}
    async with auth0_check("run", "--config", town.write(slack=slack)) as child:
        await child.says("Connected to Slack")
        town.world.is_down = True
        await town.until(town.said)
        assert await child.stop() == 0
        assert "Traceback" not in "\n".join(child.lines)


async def test_a_login_that_is_refused_from_the_start(town: Town, auth0_check: Any) -> None:
    """The bot logs it at once with the remedy, and does not repeat the login for ever."""
    tenant = town.config["tenants"][0]
    login = tenant["logins"][0] | {"password": "canary-wrong"}
    config = town.write(tenants=[tenant | {"logins": [login]}])
    async with auth0_check("run", "--config", config) as child:
        told = await child.says("ERROR .*first check of prod.login failed: .*")
        await child.says("Connected to Slack")
        await town.command("status")
        await town.until(lambda: town.said("U1"))

    assert "invalid_grant" in told[0]
    assert "Set the test user's new password" in told[0]
    assert "one failure" in town.said("U1")[0].text
    assert not re.search(CANARIES, "\n".join(child.lines))


async def test_a_lost_database(town: Town, auth0_check: Any) -> None:
    """The open alert of before is marked: its buttons would do nothing."""
    config = town.write()
    async with auth0_check("run", "--config", config) as child:
        await child.says("first check of prod.wellknown: ok")
        town.world.is_down = True
        await town.until(town.said)
        await child.kill()
    for file in town.folder.glob("auth0-check.sqlite*"):
        file.unlink()
    town.world.is_down = False
    async with auth0_check("run", "--config", config) as child:
        await child.says("has 1 open alert.* of an earlier one")

    assert town.said()[0].text.startswith("NO LONGER UPDATED, was ")


async def test_a_database_in_use(town: Town, auth0_check: Any) -> None:
    """A second bot with the same database does not start."""
    async with auth0_check("run", "--config", town.write()) as child:
        await child.says("Connected to Slack")
        assert "is in use by another auth0-check: stop that one" in await refusal(town, auth0_check)


async def test_a_port_in_use(town: Town, auth0_check: Any) -> None:
    """The error names the setting, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        line = await refusal(town, auth0_check, server={"admin_listen": listen})

    assert "server.admin_listen cannot be listened on" in line
    assert "choose another port, or end the program that has it" in line
