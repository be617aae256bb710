"""Takes pictures of all that people see in Slack: `python -m tests.pictures`, into docs/pictures.

What is shown are the golden files of tests/slack, on the page of the local workspace, in light and
dark. Needs the package chromium.
"""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from playwright.async_api import ViewportSize, async_playwright

from bot.app.status_page import render_page
from bot.core.model.wall_clock import DAY_S
from bot.core.reports import Interval, TenantStatus
from bot.core.state.tenant import Tenants
from bot.simulator.workspace.model import Channel, Group, User
from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.workspace import Workspace
from tests.demo.test_status_page import play

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Locator, Page

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "slack" / "golden"
PICTURES = ROOT / "docs" / "pictures"
QUALITY = 20
"""Of 100; text is sharp, and a picture has some 25 kB."""
PHONE = ViewportSize(width=390, height=844)
NOW = 1_772_445_900.0
CHANNEL, VIEWER = "C0LOGINS", "U0CLEO"
PEOPLE = [User(VIEWER, "cleo", "Cleo"), User("U0ANN", "ann", "Ann"), User("U0BEN", "ben", "Ben")]
AS_WIDE_AS_A_PHONE = """node => {
    for (let each = node; each.tagName !== "BODY"; each = each.parentElement) {
        for (const other of each.parentElement.children) if (other !== each) other.remove();
        each.style.cssText = "display: block; width: 390px; margin: 0; padding: 0; flex: none";
    }
}"""
"""Removes all but the messages from the page."""
PAST = {
    "prod": (
        (62, 2100.0, TenantStatus.DOWN),
        (31, 5400.0, TenantStatus.DEGRADED),
        (9, 900.0, TenantStatus.DOWN),
    ),
    "eu": ((62, 1500.0, TenantStatus.DOWN), (40, 7200.0, TenantStatus.UNOBSERVED)),
}
"""What the status page's days show: how many days ago, for how many seconds, and what."""
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def shown(name: str) -> tuple[Workspace, str]:
    """Return a workspace that shows a golden file, and where on its page."""
    ticks = count(NOW)  # a message a second is what Slack takes
    workspace = Workspace(
        lambda: next(ticks),
        people=PEOPLE,
        groups=[Group("S0OPS", "ops", ())],
        channels=[Channel(CHANNEL, "logins")],
    )
    made: Any = json.loads((GOLDEN / f"{name}.json").read_text())
    if isinstance(made, list):
        messages = made if isinstance(made[0], list) else [made]
        for blocks in filter(None, messages):
            _say(workspace, "chat.postMessage", channel=CHANNEL, text=name, blocks=blocks)
        return workspace, "#channel ol"
    if made["type"] == "home":
        _say(workspace, "views.publish", user_id=VIEWER, view=made)
        return workspace, "#home"
    trigger_id = workspace.state.grants.issue_trigger(VIEWER)
    _say(workspace, "views.open", trigger_id=trigger_id, view=made)
    return workspace, "#modal"


def _say(workspace: Workspace, method: str, **params: Any) -> None:
    body = workspace.call(method, workspace.state.app.bot_token, params).body
    if not body["ok"]:
        raise ValueError(f"{method}: {body}")


async def picture(browser: Browser, name: str) -> None:
    """Take both pictures of a golden file."""
    workspace, place = shown(name)
    async with WorkspaceServer(workspace) as server:
        for scheme in SCHEMES:
            page = await browser.new_page(
                color_scheme=scheme,
                locale="en-GB",
                timezone_id="UTC",
                viewport={"width": 1000, "height": 6000},
            )
            await page.goto(server.page_url)
            if place == "#home":
                await page.click("#to-home")
            node = page.locator(place)
            await node.locator(".block").first.wait_for()
            await node.evaluate("node => node.style.flex = 'none'")  # no higher than what it holds
            await _save(page, node, f"{name}.{scheme}")
            await page.close()


async def _save(page: Page, node: Locator, name: str) -> None:
    """Save what a node shows, in a tenth of a PNG's size."""
    box = await node.bounding_box()
    assert box, name
    session = await page.context.new_cdp_session(page)
    shot = await session.send(
        "Page.captureScreenshot",
        {"format": "webp", "quality": QUALITY, "clip": {**box, "scale": 1}},
    )
    (PICTURES / f"{name}.webp").write_bytes(base64.b64decode(shot["data"]))


@asynccontextmanager
async def phone(browser: Browser, name: str) -> AsyncIterator[Locator]:
    """Show an alert as wide as a phone; give its place on the page."""
    workspace, place = shown(name)
    async with WorkspaceServer(workspace) as server:
        page = await browser.new_page(
            color_scheme="light", locale="en-GB", timezone_id="UTC", viewport=PHONE
        )
        await page.goto(server.page_url)
        node = page.locator(place)
        await node.locator(".block").first.wait_for()
        await node.evaluate(AS_WIDE_AS_A_PHONE)
        yield node
        await page.close()


async def phone_picture(browser: Browser, name: str) -> None:
    """Take a picture of an alert as wide as a phone."""
    async with phone(browser, name) as node:
        await _save(node.page, node, f"{name}.phone")


async def status_picture(browser: Browser) -> None:
    """Take a picture of the status page in an outage; both tenants have been watched for long."""
    with TemporaryDirectory() as folder:
        view = await asyncio.to_thread(lambda: play(Path(folder))["down"])
    states = {
        name: replace(state, watched_since=view.now - 83 * DAY_S)
        for name, state in view.tenants.states.items()
    }
    view = replace(view, tenants=Tenants(states))
    past = {
        name: [
            Interval(view.now - days * DAY_S, view.now - days * DAY_S + span_s, status)
            for days, span_s, status in spans
        ]
        for name, spans in PAST.items()
    }
    page = await browser.new_page(color_scheme="light", viewport={"width": 700, "height": 900})
    await page.set_content(render_page(view, past))
    await _save(page, page.locator("body"), "status-page")
    await page.close()


async def main() -> None:
    """Take all pictures."""
    PICTURES.mkdir(exist_ok=True)
    for old in PICTURES.iterdir():
        old.unlink()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for file in sorted(GOLDEN.glob("*.json")):
            if file.stem.startswith("alert-"):
                await phone_picture(browser, file.stem)
            else:
                await picture(browser, file.stem)
        await status_picture(browser)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
