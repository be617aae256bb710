"""Which channel an incident goes to, and what shares one message after an outage of Slack."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.alerting.deliveries import (
    CATCH_UP_WAIT_S,
    MISSED_AFTER_S,
    batch_missed,
    greet,
    is_missed,
    miss_post,
)
from bot.core.alerting.notification_policy import announce_silence
from bot.core.model.command import ALL_SIGNALS
from bot.core.model.observation import Cause, Scope, Severity, Target, Verdict
from bot.core.state.desk import DeskState
from bot.core.state.incident import (
    Incident,
    IncidentKind,
    IncidentLife,
    IncidentMessage,
    MessageRef,
    NotificationState,
    Resolution,
    reopen,
)
from bot.core.state.outbox import (
    CatchUp,
    Delivery,
    Edit,
    Greeting,
    Post,
    SilenceAnnouncement,
    mark_sending,
    mark_sent,
)
from bot.core.state.rules import Channels, Rules, TenantRules
from bot.core.state.silence import Silence
from bot.core.state.stimulus import Send

CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
TEAMS = Channels({CRITICAL: "#critical"}, {"eu": "#eu", "lab": ""})
NOW = 1000.0
OVER = Incident(
    id=1,
    kind=IncidentKind.FAILING,
    severity=CRITICAL,
    tenants=("prod",),
    since=0.0,
    verdict=Verdict(Cause.AUTH0, Scope.ENVIRONMENT, 0.9),
    life=IncidentLife(0.0, resolved=Resolution(NOW - 1)),
)
GOING_ON = IncidentLife(0.0)
POST = Delivery("1:post:1", "incident:1", 1, Post(1), created_at=NOW - MISSED_AFTER_S)
POSTED = IncidentMessage(MessageRef("C1", "1.0"))


@pytest.mark.parametrize(
    ("tenant", "severity", "home"),
    [
        ("prod", CRITICAL, "#critical"),
        ("prod", WARNING, ""),
        ("eu", CRITICAL, "#eu"),
        ("eu", INFO, "#eu"),
        ("lab", CRITICAL, ""),
        ("", INFO, ""),
    ],
)
def test_home(tenant: str, severity: Severity, home: str) -> None:
    """A tenant's own channel precedes that of the severity, and the default comes last."""
    assert TEAMS.home(tenant, severity) == home


@pytest.mark.parametrize(
    ("tenants", "severities", "channels"),
    [
        (("prod", "eu"), (CRITICAL,), ("#critical", "#eu")),
        (("prod", "lab"), (WARNING,), ("",)),
        (("prod",), (CRITICAL, WARNING), ("#critical", "")),
    ],
)
def test_concerned(
    tenants: tuple[str, ...], severities: tuple[Severity, ...], channels: tuple[str, ...]
) -> None:
    """Each channel once, in the order of the tenants."""
    assert TEAMS.concerned(tenants, severities) == channels
    assert Channels().concerned(tenants, severities) == ("",)


def test_each_channel_is_greeted_once() -> None:
    """It is told its own tenants; again only if they have changed."""
    tenants = {name: TenantRules(name, f"{name}.us.auth0.com") for name in ("prod", "eu")}
    rules = Rules(tenants, channels=TEAMS)
    greeted, first = greet(DeskState(), NOW, rules)
    same, nothing = greet(greeted, NOW + 60, rules)
    more = replace(rules, tenants={**tenants, "lab": TenantRules("lab", "lab.us.auth0.com")})
    _, again = greet(same, NOW + 120, more)

    assert [one.body for one in first if isinstance(one, Send)] == [
        Greeting(("eu",), "#eu"),
        Greeting(("prod",), "#critical"),
        Greeting(("prod",), ""),
    ]
    assert nothing == []
    assert [one.body for one in again if isinstance(one, Send)] == [
        Greeting(("lab", "prod"), "", is_first=False)
    ]


