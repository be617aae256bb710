"""Every message about an incident, in each of its states."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.measurement import Kind as Counted
from bot.core.model.observation import Cause, Fault, Scope, Severity, Stage, Verdict
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import Entry, EntryKind, Incident, Kind, Trouble
from bot.core.state.outbox import PageAction
from bot.slack.render.direct_and_pager import direct, page
from bot.slack.render.timeline import timeline

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.slack.render.text import Rendered

START = 1_772_445_600.0
NOW = START + 300
PERMALINK = "https://acme.slack.com/archives/C0LOGINS/p1"
ANN, BEN, CLEO = "U0ANN", "U0BEN", "U0CLEO"
SLOW = Trouble("prod", "login", START, 5, 9, reason=Reason.SLOW, usual=0.3, span_s=2.4)
UNCLEAR = Verdict(Cause.UNCLEAR, Scope.UNKNOWN, 0.4, settle="a neutral host")


def warning(scene: Any, *troubles: Trouble, **changes: Any) -> Incident:
    """A milder incident of one tenant, which calls nobody."""
    incident: Incident = scene.open
    return replace(
        incident,
        severity=Severity.WARNING,
        tenants=("prod",),
        troubles=troubles,
        called=(),
        is_mentioned=False,
        **changes,
    )


def silenced(scene: Any) -> list[Rendered]:
    silences = {scene.silence_all.id: scene.silence_all}
    return [scene.card(scene.open, silences=silences, is_maintained=True)]


def claimed(scene: Any) -> list[Rendered]:
    claim = Trouble(
        "prod",
        "alertmanager",
        START,
        2,
        0,
        reason=Reason.CLAIMED,
        said=scene.texts.claim,
        link="https://prometheus.example/graph",
    )
    return [scene.card(warning(scene, claim))]


def stopped(scene: Any) -> list[Rendered]:
    fault = Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant", scene.texts.description)
    refused = Trouble("prod", "login", START, 3, 3, fault, is_stopped=True)
    return [scene.card(warning(scene, refused))]


def blind(scene: Any) -> list[Rendered]:
    ended = replace(scene.ended, kind=Kind.BLIND, troubles=())
    return [scene.card(warning(scene, kind=Kind.BLIND)), scene.card(ended)]


def silent(scene: Any) -> list[Rendered]:
    trouble = Trouble("prod", "checkout", START, 0, 0, missing=scene.texts.missing)
    source = warning(scene, trouble, kind=Kind.SILENT, source=Counted.METRICS)
    source = replace(source, severity=Severity.INFO)
    taken = replace(source, state=scene.taken.state, acknowledged_by=ANN)
    by_hand = replace(source, state=scene.ended.state, resolved_by=BEN)
    ended = replace(source, state=scene.ended.state)
    listed = scene.says("alerts", view=scene.view(source))
    return [*(scene.card(one) for one in (source, taken, by_hand, ended)), listed]


def thread(scene: Any) -> list[Rendered]:
    texts = scene.texts
    lines: list[tuple[Incident, Entry]] = [
        (scene.open, Entry(START + 52, EntryKind.WHY)),
        (scene.open, Entry(START + 60, EntryKind.JOINED, tenants=("shop",))),
        (scene.open, Entry(START + 90, EntryKind.MENTION, whom=("@here", "S0OPS"))),
        (scene.open, Entry(START + 100, EntryKind.PAGED, whom=(BEN,))),
        (scene.open, Entry(START + 105, EntryKind.PAGED, whom=(BEN,), ways=("dm",))),
        (scene.open, Entry(START + 110, EntryKind.PAGED, by=CLEO, ways=("pager",))),
        (scene.taken, Entry(START + 120, EntryKind.ACKNOWLEDGED, by=ANN, text=texts.note)),
        (scene.taken, Entry(START + 130, EntryKind.NOTE, by=BEN, text=texts.note)),
        (scene.taken, Entry(START + 200, EntryKind.NOTICE, notice=scene.notice)),
        (
            scene.taken,
            Entry(
                START + 210, EntryKind.VERDICT, verdict=scene.verdict, news=scene.verdict.because
            ),
        ),
        (scene.taken, Entry(START + 220, EntryKind.GRAVER, severity=Severity.CRITICAL)),
        (
            scene.taken,
            Entry(START + 230, EntryKind.SILENCED, by=BEN, text=texts.reason, until=NOW + 3600),
        ),
        (scene.taken, Entry(START + 235, EntryKind.PAGED, whom=(BEN,), by=CLEO)),
        (scene.taken, Entry(START + 240, EntryKind.HAND_OVER, whom=(BEN,))),
        (scene.taken, Entry(START + 241, EntryKind.HAND_OVER)),
        (scene.taken, Entry(START + 250, EntryKind.RECOVERED, trouble=scene.open.troubles[1])),
        (scene.taken, Entry(START + 260, EntryKind.FALSE_ALARM, by=BEN, text=texts.alarm)),
        (scene.ended, Entry(NOW, EntryKind.RESOLVED)),
        (scene.by_hand, Entry(NOW, EntryKind.RESOLVED, by=BEN)),
        (scene.merged, Entry(NOW, EntryKind.MERGED)),
        (scene.open, Entry(NOW, EntryKind.REOPENED)),
    ]
    return [timeline(entry, incident, NOW) for incident, entry in lines]


MESSAGES: dict[str, Callable[[Any], list[Rendered]]] = {
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
    "direct": lambda scene: [direct(scene.open, scene.view(), PERMALINK)],
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


@pytest.mark.parametrize("action", PageAction)
def test_a_page_is_plain(action: PageAction, scene: Any, compare: Any) -> None:
    """A title to wake up by, what is known, and where to go, without any mark-up."""
    states = (scene.open, scene.taken, scene.ended)
    incident = dict(zip(PageAction, states, strict=True))[action]
    told = page(incident, scene.view(), action, key="k", link=PERMALINK)

    compare(f"page-{action}.txt", f"{told.title}\n\n{told.body}\n\n{told.link}\n")


@settings(deadline=None)
@given(data=st.data())
def test_a_page_stays_plain(data: st.DataObject, scenes_of: Any, hostile: Any) -> None:
    """Its title is one line of at most 200 characters, whatever others write."""
    scene = scenes_of(data.draw(hostile))
    incident = replace(
        scene.open,
        troubles=(replace(scene.open.troubles[0], reason=Reason.CLAIMED, said=scene.texts.claim),),
    )
    told = page(incident, scene.view(), PageAction.TRIGGER, key="k", link="")

    assert len(told.title) <= 200
    assert len(told.title.splitlines()) == 1
