"""Who is called, as the workspace and the contact points saw it; and whether that was right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.simulator.reading import load_file
from bot.simulator.simulation import play_scenario

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.simulator.scenario import Scenario
    from tests.stories.conftest import Told

    Tell = Callable[..., Told]

WORLDS = sorted((Path(__file__).parents[1] / "scenarios" / "calls").glob("*.yml"))
OUTAGE = """\
timeline:
  - {target: [prod.login, prod.wellknown], from: 2m, to: 20m, is: {http: 503}}
"""
ON_CALL = """\
bot:
  oncall: {rotation: {people: [U0CHIEF, U012BEN], hand_over: "Mon 09:00", start: 2026-03-02}}
  notify: [{name: pager, pagerduty: {routing_key: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk}}]
  escalation: {critical: [{after: 1m, tell: dm}, {after: 2m, tell: pager}], repeat: 1, every: 3m}
"""


def calls(told: Told) -> list[tuple[str, list[str], str]]:
    """Return how, whom and why each call called."""
    return [(call["how"], call["who"], call["reason"]) for call in told.of("call")]


def test_each_step_is_a_call_by_its_way(tell: Tell) -> None:
    """The first mention, then a direct message and a page; PagerDuty only logs the second page."""
    told = tell(ON_CALL + OUTAGE)

    assert calls(told) == [
        ("mention", ["U0CHIEF"], "begun"),
        ("dm", ["U0CHIEF"], "unacknowledged"),
        ("page", ["pager"], "unacknowledged"),
        ("dm", ["U0CHIEF"], "unacknowledged"),
    ]
    assert {tuple(call["tenants"]) for call in told.of("call")} == {("prod",)}
    assert [(page["action"], page["step"]) for page in told.of("page")] == [
        ("trigger", 2),
        ("trigger", 2),
        ("resolve", None),
    ]
    assert told.summary["calls"] == [
        [call["t"], call["how"], call["reason"], ["prod"]] for call in told.of("call")
    ]


def test_a_call_is_made_with_the_message_that_calls(tell: Tell) -> None:
    """At the same moment, right after it."""
    told = tell(ON_CALL + OUTAGE)
    before = [told.events[told.events.index(call) - 1] for call in told.of("call")]

    assert [event["event"] for event in before] == ["message", "message", "page", "message"]
    assert [event["t"] for event in before] == [call["t"] for call in told.of("call")]


def test_an_acknowledgement_by_click_ends_the_calls(tell: Tell) -> None:
    """The button of the message in the channel; what it edits and says then calls nobody."""
    click = "people: [{at: 3.5m, user: U012BEN, click: acknowledge, incident: 1}]\n"
    told = tell(ON_CALL + OUTAGE + click)

    assert [how for how, _, _ in calls(told)] == ["mention", "dm"]
    assert told.of("click")[0]["result"] == "pressed"
    assert [event["state"] for event in told.of("incident")] == ["open", "acknowledged", "resolved"]


def test_slack_takes_a_message_to_somebody_asleep_and_wakes_nobody(tell: Tell) -> None:
    """The page is the first call."""
    told = tell(ON_CALL + OUTAGE + "users: {U0CHIEF: dnd}\n")

    assert [how for how, _, _ in calls(told)] == ["page"]
    assert [event["channel"] for event in told.of("message", kind="dm")] == ["DU0CHIEF"] * 2


def test_slack_refuses_a_message_to_somebody_who_is_not_there(tell: Tell) -> None:
    """And a mention of them calls nobody."""
    told = tell(ON_CALL + OUTAGE + "users: {U0CHIEF: missing}\n")

    assert [how for how, _, _ in calls(told)] == ["page"]
    assert told.of("message", kind="dm") == []


@pytest.mark.parametrize("channel", ["#night", "C0NIGHT99", "#general"])
def test_the_channel_of_a_scenario_is_there(tell: Tell, channel: str) -> None:
    """By its name or id; people type their commands in it."""
    slack = f'bot: {{slack: {{channel: "{channel}", mention: U0CHIEF}}}}\n'
    told = tell(slack + OUTAGE + "people: [{at: 5m, user: U1, say: /auth0-check ack}]\n")
    messages = told.of("message")

    assert {message["channel"] for message in messages} == {channel.lstrip("#")}
    assert {message["kind"] for message in messages} >= {"post", "ephemeral", "reply"}
    assert calls(told)[0] == ("mention", ["U0CHIEF"], "begun")


def test_a_guest_is_called_and_may_do_nothing(tell: Tell) -> None:
    """Slack notifies guests of the channel like everybody else."""
    click = "people: [{at: 3m, user: U0CHIEF, click: acknowledge, incident: 1}]\n"
    told = tell(ON_CALL + OUTAGE + "users: {U0CHIEF: guest}\n" + click)

    assert calls(told)[0] == ("mention", ["U0CHIEF"], "begun")
    assert {event["state"] for event in told.of("incident")} == {"open", "resolved"}


def test_a_contact_point_that_refuses_accepts_no_page(tell: Tell) -> None:
    """What the bot sent in vain is no page, and no call."""
    told = tell(ON_CALL + OUTAGE + "  - {target: notify.pager, is: {http: 400}}\n")

    assert told.of("page") == []
    assert {how for how, _, _ in calls(told)} == {"mention", "dm"}


def until_decided(scenario: Scenario) -> Scenario:
    """Cut off what can change the result of the calls no more."""
    answer = scenario.answer
    if answer is None or answer.calls_most is not None:
        return scenario
    ends = [each.until_s for each in answer.called] + [each.until_s for each in answer.quiet]
    return replace(scenario, duration_s=min(scenario.duration_s, max(ends) + 1.0))


@pytest.mark.parametrize("file", WORLDS, ids=lambda file: file.stem)
def test_the_right_people_are_called(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody in each span that wants it, nobody in a quiet one, and not too often."""
    scenario = until_decided(load_file(file))
    caplog.set_level("ERROR")  # where Slack is away, that is logged
    played = play_scenario(scenario, scenario.seed, lambda _: None, requests=False)

    assert caplog.records == []
    assert played.calls_correct
