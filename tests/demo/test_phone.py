"""Alerts on a phone, measured in a real browser."""

from __future__ import annotations

import pytest
from playwright.async_api import async_playwright

from tests import pictures
from tests.demo.test_demo_page import CHROMIUM, FLAGS

pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs the package chromium"),
    pytest.mark.xdist_group("browser"),
]
AROUND = 240
"""Pixels of the first screen that Slack itself takes: its head, and the field to write in."""

OVER = {f"alert-{end}" for end in ("by-hand", "false-alarm", "merged", "over")}
"""These ask nobody to do anything."""


async def test_the_buttons_of_each_alert_lie_within_the_first_screen() -> None:
    """First line, what to do, why, and all buttons: on 390 by 844 pixels, without scrolling."""
    names = sorted(file.stem for file in pictures.GOLDEN.glob("alert-*.json"))
    bottoms = {}
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name in set(names) - OVER:
            async with pictures.phone(browser, name) as node:
                message = await node.locator(".block").first.bounding_box()
                last = await node.get_by_role("button").last.bounding_box()
                assert message
                assert last
                bottoms[name] = last["y"] + last["height"] - message["y"]
        await browser.close()

    assert len(bottoms) == 15
    assert max(bottoms.values()) < pictures.PHONE["height"] - AROUND, bottoms
