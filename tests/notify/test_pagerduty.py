from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bot.core.model.observation import Severity
from bot.core.state.outbox import PagerAction
from bot.ports import Doubt, Reason, Refused

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.core.state.outbox import PagerMessage
    from bot.notify.pagerduty import PagerDutyNotifier
    from tests.notify.conftest import Events

    MakePage = Callable[..., PagerMessage]

KEY = "auth0-check-prod-7"


def says(
    status: int, body: str = "", **headers: str
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body, headers=named)

    return answer


async def test_an_incident_is_one_alert(
    pager: PagerDutyNotifier, events: Events, page: MakePage
) -> None:
    """An alert is opened, acknowledged and resolved under one key."""
    states = []
    for action in PagerAction:
        await pager.notify(page(action))
        states.append(events.alerts.copy())

    assert states == [{KEY: "triggered"}, {KEY: "acknowledged"}, {KEY: "resolved"}]


async def test_a_new_page_is_an_alert_of_its_own(
    pager: PagerDutyNotifier, events: Events, page: MakePage
) -> None:
    """One that was acknowledged notifies nobody any more: it is resolved, with a note in its log.

    The end resolves all of them, also those of which nobody knows what became.
    """
    states = []
    for sent in (
        page(),
        page(PagerAction.ACKNOWLEDGE),
        page(number=2, title="It got worse"),
        page(number=3, title="It fails again"),
        page(PagerAction.ACKNOWLEDGE, number=3),
    ):
        await pager.notify(sent)
        states.append([*events.alerts.values()])
    notes = [e["payload"]["summary"] for e in events.sent if e["event_action"] == "resolve"]
    events.alerts[KEY] = "triggered"
    await pager.notify(page(PagerAction.RESOLVE, number=3))

    assert states == [
        ["triggered"],
        ["acknowledged"],
        ["resolved", "triggered"],
        ["resolved", "resolved", "triggered"],
        ["resolved", "resolved", "acknowledged"],
    ]
    assert notes == [
        "Called again, by a new alert: It got worse",
        "Called again, by a new alert: It fails again",
    ]
    assert events.alerts == dict.fromkeys([KEY, f"{KEY}-2", f"{KEY}-3"], "resolved")


async def test_a_page_sent_twice_is_one_alert(
    pager: PagerDutyNotifier, events: Events, page: MakePage
) -> None:
    """The key stays the same over every edit; another incident has another key."""
    await pager.notify(page())
    await pager.notify(page(title="Logins fail: prod, eu, us", severity=Severity.WARNING))
    await pager.notify(page(incident=8))

    assert events.alerts == {KEY: "triggered", "auth0-check-prod-8": "triggered"}


async def test_what_the_person_reads(
    pager: PagerDutyNotifier, events: Events, page: MakePage, routing_key: str
) -> None:
    """The alert has the verdict with its evidence, who is affected, and links."""
    await pager.notify(page())

    assert events.sent == [
        {
            "routing_key": routing_key,
            "dedup_key": KEY,
            "event_action": "trigger",
            "payload": {
                "summary": "Logins fail: prod, eu",
                "source": "auth0-check-prod",
                "severity": "critical",
                "component": "prod, eu",
                "custom_details": {
                    "cause": "auth0",
                    "scope": "environment",
                    "confidence": "87%",
                    "evidence for": ["3 of 3 tenants in US-1 fail"],
                    "evidence against": ["the status page is green"],
                    "would settle it": "",
                },
            },
            "links": [
                {"href": "https://status.auth0.com", "text": "Auth0 status"},
                {"href": "https://acme.slack.com/archives/C1/p1", "text": "Slack"},
            ],
            "client": "auth0-check",
        }
    ]


async def test_without_a_message_in_slack(
    pager: PagerDutyNotifier, events: Events, page: MakePage
) -> None:
    """While Slack does not answer, a message is sent without a link to it."""
    await pager.notify(page(link=""))

    assert [link["text"] for link in events.sent[0]["links"]] == ["Auth0 status"]


