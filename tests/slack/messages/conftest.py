"""One outage, the foreign texts in it, and the checks for every message."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import strategies as st
from slack_sdk.models.blocks import Block as SdkBlock
from slackblocks.blocks import Block as SlackBlock

from bot.core.commands.parse import parse_words
from bot.core.model.access import CommandOutcome, Verb
from bot.core.model.command import ALL_SIGNALS, Request
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import (
    FEED,
    Cause,
    Evidence,
    Fault,
    FeedState,
    Phase,
    Scope,
    Severity,
    SignalState,
    Stage,
    StatusIncident,
    Target,
    Verdict,
)
from bot.core.model.wall_clock import RecurringTime
from bot.core.oncall import Rotation, Shift
from bot.core.signals.metric_threshold import MetricLimits, MetricState
from bot.core.signals.probe_threshold import ProbeState, Try
from bot.core.state.desk import DeskState
from bot.core.state.incident import (
    Acknowledgement,
    Incident,
    IncidentHistory,
    IncidentKind,
    IncidentLife,
    Note,
    NotificationState,
    Resolution,
)
from bot.core.state.outbox import Answer, AnswerResult
from bot.core.state.problem import ProbeProblem
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.silence import MaintenanceWindow, Silence
from bot.core.state.tenant import FeedView, HasData, SharedSignals, Tenants, TenantState
from bot.ports import View
from bot.simulator.workspace.blocks import Surface, check
from bot.slack.render.answers import render_answer
from bot.slack.render.chart import BLOCK_TYPE
from bot.slack.render.incident import render_incident
from bot.slack.render.text import mentions

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.slack.render.text import RenderedMessage

GOLDEN = Path(__file__).parents[1] / "golden"
START = 1_772_445_600.0  # Mon 2026-03-02 10:00 UTC
NOW = START + 300
STATUS = "https://status.auth0.com"
ANN, BEN, CLEO = "U0ANN", "U0BEN", "U0CLEO"


class Texts(NamedTuple):
    """All foreign texts, each by its place."""

    title: str = "Login errors"
    update: str = "We are investigating elevated error rates."
    description: str = "Service temporarily unavailable"
    environment: str = "US-1"
    alert: str = "LoginErrorsHigh"
    missing: str = "HTTP 503"
    note: str = "Rolled back the login page to 4710"
    reason: str = "Planned upgrade of the user database"
    alarm: str = "The load test of Monday"
    window: str = "Backup of the user database"
    calendar: str = "ann@example.com"
    fault: str = "HTTP 404"
    asked: str = "prdo"


class Scene:
    """One outage at `prod` and `shop`, and its messages.

    Args:
        texts: the foreign texts.
    """

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        fault = Fault(Stage.HTTP, "http_503", 503, description=texts.description)
        status_incident = StatusIncident(
            "a1",
            texts.title,
            Phase.INVESTIGATING,
            texts.update,
            f"{STATUS}/incidents/a1",
            START + 200,
            START + 200,
        )
        self.status_incident = status_incident
        self.fault = fault
        self.verdict = Verdict(
            Cause.AUTH0,
            Scope.ENVIRONMENT,
            0.92,
            (
                Evidence("login-5xx", {"text": "login at prod fails with HTTP 503 (5 of 5)"}, 2.0),
                Evidence("peers-fail", {"text": "2 tenants of US-1 fail together"}, 1.2),
            ),
            (Evidence("notice-silent", {"text": "the status page shows nothing"}, -0.2),),
        )
        self.open = Incident(
            id=7,
            kind=IncidentKind.FAILING,
            severity=Severity.CRITICAL,
            tenants=("prod", "shop"),
            since=START,
            life=IncidentLife(START + 50),
            verdict=self.verdict,
            problems=(
                ProbeProblem("prod", "login", START, 5, 5, fault),
                ProbeProblem("shop", "login", START + 20, 4, 6, fault),
            ),
            notification=NotificationState(has_mentioned=True, mentioned=(ANN,)),
            history=IncidentHistory(detected_at={"probe": START, "message": START + 51}),
        )
        self.acknowledged = replace(
            self.open,
            life=replace(self.open.life, acknowledged=Acknowledgement(ANN, START + 120)),
            status_incidents=(status_incident,),
            notes=(
                Note(START + 130, BEN, "Nothing was deployed today"),
                Note(START + 180, ANN, "Support knows"),
                Note(START + 240, ANN, texts.note),
            ),
        )
        problems = tuple(replace(one, is_over=True) for one in self.open.problems)
        detected_at = {**self.open.history.detected_at, "notice": START + 200}
        history = IncidentHistory(detected_at=detected_at)
        life = self.acknowledged.life
        over = replace(life, resolved=Resolution(NOW))
        self.ended = replace(self.acknowledged, problems=problems, history=history, life=over)
        by_hand = replace(life, resolved=Resolution(NOW, BEN, (Target("prod", "login"),)))
        self.by_hand = replace(self.acknowledged, life=by_hand)
        merged = replace(self.open.life, resolved=Resolution(NOW, merged_into=7))
        self.merged = replace(self.open, id=8, problems=problems, life=merged)
        self.false_alarm = replace(self.ended, false_alarm=texts.alarm)
        self.muted = replace(
            self.open,
            id=9,
            tenants=("shop",),
            problems=self.open.problems[1:],
            notification=replace(self.open.notification, is_muted=True),
        )
        self.silence = Silence(3, Target("shop", ""), START - 600, NOW + 3600, BEN, texts.reason)
        self.silence_all = replace(
            self.silence, id=4, about=ALL_SIGNALS, since=NOW - 60, suppressed=2
        )

    def view(self, *incidents: Incident, **desk: Any) -> View:
        """Return a view with these incidents."""
        texts = self.texts
        begins = datetime(2026, 3, 2, 9)  # noqa: DTZ001 - its zone stands beside
        window = MaintenanceWindow(begins, 7200.0, "UTC", reason=texts.window)
        tenants = {
            "prod": TenantRules(
                "prod",
                "acme.us.auth0.com",
                texts.environment,
                runbook="https://runbooks.example/login",
                feed=Target(FEED, "US-1"),
                metrics={"checkout": MetricLimits(MetricKind.METRICS)},
                monitors=("alertmanager",),
            ),
            "shop": TenantRules(
                "shop", "shop.us.auth0.com", texts.environment, feed=Target(FEED, "US-1")
            ),
        }
        rotation = Rotation(
            (ANN, BEN), RecurringTime(time(9), 0), "Europe/Berlin", date(2026, 3, 2)
        )
        rules = Rules(
            tenants=tenants,
            on_call=desk.pop("on_call", rotation),
            link_hosts=("status.auth0.com", "prometheus.example"),
            maintenance_windows=(window,) if desk.pop("is_maintained", False) else (),
            calendar_every_s=300.0 if "shifts" in desk else None,
        )
        failing = ProbeState(
            state=SignalState.FIRING,
            tries=tuple(Try(START + 10 * n, self.fault) for n in range(5)),
            last_at=NOW - 5,
        )
        healthy = ProbeState(last_at=NOW - 20, last_ok_at=NOW - 20, latency_s=0.212, ever_ok=True)
        missing = MetricState(
            begun_at=START - 900, no_data_reason=texts.missing, no_data_since=START - 600
        )
        states = Tenants(
            {
                "prod": TenantState(
                    probes={"login": failing, "wellknown": healthy},
                    metrics={"checkout": missing},
                    data=HasData(NOW - 5),
                ),
                "shop": TenantState(probes={"login": healthy}, data=HasData(NOW - 400)),
            }
        )
        feed = FeedView(FeedState.OK, (self.status_incident,), NOW - 30, START)
        desk_state = DeskState(
            incidents={incident.id: incident for incident in incidents},
            shared=SharedSignals(feeds={"US-1": feed}),
            shift=Shift(ANN, START - 7200, START + 86_400),
            **desk,
        )
        return View(NOW, rules, states, desk_state)

    def message(self, incident: Incident, **desk: Any) -> RenderedMessage:
        return render_incident(
            incident, self.view(incident, **desk), STATUS, mentions(incident.notification.mentioned)
        )

    def says(
        self,
        command: str,
        result: AnswerResult | CommandOutcome | None = None,
        view: View | None = None,
        **more: Any,
    ) -> RenderedMessage:
        """Render the answer to a command, or its result."""
        verb, _, words = command.partition(" ")
        view = view or self.view(self.open)
        request = Request("r", NOW, words=words, user=CLEO)
        parsed = parse_words(Verb(verb), words, request, view.desk, view.rules)
        request = replace(request, command=replace(parsed, **more))
        if isinstance(result, CommandOutcome):
            result = AnswerResult(result, 7)
        return render_answer(Answer(request, result=result), view)


def compare_golden(name: str, text: str) -> None:
    """Compare a text with a golden file. With `GOLDEN=write` in the environment, write the file."""
    path = GOLDEN / name
    if os.environ.get("GOLDEN") == "write":  # noqa: TID251 - asked for by a person
        path.write_text(text)
    assert path.read_text() == text


def judge_messages(name: str, messages: list[RenderedMessage]) -> None:
    """Compare whole messages with the golden files, and validate them with others' validators."""
    blocks = [message.blocks for message in messages]
    compare_golden(f"{name}.json", json.dumps(blocks, indent=1, ensure_ascii=False) + "\n")
    compare_golden(f"{name}.txt", "\n".join(f"{message.text}\n" for message in messages))
    for message in messages:
        assert check(message.blocks, Surface.MESSAGE) == []
        for block in message.blocks:
            if block["type"] == "table":  # slackblocks only builds them, as the report's test does
                continue
            if block["type"] not in {"actions", BLOCK_TYPE}:  # slackblocks reads no charts
                SlackBlock.from_dict(block)
            elif parsed := SdkBlock.parse(block):  # slackblocks reads no actions
                parsed.validate_json()


