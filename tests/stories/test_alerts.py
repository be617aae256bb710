"""What the real bot shows at an instant of a scenario: alerts, direct messages, pages, forms.

The files are what `docs/alerts.md` and `docs/pictures.md` show.
`tests/slack/golden/OVERVIEW.txt` lists them.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from bot.core.model.observation import Observation, Outcome
from bot.core.state.outbox import Delivery, PagerAction, Paging
from bot.simulator.reading import load_example, load_file
from bot.simulator.scenario import UserInput
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import VirtualLoop, run_virtually
from bot.simulator.workspace.blocks import Surface, check
from bot.slack.actions import FALSE_ALARM, SILENCE
from bot.slack.render.direct_and_pager import render_pager_message
from bot.slack.render.modals import Origin, ask_form
from bot.slack.render.status import render_home_tab
from bot.slack.render.text import RenderedMessage
from tests.slack.messages.conftest import compare_golden, judge_messages

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.core.model.observation import Target
    from bot.simulator.prober import VirtualProber
    from bot.simulator.workspace.model import Channel, Message
    from bot.slack.render.text import Block

SCENARIOS = Path(__file__).parents[1] / "scenarios"
SCENES = Path(__file__).parent / "scenes"
"""Scenarios that are only shown, and not scored."""


class Scene(NamedTuple):
    """An instant of a scenario, in minutes from its start."""

    scenario: str
    minute: float
    act: tuple[float, str] | None = None
    """What somebody types, or the button that they click, and in which minute."""
    exhausted_at: float = math.inf
    """From which minute on the bot's machine has no file descriptor left, and checks nothing."""


ACKED = (10.0, "/auth0-check ack 1 I call Auth0")
ALERTS = {
    "alert-auth0": Scene("region-503", 8),
    "alert-tenant": Scene("tenant-action-throws", 8),
    "alert-quota": Scene("quota-used-up", 4),
    "alert-probe": Scene("grant-switched-off", 4),
    "alert-network": Scene("our-egress", 6),
    "alert-app": Scene("our-release", 8),
    "alert-upstream": Scene("upstream-saml-certificate", 20),
    "alert-unclear": Scene("ambiguous-nothing-but-one-probe", 6),
    "alert-over": Scene("region-503", 45),
    "alert-degraded": Scene("region-slow-900ms", 8),
    "alert-merged": Scene("merged", 16),
    "alert-acknowledged": Scene("region-503", 12, (4, "/auth0-check ack 1 I call Auth0")),
    "alert-silenced": Scene("region-503", 12, (4, "/auth0-check silence #1 1h We know of it")),
    "alert-by-hand": Scene("region-503", 12, (4, "/auth0-check resolve 1 anyway We moved users")),
    "alert-false-alarm": Scene("our-egress", 25, (8, "/auth0-check false-alarm 1 A firewall test")),
    "alert-again": Scene("calls/back-after-seven-minutes", 26),
    "alert-flapping": Scene("calls/flapping", 41),
    "alert-cannot-check": Scene("none-maintenance", 20, exhausted_at=8),
    "alert-storm": Scene("storm", 8),
}
DIRECT = {
    "direct": Scene("on-call", 6),
    "direct-acknowledged": Scene("on-call", 12, ACKED),
    "direct-over": Scene("on-call", 39),
}
PAGES = {
    PagerAction.TRIGGER: Scene("on-call", 5),
    PagerAction.ACKNOWLEDGE: Scene("on-call", 12, ACKED),
    PagerAction.RESOLVE: Scene("on-call", 39),
}
ANSWERS = {
    "resolve-confirm": Scene("on-call", 9, (8, "/auth0-check resolve 1")),
    "report": Scene("on-call", 50, (49, "/auth0-check report 24h")),
}
FORMS = {
    "silence-form": Scene("on-call", 9, (8, SILENCE)),
    "note-form": Scene("on-call", 9, (8, "note")),
    "false-alarm-form": Scene("on-call", 39.5, (39, FALSE_ALARM)),
}


class Staged(Simulation):
    """A simulation, and what it has shown; its machine can run out of file descriptors."""

    scene: Scene

    def _build_prober(self, settings: Settings) -> VirtualProber:
        prober = super()._build_prober(settings)
        probe = prober.probe
        exhausted_at = self.world.scenario.start_at + 60 * self.scene.exhausted_at

        async def try_to_probe(target: Target) -> Observation:
            seen = await probe(target)
            if self.clock.now() < exhausted_at:
                return seen
            why = "Too many open files, EMFILE"
            return Observation(target, seen.at, Outcome.NO_DATA, no_data_reason=why)

        prober.probe = try_to_probe  # type: ignore[method-assign]
        return prober

    def messages(self) -> list[tuple[Channel, Message]]:
        """All that Slack shows now, the oldest first."""
        return sorted(
            (
                (channel, message)
                for channel in self.workspace.state.channels
                for message in channel.messages.values()
            ),
            key=lambda one: one[1].ts,
        )


