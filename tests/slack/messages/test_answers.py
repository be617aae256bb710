"""Every answer to a command."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.access import AuditEntry, CommandOutcome, NotAllowed, Right, Verb
from bot.core.model.command import Request, RunCheck, ShowHelp, SilenceRefusal
from bot.core.model.observation import Observation, Outcome, Target, Timing
from bot.core.oncall import Override, Shift, Shifts, UserGroup
from bot.core.state.outbox import Answer, AnswerResult, CalledNow
from bot.slack.render.answers import render_answer
from bot.slack.render.silences import render_silence_change

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.slack.render.text import RenderedMessage

START = 1_772_445_600.0
NOW = START + 300
ANN, BEN, CLEO = "U0ANN", "U0BEN", "U0CLEO"
CALLED = (
    CalledNow("mention", ("@here",)),
    CalledNow("dm", (BEN,)),
    CalledNow("pager"),
)


def handling(scene: Any) -> list[RenderedMessage]:
    acknowledged, over = scene.view(scene.acknowledged), scene.view(scene.by_hand)
    false_alarm = scene.view(replace(scene.ended, false_alarm=scene.texts.alarm))
    both = scene.view(scene.open, replace(scene.acknowledged, id=12))
    return [
        scene.says("ack 7", CommandOutcome.DONE, acknowledged),
        scene.says("ack 7", CommandOutcome.ALREADY, acknowledged),
        scene.says("ack 7", CommandOutcome.TOO_LATE, over),
        scene.says("ack", AnswerResult(CommandOutcome.NO_SUCH), both),
        scene.says("ack", AnswerResult(CommandOutcome.NO_SUCH), scene.view()),
        scene.says(f"ack 99 {scene.texts.asked}", AnswerResult(CommandOutcome.NO_SUCH), both),
        scene.says("resolve 7", CommandOutcome.DONE, over),
        scene.says("resolve 7", CommandOutcome.ALREADY, scene.view(scene.ended)),
        scene.says("resolve 7 rolled back", CommandOutcome.UNCONFIRMED, acknowledged),
        scene.says("hand-over 7", CommandOutcome.DONE),
        scene.says("hand-over 7", CommandOutcome.ALREADY),
        scene.says("hand-over 7", CommandOutcome.ALREADY, acknowledged),
        scene.says("hand-over 7", CommandOutcome.TOO_LATE, over),
        scene.says("note 7 x", CommandOutcome.DONE, acknowledged),
        scene.says("note 7", CommandOutcome.INVALID, acknowledged),
        scene.says("false-alarm 7 x", CommandOutcome.DONE, false_alarm),
        scene.says("false-alarm 7 x", CommandOutcome.ALREADY, false_alarm),
        scene.says("false-alarm 7", CommandOutcome.INVALID, acknowledged),
        scene.says("escalate 7", AnswerResult(CommandOutcome.DONE, 7, called=CALLED)),
        scene.says("escalate 7", CommandOutcome.NOBODY),
        scene.says("escalate 7", CommandOutcome.TOO_LATE, over),
    ]


def silencing(scene: Any) -> list[RenderedMessage]:
    ended = replace(scene.silence, ended_at=NOW - 60, suppressed=7)
    running = scene.view(
        scene.open,
        silences={3: scene.silence, 4: scene.silence_all, 5: replace(ended, id=5)},
        is_maintained=True,
    )
    asked = f"silence {scene.texts.asked} 2h"
    set_now = AnswerResult(CommandOutcome.DONE, silence=scene.silence, hidden=(1, 2, 3))
    return [
        scene.says(asked, set_now),
        scene.says(asked, AnswerResult(CommandOutcome.DONE, silence=scene.silence_all)),
        *(
            scene.says(asked, AnswerResult(CommandOutcome.INVALID, silence_refusal=why))
            for why in SilenceRefusal
        ),
        scene.says("silences", view=running),
        scene.says("silences"),
        scene.says("unsilence S3", AnswerResult(CommandOutcome.DONE, silence=ended)),
        scene.says("unsilence S3", AnswerResult(CommandOutcome.ALREADY, silence=ended)),
        scene.says(f"unsilence {scene.texts.asked}", AnswerResult(CommandOutcome.NO_SUCH), running),
        scene.says("unsilence", AnswerResult(CommandOutcome.NO_SUCH)),
        scene.says("status", view=running),
        render_silence_change(ended, scene.view(scene.muted)),
        render_silence_change(scene.silence_all, scene.view()),
        render_silence_change(
            replace(scene.silence_all, ended_by=BEN, ended_at=ended.ended_at), scene.view()
        ),
    ]


def refusals(scene: Any) -> list[RenderedMessage]:
    refused = [
        NotAllowed(Right.ACKNOWLEDGE, (ANN, "S0OPS")),
        NotAllowed(Right.ADMINISTER, ("C0LOGINS",)),
        NotAllowed(Right.VIEW, ()),
    ]
    return [
        scene.says("ack 7", AnswerResult(CommandOutcome.REFUSED, refused=why)) for why in refused
    ]


def on_call(scene: Any) -> list[RenderedMessage]:
    override = Override(CLEO, NOW - 60, NOW + 7200, ANN)
    read = Shifts(
        NOW - 900,
        (Shift("", START, NOW + 600, scene.texts.calendar), Shift(BEN, NOW + 600, NOW + 7200)),
        scene.texts.fault,
    )
    return [
        scene.says("oncall"),
        scene.says("oncall", view=scene.view(overrides=(override,))),
        scene.says("oncall", view=scene.view(shifts=read)),
        scene.says("oncall", view=scene.view(on_call=UserGroup("S0OPS"))),
        scene.says("oncall", view=scene.view(on_call=None)),
        scene.says(
            "oncall swap 2h", AnswerResult(CommandOutcome.DONE, shift=Shift(CLEO, NOW, NOW + 7200))
        ),
        scene.says("oncall swap", AnswerResult(CommandOutcome.INVALID)),
        scene.says("oncall swap @ben 2h", AnswerResult(CommandOutcome.INVALID)),
        scene.says("oncall swap 2h", AnswerResult(CommandOutcome.NOBODY)),
    ]


def looking(scene: Any) -> list[RenderedMessage]:
    view = scene.view(scene.open, scene.ended, scene.muted)
    observations = (
        Observation(Target("prod", "login"), NOW, Outcome.FAILED, 0.4, scene.fault),
        Observation(Target("shop", "login"), NOW, Outcome.OK, 0.2),
    )
    run = Request("r", NOW, RunCheck())
    return [
        scene.says("status", view=view),
        scene.says("alerts", view=scene.view(scene.by_hand, scene.merged, scene.muted)),
        scene.says("alerts acked 24h", view=view),
        scene.says("alerts", view=scene.view()),
        scene.says(f"alerts {scene.texts.asked}"),
        scene.says("why 7"),
        scene.says(f"why {scene.texts.asked}"),
        scene.says(f"run {scene.texts.asked}"),
        render_answer(Answer(run, is_first=False, observations=observations), view),
        scene.says(f"unknown {scene.texts.asked}", nearest="report"),
    ]


def audit(scene: Any) -> list[RenderedMessage]:
    asked = f"7 {scene.texts.note}"
    trail = (
        AuditEntry(START + 120, ANN, Verb.ACK, "7", 7, CommandOutcome.DONE),
        AuditEntry(START + 240, ANN, Verb.NOTE, asked, 7, CommandOutcome.DONE),
        AuditEntry(
            START + 250, CLEO, Verb.SILENCE, f"all 2h {asked}", None, CommandOutcome.REFUSED
        ),
    )
    return [scene.says("audit", view=scene.view(audit=trail))]


def helping(scene: Any) -> list[RenderedMessage]:
    return [scene.says("help"), scene.says("help silence"), scene.says("help oncall")]


MESSAGES: dict[str, Callable[[Any], list[RenderedMessage]]] = {
    "handling": handling,
    "silencing": silencing,
    "refusals": refusals,
    "on-call": on_call,
    "looking": looking,
    "health": lambda scene: [scene.says("health")],
    "audit": audit,
    "help": helping,
}


@pytest.mark.parametrize("name", MESSAGES)
def test_the_messages_are_the_golden_ones(name: str, scene: Any, judge: Any) -> None:
    """The whole messages are those that a person reviewed, and others' validators accept them."""
    judge(name, MESSAGES[name](scene))


