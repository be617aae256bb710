"""A month of 20 checks with outages, pauses of the bot and wrong clocks, in virtual time."""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from bot.simulator.reading import load_file
from bot.simulator.simulation import play_scenario

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from tests.faults.drills import Repeats

HOUR_S = 3600.0
EVERY_S = 300.0
"""Between two checks of a target: ten tenants with two each."""
PACE = {"every": f"{EVERY_S:.0f}s", "light_every": f"{EVERY_S / 2:.0f}s"}
"""A light check of each tenant between two logins: at the default of one in 15 s, these would be
nine tenths of what a month costs to play."""
MENTION_S, PAGE_S, AGAIN_S = 300.0, 240.0, 1200.0
"""From the first call to the step that mentions; to the one that pages; and to the first again."""
LATE_S = 5.0
DETECTED_S = 540.0
SAID_S = 120.0
"""After a gap in the checks, the bot says so within this time."""
TENANTS = tuple(f"tenant-{number}" for number in range(10))
TARGETS = {f"{name}.{probe}" for name in TENANTS for probe in ("login", "wellknown")}
FEW_HOURS, ALL_HOURS = 5, 30 * 24


def draw_month(dice: Random, hours: int) -> dict[str, Any]:
    """Draw what fails when: at most one thing at a time."""
    timeline, at_s = list[dict[str, Any]](), dice.uniform(0.5, 2) * HOUR_S
    while at_s < (hours - 2) * HOUR_S:
        lasts_s = dice.uniform(0.2, 1.5) * HOUR_S
        how = dice.choice(
            [
                *[{"target": f"{dice.choice(TENANTS)}.*", "is": {"http": 503}}] * 3,
                {"target": "bot", "is": {"paused": True}},
                {"target": "bot", "is": {"clock": dice.choice(["+1h", "-1h", "+40s"])}},
            ]
        )
        timeline.append({**how, "from": f"{at_s:.0f}s", "to": f"{at_s + lasts_s:.0f}s"})
        at_s += lasts_s + dice.uniform(1, 30) * HOUR_S
    steps = [{"after": "5m", "tell": "mention"}, {"after": "9m", "tell": "pager"}]
    return {
        "format": 1,
        "name": "month",
        "about": "Ten tenants, and a host that pauses and has a wrong clock.",
        "start": "2026-03-02T10:00:00Z",
        "warmup": "10m",
        "duration": f"{hours}h",
        "seed": dice.randrange(1000),
        "bot": {
            "slack": {"mention": "U0CHIEF"},
            "notify": [{"name": "pager", "pagerduty": {"routing_key": "k" * 32}}],
            "escalation": {"critical": steps},
            "tenants": [{"name": name, "probe": PACE} for name in TENANTS],
        },
        "tenants": {
            name: {"domain": f"{name}.us.auth0.com", "environment": f"US-{number % 4 + 1}"}
            for number, name in enumerate(TENANTS)
        },
        "controls": ["neutral"],
        "timeline": timeline,
    }


@pytest.mark.no_cover
@pytest.mark.drill(few=1, full=10)
def test_months_of_twenty_checks(tmp_path: Path, repeats: Repeats) -> None:
    """In 30 days no check is left out for long without a word; no step is late or made twice."""
    for number in repeats:
        file = tmp_path / "month.yml"
        month = draw_month(repeats.dice, ALL_HOURS if repeats.is_full else FEW_HOURS)
        file.write_text(json.dumps(month))
        events: list[dict[str, Any]] = []
        play_scenario(load_file(file), number, events.append, requests=True)

        assert find_silent_gaps(events) == []
        assert find_wrong_steps(events, month["timeline"]) == []


def find_silent_gaps(events: list[dict[str, Any]]) -> list[str]:
    """Return where a target was not checked for two intervals, and nothing was posted."""
    checked_at = defaultdict[str, list[float]](list)
    for event in events:
        if event["event"] == "request" and event["target"] in TARGETS:
            checked_at[event["target"]].append(event["t"])
    assert checked_at.keys() == TARGETS
    said_at = [event["t"] for event in events if event["event"] == "message"]
    return [
        f"{target} from {before:.0f} to {after:.0f}"
        for target, times in checked_at.items()
        for before, after in pairwise(times)
        if after - before > 2 * EVERY_S and not any(before < at <= after + SAID_S for at in said_at)
    ]


def find_wrong_steps(events: list[dict[str, Any]], timeline: list[dict[str, Any]]) -> list[str]:
    """Return the steps that came too late, too early or twice, and outages without a call."""
    spans = [(float(one["from"][:-1]), float(one["to"][:-1]), one) for one in timeline]
    host = [(since, until) for since, until, one in spans if one["target"] == "bot"]
    calls = [event for event in events if event["event"] == "call"]
    wrong = [
        f"no call for {one['target']} from {since:.0f}"
        for since, until, one in spans
        if (since, until) not in host
        and not any(since <= call["t"] <= since + DETECTED_S for call in calls)
    ]
    for number in {call["incident"] for call in calls}:
        own = [call for call in calls if call["incident"] == number]
        for before, call in pairwise(own):
            wanted_s = MENTION_S if before["reason"] == "begun" else AGAIN_S
            if call["how"] == "page":
                wanted_s = PAGE_S
            is_disturbed = any(s <= call["t"] and before["t"] <= u for s, u in host)
            late_s = call["t"] - before["t"] - wanted_s
            is_doubled = call["how"] == before["how"] and before["reason"] != "begun"
            if call["reason"] == "unacknowledged" and (
                is_doubled or (abs(late_s) > LATE_S and not is_disturbed)
            ):
                wrong.append(f"{call['how']} of #{number} at {call['t']:.0f}: {late_s:.0f} s late")
    return wrong