def play(scene: Scene) -> Staged:
    """Play a scenario up to an instant."""
    own = (folder / f"{scene.scenario}.yml" for folder in (SCENES, SCENARIOS))
    file = next((file for file in own if file.exists()), None)
    scenario = load_file(file) if file else load_example(scene.scenario)
    people = []
    if scene.act:
        at_s, act = 60 * scene.act[0], scene.act[1]
        say = act if act.startswith("/") else ""
        people = [UserInput(at_s, "U1", say, "" if say else act, incident=1)]
    scenario = replace(scenario, duration_s=60 * scene.minute, people=(*people,))
    staged: list[Staged] = []

    async def main(loop: VirtualLoop) -> None:
        played = type("Played", (Staged,), {"scene": scene})
        staged.append(played(loop, scenario, scenario.seed, lambda _: None))
        await staged[0].run()

    run_virtually(main)
    return staged[0]


def rendered(message: Message) -> RenderedMessage:
    """Return a message without the ids that the workspace gave to its blocks."""
    blocks = [
        {key: value for key, value in block.items() if not is_given(key, value)}
        for block in message.blocks
    ]
    return RenderedMessage(message.text, blocks)


def is_given(key: str, value: object) -> bool:
    """An id that the workspace has given says only how many blocks came before."""
    return key == "block_id" and re.fullmatch(r"b\d+", str(value)) is not None


def judge_view(name: str, view: Block) -> None:
    """Compare a form or a Home tab with the golden file."""
    given = {"id", "hash", "team_id", "app_id", "bot_id", "root_view_id", "external_id", "state"}
    shown = {key: value for key, value in view.items() if key not in given}
    compare_golden(f"{name}.json", json.dumps(shown, indent=1, ensure_ascii=False) + "\n")

    assert check(view["blocks"], Surface(view["type"])) == []


@pytest.mark.parametrize("name", ALERTS)
def test_the_alert_is_the_golden_one(name: str) -> None:
    """`make goldens` writes the files."""
    posts = [m for _, m in play(ALERTS[name]).messages() if not (m.thread_ts or m.only_for)]
    judge_messages(name, [rendered(posts[-1])])


@pytest.mark.parametrize("name", DIRECT)
def test_the_direct_message_is_the_golden_one(name: str) -> None:
    """Who was called learns in the same message how it went on."""
    messages = play(DIRECT[name]).messages()
    judge_messages(name, [rendered(m) for channel, m in messages if channel.partner][:1])


@pytest.mark.parametrize("name", ANSWERS)
def test_the_answer_is_the_golden_one(name: str) -> None:
    """Only the person who asked sees it."""
    answers = [message for _, message in play(ANSWERS[name]).messages() if message.only_for]
    judge_messages(name, [rendered(answers[-1])])


def test_the_correction_is_the_golden_one() -> None:
    """It calls people, and everybody in the channel sees it; the thread says what is new."""
    thread = [m for _, m in play(Scene("correction", 8)).messages() if m.thread_ts]
    judge_messages("correction", [rendered(message) for message in thread])

    assert [message.broadcast for message in thread[:2]] == [False, True]


def test_the_override_is_the_golden_one() -> None:
    """The channel learns who has the shift now, and the person who asked that it is done."""
    override = Scene("on-call", -1, (-2, "/auth0-check oncall swap <@U2> 4h"))
    judge_messages("override", [rendered(m) for _, m in play(override).messages()[-2:]])


@pytest.mark.parametrize("action", PAGES)
def test_the_page_is_the_golden_one(action: PagerAction) -> None:
    """It has a title, what is known, and a link, all without mark-up."""
    staged = play(PAGES[action])
    view = staged.engine.view()
    page = Paging(1, "pager", action)
    delivery = Delivery("k", "page", 1, page, view.now)
    link = "https://acme.slack.com/archives/C1/p1"
    message = render_pager_message(view.desk.incidents[1], view, delivery, page, link)

    assert "pager" in view.desk.incidents[1].notification.paged_at
    assert action is not PagerAction.TRIGGER or "temporarily_unavailable" in message.body
    compare_golden(f"page-{action}.txt", f"{message.title}\n\n{message.body}\n\n{message.link}\n")


@pytest.mark.parametrize("name", FORMS)
def test_the_form_is_the_golden_one(name: str) -> None:
    """A click on the alert's own button or menu opens it."""
    judge_view(name, play(FORMS[name]).workspace.state.modals["U1"])


def test_the_home_tab_and_the_shortcuts_form_are_the_golden_ones() -> None:
    """In the middle of an outage that somebody has."""
    view = play(Scene("on-call", 12, ACKED)).engine.view()
    judge_view("home", render_home_tab(view, "https://status.auth0.com"))
    judge_view("ask-form", ask_form(view, Origin(channel="C1")))
