"""Who is called, as the workspace and the contact points saw it; and whether that was right."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

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


def join_bot(first: str, second: str) -> str:
    """Join the `bot` of two pieces of a scenario; lists of both are put together."""
    one, two = (yaml.safe_load(text)["bot"] for text in (first, second))
    both = one | two | {"notify": [*one["notify"], *two["notify"]]}
    return yaml.safe_dump({"bot": both})


def replies(told: Told) -> list[str]:
    """Return the lines of the threads."""
    return [event["text"] for event in told.of("message", kind="reply")]


def calls(told: Told) -> list[tuple[str, list[str], str]]:
    """Return how, whom and why each call called."""
    return [(call["how"], call["who"], call["reason"]) for call in told.of("call")]


def test_each_step_is_a_call_by_its_way(tell: Tell) -> None:
    """The first mention, then a direct message and a page, and both again in the next round.

    PagerDuty would only log a second page under the first one's key: it has one of its own.
    """
    told = tell(ON_CALL + OUTAGE)

    assert calls(told) == [
        ("mention", ["U0CHIEF"], "begun"),
        ("dm", ["U0CHIEF"], "unacknowledged"),
        ("page", ["pager"], "unacknowledged"),
        ("dm", ["U0CHIEF"], "unacknowledged"),
        ("page", ["pager"], "unacknowledged"),
    ]
    assert {tuple(call["tenants"]) for call in told.of("call")} == {("prod",)}
    assert [(page["action"], page["step"]) for page in told.of("page")] == [
        ("trigger", 2),
        ("trigger", 2),
        *[("resolve", None)] * 3,
    ]
    assert told.summary["calls"] == [
        [call["t"], call["how"], call["reason"], ["prod"]] for call in told.of("call")
    ]


def test_a_call_is_made_with_the_message_that_calls(tell: Tell) -> None:
    """At the same moment, right after it."""
    told = tell(ON_CALL + OUTAGE)
    before = [told.events[told.events.index(call) - 1] for call in told.of("call")]
    ways = ["message", "message", "page", "message", "page"]

    assert [event["event"] for event in before] == ways
    assert [event["t"] for event in before] == [call["t"] for call in told.of("call")]


def test_an_acknowledgement_by_click_ends_the_calls(tell: Tell) -> None:
    """The button of the message in the channel; what it edits and says then calls nobody."""
    click = "people: [{at: 3.5m, user: U012BEN, click: acknowledge, incident: 1}]\n"
    told = tell(ON_CALL + OUTAGE + click)

    assert [how for how, _, _ in calls(told)] == ["mention", "dm"]
    assert told.of("click")[0]["result"] == "pressed"
    assert [event["state"] for event in told.of("incident")] == ["open", "acknowledged", "resolved"]


@pytest.mark.parametrize(
    ("presence", "why"), [("dnd", "Do Not Disturb"), ("missing", "does not know this person")]
)
def test_whoever_cannot_be_reached_is_passed_over_at_once(
    tell: Tell, presence: str, why: str
) -> None:
    """Slack takes the mention and wakes nobody: the page comes seconds later, not minutes."""
    told = tell(ON_CALL + OUTAGE + f"users: {{U0CHIEF: {presence}}}\n")
    opened_at = told.of("message", kind="post")[0]["t"]
    first, *_ = told.of("call")

    assert {call["how"] for call in told.of("call")} == {"page"}
    assert first["t"] - opened_at < 5.0
    assert [why in text for text in replies(told)].count(True) >= 2  # the mention, and the message
    assert not [text for text in replies(told) if "got a direct message" in text]
    assert len(told.of("message", kind="dm")) == (2 if presence == "dnd" else 0)


def test_a_call_is_said_once_slack_has_taken_it(tell: Tell) -> None:
    """Whoever Slack does not know gets no direct message, and the thread names nobody of these."""
    people = "{people: [U012ANNA, U012BEN], hand_over: 'Mon 09:00', start: 2026-02-23}"
    steps = "[{after: 0s, tell: dm}, {after: 1m, tell: next}]"
    told = tell(
        f"bot: {{oncall: {{rotation: {people}}}, escalation: {{critical: {steps}}}}}\n"
        + OUTAGE
        + "users: {U012ANNA: missing}\n"
    )
    lines = [text for text in replies(told) if "got a direct message" in text]

    assert {line.partition(" ")[0] for line in lines} == {"<@U012BEN>"}
    assert {who for _, whom, _ in calls(told) for who in whom} == {"U012BEN"}


def test_why_somebody_cannot_be_reached_is_said_once(tell: Tell) -> None:
    """Not for the mention and again for the direct message that follows at once."""
    people = "{people: [U0GONE, U0GONE2, U012BEN], hand_over: 'Mon 09:00', start: 2026-02-23}"
    steps = "{critical: [{after: 3m, tell: dm}, {after: 15m, tell: next}]}"
    told = tell(
        f"bot: {{oncall: {{rotation: {people}}}, escalation: {steps}}}\n"
        + OUTAGE
        + "users: {U0GONE: missing, U0GONE2: missing}\n"
    )
    said = [
        (event["text"], event["t"])
        for event in told.of("message", kind="reply")
        if "cannot be reached" in event["text"]
    ]

    assert said
    assert all(
        text != before or at - earlier > 60.0 for (before, earlier), (text, at) in pairwise(said)
    )


def test_that_nobody_can_be_reached_is_said_in_the_channel(tell: Tell) -> None:
    """Once every step, every contact point that is left and `slack.mention` were in vain."""
    mail = "bot: {slack: {mention: U0BOSS}, notify: [{name: mail, apprise: 'json://x.example'}]}\n"
    refused = "  - {target: [notify.pager, notify.mail], is: {http: 400}}\n"
    absent = "users: {U0CHIEF: missing, U0BOSS: dnd}\n"
    told = tell(join_bot(ON_CALL, mail) + OUTAGE + refused + absent)
    posts = told.of("message", kind="post")

    assert calls(told) == []
    assert "Nobody could be reached for" in posts[-1]["text"]
    assert 60.0 < posts[-1]["t"] - posts[0]["t"] < 90.0  # of mail it is not known at once
    assert ["<@U0BOSS>"] in [event["mentions"] for event in told.of("message", kind="reply")]
    assert not [text for text in replies(told) if "Paged by" in text]


def test_a_call_for_a_group_is_a_message_of_its_own(tell: Tell) -> None:
    """It is not known whether a reply notifies `@here`; a reply that names people does."""
    steps = "{critical: [{after: 1m, tell: mention}], repeat: 0}"
    for mention, kinds in (("@here", ["post", "post"]), ("U0CHIEF", ["post", "reply"])):
        slack = f"bot: {{slack: {{mention: '{mention}'}}, escalation: {steps}}}\n"
        told = tell(slack + OUTAGE)
        made = [event for event in told.of("message") if event["mentions"]]

        assert [event["kind"] for event in made][-2:] == kinds
        assert len(calls(told)) == 2
        assert all("#1" in event["text"] for event in made if event["kind"] == "post")


def test_whoever_was_called_learns_how_it_went_on(tell: Tell) -> None:
    """The direct message is updated like the one in the channel, and that wakes nobody."""
    ack = "people: [{at: 4m, user: U012BEN, say: /auth0-check ack 1}]\n"
    told = tell(ON_CALL + OUTAGE + ack)
    (sent,) = told.of("message", kind="dm")
    updates = [e for e in told.of("message", kind="update") if e["channel"] == sent["channel"]]

    assert any(240.0 <= event["t"] < 245.0 for event in updates)
    assert "work again" in updates[-1]["text"]
    assert all(call["t"] < 240.0 for call in told.of("call"))


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


def test_after_an_outage_of_slack_an_incident_calls_once(tell: Tell) -> None:
    """However many calls waited: one mention, and one message to each person.

    Meanwhile the alert and the first mention are one call beyond Slack.
    """
    steps = (
        "bot: {escalation: {critical: [{after: 2m, tell: mention}, {after: 3m, tell: dm}, "
        "{after: 4m, tell: next}], repeat: 1, every: 3m}}\n"
    )
    bots = [yaml.safe_load(text)["bot"] for text in (ON_CALL, steps)]
    world = yaml.safe_dump({"bot": bots[0] | bots[1]}) + OUTAGE
    told = tell(world + "  - {target: slack, from: 2m, to: 17m, is: {http: 503}}\n")
    made = [(call["how"], call["who"]) for call in told.of("call") if call["how"] != "page"]
    pages = [call["reason"] for call in told.of("call") if call["how"] == "page"]

    assert sorted(made) == [("dm", ["U012BEN"]), ("dm", ["U0CHIEF"]), ("mention", ["U0CHIEF"])]
    assert pages.count("begun") == 1


def test_what_got_worse_is_said_once(tell: Tell) -> None:
    """The call says it, so the thread has no second line with the same words."""
    slow = "  - {target: prod.login, from: 2m, to: 12m, is: {latency: 4s}}\n"
    down = "  - {target: prod.login, from: 12m, to: 28m, is: {http: 503}}\n"
    told = tell(ON_CALL + "timeline:\n" + slow + down)

    assert sum("It got worse" in line for line in replies(told)) == 1
    assert not any("Now critical" in line for line in replies(told))
