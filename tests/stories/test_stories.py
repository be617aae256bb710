from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stories.conftest import Told

    Tell = Callable[..., Told]

OUTAGE = "{target: prod.login, from: 2m, to: 12m, is: {http: 503}}"


def test_an_outage_is_one_message_that_is_edited(tell: Tell) -> None:
    """Posted once, edited, resolved in place, with its end in the thread."""
    told = tell(f"timeline:\n  - {OUTAGE}\n")

    assert len(told.of("message", kind="post")) == 1
    assert [e["state"] for e in told.of("incident")] == ["open", "resolved"]
    assert "work again" in told.of("message", kind="update")[-1]["text"]
    assert "Resolved after 10 min" in told.of("message", kind="reply")[-1]["text"]


def test_a_steady_outage_is_refreshed_to_its_end(tell: Tell) -> None:
    """Each minute for ten minutes, then every five minutes; never twice within five seconds."""
    told = tell(
        "timeline:\n  - {target: '*.login', from: 2m, to: 62m, is: {http: 503}}\n", duration="70m"
    )

    edits = [e["t"] for e in told.of("message", kind="update")]
    pauses = {at: later - at for at, later in pairwise(edits)}
    assert max(pause for at, pause in pauses.items() if at < 700) < 75
    assert max(pauses.values()) < 315
    assert len([at for at in edits if 900 < at < 3600]) < 15
    assert edits[-1] > 3720
    assert min(pauses.values()) > 0.9


def test_a_full_outage_is_posted_within_ninety_seconds(tell: Tell) -> None:
    """The first probe comes at most a minute after the onset; four repeats take twenty seconds."""
    told = tell(f"timeline:\n  - {OUTAGE}\n")

    assert 120 < told.summary["first_alert_s"] < 120 + 90


def test_hanging_requests_are_repeated_by_the_clock(tell: Tell) -> None:
    """Time-outs of ten seconds do not add up: repeats do not wait for one another."""
    told = tell("timeline:\n  - {target: prod.login, from: 0m, to: 12m, is: {hang: true}}\n")

    assert told.summary["first_alert_s"] < 45


def test_people_are_mentioned_when_it_has_lasted(tell: Tell) -> None:
    """One signal alone mentions nobody for two minutes, then once, by a message of its own."""
    told = tell(f"bot: {{slack: {{mention: '@here'}}}}\ntimeline:\n  - {OUTAGE}\n")
    mentions = told.of("message", mentions=["<!here>"])

    assert [m["kind"] for m in mentions] == ["post"]
    assert 240 <= mentions[0]["t"] < 250
    assert told.of("message", kind="post")[0]["mentions"] == []


def test_people_are_mentioned_at_once_when_two_signals_agree(tell: Tell) -> None:
    """Then the first message mentions them, and no other does."""
    told = tell(
        "bot: {slack: {mention: '@here'}}\n"
        "timeline:\n"
        f"  - {OUTAGE}\n"
        "  - {target: prod.wellknown, from: 2m, to: 12m, is: {http: 502, body: html}}\n"
    )

    assert [m["kind"] for m in told.of("message", mentions=["<!here>"])] == ["post"]


def test_a_short_end_reopens_the_same_incident(tell: Tell) -> None:
    """What fails again within ten minutes is the same problem."""
    told = tell(
        "timeline:\n"
        f"  - {OUTAGE}\n"
        "  - {target: prod.login, from: 17m, to: 22m, is: {http: 503}}\n"
    )

    assert told.summary["alerts"] == 1
    states = [e["state"] for e in told.of("incident")]
    assert states == ["open", "resolved", "open", "resolved"]


def test_refused_credentials_stop_the_login(tell: Tell) -> None:
    """Three tries half a minute apart, then none: Auth0 would block the user."""
    told = tell(
        "timeline:\n  - {target: prod.login, from: 0m, is: {http: 403, error: invalid_grant}}\n"
    )
    tries = [e["t"] for e in told.of("request", target="prod.login") if e["t"] > 0]

    assert len(tries) == 3
    assert min(b - a for a, b in pairwise(tries)) >= 29.5
    assert told.of("verdict")[-1]["cause"] == "probe"
    assert told.summary["alerts"] == 1


def test_an_on_demand_check_starts_a_stopped_login_again(tell: Tell) -> None:
    """Once the password is right again, one `run` is enough."""
    told = tell(
        "timeline:\n"
        "  - {target: prod.login, from: 0m, to: 5m, is: {http: 403, error: invalid_grant}}\n"
        "people:\n"
        "  - {at: 10m, user: U1, say: /auth0-check run prod}\n"
    )

    assert [e["state"] for e in told.of("incident")] == ["open", "resolved"]
    assert told.of("incident", state="resolved")[0]["t"] < 11.5 * 60


