"""How soon an outage is posted, whenever in the minute it begins: the figures of `make bench`."""

from __future__ import annotations

import pytest

from tests.bench_outage import QUESTIONS, TUNED, Question, ask_peer, summarize, time_messages

TOTAL = [question for question in QUESTIONS if question.share == 1]


@pytest.mark.no_cover
@pytest.mark.parametrize("question", TOTAL, ids=lambda each: each.what)
def test_the_message_comes_within_the_goal(question: Question) -> None:
    """The mean and the slowest, over onsets spread over the minute; sooner than a tuned peer."""
    seconds = time_messages(question, 8)

    assert len(seconds) == 8
    assert summarize(seconds)[0] <= min(question.goal[0], ask_peer(TUNED, question)[0])
    assert max(seconds) <= question.goal[1]


@pytest.mark.no_cover
@pytest.mark.parametrize("question", TOTAL[2:4], ids=lambda each: each.what)
def test_a_blip_of_twenty_seconds_is_never_posted(question: Question) -> None:
    """However many checks it hits."""
    assert time_messages(question, 20, to="20s") == []
