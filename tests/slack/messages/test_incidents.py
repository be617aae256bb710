"""Every message about an incident, in each of its states."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.measurement import MetricKind
from bot.core.model.observation import (
    Cause,
    Fault,
    MissingEvidence,
    Scope,
    Severity,
    Stage,
    Verdict,
)
from bot.core.oncall import CallReason
from bot.core.state.incident import (
    Incident,
    IncidentKind,
    NotificationState,
    OwnFault,
    OwnFaultKind,
    Resolution,
)
from bot.core.state.outbox import CrossPost, Delivery, Greeting, NobodyReached, PagerAction, Paging
from bot.core.state.problem import AlertProblem, NoDataProblem, ProbeProblem, Problem, SlowProblem
from bot.core.state.timeline import (
    AcknowledgedEntry,
    FalseAlarmEntry,
    HandOverEntry,
    JoinedEntry,
    MentionEntry,
    MergedEntry,
    NoteEntry,
    PagedEntry,
    RecoveredEntry,
    ReopenedEntry,
    ResolvedEntry,
    SeverityRaisedEntry,
    SilencedEntry,
    StatusUpdateEntry,
    StillOnItEntry,
    TimelineEntry,
    UnreachedEntry,
    VerdictEntry,
)
from bot.slack.render.direct_and_pager import render_direct_message, render_pager_message
from bot.slack.render.incident import render_abandoned, render_pointer
from bot.slack.render.incident_line import render_catch_up
from bot.slack.render.info import render_greeting
from bot.slack.render.timeline import render_timeline_entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.slack.render.text import RenderedMessage

START = 1_772_445_600.0
NOW = START + 300
PERMALINK = "https://acme.slack.com/archives/C0LOGINS/p1"
ANN, BEN, CLEO = "U0ANN", "U0BEN", "U0CLEO"
SLOW = SlowProblem("prod", "login", START, 5, 9, latency_s=2.4, usual_s=0.3)
UNCLEAR = Verdict(Cause.UNCLEAR, Scope.UNKNOWN, 0.4, settled_by=MissingEvidence.CONTROL)


def warning(scene: Any, *problems: Problem, **changes: Any) -> Incident:
    """A warning of one tenant, which notifies nobody."""
    incident: Incident = scene.open
    return replace(
        incident,
        severity=Severity.WARNING,
        tenants=("prod",),
        problems=problems,
        notification=NotificationState(),
        **changes,
    )


def silenced(scene: Any) -> list[RenderedMessage]:
    silences = {scene.silence_all.id: scene.silence_all}
    return [scene.message(scene.open, silences=silences, is_maintained=True)]


def external_alert(scene: Any) -> list[RenderedMessage]:
    link = "https://prometheus.example/graph"
    alert = AlertProblem("prod", "alertmanager", START, 2, scene.texts.alert, link)
    return [scene.message(warning(scene, alert))]


def stopped(scene: Any) -> list[RenderedMessage]:
    fault = Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant", scene.texts.description)
    refused = ProbeProblem("prod", "login", START, 3, 3, fault, is_stopped=True)
    return [scene.message(warning(scene, refused))]


def no_data(scene: Any) -> list[RenderedMessage]:
    ended = replace(scene.ended, kind=IncidentKind.NO_DATA, problems=())
    return [scene.message(warning(scene, kind=IncidentKind.NO_DATA)), scene.message(ended)]


OWN_FAULTS = (
    OwnFault(OwnFaultKind.CLOCK, ahead_s=-3600.0),
    OwnFault(OwnFaultKind.STORE, "The database cannot be used: its disk is full: free some space."),
    OwnFault(OwnFaultKind.CRASH_LOOP, "6 crashes within 15 minutes."),
)
CORRECTED = OwnFault(OwnFaultKind.CLOCK_CORRECTED, ahead_s=3600.0)


def own_faults(scene: Any) -> list[RenderedMessage]:
    kind = IncidentKind.OWN_FAULT
    faults = [
        replace(warning(scene, kind=kind), id=number, tenants=(), own_fault=fault)
        for number, fault in enumerate(OWN_FAULTS, start=7)
    ]
    life = replace(faults[0].life, resolved=Resolution(NOW))
    ended = [replace(fault, life=life) for fault in faults]
    told = replace(ended[0], severity=Severity.INFO, own_fault=CORRECTED)
    listed = scene.says("alerts", view=scene.view(*faults))
    return [*map(scene.message, (*faults, *ended, told)), listed]


def missing_data(scene: Any) -> list[RenderedMessage]:
    problem = NoDataProblem("prod", "checkout", START, MetricKind.METRICS, scene.texts.missing)
    source = warning(scene, problem, kind=IncidentKind.SOURCE_NO_DATA, source=MetricKind.METRICS)
    source = replace(source, severity=Severity.INFO)
    life = source.life
    acknowledged = replace(source, life=scene.acknowledged.life)
    by_hand = replace(source, life=replace(life, resolved=Resolution(life.opened_at, BEN)))
    ended = replace(source, life=replace(life, resolved=Resolution(life.opened_at)))
    listed = scene.says("alerts", view=scene.view(source))
    return [*(scene.message(one) for one in (source, acknowledged, by_hand, ended)), listed]


def thread(scene: Any) -> list[RenderedMessage]:
    texts = scene.texts
    asked = replace(scene.acknowledged.life.acknowledged, asked_at=START + 122)
    lines: list[tuple[Incident, TimelineEntry]] = [
        (scene.open, JoinedEntry(START + 60, tenants=("shop",))),
        (scene.open, MentionEntry(START + 90, mentioned=("@here", "S0OPS"))),
        (scene.open, PagedEntry(START + 100, mentioned=(BEN,))),
        (
            scene.open,
            PagedEntry(START + 105, mentioned=(BEN,), contact_points=("dm",)),
        ),
        (
            scene.open,
            PagedEntry(START + 110, by=CLEO, contact_points=("pager",)),
        ),
        (
            scene.open,
            UnreachedEntry(START + 112, "pager", "HTTP 400: check the routing key"),
        ),
        (scene.open, UnreachedEntry(START + 113, "pager", "no_answer")),
        (scene.open, UnreachedEntry(START + 114, "", "in_dnd", (BEN, CLEO))),
        (scene.open, UnreachedEntry(START + 115, "", "user_not_found", (BEN,))),
        (scene.open, UnreachedEntry(START + 116, "dm", "nobody_found")),
        (scene.open, UnreachedEntry(START + 117, "next", "nobody_found")),
        (
            scene.acknowledged,
            AcknowledgedEntry(START + 120, by=ANN, text=texts.note),
        ),
        (scene.acknowledged, AcknowledgedEntry(START + 121, by=ANN, taken_from=BEN)),
        (scene.acknowledged, StillOnItEntry(START + 122, asked, START + 1022)),
        (scene.open, MentionEntry(START + 1022, (CLEO,), CallReason.EXPIRED, acknowledged=asked)),
        (
            scene.open,
            MentionEntry(START + 125, (CLEO,), CallReason.HANDED_OVER, acknowledged=asked),
        ),
        (
            scene.acknowledged,
            NoteEntry(START + 130, by=BEN, text=texts.note),
        ),
        (
            scene.acknowledged,
            StatusUpdateEntry(START + 200, status_incident=scene.status_incident),
        ),
        (
            scene.acknowledged,
            VerdictEntry(
                START + 210,
                verdict=scene.verdict,
                new_evidence=scene.verdict.evidence_for,
            ),
        ),
        (
            scene.acknowledged,
            SeverityRaisedEntry(START + 220, severity=Severity.CRITICAL),
        ),
        (
            scene.acknowledged,
            SilencedEntry(START + 230, by=BEN, text=texts.reason, until=NOW + 3600),
        ),
        (
            scene.acknowledged,
            PagedEntry(START + 235, mentioned=(BEN,), by=CLEO),
        ),
        (scene.acknowledged, HandOverEntry(START + 240, mentioned=(BEN,))),
        (scene.acknowledged, HandOverEntry(START + 241)),
        (
            scene.acknowledged,
            RecoveredEntry(START + 250, tenants=("shop",)),
        ),
        (
            scene.acknowledged,
            FalseAlarmEntry(START + 260, by=BEN, text=texts.alarm),
        ),
        (scene.ended, ResolvedEntry(NOW)),
        (scene.by_hand, ResolvedEntry(NOW, by=BEN)),
        (scene.merged, MergedEntry(NOW)),
        (scene.open, ReopenedEntry(NOW)),
    ]
    view = scene.view(scene.open)
    return [render_timeline_entry(entry, incident, view) for incident, entry in lines]


def in_other_channels(scene: Any) -> list[RenderedMessage]:
    missed = scene.view(scene.ended, scene.by_hand, scene.merged)
    crossed, nobody = CrossPost(scene.open.id, ""), NobodyReached(scene.open.id, "")
    call = MentionEntry(NOW, ("@here",))
    return [
        render_pointer(crossed, scene.open, scene.view(scene.open), PERMALINK),
        render_pointer(crossed, scene.ended, scene.view(scene.ended), ""),
        render_pointer(nobody, scene.open, scene.view(scene.open), PERMALINK),
        render_timeline_entry(call, scene.open, scene.view(scene.open), PERMALINK),
        render_abandoned(scene.message(scene.open).text),
        render_catch_up((scene.ended.id, scene.by_hand.id, scene.merged.id, 999), missed),
    ]


def greetings(_: Any) -> list[RenderedMessage]:
    many = tuple(f"tenant-{number}" for number in range(8))
    return [
        render_greeting(Greeting(("eu", "prod"))),
        render_greeting(Greeting(many, is_first=False)),
    ]


MESSAGES: dict[str, Callable[[Any], list[RenderedMessage]]] = {
    "greeting": greetings,
    "claimed": external_alert,
    "silent": missing_data,
    "own-faults": own_faults,
    "thread": thread,
    "in-other-channels": in_other_channels,
}
STATES: dict[str, Callable[[Any], list[RenderedMessage]]] = {
    "open": lambda scene: [scene.message(scene.open)],
    "acknowledged": lambda scene: [scene.message(scene.acknowledged)],
    "silenced": silenced,
    "resolved": lambda scene: [scene.message(scene.ended)],
    "resolved-by-hand": lambda scene: [scene.message(scene.by_hand)],
    "merged": lambda scene: [scene.message(scene.merged)],
    "false-alarm": lambda scene: [scene.message(scene.false_alarm)],
    "slow": lambda scene: [scene.message(warning(scene, SLOW, verdict=UNCLEAR))],
    "stopped": stopped,
    "no-data": no_data,
    "direct": lambda scene: [render_direct_message(scene.open, scene.view(), PERMALINK)],
}
"""How these look, the stories show: here are the foreign texts in them."""


@pytest.mark.parametrize("name", MESSAGES)
def test_the_messages_are_the_golden_ones(name: str, scene: Any, judge: Any) -> None:
    """The whole messages are those that a person reviewed, and others' validators accept them."""
    judge(name, MESSAGES[name](scene))


@settings(deadline=None)
@given(data=st.data())
def test_a_pager_message_stays_plain(data: st.DataObject, scenes_of: Any, hostile: Any) -> None:
    """The title is one line of at most 200 characters, whatever the foreign texts are."""
    scene = scenes_of(data.draw(hostile))
    incident = replace(
        scene.open,
        problems=(AlertProblem("prod", "login", START, 5, scene.texts.alert),),
    )
    page = Paging(incident.id, "pager", PagerAction.TRIGGER)
    delivery = Delivery("k", "page", 1, page, START)
    message = render_pager_message(incident, scene.view(), delivery, page, "")

    assert len(message.title) <= 200
    assert len(message.title.splitlines()) == 1