def test_the_result_of_a_check_has_every_probe(scene: Any) -> None:
    """It has probes that failed, succeeded, had no data, were skipped, or gave no answer."""
    observations = (
        Observation(Target("prod", "login"), START, Outcome.FAILED, 0.4, scene.fault),
        Observation(
            Target("prod", "wellknown"), START, Outcome.OK, 0.2, timings=(Timing("dns", 0.01),)
        ),
        Observation(Target("control", "neutral"), START, Outcome.NO_DATA, no_data_reason="lag"),
    )
    skipped, unanswered = (Target("prod", "custom"),), (Target("prod", "second"),)
    request = Request("r", START, RunCheck())
    message = render_answer(
        Answer(
            request,
            is_first=False,
            observations=observations,
            skipped=skipped,
            unanswered=unanswered,
        ),
        scene.view(),
    )
    lines = message.blocks[1]["text"]["text"].splitlines()

    assert message.text.startswith("1 of 3 checks failed")
    assert [line.split(":")[1] for line in lines] == [
        "x",
        "large_green_circle",
        "grey_question",
        "grey_question",
        "grey_question",
    ]


def test_alerts_are_headed_by_what_was_asked(scene: Any) -> None:
    """The heading has the state and the time that are listed, and no more than is remembered."""
    view = scene.view(scene.open)
    heads = {words: scene.says(f"alerts {words}", view=view).text for words in HEADS}

    assert {words: text.splitlines()[0] for words, text in heads.items()} == HEADS


HEADS = {
    "": "Incidents of the last seven days",
    "99d": "Incidents of the last seven days",
    "24h": "Incidents of the last 1 d",
    "open": "Open incidents",
    "acked": "No acknowledged incident.",
}


def test_words_for_no_incident_are_given_back(scene: Any) -> None:
    """Whoever wrote a note can copy it from the answer."""
    result = AnswerResult(CommandOutcome.NO_SUCH)
    text = scene.says("note rolled back to 4710", result, scene.view()).text

    assert text.startswith("No incident is open.")
    assert "You wrote: “rolled back to 4710”" in text


def test_status_says_why_nobody_is_alerted_of_what_fails(scene: Any) -> None:
    """A person resolved it while it failed: the status says who, which incident, and until when."""
    text = scene.says("status", view=scene.view(scene.by_hand)).text

    assert f"<@{BEN}> resolved #{scene.by_hand.id}" in text
    assert "nobody is alerted until" in text
    assert "nobody is alerted" not in scene.says("status", view=scene.view(scene.open)).text


def test_who_shared_too_much_is_told_why_only_they_see_the_answer(scene: Any) -> None:
    """The answer is the same, with one more sentence."""
    answer = Answer(Request("r", NOW, ShowHelp(), share=True))
    usual = render_answer(answer, scene.view())
    alone = render_answer(replace(answer, is_share_refused=True), scene.view())

    assert not replace(answer, is_share_refused=True).is_shared
    assert alone.blocks[:-1] == usual.blocks
    assert alone.text == f"{usual.text}\n{alone.blocks[-1]['elements'][0]['text']}"
