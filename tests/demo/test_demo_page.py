"""The whole demo in a real browser: the real bot behind the page."""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.async_api import async_playwright, expect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SPEED = "5"
"""So slow that a busy machine keeps up."""
PATIENCE_MS = 200_000
expect.set_options(timeout=PATIENCE_MS)
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs the package chromium"),
    pytest.mark.xdist_group("browser"),
]

SHORT = """\
format: 1
name: short
about: One minute of outage.
start: 2026-03-02T10:00:00Z
warmup: 1m
duration: 30m
tenants: {prod: {domain: acme.us.auth0.com, environment: US-1}}
controls: [neutral]
timeline:
  - {target: prod.login, from: 0m, is: {http: 503}}
"""


@pytest.fixture
async def page_url(tmp_path: Path) -> AsyncIterator[str]:
    """Start `demo` and return the address that it prints, before all else."""
    scenario = tmp_path / "short.yml"
    scenario.write_text(SHORT)
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.steady", "bot", "demo", "--port", "0", "--speed", SPEED),
        *("--scenario", str(scenario)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert demo.stdout is not None
    address = None
    while address is None:
        line = (await demo.stdout.readline()).decode()
        assert line, "the demo ended"
        address = re.search(r"http://127\.0\.0\.1:\d+/", line)
        assert address or not line.strip(), line
    yield address[0]
    demo.terminate()
    await demo.communicate()


@pytest.fixture
async def page(page_url: str) -> AsyncIterator[Page]:
    """The demo's page when the alert is there."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(page_url)
        await expect(page.get_by_label("Messages")).to_contain_text("Outage · since")
        yield page
        await browser.close()


async def test_the_alert_its_buttons_and_the_composer_work(page: Page) -> None:
    """The alert appears; Check again, a command and a direct message are answered."""
    log = page.get_by_label("Messages")

    await expect(log.get_by_text("Check Auth0 Status")).to_be_visible()
    await log.get_by_label("More actions").click()
    await log.get_by_text("Check again").click()
    await expect(log).to_contain_text("1 of 3 checks failed")
    await page.get_by_label("Message", exact=True).fill("/auth0-check")
    await page.get_by_label("Message", exact=True).press("Enter")
    await expect(log).to_contain_text("Open incidents: 1")
    await page.get_by_role("button", name="• auth0-check").click()
    await page.get_by_label("Message", exact=True).fill("is auth0 down?")
    await page.get_by_label("Message", exact=True).press("Enter")
    await expect(log).to_contain_text("Open incidents: 1")


async def test_an_incident_is_handled(page: Page) -> None:
    """Somebody takes it, notes something, silences it, and sees and ends that at Home."""
    log, form = page.get_by_label("Messages"), page.get_by_role("dialog")

    await log.get_by_role("button", name="Acknowledge").click()
    await expect(log).to_contain_text("Acknowledged by")
    await log.get_by_label("More actions").click()
    await log.get_by_role("button", name="Note…").click()
    await form.get_by_role("textbox").fill("rolled back <!channel>")
    await form.get_by_role("button", name="Note").click()
    await expect(form).not_to_be_visible()
    await expect(log).to_contain_text("rolled back")

    await log.get_by_role("button", name="Silence…").click()
    await expect(form).to_contain_text("1 incident of the last day: #1")
    await form.get_by_label("What").select_option("prod")
    await form.get_by_label("Why").fill("an upgrade")
    await form.get_by_role("button", name="Silence").click()
    await expect(form).not_to_be_visible()
    await expect(log).to_contain_text("is silenced until")

    home = page.locator("#home")
    await page.get_by_role("button", name="Home").click()
    await expect(home).to_contain_text("1 open incident")
    await expect(home).to_contain_text("an upgrade")
    await home.get_by_role("button", name="End").click()
    await expect(home).not_to_contain_text("an upgrade")
