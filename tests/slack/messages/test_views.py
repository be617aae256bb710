"""The Home tab and the forms."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.access import Verb
from bot.simulator.workspace.blocks import Surface, check
from bot.slack.render.modals import Origin, ask_form, silence_form, words_form
from bot.slack.render.silences import preview_text
from bot.slack.render.status import render_home_tab

if TYPE_CHECKING:
    from collections.abc import Callable

STATUS = "https://status.auth0.com"
ORIGIN = Origin(channel="C0LOGINS", incident=7)


def view(scene: Any) -> Any:
    silences = {scene.silence.id: scene.silence}
    return scene.view(scene.acknowledged, scene.muted, silences=silences)


VIEWS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "home": lambda scene: render_home_tab(view(scene), STATUS),
    "silence-form": lambda scene: silence_form(view(scene), ORIGIN, "#7", preview_text((1, 2, 3))),
    "note-form": lambda _: words_form(ORIGIN.model_copy(update={"verb": Verb.NOTE})),
    "false-alarm-form": lambda _: words_form(ORIGIN.model_copy(update={"verb": Verb.FALSE_ALARM})),
    "ask-form": lambda scene: ask_form(view(scene), ORIGIN),
}


@pytest.mark.parametrize("name", VIEWS)
def test_the_views_are_the_golden_ones(name: str, scene: Any, compare: Any) -> None:
    """The whole views are those that a person reviewed, and Slack takes them."""
    made = VIEWS[name](scene)
    compare(f"{name}.json", json.dumps(made, indent=1, ensure_ascii=False) + "\n")

    assert check(made["blocks"], Surface(made["type"])) == []


@pytest.mark.no_cover
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_foreign_text_is_harmless_at_home(
    data: st.DataObject, scenes_of: Any, hostile: Any, find_marks: Any
) -> None:
    """Foreign text in the Home tab is as harmless as in messages."""
    made = VIEWS["home"](scenes_of(data.draw(hostile)))
    find_marks(made["blocks"])

    assert check(made["blocks"], Surface.HOME) == []
