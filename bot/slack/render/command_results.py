"""Answers to commands: what was done, why it was refused, an on-demand check's results. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.access import EVERYONE, CommandOutcome, Right
from bot.core.model.observation import CONTROL, Observation, Outcome, Target
from bot.core.model.request import Verb
from bot.core.signals.metric_threshold import MetricState
from bot.core.state.on_demand import resolve_check_scope
from bot.slack.render.buttons import STICKY_RESOLVE_NOTE
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
    context,
    date_and_time,
    escape,
    fault_name,
    join_lines,
    mentions,
    quote,
    render_paragraphs,
    signal_name,
)

if TYPE_CHECKING:
    from bot.core.model.access import NotAllowed, Principal
    from bot.core.model.measurement import Measurement
    from bot.core.model.request import Request
    from bot.core.state.incident import Incident
    from bot.core.state.outbox import Answer, AnswerResult
    from bot.ports import View

_RESOLVED_ALREADY = "{incident} is over already, since {ended}"
_SENTENCES = {
    (Verb.ACK, CommandOutcome.DONE): "{incident} is yours: nobody else is called.",
    (Verb.ACK, CommandOutcome.ALREADY): "{owner} {incident} already, since {acked}.",
    (Verb.ACK, CommandOutcome.TOO_LATE): f"{_RESOLVED_ALREADY}: there is nothing left to take.",
    (Verb.RESOLVE, CommandOutcome.DONE): "{incident} is resolved.{left}",
    (Verb.RESOLVE, CommandOutcome.ALREADY): f"{_RESOLVED_ALREADY}.",
    (Verb.NOTE, CommandOutcome.DONE): "Noted at {incident}.",
    (Verb.NOTE, CommandOutcome.INVALID): "What is to be noted at {incident}?",
    (
        Verb.FALSE_ALARM,
        CommandOutcome.DONE,
    ): "{incident} is marked as a false alarm, and the report "
    f"counts it. If it still goes on: `{COMMAND} resolve {{number}}`",
    (
        Verb.FALSE_ALARM,
        CommandOutcome.ALREADY,
    ): "{incident} is marked as a false alarm already: {reason}",
    (
        Verb.FALSE_ALARM,
        CommandOutcome.INVALID,
    ): "Why was {incident} none? A word or two helps the report.",
    (
        Verb.ESCALATE,
        CommandOutcome.DONE,
    ): "The next step for {incident} is taken: its thread says whom it called.",
    (Verb.ESCALATE, CommandOutcome.TOO_LATE): f"{_RESOLVED_ALREADY}: nobody was called.",
    (
        Verb.ESCALATE,
        CommandOutcome.NOBODY,
    ): "There is nobody to call for {incident}: neither who is on "
    "call nor whom to mention is configured, or all were told.",
}


def render_command_result(request: Request, result: AnswerResult, view: View) -> RenderedMessage:
    """Say what came of it."""
    if result.refused:
        return render_paragraphs(refusal_text(result.refused))
    if request.verb is Verb.SILENCE:
        return render_silence_result(request, result, view)
    if request.verb is Verb.UNSILENCE:
        return render_unsilence_result(request, result, view)
    if request.verb is Verb.ONCALL:
        return render_override_result(request, result)
    incident = view.desk.incidents.get(result.incident or 0)
    return (
        _incident_result(request, result, incident)
        if incident
        else _no_such_incident(request, view)
    )


def _incident_result(request: Request, result: AnswerResult, incident: Incident) -> RenderedMessage:
    sentence = _SENTENCES[request.verb, result.outcome].format(**_placeholders(request, incident))
    is_unclear = result.outcome is CommandOutcome.INVALID
    return render_paragraphs(sentence, usage_hint(request.verb) if is_unclear else "")


def _placeholders(request: Request, incident: Incident) -> dict[str, str]:
    mine = incident.acknowledged_by == request.user
    by = f", by <@{incident.resolved_by}>" if incident.resolved_by else ""
    left = ", ".join(incident.sticky_resolve[:5])
    return {
        "incident": f"#{incident.id}",
        "number": str(incident.id),
        "owner": "You have" if mine else f"<@{incident.acknowledged_by}> has",
        "acked": date_and_time(incident.acknowledged_at or 0.0),
        "ended": date_and_time(incident.resolved_at or 0.0) + by,
        "reason": quote(incident.false_alarm),
        "left": f" Still failing: {left}. {STICKY_RESOLVE_NOTE}" if left else "",
    }


def _no_such_incident(request: Request, view: View) -> RenderedMessage:
    """Say which incidents there are."""
    still_open = view.desk.open_incidents
    named = request.argument.split(" ")[0].removeprefix("#")
    if named.isdecimal():
        said = f"There is no incident #{named[:9]} of the last seven days."
    else:
        said = "Which incident? Please say its number." if still_open else "No incident is open."
    return render_paragraphs(said, *incident_list(still_open, view), usage_hint(request.verb))


_RIGHT_NAMES = {
    Right.VIEW: "ask me",
    Right.ACKNOWLEDGE: "handle incidents",
    Right.SILENCE: "silence alerts",
    Right.ADMINISTER: "do that",
}


def refusal_text(why: NotAllowed) -> str:
    """Say kindly that they may not, and who may."""
    if not why.who:
        return "Sorry, guests cannot use me. Please ask a member of the team."
    who = ", ".join(_holder_name(one) for one in why.who)
    return f"Sorry, you may not {_RIGHT_NAMES[why.right]} here. Those who may: {who}."


def _holder_name(who: Principal) -> str:
    if who == EVERYONE:
        return "every member"
    return f"everyone in <#{who}>" if who[0] in "CG" else mentions((who,))


MAX_LINES = 15
"""Of each kind, and twice as many looks: it stays one message."""


def render_check_started(request: Request, view: View) -> RenderedMessage:
    """Say what is looked at now, or what there is to look at."""
    wanted = resolve_check_scope(request, view.rules)
    if wanted is None:
        tenants = view.rules.tenants
        signals = dict.fromkeys(s for t in tenants.values() for s in t.all_signals)
        asked = escape(request.argument, 40)
        return render_paragraphs(
            f"There is no tenant or signal `{asked}`. Tenants: {', '.join([*tenants][:MAX_LINES])}. "
            f"Signals: {', '.join([*signals][:MAX_LINES])}."
        )
    known, signal = wanted
    whom = known[0] if len(known) == 1 else f"{len(known)} tenants"
    whom = f"{signal} of {whom}" if signal else whom
    return render_paragraphs(f"Looking at {whom} now …")


def render_check_result(said: Answer, view: View) -> RenderedMessage:
    """Say what came of every look."""
    seen = sorted(said.observations, key=lambda s: (s.target.owner == CONTROL, s.target))
    lines = [_observation_line(one) for one in seen[: 2 * MAX_LINES]]
    lines += [_metric_line(one, view) for one in said.measurements[:MAX_LINES]]
    lines += [
        f"{NO_DATA_LIGHT} *{_target_name(target)}*: no answer yet"
        for target in said.unanswered[:MAX_LINES]
    ]
    lines += [
        f"{NO_DATA_LIGHT} *{_target_name(target)}*: not tried, to spare its user; ask again later"
        for target in said.skipped[:MAX_LINES]
    ]
    failed = sum(one.outcome is Outcome.FAILED for one in seen)
    figures = "The figures" if said.measurements else "No look came back"
    well = f"All {len(seen)} looks are well" if seen else figures
    head = f"{failed} of {len(seen)} looks failed" if failed else well
    told = render_paragraphs(f"*{head}*", *(join_lines(lines) or ["Nothing was looked at."]))
    return RenderedMessage(
        told.text, [*told.blocks, context(f"Looked at {date_and_time(view.now)}")]
    )


def _observation_line(one: Observation) -> str:
    name, latency = _target_name(one.target), f"{(one.latency_s or 0) * 1000:.0f} ms"
    if one.outcome is Outcome.NO_DATA:
        return f"{NO_DATA_LIGHT} *{name}*: could not look ({escape(one.no_data_reason)})"
    if one.fault is None:
        stages = ", ".join(f"{t.stage} {t.seconds * 1000:.0f}" for t in one.timings)
        return f"{OK_LIGHT} *{name}*: ok in {latency}" + (f" ({stages} ms)" if stages else "")
    said = f" _{quote(one.fault.description, 120)}_" if one.fault.description else ""
    return f"{FAILING_LIGHT} *{name}*: {fault_name(one.fault)} after {latency}{said}"


def _metric_line(one: Measurement, view: View) -> str:
    tenant, name = one.target
    limits = view.rules.tenants[tenant].metrics[name]
    series = view.tenants.states[tenant].metrics.get(name, MetricState())
    mark = NO_DATA_LIGHT if one.no_data_reason else ":bar_chart:"
    what = f"{tenant} {metric_name(name, limits.kind)}"
    return f"{mark} *{what}*: {measurement_line(one, series, limits)}"


def _target_name(target: Target) -> str:
    return f"{target.owner} {signal_name(target.name)}" if target.owner != CONTROL else target.name
