"""The Home tab with foreign texts in it. How it and the forms look, the stories show."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.simulator.workspace.blocks import Surface, check
from bot.slack.render.status import render_home_tab

STATUS = "https://status.auth0.com"


@pytest.mark.no_cover
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_foreign_text_is_harmless_at_home(
    data: st.DataObject, scenes_of: Any, hostile: Any, find_marks: Any
) -> None:
    """Foreign text in the Home tab is as harmless as in messages."""
    scene = scenes_of(data.draw(hostile))
    silences = {scene.silence.id: scene.silence}
    view = scene.view(scene.acknowledged, scene.muted, silences=silences)
    made = render_home_tab(view, STATUS)
    find_marks(made["blocks"])

    assert check(made["blocks"], Surface.HOME) == []
