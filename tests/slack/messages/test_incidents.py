"""Every message about an incident, in each of its states."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.measurement import MetricKind as Counted
from bot.core.model.observation import Cause, Fault, Scope, Severity, Stage, Verdict
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import Incident, IncidentKind, Problem, TimelineEntry, TimelineKind
from bot.core.state.outbox import PagerAction
from bot.slack.render.direct_and_pager import render_direct_message, render_pager_message
from bot.slack.render.timeline import render_timeline_entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.slack.render.text import RenderedMessage

START = 1_772_445_600.0
NOW = START + 300
PERMALINK = "https://acme.slack.com/archives/C0LOGINS/p1"
ANN, BEN, CLEO = "U0ANN", "U0BEN", "U0CLEO"
SLOW = Problem("prod", "login", START, 5, 9, reason=Reason.SLOW, baseline=0.3, span_s=2.4)
UNCLEAR = Verdict(Cause.UNCLEAR, Scope.UNKNOWN, 0.4, settled_by="a neutral host")


def warning(scene: Any, *troubles: Problem, **changes: Any) -> Incident:
    """A milder incident of one tenant, which calls nobody."""
    incident: Incident = scene.open
    return replace(
        incident,
        severity=Severity.WARNING,
        tenants=("prod",),
        problems=troubles,
        mentioned=(),
        has_mentioned=False,
        **changes,
    )


def silenced(scene: Any) -> list[RenderedMessage]:
    silences = {scene.silence_all.id: scene.silence_all}
    return [scene.card(scene.open, silences=silences, is_maintained=True)]


def claimed(scene: Any) -> list[RenderedMessage]:
    claim = Problem(
        "prod",
        "alertmanager",
        START,
        2,
        0,
        reason=Reason.EXTERNAL_ALERT,
        title=scene.texts.claim,
        link="https://prometheus.example/graph",
    )
    return [scene.card(warning(scene, claim))]


def stopped(scene: Any) -> list[RenderedMessage]:
    fault = Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant", scene.texts.description)
    refused = Problem("prod", "login", START, 3, 3, fault, is_stopped=True)
    return [scene.card(warning(scene, refused))]


def blind(scene: Any) -> list[RenderedMessage]:
    ended = replace(scene.ended, kind=IncidentKind.NO_DATA, problems=())
    return [scene.card(warning(scene, kind=IncidentKind.NO_DATA)), scene.card(ended)]


def silent(scene: Any) -> list[RenderedMessage]:
    trouble = Problem("prod", "checkout", START, 0, 0, no_data_reason=scene.texts.no_data_reason)
    source = warning(scene, trouble, kind=IncidentKind.SOURCE_NO_DATA, source=Counted.METRICS)
    source = replace(source, severity=Severity.INFO)
    taken = replace(source, state=scene.taken.state, acknowledged_by=ANN)
    by_hand = replace(source, state=scene.ended.state, resolved_by=BEN)
    ended = replace(source, state=scene.ended.state)
    listed = scene.says("alerts", view=scene.view(source))
    return [*(scene.card(one) for one in (source, taken, by_hand, ended)), listed]


def thread(scene: Any) -> list[RenderedMessage]:
    texts = scene.texts
    lines: list[tuple[Incident, TimelineEntry]] = [
        (scene.open, TimelineEntry(START + 52, TimelineKind.WHY)),
        (scene.open, TimelineEntry(START + 60, TimelineKind.JOINED, tenants=("shop",))),
        (scene.open, TimelineEntry(START + 90, TimelineKind.MENTION, mentioned=("@here", "S0OPS"))),
        (scene.open, TimelineEntry(START + 100, TimelineKind.PAGED, mentioned=(BEN,))),
        (
            scene.open,
            TimelineEntry(
                START + 105, TimelineKind.PAGED, mentioned=(BEN,), contact_points=("dm",)
            ),
        ),
        (
            scene.open,
            TimelineEntry(START + 110, TimelineKind.PAGED, by=CLEO, contact_points=("pager",)),
        ),
        (
            scene.taken,
            TimelineEntry(START + 120, TimelineKind.ACKNOWLEDGED, by=ANN, text=texts.note),
        ),
        (scene.taken, TimelineEntry(START + 130, TimelineKind.NOTE, by=BEN, text=texts.note)),
        (
            scene.taken,
            TimelineEntry(START + 200, TimelineKind.STATUS_UPDATE, status_incident=scene.notice),
        ),
        (
            scene.taken,
            TimelineEntry(
                START + 210,
                TimelineKind.VERDICT,
                verdict=scene.verdict,
                new_evidence=scene.verdict.evidence_for,
            ),
        ),
        (
            scene.taken,
            TimelineEntry(START + 220, TimelineKind.SEVERITY_RAISED, severity=Severity.CRITICAL),
        ),
        (
            scene.taken,
            TimelineEntry(
                START + 230, TimelineKind.SILENCED, by=BEN, text=texts.reason, until=NOW + 3600
            ),
        ),
        (scene.taken, TimelineEntry(START + 235, TimelineKind.PAGED, mentioned=(BEN,), by=CLEO)),
        (scene.taken, TimelineEntry(START + 240, TimelineKind.HAND_OVER, mentioned=(BEN,))),
        (scene.taken, TimelineEntry(START + 241, TimelineKind.HAND_OVER)),
        (
            scene.taken,
            TimelineEntry(START + 250, TimelineKind.RECOVERED, problem=scene.open.problems[1]),
        ),
        (
            scene.taken,
            TimelineEntry(START + 260, TimelineKind.FALSE_ALARM, by=BEN, text=texts.alarm),
        ),
        (scene.ended, TimelineEntry(NOW, TimelineKind.RESOLVED)),
        (scene.by_hand, TimelineEntry(NOW, TimelineKind.RESOLVED, by=BEN)),
        (scene.merged, TimelineEntry(NOW, TimelineKind.MERGED)),
        (scene.open, TimelineEntry(NOW, TimelineKind.REOPENED)),
    ]
    return [render_timeline_entry(entry, incident, NOW) for incident, entry in lines]


MESSAGES: dict[str, Callable[[Any], list[RenderedMessage]]] = {
    "open": lambda scene: [scene.card(scene.open)],
    "acknowledged": lambda scene: [scene.card(scene.taken)],
    "silenced": silenced,
    "resolved": lambda scene: [scene.card(scene.ended)],
    "resolved-by-hand": lambda scene: [scene.card(scene.by_hand)],
    "merged": lambda scene: [scene.card(scene.merged)],
    "false-alarm": lambda scene: [scene.card(scene.false_alarm)],
    "slow": lambda scene: [scene.card(warning(scene, SLOW, verdict=UNCLEAR))],
    "claimed": claimed,
    "stopped": stopped,
    "blind": blind,
    "silent": silent,
    "thread": thread,
    "direct": lambda scene: [render_direct_message(scene.open, scene.view(), PERMALINK)],
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_messages_are_the_golden_ones(name: str, scene: Any, judge: Any) -> None:
    """Whole, as they were looked at; other people's validators find nothing in them either."""
    judge(name, MESSAGES[name](scene))


