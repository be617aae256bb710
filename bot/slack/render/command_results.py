"""Results of commands: what was done, why it was refused, what an on-demand check found. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import acknowledgements
from bot.core.alerting.paging import PERSON_ID_PREFIXES
from bot.core.commands.parse import NOTE_LENGTH
from bot.core.incidents.recurrence import find_failing
from bot.core.model.access import EVERYONE, CommandOutcome, Right, Verb
from bot.core.model.command import Acknowledge, Resolve
from bot.core.model.observation import CONTROL, Observation, Outcome, Target
from bot.core.oncall import DM, MENTION
from bot.core.signals.metric_threshold import MetricState
from bot.core.state.desk import resolve_check_scope
from bot.core.state.incident import IncidentKind
from bot.slack.actions import CONFIRM, ConfirmValue
from bot.slack.render.advice import STICKY_RESOLVE_NOTE, take_over_button
from bot.slack.render.help import usage_hint
from bot.slack.render.incident_line import incident_list
from bot.slack.render.oncall import render_override_result
from bot.slack.render.signals import measurement_line, metric_name
from bot.slack.render.silences import render_silence_result, render_unsilence_result
from bot.slack.render.text import (
    COMMAND,
    FAILING_LIGHT,
    NO_DATA_LIGHT,
    OK_LIGHT,
    RenderedMessage,
    button,
    clean_text,
    context,
    date_and_time,
    duration,
    escape,
    fault_name,
    join_lines,
    join_names,
    mentions,
    quote,
    render_paragraphs,
    signal_name,
)

if TYPE_CHECKING:
    from bot.core.model.access import NotAllowed
    from bot.core.model.command import Request, RunCheck
    from bot.core.model.measurement import Measurement
    from bot.core.state.incident import Incident
    from bot.core.state.outbox import Answer, AnswerResult, CalledNow
    from bot.ports import View
    from bot.slack.render.text import Block

WITH_TEXT = {Verb.ACK, Verb.RESOLVE, Verb.NOTE, Verb.FALSE_ALARM}
"""The verbs after which people write what is to be kept."""
_RESOLVED_ALREADY = "{incident} is over already, since {ended}"
_SENTENCES = {
    Verb.ACK: {
        CommandOutcome.DONE: "{incident} is yours: nobody else is called.{question}",
        CommandOutcome.ALREADY: "{owner} {incident}, for {held}.{question}",
        CommandOutcome.TOO_LATE: f"{_RESOLVED_ALREADY}: there is nothing left to take.",
    },
    Verb.RESOLVE: {
        CommandOutcome.DONE: "{incident} is resolved.{failing}",
        CommandOutcome.UNCONFIRMED: "{incident} is not over: {still}. Resolve it anyway? "
        + STICKY_RESOLVE_NOTE,
        CommandOutcome.ALREADY: f"{_RESOLVED_ALREADY}.",
    },
    Verb.HAND_OVER: {
        CommandOutcome.DONE: "{incident} is no longer yours: others are called now.",
        CommandOutcome.ALREADY: "{incident} is not yours: {owner} it.",
        CommandOutcome.TOO_LATE: f"{_RESOLVED_ALREADY}: there is nothing to hand over.",
    },
    Verb.NOTE: {
        CommandOutcome.DONE: "Noted at {incident}.",
        CommandOutcome.INVALID: "What is to be noted at {incident}?",
    },
    Verb.FALSE_ALARM: {
        CommandOutcome.DONE: "{incident} is marked as a false alarm, and the report counts it. "
        f"If it still goes on: `{COMMAND} resolve {{number}}`",
        CommandOutcome.ALREADY: "{incident} is marked as a false alarm already: {reason}",
        CommandOutcome.INVALID: "Why was {incident} none? A word or two helps the report.",
    },
    Verb.ESCALATE: {
        CommandOutcome.DONE: "{incident}: {called}. The thread says who was reached.",
        CommandOutcome.TOO_LATE: f"{_RESOLVED_ALREADY}: nobody was called.",
        CommandOutcome.NOBODY: "There is nobody to call for {incident}: neither who is on call nor "
        "somebody to mention is configured, or all were called.",
    },
}


def render_command_result(request: Request, result: AnswerResult, view: View) -> RenderedMessage:
    """Render what came of a command."""
    if result.refused:
        return render_paragraphs(refusal_text(result.refused))
    verb = request.command.verb
    if verb is Verb.SILENCE:
        return render_silence_result(request, result, view)
    if verb is Verb.UNSILENCE:
        return render_unsilence_result(request, result, view)
    if verb is Verb.ONCALL:
        return render_override_result(request, result)
    incident = view.desk.incidents.get(result.incident or 0)
    if incident is None:
        return _no_such_incident(request, view)
    called = _called_text(result.called)
    placeholders = _placeholders(request, incident, view) | {"called": called}
    sentence = _SENTENCES[verb][result.outcome].format(**placeholders)
    is_invalid = result.outcome is CommandOutcome.INVALID
    message = render_paragraphs(sentence, usage_hint(verb) if is_invalid else "")
    return replace(message, blocks=[*message.blocks, *_answer_buttons(request, result, incident)])


def _answer_buttons(request: Request, result: AnswerResult, incident: Incident) -> list[Block]:
    """Return the buttons for what the person may want to do next."""
    match request.command, result.outcome:
        case Acknowledge(), CommandOutcome.ALREADY:
            owner = incident.life.acknowledged_by
            is_others = owner not in ("", request.user)
            elements = [take_over_button(incident)]
            return [{"type": "actions", "elements": elements}] if is_others else []
        case Resolve(note=note), CommandOutcome.UNCONFIRMED:
            value = ConfirmValue(incident=incident.id, note=clean_text(note, NOTE_LENGTH))
            anyway = button(
                "Resolve anyway", CONFIRM, value=value.model_dump_json(), style="danger"
            )
            return [{"type": "actions", "elements": [anyway]}]
        case _:
            return []


def _placeholders(request: Request, incident: Incident, view: View) -> dict[str, str]:
    taken, owner = incident.life.acknowledged, "nobody has"
    is_own = incident.life.acknowledged_by == request.user
    if taken:
        owner = "You have" if is_own else f"<@{taken.by}> has"
    ask_at = acknowledgements.due_at(incident, view.rules) if is_own else None
    by = f", by <@{incident.life.resolved_by}>" if incident.life.resolved_by else ""
    failing = ", ".join(map(str, incident.life.still_failing[:5]))
    return {
        "incident": f"#{incident.id}",
        "number": str(incident.id),
        "owner": owner,
        "held": duration(view.now - taken.at if taken else 0.0),
        "question": f" I ask you at {date_and_time(ask_at)} whether you are still on it."
        if ask_at
        else "",
        "still": _what_still_fails(incident, view),
        "ended": date_and_time(incident.life.resolved_at or 0.0) + by,
        "reason": quote(incident.false_alarm),
        "failing": f" Still failing: {failing}. {STICKY_RESOLVE_NOTE}" if failing else "",
    }


def _called_text(called: tuple[CalledNow, ...]) -> str:
    """Say whom an escalation by hand calls, and how; whether they are reached is not known yet."""
    ways = {MENTION: "I mention {people} in the channel", DM: "I message {people}"}
    texts = []
    for each in called:
        # In an answer that everybody sees, `@here` would call them all again.
        is_group = any(name[:1] not in PERSON_ID_PREFIXES for name in each.people)
        people = "the group that is on call" if is_group else mentions(each.people)
        text = ways.get(each.contact, "I page {contact}")
        texts.append(text.format(people=people, contact=escape(each.contact)))
    return " and ".join(texts)


def _what_still_fails(incident: Incident, view: View) -> str:
    """Say what goes on of an incident that somebody wants to resolve."""
    names = join_names(incident.tenants)
    if incident.kind is IncidentKind.NO_DATA:
        return f"I still cannot check {names}"
    failing = [
        f"{signal_name(one.name)} at {one.owner}" for one in find_failing(incident, view.tenants)
    ]
    if incident.kind is IncidentKind.SOURCE_NO_DATA:
        return f"I still get nothing of {join_names(failing)}"
    verb = "still fail" if len(failing) > 1 else "still fails"
    return f"{join_names(failing)} {verb}"


def _no_such_incident(request: Request, view: View) -> RenderedMessage:
    open_incidents = view.desk.open_incidents
    number = request.words.split(" ")[0].removeprefix("#")
    if number.isdecimal():
        text = f"There is no incident #{number[:9]} of the last seven days."
    elif open_incidents:
        text = "Which incident? Please say its number."
    else:
        text = "No incident is open."
    verb, said = request.command.verb, re.sub(r"^#?\d+\b\s*", "", request.words)
    wrote = f"You wrote: {quote(said, NOTE_LENGTH)}" if said and verb in WITH_TEXT else ""
    return render_paragraphs(text, wrote, *incident_list(open_incidents, view), usage_hint(verb))


_RIGHT_NAMES = {
    Right.VIEW: "ask me",
    Right.ACKNOWLEDGE: "handle incidents",
    Right.SILENCE: "silence alerts",
    Right.ADMINISTER: "do that",
}


def refusal_text(refusal: NotAllowed) -> str:
    """Say that a person may not do something, and who may."""
    if refusal.is_unknown:
        return (
            "Sorry, Slack has not told me yet whether you are a member here or a guest: until then"
            " you may ask, but change nothing. Please try again in a minute."
        )
    if not refusal.who:
        return "Sorry, guests cannot use me. Please ask a member of the team."
    holders = ", ".join(
        "every member"
        if who == EVERYONE
        else f"everyone in <#{who}>"
        if who[0] in "CG"
        else mentions((who,))
        for who in refusal.who
    )
    return f"Sorry, you may not {_RIGHT_NAMES[refusal.right]} here. Those who may: {holders}."


MAX_LINES = 15
"""Lines of each kind, and twice as many for probes, so that all fits into one message."""


def render_unknown_check(named: str, view: View) -> RenderedMessage:
    """Say what can be checked."""
    tenants = view.rules.tenants
    signals = dict.fromkeys(s for t in tenants.values() for s in t.all_signals)
    return render_paragraphs(
        f"There is no tenant or signal `{escape(named, 40)}`. "
        f"Tenants: {', '.join([*tenants][:MAX_LINES])}. "
        f"Signals: {', '.join([*signals][:MAX_LINES])}."
    )


def render_check(command: RunCheck, answer: Answer, view: View) -> RenderedMessage:
    """Say what an on-demand check probes now, then what each probe and metric found."""
    if answer.is_first:
        names = resolve_check_scope(command, view.rules)
        if not names:
            return render_unknown_check(answer.request.words, view)
        where = names[0] if len(names) == 1 else f"{len(names)} tenants"
        signal = f"{command.signal} of " if command.signal else ""
        return render_paragraphs(f"Checking {signal}{where} now …")
    observations = sorted(
        answer.observations, key=lambda one: (one.target.owner == CONTROL, one.target)
    )
    lines = [_observation_line(one) for one in observations[: 2 * MAX_LINES]]
    lines += [_metric_line(one, view) for one in answer.measurements[:MAX_LINES]]
    lines += [
        f"{NO_DATA_LIGHT} *{_target_name(target)}*: no answer yet"
        for target in answer.unanswered[:MAX_LINES]
    ]
    lines += [
        f"{NO_DATA_LIGHT} *{_target_name(target)}*: not tried, to spare its user; ask again later"
        for target in answer.skipped[:MAX_LINES]
    ]
    failed = sum(one.outcome is Outcome.FAILED for one in observations)
    if failed:
        head = f"{failed} of {len(observations)} checks failed"
    elif observations:
        head = f"All {len(observations)} checks are fine"
    else:
        head = "Metrics" if answer.measurements else "No check came back"
    message = render_paragraphs(f"*{head}*", *(join_lines(lines) or ["Nothing was checked."]))
    foot = context(f"Checked at {date_and_time(view.now)}")
    return RenderedMessage(message.text, [*message.blocks, foot])


def _observation_line(one: Observation) -> str:
    name, latency = _target_name(one.target), f"{(one.latency_s or 0) * 1000:.0f} ms"
    if one.outcome is Outcome.NO_DATA:
        return f"{NO_DATA_LIGHT} *{name}*: could not check ({escape(one.no_data_reason)})"
    if one.fault is None:
        stages = ", ".join(f"{t.stage} {t.seconds * 1000:.0f}" for t in one.timings)
        return f"{OK_LIGHT} *{name}*: ok in {latency}" + (f" ({stages} ms)" if stages else "")
    quoted = f" _{quote(one.fault.description, 120)}_" if one.fault.description else ""
    return f"{FAILING_LIGHT} *{name}*: {fault_name(one.fault)} after {latency}{quoted}"


def _metric_line(one: Measurement, view: View) -> str:
    tenant, name = one.target
    limits = view.rules.tenants[tenant].metrics[name]
    state = view.tenants.states[tenant].metrics.get(name, MetricState())
    mark = NO_DATA_LIGHT if one.no_data_reason else ":bar_chart:"
    line = measurement_line(one, state, limits)
    return f"{mark} *{tenant} {metric_name(name, limits.kind)}*: {line}"


def _target_name(target: Target) -> str:
    return f"{target.owner} {signal_name(target.name)}" if target.owner != CONTROL else target.name
