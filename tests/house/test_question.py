"""What a question costs: no commit before its answer, and few modules on its way."""

from __future__ import annotations

import pytest

from bot.core.model.access import Verb
from bot.core.model.command import PLAIN_QUESTIONS
from tests.house.question import ask

UNCLEAR = ("", "alerts open 24h", "why 7", "report never", "run nowhere", "frobnicate")
AUDITED = 1


@pytest.mark.parametrize("text", [*PLAIN_QUESTIONS, *UNCLEAR])
async def test_a_question_needs_no_commit(text: str) -> None:
    """It is answered from the state; who reads the audit log or examines the set-up is recorded."""
    asked = await ask(text)

    assert asked.answer
    assert asked.commits + asked.later_commits == (
        AUDITED if text in {Verb.AUDIT, Verb.DOCTOR} else 0
    )


async def test_an_action_is_committed_before_its_answer() -> None:
    """The count does count: the inbox, the state with the outbox, the try, and its end."""
    asked = await ask("ack 7")

    assert asked.commits + asked.later_commits >= 4


async def test_the_way_of_a_question_avoids_the_outbox() -> None:
    """The status passes neither the step nor the delivery."""
    asked = await ask("status")

    assert not {"bot.runtime.delivery", "bot.core.step"} & asked.modules
    assert {"bot.slack.inbound.listeners", "bot.slack.render.status"} <= asked.modules
