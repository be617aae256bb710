"""The status page of the admin listener, in an outage that was played, in a real browser."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import async_playwright

from bot.app.status_page import HEADERS, render_page
from bot.simulator.reading import load_file
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import run_virtually
from tests.demo.test_demo_page import CHROMIUM, FLAGS

if TYPE_CHECKING:
    from bot.simulator.virtual import VirtualLoop

STORY = """\
format: 1
name: story
about: One tenant of two is down for ten minutes.
start: 2026-03-02T10:00:00Z
warmup: 15m
duration: 30m
tenants:
  prod: {domain: acme.us.auth0.com, environment: US-1}
  eu: {domain: acme.eu.auth0.com, environment: EU-1}
controls: [neutral]
timeline:
  - {target: prod.login, from: 0m, to: 10m, is: {http: 503, error: "<b>canary</b>"}}
"""
SIZES = {"phone": (390, 844), "desk": (1280, 900)}


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The page eight minutes into an outage, and after it."""
    file = tmp_path_factory.mktemp("story") / "story.yml"
    file.write_text(STORY)
    scenario = load_file(file)
    found: dict[str, str] = {}

    async def main(loop: VirtualLoop) -> None:
        simulation = Simulation(loop, scenario, 1, lambda _: None)
        playing = asyncio.create_task(simulation.run())
        for name, at_s in (("before", -60.0), ("down", 480.0), ("over", 1500.0)):
            await simulation.clock.sleep(scenario.start_at + at_s - simulation.clock.now())
            found[name] = render_page(simulation.engine.view())
        await playing

    run_virtually(main)
    return found


def test_the_page_says_how_things_are(pages: dict[str, str]) -> None:
    """Tenants and signals now, the days, the logins, and each incident with its cause."""
    assert "<h1>No open incident</h1>" in pages["before"]
    assert "None in seven days." in pages["before"]
    assert "<h1>1 open incident</h1>" in pages["down"]
    assert '<span class="state down">✗ down</span>' in pages["down"]
    assert '<span class="state ok">✓ ok</span>' in pages["down"]
    assert "✗ login: failing" in pages["down"]
    assert "✓ signing keys: ok" in pages["down"]
    assert "All logins to prod fail" in pages["down"]
    assert "#1 resolved" in pages["over"]
    assert "noticed after" in pages["over"]
    assert "Last seven days: " in pages["over"]
    assert "of the last hour: " in pages["over"]


def test_foreign_text_is_no_mark_up(pages: dict[str, str]) -> None:
    """Nothing that a server said becomes part of the page."""
    assert "<b>" not in pages["down"]
    assert "<script" not in pages["down"]
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]


@pytest.mark.skipif(not CHROMIUM.exists(), reason="needs the package chromium")
@pytest.mark.xdist_group("browser")
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_can_be_read_on_each_screen(pages: dict[str, str], scheme: Any) -> None:
    """Phone and desk, light and dark: nothing to scroll sideways, nothing loaded from elsewhere."""
    asked: list[str] = []
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for width, height in SIZES.values():
            size: Any = {"width": width, "height": height}
            page = await browser.new_page(viewport=size, color_scheme=scheme)
            page.on("request", lambda request: asked.append(request.url))
            await page.set_content(pages["down"])
            wide = await page.evaluate("document.documentElement.scrollWidth")
            colors = await page.evaluate(
                "(() => { const s = getComputedStyle(document.body);"
                " return [s.color, s.backgroundColor]; })()"
            )
            assert wide <= width
            assert len(set(colors)) == 2
        await browser.close()

    assert asked == []
