"""Foreign mark-up in every field that shows foreign text, in every message that shows the field."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from bot.simulator.workspace.blocks import Surface, check
from bot.slack.render.status import render_home_tab
from tests.slack.messages import test_answers, test_incidents
from tests.slack.messages.conftest import STATUS, Scene, Texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from tests.faults.drills import Repeats

MAKERS = test_answers.MESSAGES | test_incidents.MESSAGES | test_incidents.STATES
MARKS = (
    "<!channel>", "<!here>", "<!everyone>", "<@U0EVE>", "<#C0EVIL>", "<!subteam^S0EVIL>",
    "<https://evil.example|https://status.auth0.com>", "<mailto:a@evil.example|a>", "<", ">", "|",
    "<!date^0^{date}|gone>", "*bold*", "_it_", "~gone~", "`code`", "```", "\n> quote", "\n", "&",
    "&lt;!channel&gt;", "&amp;lt;", "@here", "@channel", "@everyone", ":boom:", "\u202e", "\u2066",
    "\u200b", "\u0000", "\ufeff", "\ud800", "\U0001f4a5\u200d", "%s {0.__class__} ${x}", "é" * 300,
    "<" * 4000, "&" * 4000, "*" * 4000, "x" * 14_000, "\n" * 500,
)  # fmt: skip


def draw_text(dice: Random) -> str:
    """Return marks, with other characters between them."""
    marks = dice.choices(MARKS, k=dice.randrange(1, 6))
    others = chr(dice.choice((32, 97, 0x5D0, 0x4E2D, dice.randrange(1, sys.maxunicode))))
    return dice.choice(("", " ", others)).join(marks)


def draw_scenes(repeats: Repeats) -> Iterator[Scene]:
    """Yield scenes with marks in one foreign field after the other, and in all at once."""
    for number in repeats:
        text, place = draw_text(repeats.dice), number % (len(Texts._fields) + 1)
        names = Texts._fields[place : place + 1] or Texts._fields
        yield Scene(Texts(**dict.fromkeys(names, text)))


@pytest.mark.no_cover
@pytest.mark.drill(few=200, full=2000)
def test_foreign_mark_up(repeats: Repeats, find_harm: Any) -> None:
    """Foreign text mentions nobody, labels no link and keeps Slack's limits, in whatever field."""
    for scene in draw_scenes(repeats):
        for maker in repeats.dice.sample([*MAKERS.values()], 2):
            find_harm(maker(scene))


@pytest.mark.no_cover
@pytest.mark.drill(few=30, full=1000)
def test_foreign_mark_up_at_home(repeats: Repeats, find_marks: Any) -> None:
    """Foreign text in the Home tab is as harmless as in messages."""
    for scene in draw_scenes(repeats):
        silences = {scene.silence.id: scene.silence}
        view = scene.view(scene.acknowledged, scene.muted, silences=silences)
        made = render_home_tab(view, STATUS)
        find_marks(made["blocks"])
        assert check(made["blocks"], Surface.HOME) == []
