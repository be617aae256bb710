from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.measurement import ChangeMade
from bot.core.model.observation import FeedReading, FeedState, Observation, Outcome, Target
from bot.core.signals.probe_threshold import ProbeState
from bot.core.state.tenant import (
    CHANGES_KEPT_S,
    MAX_CHANGES,
    SharedSignals,
    with_changes,
    with_control,
    with_reading,
)

NOW = 100_000.0


def change(id_: str, ago_s: float = 0.0) -> ChangeMade:
    return ChangeMade(id_, NOW - ago_s, "deploy")


changes = st.lists(
    st.builds(change, st.integers(0, 40).map(str), st.floats(0, 2 * CHANGES_KEPT_S)),
    max_size=60,
    unique_by=lambda c: c.id,
)


@pytest.mark.no_cover
@given(changes, st.randoms(use_true_random=False), st.integers(1, 7))
def test_order_and_repetition_of_changes_do_not_matter(
    reported: list[ChangeMade], random: Any, size: int
) -> None:
    """All at once, or shuffled, twice and in pieces: the same changes, the oldest first."""
    at_once = with_changes(SharedSignals(), reported, NOW)
    mixed = [*reported, *reported]
    random.shuffle(mixed)
    in_pieces = SharedSignals()
    for begin in range(0, len(mixed), size):
        in_pieces = with_changes(in_pieces, mixed[begin : begin + size], NOW)

    assert {c.id for c in in_pieces.changes} == {c.id for c in at_once.changes}
    assert [c.at for c in in_pieces.changes] == sorted(c.at for c in at_once.changes)


def test_old_changes_are_dropped() -> None:
    """A change of more than two hours ago is no longer suspect."""
    shared = with_changes(SharedSignals(), [change("old", CHANGES_KEPT_S - 1)], NOW)
    assert [c.id for c in shared.changes] == ["old"]

    assert [c.id for c in with_changes(shared, [change("new")], NOW + 1).changes] == ["new"]


def test_a_pipeline_that_deploys_all_the_time_does_not_fill_the_state() -> None:
    """The newest are kept."""
    shared = with_changes(
        SharedSignals(), [change(str(ago), ago) for ago in range(5 * MAX_CHANGES)], NOW
    )

    assert [c.id for c in shared.changes] == [str(ago) for ago in reversed(range(MAX_CHANGES))]


def test_a_control_endpoint_is_a_signal() -> None:
    """A success is remembered with its time."""
    shared = SharedSignals(controls={"neutral": ProbeState()})
    result = Observation(Target("control", "neutral"), NOW, Outcome.OK, 0.1)

    assert with_control(shared, result, 60.0).controls["neutral"].last_ok_at == NOW


def test_a_feed_keeps_its_state_while_it_cannot_be_read() -> None:
    """Its status incidents stay, and so does the time since when it is unreachable."""
    feed = Target("feed", "US-1")
    shared = with_reading(SharedSignals(), FeedReading(feed, NOW, FeedState.OK))
    for at in (NOW + 60, NOW + 120):
        shared = with_reading(shared, FeedReading(feed, at, FeedState.UNREACHABLE))
    view = shared.feeds["US-1"]

    assert (view.state, view.since, view.read_at) == (FeedState.UNREACHABLE, NOW + 60, NOW)