def test_the_synthetic_user_never_logs_in_too_often(tell: Tell) -> None:
    """Over both domains and all on-demand checks: 12 a minute, 100 in ten minutes."""
    asked = "\n".join(
        f"  - {{at: {minute}m, user: U1, say: /auth0-check run prod}}" for minute in range(3, 12)
    )
    told = tell(
        "timeline:\n"
        "  - {target: ['prod.login', 'prod.custom'], from: 1m, share: 0.4, is: {http: 503}}\n"
        f"people:\n{asked}\n",
        tenants=(
            "tenants:\n  prod: {domain: acme.us.auth0.com, environment: US-1, "
            "custom_domain: login.acme.example}\n"
        ),
    )
    logins = told.of("request", target="prod.login") + told.of("request", target="prod.custom")
    times = sorted(e["t"] - e["latency_ms"] / 1000 for e in logins)

    assert max(sum(t <= other < t + 60 for other in times) for t in times) <= 12
    assert max(sum(t <= other < t + 600 for other in times) for t in times) <= 100


def test_a_clock_that_stays_wrong_is_posted(tell: Tell) -> None:
    """Those who answer tell the right time, and after five minutes the bot says who is wrong."""
    told = tell("timeline:\n  - {target: bot, from: 5m, to: 15m, is: {clock: +1h}}\n")

    first, last = told.of("incident")[0], told.of("incident")[-1]
    assert (first["severity"], first["tenants"]) == ("warning", [])
    assert 9.5 * 60 < first["t"] < 11.5 * 60
    assert "The clock of my machine is 1 h ahead" in told.of("message")[0]["text"]
    assert last["state"] == "resolved"


def test_an_hour_ahead_from_the_start_is_the_same_story(tell: Tell) -> None:
    """The bot corrects its time, says so, and goes on; all else happens at its true time."""
    faults = "  - {target: [prod.login, prod.wellknown], from: -4.5m, to: -4m, is: {http: 503}}\n"
    rest = (
        "changes: [{at: 19m, app: checkout, what: deploy 4711}]\n"
        "metrics:\n"
        "  - {signal: checkout, tenant: prod, requests: 200/min, errors: 1%}\n"
        "  - {signal: checkout, tenant: prod, from: 20m, errors: 97%}\n"
    )
    right = tell(f"timeline:\n{faults}{rest}")
    wrong = tell(f"timeline:\n  - {{target: bot, is: {{clock: +1h}}}}\n{faults}{rest}")

    for kind in ("signal", "incident", "verdict"):
        found = []
        for told in (right, wrong):
            own = {e["incident"] for e in told.of("incident") if not e["tenants"]}
            # Before its time is corrected, its logins never worked: the verdict knows that.
            events = [
                e
                for e in told.of(kind)
                if e.get("incident") not in own and (kind != "verdict" or e["t"] > 0)
            ]
            found.append([(round(e["t"]), e.get("state"), e.get("cause")) for e in events])
        assert found[0] == found[1] != []
    assert "My time was 1 h ahead" in wrong.of("message")[0]["text"]
    assert any("deploy 4711" in line for e in wrong.of("verdict") for line in e["because"])


def test_a_clock_behind_from_the_start_is_corrected(tell: Tell) -> None:
    """Until then good tokens seem to come from the future; nobody is told that logins fail."""
    told = tell("timeline:\n  - {target: bot, is: {clock: -1h}}\n")

    results = [e["result"] for e in told.of("request", target="prod.login")]
    assert results[0] == "token not_yet_valid"
    assert set(results[5:]) == {"ok"}
    assert {e["result"] for e in told.of("request", target="prod.wellknown")} == {"ok"}
    assert {m["text"].split(" [")[0] for m in told.of("message") if m["kind"] == "post"} == {
        "My time was 1 h behind. It is right now.",
        "The clock of my machine is 1 h behind.",
    }


def test_a_long_sleep_of_the_host_is_posted_when_it_wakes(tell: Tell) -> None:
    """A monitoring gap of ten minutes is a warning, resolved at once."""
    told = tell("timeline:\n  - {target: bot, from: 5m, to: 15m, is: {paused: true}}\n")

    assert told.summary["alerts"] == 1
    assert told.of("incident")[-1]["state"] == "resolved"


def test_a_short_sleep_of_the_host_is_only_mentioned(tell: Tell) -> None:
    """Three minutes without a check are a line in the channel, and no alert."""
    told = tell("timeline:\n  - {target: bot, from: 5m, to: 8m, is: {paused: true}}\n")

    assert told.summary["alerts"] == 0
    assert [m["severity"] for m in told.of("message")] == ["info"]


def test_slack_being_down_loses_nothing(tell: Tell) -> None:
    """What could not be sent is sent once Slack is back, once, with the state of that time."""
    told = tell(
        "timeline:\n"
        f"  - {OUTAGE}\n"
        "  - {target: slack, from: 1m, to: 9m, is: {connect: refused}}\n"
    )
    posts = told.of("message", kind="post")

    assert len(posts) == 1
    assert 9 * 60 <= posts[0]["t"] < 10.1 * 60


