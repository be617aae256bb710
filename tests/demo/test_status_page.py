"""The status page of the admin listener, in an outage that was played, in a real browser."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import async_playwright

from bot.app.status_page import HEADERS, read_past, render_page
from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.model.wall_clock import DAY_S
from bot.core.state.desk import DeskState
from bot.core.state.incident import Incident, IncidentKind, IncidentLife, Resolution
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.tenant import Tenants, TenantState
from bot.ports import Change, View
from bot.simulator.memory import MemoryStore
from bot.simulator.reading import load_file
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import run_virtually
from tests.demo.test_demo_page import CHROMIUM, FLAGS

if TYPE_CHECKING:
    from pathlib import Path

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


def play(folder: Path) -> dict[str, View]:
    """Return the bot's view before an outage, eight minutes into it, and after it."""
    file = folder / "story.yml"
    file.write_text(STORY)
    scenario = load_file(file)
    found: dict[str, View] = {}

    async def main(loop: VirtualLoop) -> None:
        simulation = Simulation(loop, scenario, 1, lambda _: None)
        playing = asyncio.create_task(simulation.run())
        for name, at_s in (("before", -60.0), ("down", 480.0), ("over", 1500.0)):
            await simulation.clock.sleep(scenario.start_at + at_s - simulation.clock.now())
            found[name] = simulation.engine.view()
        await playing

    run_virtually(main)
    return found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The page before the outage, in it and after it."""
    views = play(tmp_path_factory.mktemp("story"))
    return {name: render_page(view, {}) for name, view in views.items()}


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
    assert re.search(r"Last 90 days: [0-9.]+% up · Last 7 days: [0-9.]+% up", pages["over"])
    assert "2026-03-02: down for " in pages["over"]
    assert "2026-03-01: not watched" in pages["over"]
    assert "of the last hour: " in pages["over"]


async def test_a_restart_forgets_no_day() -> None:
    """The store knows the incidents of 90 days, of which the bot loads those of seven."""
    now = 100.5 * DAY_S
    down, false = (
        Incident(
            id=number,
            kind=IncidentKind.FAILING,
            severity=Severity.CRITICAL,
            tenants=("prod",),
            since=days * DAY_S,
            verdict=Verdict(Cause.AUTH0, Scope.ENVIRONMENT, 0.9),
            life=IncidentLife(days * DAY_S, resolved=Resolution(days * DAY_S + 7200)),
            false_alarm="" if number == 1 else "ours",
        )
        for number, days in ((1, 40), (2, 60))
    )
    store = MemoryStore()
    await store.commit(Change({}, DeskState(), {1: down, 2: false}))
    snapshot = await store.load(now)
    assert snapshot.desk
    assert snapshot.desk.incidents == {}
    rules = Rules({name: TenantRules(name, f"{name}.us.auth0.com") for name in ("prod", "eu")})
    states = {name: TenantState(watched_since=20 * DAY_S) for name in rules.tenants}
    view = View(now, rules, Tenants(states), snapshot.desk)

    page = render_page(view, await read_past(store, view))

    assert page.count('class="down" x=') == 1
    assert "1970-02-10: down for 2 h<" in page
    assert page.count("not watched<") == 2 * 9
    assert "Last 90 days: 99.90% up · Last 7 days: 100.00% up" in page


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