@settings(max_examples=40, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", MESSAGES)
def test_foreign_text_is_harmless(
    name: str, data: st.DataObject, scenes_of: Any, hostile: Any, find_harm: Any
) -> None:
    """It mentions nobody, makes no link, and stays within Slack's limits, wherever it is shown."""
    find_harm(MESSAGES[name](scenes_of(data.draw(hostile))))


@pytest.mark.parametrize("action", PagerAction)
def test_a_page_is_plain(action: PagerAction, scene: Any, compare: Any) -> None:
    """A title to wake up by, what is known, and where to go, without any mark-up."""
    states = (scene.open, scene.taken, scene.ended)
    incident = dict(zip(PagerAction, states, strict=True))[action]
    told = render_pager_message(incident, scene.view(), action, key="k", link=PERMALINK)

    compare(f"page-{action}.txt", f"{told.title}\n\n{told.body}\n\n{told.link}\n")


@settings(deadline=None)
@given(data=st.data())
def test_a_page_stays_plain(data: st.DataObject, scenes_of: Any, hostile: Any) -> None:
    """Its title is one line of at most 200 characters, whatever others write."""
    scene = scenes_of(data.draw(hostile))
    incident = replace(
        scene.open,
        problems=(
            replace(scene.open.problems[0], reason=Reason.EXTERNAL_ALERT, title=scene.texts.claim),
        ),
    )
    told = render_pager_message(incident, scene.view(), PagerAction.TRIGGER, key="k", link="")

    assert len(told.title) <= 200
    assert len(told.title.splitlines()) == 1
