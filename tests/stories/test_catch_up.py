"""Slack is away for two hours, at the start or later: what the channel has once it is back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stories.conftest import Told

    Tell = Callable[..., Told]

BACK_S = 7200.0
SOON_S = 120.0
LONG = "130m"
DEFAULT = "auth0-alerts"
REFUSED = "{connect: refused}"
FAULTS = [REFUSED, "{hang: true}", "{http: 503}", "{http: 401, error: token_revoked}"]
BOT = """\
bot:
  feed: {every: 10m}
  tenants:
    - {name: prod, probe: {every: 3m, confirm_every: 20s}}
    - {name: eu, probe: {every: 3m, confirm_every: 20s}, channel: "#team-eu"}
"""


def away(fault: str = REFUSED, since: str = "-5m") -> str:
    return f"{BOT}timeline:\n  - {{target: slack, from: {since}, to: 120m, is: {fault}}}\n"


def down(target: str, since: int, until: int, status: int = 503) -> str:
    times = f"from: {since}m, to: {until}m"
    return f"  - {{target: {target}, {times}, is: {{http: {status}}}}}\n"


def posts(told: Told) -> list[tuple[str, str]]:
    """Return the channel and key of each message that stands in a channel by itself."""
    return [(event["channel"], event["key"]) for event in told.of("message", kind="post")]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_open_is_posted_as_it_stands(tell: Tell, fault: str) -> None:
    """One message, firing, within two minutes after Slack is back."""
    told = tell(away(fault) + down("prod.login", 90, 200), duration=LONG)

    assert posts(told) == [(DEFAULT, "1:post:1")]
    (post,) = told.of("message", kind="post")
    assert BACK_S <= post["t"] < BACK_S + SOON_S
    assert " fail" in post["text"]


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_over_shares_one_message(tell: Tell, fault: str) -> None:
    """Three incidents began and ended meanwhile: the channel gets one message for all of them."""
    told = tell(
        away(fault) + "".join(down("prod.login", at, at + 10) for at in (10, 45, 80)), duration=LONG
    )

    ((channel, key),) = posts(told)
    (post,) = told.of("message", key=key)
    assert channel == DEFAULT
    assert BACK_S <= post["t"] < BACK_S + SOON_S
    assert post["text"].startswith("Slack did not take my messages for a while.")
    for number in (1, 2, 3):
        assert f"#{number} Logins to prod work again." in post["text"]
    assert told.of("message", kind="reply") == []


def test_one_that_is_over_has_its_own_message(tell: Tell) -> None:
    """There is nothing to share: the message says that it is resolved, and keeps its thread."""
    told = tell(away() + down("prod.login", 10, 20), duration=LONG)

    assert posts(told) == [(DEFAULT, "1:post:1")]
    assert "work again" in told.of("message", kind="post")[0]["text"]


def test_each_channel_has_its_own_message(tell: Tell) -> None:
    """What two teams share is in both; all else only where it belongs."""
    shared = down("prod.login", 10, 20) + down("eu.login", 10, 20)
    told = tell(away() + shared + down("prod.login", 60, 70), duration=LONG)

    texts = {event["channel"]: event["text"] for event in told.of("message", kind="post")}
    assert len(posts(told)) == len(texts) == 2
    assert ("#1 " in texts[DEFAULT], "#2 " in texts[DEFAULT]) == (True, True)
    assert ("#1 " in texts["team-eu"], "#2 " in texts["team-eu"]) == (True, False)


def test_a_message_that_slack_has_is_edited(tell: Tell) -> None:
    """Slack goes away after the alert: once it is back, the message says that it is over."""
    told = tell(away(since="5m") + down("prod.login", 2, 60), duration=LONG)

    assert posts(told) == [(DEFAULT, "1:post:1")]
    edits = [event for event in told.of("message", kind="update") if event["t"] >= BACK_S]
    assert edits[0]["t"] < BACK_S + SOON_S
    assert "work again" in edits[0]["text"]


def test_what_comes_back_is_posted_by_itself(tell: Tell) -> None:
    """An incident of the shared message fails again soon after: it gets a message of its own."""
    failures = down("prod.login", 10, 20) + down("prod.login", 100, 114)
    again = "  - {target: prod.login, from: 122m, to: 200m, is: {http: 503}}\n"
    told = tell(away() + failures + again, duration=LONG)

    assert [key for _, key in posts(told)][1:] == ["2:post:2"]
    (post,) = told.of("message", key="2:post:2")
    assert " fail" in post["text"]
    assert any("2:reply" in event["key"] for event in told.of("message", kind="reply"))