async def test_the_longest_page_is_taken(
    pager: PagerDutyNotifier, events: Events, page: MakePage
) -> None:
    """Hundreds of tenants and a title without end stay within every limit."""
    sentences = ["“" * 500] * 60
    await pager.notify(
        page(
            title="“" * 2000,
            tenants=tuple(f"tenant-{n:033}" for n in range(500)),
            details={"evidence for": sentences, "evidence against": sentences},
        )
    )

    assert len(events.sent[0]["payload"]["summary"]) == 1024
    assert events.alerts == {KEY: "triggered"}


@pytest.mark.parametrize("severity", Severity)
async def test_each_severity_is_one_of_theirs(
    pager: PagerDutyNotifier, events: Events, page: MakePage, severity: Severity
) -> None:
    """PagerDuty knows the severities that we use."""
    await pager.notify(page(severity=severity))

    assert events.alerts == {KEY: "triggered"}


async def test_an_invalid_event_is_never_repeated(pager: PagerDutyNotifier, page: MakePage) -> None:
    """400 is final: the same event is refused the next time, too."""
    pager._routing_key = "short"

    with pytest.raises(Refused, match="HTTP 400: check the routing key") as refused:
        await pager.notify(page())

    assert refused.value.reason is Reason.REJECTED


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "1.5"}, 1.5),
        ({}, 30),
        ({"Retry_After": "86400"}, 30),
        ({"Retry_After": "soon"}, 30),
    ],
)
async def test_too_many_events(
    pager: PagerDutyNotifier, events: Events, page: MakePage, headers: dict[str, str], wait_s: float
) -> None:
    """After a 429 the event waits as long as it names, else the advised 30 s."""
    events.fault = says(429, **headers)

    with pytest.raises(Refused) as refused:
        await pager.notify(page())

    assert (refused.value.retry_after_s, refused.value.reason) == (wait_s, Reason.RATE_LIMITED)


@pytest.mark.parametrize("status", [200, 302, 403, 404])
async def test_an_answer_that_is_not_theirs(
    pager: PagerDutyNotifier, events: Events, page: MakePage, status: int
) -> None:
    """A proxy's page is no acceptance, and the next try may succeed."""
    events.fault = says(status, "<html>Sign in</html>", Location="/elsewhere")

    with pytest.raises(Refused, match=f"^HTTP {status}$") as refused:
        await pager.notify(page())

    assert refused.value.reason is not Reason.REJECTED
    assert len(events.sent) == 1


@pytest.mark.parametrize("status", [500, 502, 503])
async def test_their_own_trouble(
    pager: PagerDutyNotifier, events: Events, page: MakePage, status: int
) -> None:
    """After a 5xx PagerDuty may have accepted the event."""
    events.fault = says(status)

    with pytest.raises(Doubt, match=f"^HTTP {status}$"):
        await pager.notify(page())


@pytest.mark.parametrize(
    ("fault", "error"), [("reset", "protocol"), ("hang", "timeout read"), ("babble", "protocol")]
)
async def test_a_lost_answer_is_a_doubt(
    pager: PagerDutyNotifier, events: Events, page: MakePage, fault: str, error: str
) -> None:
    """PagerDuty has the event, and we do not know it."""
    events.fault = getattr(events, fault)

    with pytest.raises(Doubt, match=error):
        await pager.notify(page())

    assert len(events.sent) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://pagerduty.invalid"])
async def test_nobody_is_there(
    pager_at: Callable[[str], PagerDutyNotifier], page: MakePage, url: str
) -> None:
    """An event that was never sent is certainly not delivered."""
    with pytest.raises(Refused, match=r"connect refused|dns") as refused:
        await pager_at(url).notify(page())

    assert refused.value.reason is not Reason.REJECTED


@pytest.mark.parametrize("fault", ["400", "429", "500", "reset", "hang", "babble"])
async def test_the_routing_key_stays_secret(
    pager: PagerDutyNotifier,
    events: Events,
    page: MakePage,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    """The key is in no log, repr or traceback, even if the answer repeats it."""
    caplog.set_level(logging.DEBUG)
    echo = pager._routing_key
    events.fault = says(int(fault), echo) if fault.isdigit() else getattr(events, fault)

    with pytest.raises((Refused, Doubt)) as caught:
        await pager.notify(page())

    told = "".join(traceback.format_exception(caught.value))
    assert "canary" not in caplog.text + told + repr(pager) + repr(caught.value)
