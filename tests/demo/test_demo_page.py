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
PATIENCE_MS = 30_000
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs the package chromium")

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
    """Start `demo` and return the address that it prints."""
    scenario = tmp_path / "short.yml"
    scenario.write_text(SHORT)
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bot", "demo", "--port", "0", "--speed", "20"),
        *("--scenario", str(scenario)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert demo.stdout is not None
    address = None
    while address is None:
        address = re.search(r"http://127\.0\.0\.1:\d+/", (await demo.stdout.readline()).decode())
    yield address[0]
    demo.terminate()
    await demo.communicate()


async def test_the_alert_its_buttons_and_the_composer_work(page_url: str) -> None:
    """The alert appears; Check again and /auth0-check are answered by the real bot."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = await browser.new_page()
        page.set_default_timeout(PATIENCE_MS)
        await page.goto(page_url)
        log = page.get_by_label("Messages")

        await expect(log).to_contain_text("FIRING · critical", timeout=PATIENCE_MS)
        link = log.get_by_text("Check Auth0 Status")
        await expect(link).to_be_visible()
        await log.get_by_text("Check again").click()
        await expect(log).to_contain_text("1 of 3 looks failed", timeout=PATIENCE_MS)
        await page.get_by_label("Message", exact=True).fill("/auth0-check")
        await page.get_by_label("Message", exact=True).press("Enter")
        await expect(log).to_contain_text("Open incidents: 1", timeout=PATIENCE_MS)
        await browser.close()