@pytest.mark.parametrize(
    ("about", "channels"),
    [
        (Target("", "login"), ["", "#eu"]),
        (Target("eu", "login"), ["#eu"]),
        (Target("login", ""), [""]),
        (ALL_SIGNALS, ["", "#eu"]),
    ],
)
def test_a_silence_is_announced_where_it_hides_alerts(
    about: Target | int, channels: list[str]
) -> None:
    """A signal that has the name of a tenant is one of all tenants all the same."""
    domain = "acme.us.auth0.com"
    tenants = {each: TenantRules(each, domain) for each in ("login", "eu")}
    rules = Rules(tenants, channels=Channels(by_tenant={"eu": "#eu"}))
    silence = Silence(1, about, NOW, NOW + 60, "U1", "a deploy")
    sent = announce_silence(silence, "begin", DeskState(), rules)
    bodies = [each.body for each in sent if isinstance(each, Send)]

    assert [each.channel for each in bodies if isinstance(each, SilenceAnnouncement)] == channels


def other(**changes: object) -> Incident:
    return replace(OVER, id=2, **changes)  # type: ignore[arg-type]  # given by the test


@pytest.mark.parametrize(
    ("incidents", "post", "missed"),
    [
        ((OVER, other()), POST, True),
        ((OVER,), POST, False),
        ((replace(OVER, life=GOING_ON), other()), POST, False),
        ((OVER, other()), replace(POST, created_at=NOW - 10), False),
        ((OVER, other()), replace(POST, body=Edit(1)), False),
        ((OVER, other(life=GOING_ON)), POST, False),
        ((OVER, other(notification=NotificationState(is_muted=True))), POST, False),
        ((OVER, other(message=POSTED)), POST, False),
        ((OVER, other(message=IncidentMessage(is_missed=True))), POST, False),
        ((OVER, other(message=IncidentMessage(channel="#eu"))), POST, False),
        ((OVER, other(message=IncidentMessage(channel="#eu", cross_posts=("",)))), POST, True),
    ],
)
def test_what_is_missed(incidents: tuple[Incident, ...], post: Delivery, *, missed: bool) -> None:
    """It is over, waited for five minutes, and so did another one of the same channel."""
    desk = DeskState({incident.id: incident for incident in incidents})

    assert is_missed(post, desk, (), NOW) is missed


def test_a_message_that_waits_already_takes_one_more() -> None:
    """Until it is sent; afterwards a single incident has a message of its own."""
    waiting = Delivery("2:catch-up:1.0", "catch-up:", 1, CatchUp((2,)), created_at=NOW)
    desk = DeskState({1: OVER})

    assert is_missed(POST, desk, (waiting,), NOW)
    assert not is_missed(POST, desk, (mark_sent(waiting),), NOW)


def test_missed_in_each_channel() -> None:
    """The incident is listed where it belongs and where a link to it would have been."""
    message = IncidentMessage(channel="#eu", cross_posts=("",))
    state, effects = miss_post(DeskState({1: replace(OVER, message=message)}), 1)

    assert state.incidents[1].message.is_missed
    assert effects == [
        Send("1:catch-up:1.0", "catch-up:#eu", CatchUp((1,), "#eu"), CATCH_UP_WAIT_S),
        Send("1:catch-up:1.1", "catch-up:", CatchUp((1,), ""), CATCH_UP_WAIT_S),
    ]


@pytest.mark.parametrize(
    "incident", [reopen(OVER, NOW), replace(OVER, message=POSTED)], ids=["open again", "posted"]
)
def test_too_late_to_miss_it(incident: Incident) -> None:
    """What changed in the same moment goes its own way."""
    state = DeskState({1: incident})

    assert miss_post(state, 1) == (state, [])


def test_a_missed_one_that_comes_back_needs_a_message() -> None:
    """It is posted under a new key: the old one was never sent."""
    again = reopen(replace(OVER, message=IncidentMessage(is_missed=True)), NOW)

    assert (again.message.is_missed, again.message.posts) == (False, 2)


def test_missed_ones_are_sent_together() -> None:
    """All that wait are in the first one's message; one that was tried may have arrived."""
    first, second, third = (
        Delivery(f"{n}:catch-up:1.0", "catch-up:", n, CatchUp((n,)), created_at=NOW)
        for n in (1, 2, 3)
    )
    third = replace(mark_sending(third, NOW), status=first.status)

    sent, *others = batch_missed(first, (first, second, third))

    assert sent.body == CatchUp((1, 2))
    assert others == [mark_sent(second)]
