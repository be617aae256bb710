from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.crashes.conftest import Story

    Play = Callable[..., Story]

PARTS = 4
FATES = st.sampled_from(["answered", "lost", "late", "cut", "limited", "unreachable"])


def verify(story: Story, *, is_whole: bool = True) -> None:
    """One message, up to date; each reply once and in order; nothing open; people answered.

    Where the message was deleted (not `is_whole`) some replies are gone with it.
    """
    kept = asyncio.run(story.store.load(story.clock.now()))
    assert kept.desk is not None
    (incident,) = kept.desk.incidents.values()
    (card,) = [m for m in story.messages if not m.thread_ts]
    assert incident.card is not None
    assert (card.ts, card.text.split(":")[0]) == (incident.card.ts, "RESOLVED")
    said = [m for m in story.messages if m.thread_ts and m.metadata]
    replies = [m.metadata["event_payload"]["k"] for m in said if m.metadata]
    wanted = [f"{incident.id}:reply:{number}" for number in range(1, incident.replies + 1)]
    assert replies == [key for key in wanted if is_whole or key in replies]
    assert (kept.deliveries, kept.received) == ({}, ())
    assert all(story.answered[user] >= 2 for user in story.acknowledged)


def test_undisturbed_nobody_is_answered_twice(play: Play) -> None:
    """The story itself: each of three people hears that a run began, and how it ended."""
    story = play([])

    verify(story)
    assert story.answered == {"U1": 2, "U2": 2, "U3": 2}
    assert len([m for m in story.messages if m.thread_ts]) == 4


@pytest.mark.parametrize("part", range(PARTS))
def test_one_death_anywhere(play: Play, part: int) -> None:
    """Wherever the process dies, the incident is told once and to its end."""
    for last in range(part, play([]).touched, PARTS):
        verify(play([last]))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(deaths=st.lists(st.integers(0, 120), max_size=4), fates=st.lists(FATES, max_size=25))
def test_many_deaths_and_lost_answers(play: Play, deaths: list[int], fates: list[str]) -> None:
    """Whatever becomes of each call to Slack as well; what was done late is found late."""
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
    """It is posted anew, once."""
    verify(play(deaths, fates, deleted_at_s), is_whole=False)
