"""The outbox: which delivery is next, and what a restart makes of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.alerting.deliveries import PAGE_UPDATE_LIFE_S, is_expired
from bot.core.oncall import CallReason
from bot.core.state.outbox import (
    BACKOFF_S,
    CALL_OVERDUE_S,
    SETTLE_S,
    Call,
    Delivery,
    DeliveryStatus,
    DirectMessage,
    PagerAction,
    Paging,
    Post,
    mark_sending,
    recover,
)

NOW = 1_772_445_600.0
POST = Delivery("1:post:1", "incident:1", 1, Post(1), NOW, call=Call(1, CallReason.BEGUN, NOW))
PAGE = Delivery("1:page:1", "page:1", 1, Paging(1, "pager", PagerAction.TRIGGER), NOW)
DIRECT = Delivery("1:direct:1", "direct:1", 1, DirectMessage(1, "U1"), NOW)


@pytest.mark.parametrize("down_s", [1.0, 25.0, 39.0, 3600.0])
def test_what_was_being_sent_is_searched_for_40_s_after_that_try(down_s: float) -> None:
    """However often the bot has started since."""
    sending = mark_sending(POST, NOW)
    for start in (NOW + down_s / 2, NOW + down_s):
        sending = replace(recover(sending, start), status=DeliveryStatus.SENDING)

    assert recover(sending, NOW + down_s).due_at == NOW + SETTLE_S


@pytest.mark.parametrize("delivery", [PAGE, DIRECT])
def test_what_may_arrive_twice_is_sent_again_after_its_pause(delivery: Delivery) -> None:
    """The pause counts from the try: a start every 25 s must not outrun a pause of a minute."""
    sending = replace(mark_sending(delivery, NOW), tries=9)

    assert recover(sending, NOW + 25.0).due_at == NOW + BACKOFF_S[-1]


def test_no_instant_lies_ahead_after_a_restart() -> None:
    """The clock was three hours ahead, and is right now: nothing waits for three hours."""
    ahead = NOW + 3 * 3600.0
    old = replace(
        mark_sending(POST, ahead), created_at=ahead, call=Call(1, CallReason.BEGUN, ahead)
    )

    found = recover(old, NOW)

    assert (found.created_at, found.due_at) == (NOW, NOW + SETTLE_S)
    assert found.call
    assert found.call.overdue_at == NOW + CALL_OVERDUE_S


@pytest.mark.parametrize("action", PagerAction)
def test_a_contact_point_learns_of_an_end_in_time_or_not_at_all(action: PagerAction) -> None:
    """Half a day later nobody needs to know; a call is never given up for its age."""
    old = replace(PAGE, body=Paging(1, "pager", action))

    assert not is_expired(old, NOW + PAGE_UPDATE_LIFE_S)
    assert is_expired(old, NOW + PAGE_UPDATE_LIFE_S + 1) is (action is not PagerAction.TRIGGER)
