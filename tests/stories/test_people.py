from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.simulator.story import Event
    from tests.stories.conftest import Told

    Tell = Callable[..., Told]

OUTAGE = "timeline:\n  - {target: prod.login, from: 2m, to: 20m, is: {http: 503}}\n"
ON_CALL = """\
bot:
  slack: {mention: "@here"}
  thresholds: {mention_after: 0s}
  oncall:
    zone: Europe/Berlin
    rotation: {people: [U1, U2], hand_over: "%s", start: 2026-03-02}
  escalation:
    critical:
      - {after: 0s, tell: dm}
      - {after: 3m, tell: mention}
      - {after: 6m, tell: next}
      - {after: 9m, tell: mention}
    repeat: 0
"""


def say(*sayings: str) -> str:
    return "people:\n" + "".join(f"  - {{{one}}}\n" for one in sayings)


def called(told: Told) -> list[tuple[str, ...]]:
    """Return whom each message mentions, of those that mention anybody."""
    return [tuple(event["mentions"]) for event in told.of("message") if event["mentions"]]


def threads(told: Told) -> list[str]:
    return [event["text"] for event in told.of("message", kind="reply")]


def answers(told: Told) -> list[str]:
    return [event["text"] for event in told.of("message", kind="ephemeral")]


def test_acknowledging_between_two_steps_ends_the_escalation(tell: Tell) -> None:
    """Who is on call is notified at once and directly; after the click nobody else is."""
    ack = say('at: 4m, user: U1, say: "/auth0-check ack looking at it"')
    told = tell(ON_CALL % "09:00" + OUTAGE + ack)

    calls = [event["t"] for event in told.of("message") if event["mentions"]]
    assert max(calls) < 245
    assert any("is on it" in line and "looking at it" in line for line in threads(told))
    assert "work again" in told.of("message", kind="update")[-1]["text"]


def test_unacknowledged_it_escalates(tell: Tell) -> None:
    """First who is on call, again, then who is next, and then nobody."""
    told = tell(ON_CALL % "09:00" + OUTAGE)

    assert called(told) == [("<@U1>",)] * 3 + [("<@U2>",), ("<@U1>",)]
    assert [event["channel"] for event in told.of("message", kind="dm")] == ["DU1", "DU2"]


def test_two_people_at_once(tell: Tell) -> None:
    """One acknowledges; the other gets that person's name."""
    ack = [f'at: 5m, user: {who}, say: "/auth0-check ack"' for who in ("U1", "U2")]
    told = tell(OUTAGE + say(*ack))

    assert sum("is on it" in line for line in threads(told)) == 1
    assert sum("> has #1, for" in line for line in answers(told)) == 1


def test_a_hand_over_during_an_incident(tell: Tell) -> None:
    """Whoever comes on call learns of the incident, and is notified from then on."""
    told = tell(ON_CALL % "11:08" + OUTAGE)

    assert called(told)[0] == ("<@U2>",)
    assert ("<@U1>",) in called(told)
    assert any("call" in line for line in threads(told))


def test_a_silence_in_the_persons_own_time(tell: Tell) -> None:
    """`until 11:15` is Dana's time in Berlin; then what goes on and what was hidden is posted."""
    told = tell(
        OUTAGE + say('at: 1m, user: U1, say: "/auth0-check silence prod until 11:15 moving"')
    )
    posts = told.of("message", kind="post")

    assert [event["t"] >= 15 * 60 for event in posts] == [False, True, True]
    assert "is silenced by <@U1>" in posts[0]["text"]
    assert any("hid 1 " in event["text"] for event in posts)


def test_maintenance_alerts_nobody(tell: Tell) -> None:
    """An outage during maintenance is posted at its end, if it goes on."""
    window = (
        "bot:\n  maintenance:\n"
        '    - {tenants: [prod], once: "2026-03-02 10:00", lasts: %s, reason: a new cluster}\n'
    )
    assert tell(window % "25m" + OUTAGE).of("message", kind="post") == []
    (post,) = tell(window % "10m" + OUTAGE).of("message", kind="post")
    assert 600 <= post["t"] <= 665


@pytest.mark.parametrize(
    ("start", "until"),
    [("2026-03-29T00:40:00Z", "03:00"), ("2026-10-25T00:10:00Z", "02:30")],
    ids=["spring", "autumn"],
)
def test_when_the_clocks_are_changed(tell: Tell, start: str, until: str) -> None:
    """Twenty minutes, across the hour that is skipped or comes twice."""
    silence = say(f'at: 0m, user: U1, say: "/auth0-check silence prod until {until} a test"')
    told = tell(OUTAGE + silence, start=start)
    ended: list[Event] = [e for e in told.of("message", kind="post") if "hid" in e["text"]]

    assert [1200 <= event["t"] < 1205 for event in ended] == [True]


def test_guests_may_nothing(tell: Tell) -> None:
    """They get a refusal, and nothing changes."""
    guest = "users: {U3: guest}\n"
    told = tell(guest + OUTAGE + say('at: 5m, user: U3, say: "/auth0-check ack"'))

    assert not any("is on it" in line for line in threads(told))
    assert len(answers(told)) == 1


def test_resolved_by_hand(tell: Tell) -> None:
    """The message names who did it, and nothing is posted while the same failure goes on."""
    told = tell(OUTAGE + say('at: 5m, user: U1, say: "/auth0-check resolve anyway a vendor"'))

    assert told.summary["alerts"] == 1
    assert [event["state"] for event in told.of("incident")] == ["open", "resolved"]
