"""Contact points in the virtual world: PagerDuty's states, and what fails on the way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.observation import Severity
from bot.core.state.outbox import PagerAction, PagerMessage
from bot.ports import CallFailed, Doubt, Reason, Refused
from bot.simulator.contact_points import AcceptedPage, PagerDutyService, build_contact_points
from bot.simulator.simulation import settings_for
from bot.simulator.virtual import VirtualClock, VirtualLoop, run_virtually
from bot.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.simulator.scenario import Scenario

    Make = Callable[..., Scenario]

TRIGGER, ACKNOWLEDGE, RESOLVE = PagerAction
POINTS = """\
bot:
  notify:
    - {name: pager, pagerduty: {routing_key: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk}}
    - {name: mail, apprise: "mailto://user:secret@example.com"}
"""


def event(action: PagerAction, key: str = "a", incident: int = 1) -> dict[str, Any]:
    """Make an event of the Events API, with what the stand-in reads."""
    details = {"incident": str(incident), "tenants": ["prod"], "reason": "begun"}
    payload = {"payload": {"custom_details": details}} if action is TRIGGER else {}
    return {"event_action": action.value, "dedup_key": key, **payload}


@pytest.mark.parametrize(
    ("events", "loud"),
    [
        ([(TRIGGER, "a")], [0]),
        ([(TRIGGER, "a"), (TRIGGER, "a")], [0]),
        ([(TRIGGER, "a"), (TRIGGER, "b")], [0, 1]),
        ([(TRIGGER, "a"), (ACKNOWLEDGE, "a"), (TRIGGER, "a")], [0]),
        ([(TRIGGER, "a"), (RESOLVE, "a"), (TRIGGER, "a")], [0, 2]),
        ([(TRIGGER, "a"), (ACKNOWLEDGE, "a"), (RESOLVE, "a"), (TRIGGER, "a")], [0, 3]),
        ([(RESOLVE, "a"), (ACKNOWLEDGE, "a"), (TRIGGER, "a")], [2]),
    ],
)
def test_pagerduty_notifies_once_an_alert(
    events: list[tuple[PagerAction, str]], loud: list[int]
) -> None:
    """A trigger with the key of an open alert is only logged, acknowledged or not."""
    service = PagerDutyService("pager")
    pages = [service.accept(event(action, key)) for action, key in events]

    assert [number for number, page in enumerate(pages) if page.is_loud] == loud


def test_pagerduty_knows_whose_end_it_is() -> None:
    """Acknowledging and resolving name only the key; of a key that is not open nobody knows."""
    service = PagerDutyService("pager")
    pages = [service.accept(event(each, incident=4)) for each in (TRIGGER, ACKNOWLEDGE, RESOLVE)]

    assert [(page.incident, page.action) for page in pages] == [
        (4, TRIGGER),
        (4, ACKNOWLEDGE),
        (4, RESOLVE),
    ]
    assert service.accept(event(RESOLVE)).incident is None


def page(make: Make, point: str, is_: str = "ok") -> tuple[list[AcceptedPage], CallFailed | None]:
    """Send one page to a contact point. Returns what it accepted, and what the bot was told."""
    lines = POINTS + f"timeline: [{{target: notify.{point}, is: {is_}}}]"
    scenario = make(lines)
    accepted: list[AcceptedPage] = []
    failed: list[CallFailed] = []

    async def main(loop: VirtualLoop) -> None:
        clock = VirtualClock(loop, scenario.start_at)
        points = build_contact_points(
            settings_for(scenario), World(scenario), clock, accepted.append
        )
        details: dict[str, str | list[str]] = {
            "incident": "7",
            "tenants": ["prod", "eu"],
            "reason": "unacknowledged",
            "escalation step": "2",
        }
        message = PagerMessage(
            "k", 7, 1, TRIGGER, Severity.CRITICAL, ("prod", "eu"), details, "title", "body", ""
        )
        try:
            await points[point].notify(message)
        except CallFailed as error:
            failed.append(error)

    run_virtually(main)
    return accepted, failed[0] if failed else None


@pytest.mark.parametrize("point", ["pager", "mail"])
def test_what_is_accepted_is_what_was_sent(make_scenario: Make, point: str) -> None:
    """Incident, step, tenants and reason are read from the page itself."""
    expected = AcceptedPage(
        point,
        TRIGGER,
        is_loud=True,
        incident=7,
        step=2,
        reason="unacknowledged",
        tenants=("prod", "eu"),
    )
    assert page(make_scenario, point) == ([expected], None)
    assert page(make_scenario, point, "{latency: 3s}") == ([expected], None)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("{connect: refused}", Reason.UNREACHABLE),
        ("{dns: nxdomain}", Reason.UNREACHABLE),
        ("{tls: expired}", Reason.UNREACHABLE),
        ("{http: 400}", Reason.REJECTED),
        ('{http: 429, headers: {Retry-After: "30"}}', Reason.RATE_LIMITED),
        ("{http: 404}", Reason.UNAVAILABLE),
        ("{http: 503}", None),
        ("{hang: true}", None),
        ("{connect: timeout}", None),
        ("{latency: 11s}", None),
        ("{http: 202, latency: 11s}", None),
    ],
)
def test_what_fails_on_the_way_to_pagerduty(
    make_scenario: Make, fault: str, expected: Reason | None
) -> None:
    """The bot's own notifier says what it means; None: in doubt. Nothing was accepted."""
    accepted, failed = page(make_scenario, "pager", fault)

    assert accepted == []
    assert isinstance(failed, Doubt if expected is None else Refused)
    assert getattr(failed, "reason", None) is expected
    assert getattr(failed, "retry_after_s", None) == (30.0 if "429" in fault else None)


@pytest.mark.parametrize("fault", ["{connect: refused}", "{http: 400}", "{hang: true}"])
def test_what_fails_on_the_way_to_others(make_scenario: Make, fault: str) -> None:
    """Apprise names no reason."""
    accepted, failed = page(make_scenario, "mail", fault)

    assert (accepted, type(failed)) == ([], Doubt)