def test_a_slack_that_does_not_answer_gets_nothing_twice(tell: Tell) -> None:
    """A lost answer is settled by a search of the channel."""
    told = tell(
        f"timeline:\n  - {OUTAGE}\n  - {{target: slack, from: 1m, to: 4m, is: {{http: 503}}}}\n"
    )

    assert len(told.of("message", kind="post")) == 1


def test_retry_after_of_slack_is_obeyed(tell: Tell) -> None:
    """No request goes to Slack while it asked to wait."""
    told = tell(
        "timeline:\n"
        f"  - {OUTAGE}\n"
        "  - {target: slack, from: 2m, to: 3.5m, is: {http: 429, headers: {Retry-After: '30'}}}\n"
    )

    assert len(told.of("message", kind="post")) == 1


def test_a_status_incident_becomes_evidence(tell: Tell) -> None:
    """The thread has it once a phase, and it strengthens the verdict."""
    told = tell(
        "timeline:\n"
        f"  - {OUTAGE}\n"
        "feed:\n"
        "  - {at: 5m, incident: k2v9q0c1x7zd, title: Login errors, status: Investigating, "
        "text: Looking., environments: [US-1]}\n"
        "  - {at: 11m, incident: k2v9q0c1x7zd, status: Resolved, text: Over.}\n"
    )
    replies = [
        m["text"]
        for m in told.of("message", kind="reply")
        if m["text"].startswith("Auth0 status page")
    ]

    assert [("Investigating" in r, "Resolved" in r) for r in replies] == [
        (True, False),
        (False, True),
    ]
    facts = [fact for verdict in told.of("verdict") for fact in verdict["because"]]
    assert "Auth0's status page has a post about this environment" in facts


def test_a_status_incident_of_another_environment_is_no_evidence(tell: Tell) -> None:
    """Auth0 publishes by environment; a problem in EU says nothing about US."""
    told = tell(
        "timeline:\n"
        f"  - {OUTAGE}\n"
        "feed:\n"
        "  - {at: 1m, incident: k2v9q0c1x7zd, title: Login errors, status: Investigating, "
        "text: Looking., environments: [EU-1]}\n"
    )

    assert not any("open post" in fact for v in told.of("verdict") for fact in v["because"])


@pytest.mark.parametrize(
    ("say", "wanted"),
    [
        ("/auth0-check", "No open incident"),
        ("/auth0-check alerts", "No incident of the last seven days"),
        ("/auth0-check help", "What you can ask"),
        ("/auth0-check rnu", "Did you mean `/auth0-check run`?"),
        ("/auth0-check run nowhere", "There is no tenant"),
    ],
)
def test_a_question_is_answered_to_the_person_alone(tell: Tell, say: str, wanted: str) -> None:
    """Only the person who asked sees the answer."""
    told = tell(f"people:\n  - {{at: 5m, user: U1, say: {say}}}\n")
    (answer,) = told.of("message")

    assert answer["kind"] == "ephemeral"
    assert wanted in answer["text"]


def test_share_answers_the_channel(tell: Tell) -> None:
    """With `share` everybody sees it."""
    told = tell("people:\n  - {at: 5m, user: U1, say: /auth0-check share}\n")

    assert [m["kind"] for m in told.of("message")] == ["post"]


def test_a_person_cannot_flood_the_channel(tell: Tell) -> None:
    """120 shared answers in a second: a few are posted, and the alert does not wait for them."""
    outage = "timeline:\n  - {target: prod.login, from: 1m, to: 3m, is: {http: 503}}\n"
    people = "".join(
        f"  - {{at: {78_500 + 8 * number}ms, user: U1, say: /auth0-check help share}}\n"
        for number in range(120)
    )
    alone, told = tell(outage), tell(f"{outage}people:\n{people}")
    shared = [m for m in told.of("message", kind="post") if "What you can ask" in m["text"]]

    assert len(shared) == 5
    assert len(told.of("message", kind="ephemeral")) == 115
    assert told.summary["first_alert_s"] - alone.summary["first_alert_s"] < 2.0


def test_an_on_demand_check_is_answered_at_once_and_with_its_result(tell: Tell) -> None:
    """The result names every check that was made."""
    told = tell("people:\n  - {at: 5m, user: U1, say: /auth0-check run prod}\n")
    begun, result = told.of("message")

    assert begun["text"] == "Checking prod now …"
    assert begun["t"] - 300 < 1
    assert result["text"].startswith("All 3 checks are fine")
    assert result["t"] - 300 < 3


def test_what_hangs_is_repeated_before_its_time_out(tell: Tell) -> None:
    """Five tries five seconds apart: the fifth has failed 20 s after the first one."""
    told = tell("timeline:\n  - {target: prod.login, from: 0m, to: 5m, is: {hang: true}}\n")
    tries = [event for event in told.of("request", target="prod.login") if event["t"] > 0]
    fired = told.of("signal", tenant="prod", signal="login", state="firing")[0]

    assert [round(each["t"] - tries[0]["t"]) for each in tries[:5]] == [0, 5, 10, 15, 20]
    assert fired["t"] - tries[0]["t"] == pytest.approx(20.0, abs=0.1)
