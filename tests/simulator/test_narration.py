"""What a story's page says of its world."""

from __future__ import annotations

import pytest

from bot.simulator.narration import narrate
from bot.simulator.reading import example_names, load_example


def test_the_events_of_a_world() -> None:
    """Faults with their places and parts, users, the status page: each with its time."""
    scenario = load_example("region-503")
    told = [(event.at - scenario.start_at, event.text) for event in narrate(scenario)]

    assert told[:4] == [
        (0.0, "Logins to prod, staging: HTTP 503 temporarily_unavailable"),
        (0.0, "The signing keys of prod, staging: 60% of the requests: HTTP 502"),
        (0.0, "Users of checkout at prod: 97% of their logins fail"),
        (300.0, "Auth0's status page says “Investigating: Login errors”"),
    ]
    assert (2100.0, "Logins to prod, staging: well again") in told


@pytest.mark.parametrize("name", example_names())
def test_each_story_has_events(name: str) -> None:
    """Something happens in each of them, in its order, and every line is a whole one."""
    events = narrate(load_example(name))

    assert events == sorted(events, key=lambda event: event.at)
    assert events
    assert all("{" not in event.text and "None" not in event.text for event in events)
