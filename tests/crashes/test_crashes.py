from __future__ import annotations

import asyncio
import re
from math import inf
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.access import CommandOutcome, Verb
from bot.core.state.outbox import PagerAction

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.state.desk import DeskState
    from bot.core.state.incident import Incident
    from bot.simulator.workspace.model import Message
    from tests.crashes.conftest import Story

    Play = Callable[..., Story]

PARTS = 4
ANSWERS = {"U1": 2, "U2": 2, "U7": 2}
"""The people who ask for an on-demand check; all others get one answer."""
ABOUT_A_CALL = re.compile(r"Paged by|got a direct message|For \d+ (s|min)")
"""A line that has the rank of a call, or is said once somebody has taken one."""
ON_THE_WAY_S = 1.0
"""A pager message that was sent just before the acknowledgement arrives after it."""
FATES = st.sampled_from(["answered", "lost", "late", "cut", "limited", "unreachable"])


def verify(story: Story, *, is_whole: bool = True) -> None:
    """One current message; each reply once, calls in order; nothing open; an answer to everybody.

    Calls overtake what only informs, and what is said of a call waits until it was taken. Where the
    message was deleted (not `is_whole`) some replies are gone with it.
    """
    kept = asyncio.run(story.store.load(story.clock.now()))
    assert kept.desk is not None
    (incident,) = kept.desk.incidents.values()
    top = [m for m in story.messages if not m.thread_ts]
    (card,) = [m for m in top if not key(m).startswith("silence:")]
    assert incident.message.ref is not None
    assert card.ts == incident.message.ref.ts
    assert "work again" in card.text
    replies = [key(m) for m in story.messages if m.thread_ts]
    wanted = [f"{incident.id}:reply:{number}" for number in range(1, incident.message.replies + 1)]
    calls = [key(m) for m in story.messages if m.thread_ts and is_call(m)]
    called = {key(m) for m in story.messages if ABOUT_A_CALL.search(m.text)}
    news = [each for each in replies if each not in calls and each not in called]
    assert sorted(replies) == sorted(each for each in wanted if is_whole or each in replies)
    assert calls == [each for each in wanted if each in calls]
    assert news == [each for each in wanted if each in news]
    assert all(each.may_be_double for each in kept.deliveries.values())
    assert kept.inbox_items == ()
    assert all(story.answered[user] >= ANSWERS.get(user, 1) for user in story.acknowledged)
    assert [key(m) for m in top if m is not card] == [
        f"silence:{number}:end" for number in kept.desk.silences
    ]
    verify_people(story, kept.desk, incident)


def verify_people(story: Story, desk: DeskState, incident: Incident) -> None:
    """What people did counts once; after that nobody is paged, and the pager gets the end."""
    counted = [line.user for line in desk.audit]
    assert len(counted) == len(set(counted))
    assert {*story.acknowledged} <= {*counted, *ANSWERS}
    done = [line for line in desk.audit if line.outcome is CommandOutcome.DONE]
    acks = [line.user for line in done if line.verb is Verb.ACK]
    assert acks == ([incident.life.acknowledged_by] if incident.life.acknowledged_by else [])
    taken = incident.life.acknowledged
    taken_at = min(taken.at if taken else inf, incident.life.resolved_at or inf)
    calls = [at for at, action in story.pages if action is PagerAction.TRIGGER]
    assert all(at <= taken_at + ON_THE_WAY_S for at in calls)
    ends = [action for _, action in story.pages][-1:]
    assert ends == ([PagerAction.RESOLVE] if incident.notification.paged_at else [])


def key(message: Message) -> str:
    return message.metadata["event_payload"]["k"] if message.metadata else ""


def is_call(message: Message) -> bool:
    return "reason" in message.metadata["event_payload"] if message.metadata else False


def test_undisturbed_nobody_is_answered_twice(play: Play) -> None:
    """The story itself: who asks for an on-demand check gets its start and its result."""
    story = play([])

    verify(story)
    assert story.answered == {f"U{number}": ANSWERS.get(f"U{number}", 1) for number in range(1, 8)}
    assert [action for _, action in story.pages] == list(PagerAction)


@pytest.mark.parametrize("part", range(PARTS))
def test_one_death_anywhere(play: Play, part: int) -> None:
    """Wherever the process dies, the incident is posted once, and resolved."""
    for last in range(part, play([]).touched, PARTS):
        verify(play([last]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(deaths=st.lists(st.integers(0, 120), max_size=4), fates=st.lists(FATES, max_size=25))
def test_many_deaths_and_lost_answers(play: Play, deaths: list[int], fates: list[str]) -> None:
    """With any outcome of each call to Slack as well; what was done late is found late."""
    verify(play(deaths, fates))


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    deaths=st.lists(st.integers(0, 120), max_size=3),
    fates=st.lists(FATES, max_size=25),
    deleted_at_s=st.lists(st.floats(10, 60), min_size=1, max_size=2).map(sorted),
)
def test_a_message_that_somebody_deletes(
    play: Play, deaths: list[int], fates: list[str], deleted_at_s: list[float]
) -> None:
    """It is posted again, once."""
    verify(play(deaths, fates, deleted_at_s), is_whole=False)
