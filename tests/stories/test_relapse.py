"""What is said of an outage that ends and comes back: each time that it failed counts by itself."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stories.conftest import Told

TWO_OUTAGES = """\
timeline:
  - {target: prod.login, from: 0m, to: 4m, is: {http: 503}}
  - {target: prod.login, from: 12m, to: 16m, is: {http: 503}}
metrics:
  - {signal: checkout, tenant: prod, requests: 300/min, errors: 0.1%}
  - {signal: checkout, tenant: prod, from: 0m, to: 4m, errors: 100%}
  - {signal: checkout, tenant: prod, from: 12m, to: 16m, errors: 100%}
feed:
  - at: 14m
    incident: k2v9
    title: Elevated error rates on User Authentication
    status: Investigating
    text: We are looking.
    environments: [US-1]
  - {at: 18m, incident: k2v9, status: Resolved}
people:
  - {at: 29m, user: U1, say: /auth0-check report 24h}
"""


@pytest.mark.no_cover
def test_slow_flapping_is_one_incident_and_a_call_an_hour(tell: Callable[..., Told]) -> None:
    """Three minutes down every quarter of an hour, longer apart than an incident stays open."""
    outages = "".join(
        f"  - {{target: prod.login, from: {at}m, to: {at + 3}m, is: {{http: 503}}}}\n"
        for at in range(0, 150, 15)
    )
    told = tell(f"bot: {{slack: {{mention: U0CHIEF}}}}\ntimeline:\n{outages}", duration="155m")
    late = [call["t"] for call in told.of("call") if call["t"] > 3600]

    assert told.summary["alerts"] <= 4
    assert len(late) <= 2
    assert all(after - before >= 3600 for before, after in pairwise(late))


def test_two_outages_of_four_minutes(tell: Callable[..., Told]) -> None:
    """Eight healthy minutes between them are no part of any duration, lead or share."""
    told = tell(TWO_OUTAGES)
    ends = [e["text"] for e in told.of("message", kind="update") if "work again" in e["text"]]
    lines = [e["text"] for e in told.of("message", kind="reply") if "Resolved after" in e["text"]]
    (report,) = [e["text"] for e in told.of("message", kind="ephemeral")]

    # The first end is seen by a login four seconds later.
    assert "down for 4 min 4 s." in ends[0]
    assert "down for 4 min this time, 8 min 4 s in all." in ends[-1]
    assert "Resolved after 4 min 4 s, noticed after 17 s" in lines[0]
    assert "Resolved after 4 min, noticed at once, 2 min before the status page" in lines[1]
    assert "down for 8 min" in report
    assert "came back once" in report
