"""Whoever sleeps is called once for what is new: in random worlds, with random acts of people."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from tests.stories.call_worlds import Span, draw_world, find_doubled, find_missing, play_world

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def _no_logs() -> Iterator[None]:
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.usefixtures("_no_logs")
@pytest.mark.parametrize("seed", [5, 28, 60, 86, 95, 111])
def test_people_are_called_in_time_and_not_twice(seed: int) -> None:
    """While all logins of a tenant fail there was a call for it, whatever people did before."""
    assert play_world(draw_world(seed)) == []


def test_a_world_in_which_nobody_is_called_is_noticed() -> None:
    """And one in which people are called twice for the same."""
    world = draw_world(1)
    world.spans = {"prod": [Span(600.0, 2000.0, "down")]}
    world.scenario["people"] = []
    call = {"event": "call", "incident": 1, "reason": "begun", "tenants": ["prod"], "t": 800.0}
    opened = {"event": "incident", "incident": 1, "state": "open", "tenants": ["prod"], "t": 700.0}

    assert find_missing(world, [opened]) == ["prod down 600-2000: no call by 840"]
    assert find_missing(world, [opened, call]) == []
    assert find_doubled(world, [opened, call]) == []
    again = {**call, "reason": "worse", "t": 1000.0}
    assert find_doubled(world, [opened, call, again]) == ["worse at 1000, 800 before"]