HOSTILE: st.SearchStrategy[str] = st.text(max_size=400) | st.sampled_from(
    [
        "<!channel> <!here> <!everyone> <@U0EVE> <#C0EVIL> <!subteam^S0EVIL>",
        "<https://evil.example|https://status.auth0.com>",
        "*bold* _it_ ~gone~ `code` ```block```\n> quote",
        "@here @channel @everyone",
        "\u202e\u2066\u0000\ufeffdesrever",
        "&lt;!channel&gt; &amp;lt;",
        "|> <!date^0^{date}|gone>",
        "<" * 4000,
        "&" * 4000,
        "*" * 4000,
    ]
)
OURS = re.compile(
    r"<@U0(?:ANN|BEN|CLEO)>|<!subteam\^S0OPS>|<!here>|<#C0LOGINS>"
    r"|<!date\^\d+\^[^<>|]+\|[^<>|]+>"
    r"|<https://(status\.auth0\.com|prometheus\.example)/[^<>|]*\|open it on \1>"
    r"|<https://acme\.slack\.com/[^<>|]*\|[^<>]*>"
)


def read_by_slack(value: Any) -> list[str]:
    """Return all texts in which Slack interprets mark-up."""
    if isinstance(value, list):
        return [text for each in value for text in read_by_slack(each)]
    if not isinstance(value, dict):
        return []
    if value.get("type") == "mrkdwn":
        return [value["text"]]
    return read_by_slack(list(value.values()))


