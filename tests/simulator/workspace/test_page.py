"""The page in a real browser."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio
from playwright.async_api import async_playwright, expect

from bot.simulator.workspace.server import WorkspaceServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from playwright.async_api import Browser, Page

    from bot.simulator.workspace.transports import Envelope
    from tests.simulator.workspace.conftest import Bench

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
PATIENCE_MS = 200_000
expect.set_options(timeout=PATIENCE_MS)
pytestmark = [
    pytest.mark.skipif(not CHROMIUM.exists(), reason="needs the package chromium"),
    pytest.mark.asyncio(loop_scope="module"),  # one browser for all
    pytest.mark.xdist_group("browser"),
]


def text(words: str) -> dict[str, str]:
    return {"type": "plain_text", "text": words}


CONFIRM = {
    "title": text("Sure?"),
    "text": text("It goes on."),
    "confirm": text("Do it"),
    "deny": text("Leave it"),
}
CARD = [
    {"type": "section", "text": {"type": "mrkdwn", "text": "*Login* failing :red_circle:"}},
    {
        "type": "actions",
        "elements": [
            {"type": "button", "action_id": "ack", "text": text("Acknowledge"), "value": "A-42"},
            {"type": "button", "action_id": "end", "text": text("Resolve"), "confirm": CONFIRM},
            {
                "type": "button",
                "action_id": "status",
                "text": text("Check Auth0 Status"),
                "url": "https://status.auth0.com",
            },
            {
                "type": "static_select",
                "action_id": "silence",
                "placeholder": text("Silence"),
                "options": [{"text": text("30 minutes"), "value": "30m"}],
            },
            {
                "type": "overflow",
                "action_id": "more",
                "options": [{"text": text("Run now"), "value": "run"}],
            },
        ],
    },
]


FIELDS: list[tuple[str, str, dict[str, Any], dict[str, bool]]] = [
    (
        "what",
        "What",
        {"type": "static_select", "options": [{"text": text("Prod"), "value": "prod"}]},
        {"dispatch_action": True},
    ),
    ("until", "Until", {"type": "datetimepicker"}, {"optional": True}),
    ("why", "Why", {"type": "plain_text_input"}, {}),
]
FORM: dict[str, Any] = {
    "type": "modal",
    "callback_id": "silence",
    "title": text("Silence"),
    "submit": text("Mute"),
    "blocks": [
        {
            "type": "input",
            "block_id": name,
            "label": text(label),
            "element": {"action_id": name} | element,
        }
        | more
        for name, label, element, more in FIELDS
    ],
}


NEXT_CHANGE = """() => {
  const changes = new EventSource("/page/changes");
  window.nextChange = new Promise((arrived) => { changes.onmessage = () => arrived(); });
  return new Promise((opened) => { changes.onopen = () => opened(); });
}"""
"""Lets `window.nextChange` wait until a change has come to the page."""


class Bot:
    """A transport that records what people did."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = {}
        self.heard: list[Envelope] = []
        self._arrived = asyncio.Condition()
        self.first_takes_s = 0.0

    async def deliver(self, envelope: Envelope) -> dict[str, str]:
        takes_s, self.first_takes_s = self.first_takes_s, 0.0
        await asyncio.sleep(takes_s)
        async with self._arrived:
            self.heard.append(envelope)
            self._arrived.notify_all()
        return {"text": "all *well*"} if envelope.kind == "slash_commands" else self.answer

    async def hears(self, count: int) -> None:
        async with asyncio.timeout(60):
            async with self._arrived:
                await self._arrived.wait_for(lambda: len(self.heard) >= count)

    @property
    def actions(self) -> list[str]:
        return [envelope.payload["actions"][0]["action_id"] for envelope in self.heard]


