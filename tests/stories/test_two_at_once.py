"""Two people who do the same at the same moment: the first one did it, the second one hears so."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stories.conftest import Told

    Tell = Callable[..., Told]

WORLD = """\
bot:
  slack: {mention: U0CHIEF}
  oncall: {rotation: {people: [U0CHIEF, U0NEXT], hand_over: "Mon 09:00", start: 2026-03-02}}
timeline:
  - {target: [prod.login, prod.wellknown], from: 2m, to: 25m, is: {http: 503}}
people:
"""
PROD = "tenants:\n  prod: {domain: acme.us.auth0.com, environment: US-1}\n"


@pytest.fixture
def play(tell: Tell) -> Callable[..., Told]:
    """Let people do things, one after the other where they do it at once."""

    def play(*acts: str) -> Told:
        return tell(WORLD + "".join(f"  - {{{act}}}\n" for act in acts), tenants=PROD)

    return play


def click(at: str, user: str, button: str) -> str:
    return f"at: {at}, user: {user}, click: {button}, incident: 1"


def say(at: str, user: str, words: str) -> str:
    return f'at: {at}, user: {user}, say: "/auth0-check {words}"'


def answers(told: Told, t: float) -> list[str]:
    """What people were answered in the minute after an instant."""
    return [e["text"] for e in told.of("message", kind="ephemeral") if 0 <= e["t"] - t < 60]


def owners(told: Told) -> list[str]:
    """What the thread says about who has it."""
    lines = [event["text"] for event in told.of("message", kind="reply")]
    return [line for line in lines if "is on it" in line or "took it over" in line]


def calls(told: Told, since: float) -> list[tuple[str, list[str]]]:
    return [(call["reason"], call["who"]) for call in told.of("call") if call["t"] >= since]


def test_both_acknowledge(play: Callable[..., Told]) -> None:
    """The first one has it; the second one hears who, and may take it over."""
    told = play(click("5m", "U1", "acknowledge"), click("5m", "U2", "acknowledge"))
    (line,) = owners(told)

    assert line in {"<@U1> is on it", "<@U2> is on it"}
    assert sum(f"{line[:5]} has #1" in answer for answer in answers(told, 300)) == 1
    assert calls(told, 300) == []


def test_both_take_it_over(play: Callable[..., Told]) -> None:
    """From the one who had it: the second one does not take it from the first."""
    told = play(
        click("5m", "U1", "acknowledge"),
        say("6m", "U1", "note 1 the vendor knows"),
        click("7m", "U2", "take_over"),
        click("7m", "U3", "take_over"),
    )
    first, second = owners(told)
    has = "U2" if "U2" in second else "U3"

    assert [event["result"] for event in told.of("click")] == ["pressed"] * 3
    assert (first, second) == ("<@U1> is on it", f"<@{has}> took it over from <@U1>")
    assert sum(f"<@{has}> has #1" in answer for answer in answers(told, 420)) == 1
    assert [e["channel"] for e in told.of("message", kind="dm")] == ["DU1"]
    assert calls(told, 300) == []


def test_one_asks_by_words_and_takes_it_over_by_the_answers_button(
    play: Callable[..., Told],
) -> None:
    """What somebody has is not taken away by acknowledging it."""
    told = play(
        say("5m", "U1", "ack 1"),
        say("7m", "U2", "ack 1"),
        click("8m", "U2", "take_over"),
    )

    assert answers(told, 420) == ["<@U1> has #1, for 2 min."]
    assert owners(told)[-1] == "<@U2> took it over from <@U1>"


def test_both_silence(play: Callable[..., Told]) -> None:
    """Both hold: ending one of them, nobody is told before the other has ended."""
    told = play(
        say("5m", "U1", "silence #1 10m known"),
        say("5m", "U2", "silence #1 5m known too"),
        say("6m", "U1", "unsilence S1"),
    )
    ends = [e["t"] for e in told.of("message", kind="post") if "hid" in e["text"]]

    assert sum("is silenced until" in answer for answer in answers(told, 300)) == 2
    assert [round(t) for t in ends] in ([360, 600], [360, 900])
    assert calls(told, 300) == []


def test_both_resolve_what_still_fails(play: Callable[..., Told]) -> None:
    """Both are asked first; one of them resolves it, once, and it stays so."""
    told = play(
        say("5m", "U1", "ack 1"),
        click("6m", "U1", "resolve"),
        click("6m", "U2", "resolve"),
        click("7m", "U1", "confirm"),
        click("7m", "U2", "confirm"),
    )
    states = [event["state"] for event in told.of("incident")]

    assert [event["result"] for event in told.of("click")] == ["pressed"] * 4
    assert all("still fail" in answer for answer in answers(told, 360))
    assert sum("is over already" in answer for answer in answers(told, 420)) == 1
    assert states == ["open", "acknowledged", "resolved"]
    assert calls(told, 300) == []


def test_one_hands_it_over_while_another_takes_it(play: Callable[..., Told]) -> None:
    """Whatever comes first, the other one has it then."""
    told = play(
        say("5m", "U1", "ack 1"),
        say("7m", "U1", "hand-over 1"),
        click("7m", "U2", "take_over"),
    )
    was_handed_over = any("no longer yours" in answer for answer in answers(told, 420))

    assert owners(told)[-1] in {"<@U2> is on it", "<@U2> took it over from <@U1>"}
    assert [reason for reason, _ in calls(told, 400)] == ["handed_over"] * was_handed_over


def test_both_answer_the_question(tell: Tell) -> None:
    """Only who has it can hand it over; the one whose turn comes next is called then."""
    acts = [
        say("5m", "U0CHIEF", "ack 1"),
        click("36m", "U2", "hand_over"),
        click("36m", "U0CHIEF", "hand_over"),
    ]
    body = WORLD.replace("to: 25m", "to: 50m") + "".join(f"  - {{{act}}}\n" for act in acts)
    told = tell(body, tenants=PROD, duration="40m")

    assert [event["result"] for event in told.of("click")] == ["pressed"] * 2
    assert sum("is not yours" in answer for answer in answers(told, 2160)) == 1
    ((reason, called),) = calls(told, 300)
    assert (reason, called[0]) == ("handed_over", "U0NEXT")