def check_marks(*shown: str) -> None:
    """Fail if there is mark-up that is not ours."""
    for text in shown:
        foreign = re.sub(r"^>|<[^<>]*…$", "", OURS.sub("", text), flags=re.MULTILINE)
        assert not set("<>") & set(foreign)
        assert not re.search(r"(?<!\w)@(?:here|channel|everyone)", foreign, re.ASCII)


def check_harmless(messages: list[RenderedMessage]) -> None:
    """Fail if foreign text does something in a message that it must never do."""
    for message in messages:
        assert check(message.blocks, Surface.MESSAGE) == []
        assert 0 < len(message.text) <= 4000
        check_marks(message.text, *read_by_slack(message.blocks))


@pytest.fixture(scope="session")
def scene() -> Scene:
    return Scene(Texts())


@pytest.fixture(scope="session")
def scenes_of() -> Callable[[str], Scene]:
    """Build the same outage with one text in the place of every foreign text."""
    return lambda text: Scene(Texts(*[text] * len(Texts._fields)))


@pytest.fixture(scope="session")
def hostile() -> st.SearchStrategy[str]:
    return HOSTILE


@pytest.fixture(scope="session")
def judge() -> Callable[[str, list[RenderedMessage]], None]:
    return judge_messages


@pytest.fixture(scope="session")
def find_harm() -> Callable[[list[RenderedMessage]], None]:
    return check_harmless


@pytest.fixture(scope="session")
def compare() -> Callable[[str, str], None]:
    return compare_golden


@pytest.fixture(scope="session")
def find_marks() -> Callable[[Any], None]:
    return lambda blocks: check_marks(*read_by_slack(blocks))