@pytest.fixture
def bot(server: WorkspaceServer) -> Bot:
    server.people.transport = bot = Bot()
    return bot


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def server(bench: Bench) -> AsyncIterator[WorkspaceServer]:
    async with WorkspaceServer(bench.workspace) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def page(server: WorkspaceServer, browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    await page.goto(server.page_url)
    await expect(page.get_by_role("heading", name="# auth0-alerts")).to_be_visible()
    yield page
    await page.close()
    assert errors == []


async def test_messages_appear_and_change_in_place(bench: Bench, page: Page) -> None:
    """A post shows up by itself; an edit changes it in place and keeps the focus."""
    ts = bench.post(blocks=CARD)
    log = page.get_by_role("log", name="Messages")
    await expect(log.locator("strong")).to_have_text("Login")
    await page.get_by_role("button", name="Acknowledge").focus()

    changed = [{"type": "section", "text": text("Acknowledged")}, CARD[1]]
    bench.call("chat.update", channel="C0ALERTS", ts=ts, text="x", blocks=changed)

    await expect(log).to_contain_text("Acknowledged")
    await expect(log).to_contain_text("(edited)")
    await expect(log.locator(".message")).to_have_count(1)
    await expect(page.get_by_role("button", name="Acknowledge")).to_be_focused()
    bench.call("chat.delete", channel="C0ALERTS", ts=ts)
    await expect(log.locator(".message")).to_have_count(0)


async def test_everything_in_a_message_can_be_used(bench: Bench, bot: Bot, page: Page) -> None:
    """Buttons, menus and selects reach the bot; some ask for confirmation; links open too."""
    bench.post(blocks=CARD)

    await page.get_by_role("button", name="Acknowledge").click()
    await page.get_by_role("button", name="Resolve").click()
    await page.get_by_role("button", name="Leave it").click()
    await page.get_by_role("button", name="Resolve").click()
    await page.get_by_role("button", name="Do it").click()
    await bot.hears(2)
    await page.get_by_label("Silence").select_option("30m")
    await page.get_by_label("More actions").click()
    await page.get_by_role("button", name="Run now").click()
    link = page.get_by_role("link", name="Check Auth0 Status")
    await link.evaluate("link => link.addEventListener('click', e => e.preventDefault())")
    await link.click()

    await bot.hears(5)
    assert bot.actions == ["ack", "end", "silence", "more", "status"]
    assert bot.heard[2].payload["actions"][0]["selected_option"]["value"] == "30m"
    assert await link.get_attribute("rel") == "noopener noreferrer"


async def test_a_button_that_changes_while_it_is_pressed_is_clicked(
    bench: Bench, bot: Bot, page: Page
) -> None:
    """A message that is edited between press and release shows it afterwards."""
    ts = bench.post(blocks=CARD)
    log = page.get_by_role("log", name="Messages")
    await page.get_by_role("button", name="Acknowledge").hover()
    await page.mouse.down()
    await page.evaluate(NEXT_CHANGE)
    bench.call("chat.update", channel="C0ALERTS", ts=ts, text="x", blocks=CARD)
    await page.evaluate("window.nextChange")
    await page.mouse.up()

    await bot.hears(1)
    assert bot.actions == ["ack"]
    await expect(log).to_contain_text("(edited)")


async def test_what_is_done_first_arrives_first(bench: Bench, bot: Bot, page: Page) -> None:
    """A second click waits for the first, however long that takes."""
    names = ("first", "second")
    buttons = [{"type": "button", "action_id": name, "text": text(name)} for name in names]
    bench.post(blocks=[{"type": "actions", "elements": buttons}])
    bot.first_takes_s = 0.5

    for name in names:
        await page.get_by_role("button", name=name).click()

    await bot.hears(2)
    assert bot.actions == ["first", "second"]


async def test_threads(bench: Bench, page: Page) -> None:
    """Replies are counted under their message, and read and written beside it."""
    ts = bench.post(text="Login failing")
    bench.post(text="Auth0 posted", thread_ts=ts)
    await page.get_by_role("button", name="1 reply").click()
    replies = page.get_by_role("log", name="Replies")
    await expect(replies).to_contain_text("Auth0 posted")

    await page.get_by_label("Reply", exact=True).fill("looking")
    await page.keyboard.press("Enter")

    await expect(replies.locator(".message")).to_have_count(3)
    await expect(page.get_by_role("button", name="2 replies")).to_be_visible()
    await expect(page.get_by_role("log", name="Messages").locator(".message")).to_have_count(1)
    await page.get_by_role("button", name="Close thread").click()
    await expect(replies).not_to_be_visible()


async def test_the_composer(bench: Bench, bot: Bot, page: Page) -> None:
    """`/` is completed and sent as a command, `@bot` as a mention; the rest is a message."""
    composer = page.get_by_label("Message", exact=True)
    await composer.fill("/au")
    await expect(page.get_by_label("Commands")).to_contain_text("run TENANT")
    await composer.press("Tab")
    await composer.press_sequentially("run prod")
    await composer.press("Enter")
    log = page.get_by_role("log", name="Messages")
    await expect(log).to_contain_text("Only visible to you")
    await expect(log.locator(".ephemeral strong")).to_have_text("well")

    await composer.fill("@auth0-check status")
    await composer.press("Enter")
    await expect(log.locator(".mention")).to_have_text("@auth0-check")

    command, event = bot.heard
    assert (command.payload["text"], event.payload["event"]["text"]) == (
        "run prod",
        "<@U0BOT> status",
    )
    assert bench.workspace.messages("C0ALERTS")[-1].user == "U1"


@pytest.mark.usefixtures("bot")
async def test_foreign_text_is_never_markup(bench: Bench, page: Page) -> None:
    """HTML and script addresses stay text, whoever wrote them."""
    nasty = "<img src=x onerror=alert(1)> <javascript:alert(1)|click> &lt;b&gt; *<b>x</b>*"
    bench.post(text=nasty)
    bench.post(blocks=[{"type": "header", "text": text("<script>alert(1)</script>")}])
    await page.get_by_label("Message", exact=True).fill("<b>bold</b> & <@U2>")
    await page.keyboard.press("Enter")

    log = page.get_by_role("log", name="Messages")
    await expect(log.locator(".message")).to_have_count(3)
    await expect(log).to_contain_text("<b>bold</b> & <@U2>")
    await expect(log).to_contain_text("<script>alert(1)</script>")
    assert await log.locator("img, script, a, b").count() == 0


async def test_a_modal(bench: Bench, bot: Bot, page: Page) -> None:
    """The shortcut's modal is filled in, shows errors under its fields, keeps text, and closes."""
    await page.get_by_role("button", name="Ask Auth0 Check").click()
    await bot.hears(1)
    bench.call("views.open", trigger_id=bot.heard[0].payload["trigger_id"], view=FORM)
    modal = page.get_by_role("dialog")
    await expect(modal.get_by_role("heading")).to_have_text("Silence")

    await modal.get_by_label("Why").fill("an upgrade")
    await modal.get_by_label("What").select_option("prod")
    await bot.hears(2)
    (view,) = bench.workspace.state.modals.values()
    blocks = [*FORM["blocks"], {"type": "section", "text": text("hides nothing")}]
    bench.call("views.update", view_id=view["id"], view=FORM | {"blocks": blocks})
    await expect(modal).to_contain_text("hides nothing")
    await expect(modal.get_by_label("Why")).to_have_value("an upgrade")

    bot.answer = {"response_action": "errors", "errors": {"why": "Longer, please."}}
    await modal.get_by_role("button", name="Mute").click()
    await expect(modal).to_contain_text("Longer, please.")
    bot.answer = {}
    await modal.get_by_label("Until").fill("2026-03-02T14:00")
    await modal.get_by_role("button", name="Mute").click()
    await expect(modal).not_to_be_visible()

    values = bot.heard[-1].payload["view"]["state"]["values"]
    assert values["what"]["what"]["selected_option"]["value"] == "prod"
    assert values["why"]["why"]["value"] == "an upgrade"
    assert values["until"]["until"]["selected_date_time"] > 0


async def test_home_messages_and_another_person(bench: Bench, bot: Bot, page: Page) -> None:
    """The Home tab and direct messages are shown and used, and each person has their own."""
    button = {"type": "button", "action_id": "refresh", "text": text("Refresh")}
    home = {"type": "home", "blocks": [{"type": "actions", "elements": [button]}]}
    bench.call("views.publish", user_id="U1", view=home)

    await page.get_by_role("button", name="Home").click()
    await page.get_by_role("button", name="Refresh").click()
    await bot.hears(2)
    opened, used = (envelope.payload for envelope in bot.heard)
    assert opened["event"]["type"] == "app_home_opened"
    assert used["container"]["type"] == "view"

    await page.get_by_role("button", name="• auth0-check").click()
    await page.get_by_label("Message", exact=True).fill("is auth0 up?")
    await page.keyboard.press("Enter")
    await bot.hears(3)
    assert bot.heard[2].payload["event"]["channel_type"] == "im"

    await page.get_by_label("You are").select_option("U3")
    await page.wait_for_url("**/?me=U3")
    await page.get_by_role("button", name="• auth0-check").click()
    await expect(page.get_by_role("log", name="Messages").locator(".message")).to_have_count(0)
    await page.get_by_label("Message", exact=True).fill("/auth0-check")
    await page.keyboard.press("Enter")
    await bot.hears(4)
    assert bot.heard[3].payload["user_id"] == "U3"


async def test_unknown_blocks_are_named(bench: Bench, page: Page) -> None:
    """The page names a block that it cannot draw; it draws charts and tables."""
    series = {"name": "ok", "data": [{"label": "1", "value": 5}]}
    chart = {"type": "line", "series": [series], "axis_config": {"categories": ["1"]}}
    rows = [[{"type": "raw_text", "text": "a"}], [{"type": "raw_text", "text": "b"}]]
    bench.post(
        blocks=[
            {"type": "card", "title": text("x")},
            {"type": "data_visualization", "title": "Logins", "chart": chart},
            {"type": "table", "rows": rows},
        ]
    )

    await expect(page.get_by_text("unsupported block: card")).to_be_visible()
    await expect(page.get_by_role("img", name="Logins")).to_be_visible()
    await expect(page.get_by_role("cell", name="b")).to_be_visible()


STORY = {
    "at": 1_772_445_600.0,
    "scenario": "region-503",
    "scenarios": ["region-503", "our-release"],
    "about": "Logins fail.",
    "speed": 5.0,
    "speeds": [1.0, 5.0],
    "is_stopped": False,
    "events": [[1_772_445_590.0, "Logins to prod: HTTP 503"]],
    "end": "",
}


async def test_a_story_is_shown_and_handled(server: WorkspaceServer, page: Page) -> None:
    """Its time, what happens and how it ended are there; each control sends what is wanted."""
    asked: list[dict[str, str]] = []
    server.page.control = asked.append
    story = page.get_by_label("Story", exact=True)
    await expect(story).not_to_be_visible()
    server.page.show_story(STORY)
    await expect(story).to_contain_text("Logins to prod: HTTP 503")

    await story.get_by_role("button", name="Pause").click()
    await story.get_by_role("button", name="Next message").click()
    await story.get_by_role("button", name="Restart").click()
    await story.get_by_label("Speed").select_option("1")
    await story.get_by_label("Scenario").select_option("our-release")
    server.page.show_story({**STORY, "is_stopped": True, "end": "The end: 1 alert(s)"})

    await expect(story).to_contain_text("The end: 1 alert(s)")
    await expect(story.get_by_role("button", name="Go on")).to_be_visible()
    assert [(one["do"], one["value"]) for one in asked] == [
        ("pause", ""),
        ("step", ""),
        ("restart", ""),
        ("speed", "1"),
        ("scenario", "our-release"),
    ]


async def test_people_are_chosen_after_an_at(page: Page) -> None:
    """What is typed after @ offers names; the one that is chosen is a mention."""
    field = page.get_by_label("Message", exact=True)
    await field.fill("hand it to @ki")
    await expect(page.get_by_label("Commands")).to_contain_text("Kim Osei")
    await field.press("Enter")
    await expect(field).to_have_value("hand it to @kim ")
    await field.press("Enter")

    await expect(page.get_by_role("log", name="Messages").locator(".mention")).to_have_text(
        "@Kim Osei"
    )


async def test_theme_and_channels(bench: Bench, page: Page) -> None:
    """The other theme and the other channel are a click away."""
    before = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    await page.get_by_role("button", name="Light or dark").click()
    assert await page.evaluate("getComputedStyle(document.body).backgroundColor") != before

    bench.post(channel="C0GENERAL", text="elsewhere")
    await page.locator("nav .new").click()
    await expect(page.get_by_role("log", name="Messages")).to_contain_text("elsewhere")
