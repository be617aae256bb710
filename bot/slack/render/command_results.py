"""Answers to commands: what was done, why it was refused, an on-demand check's results. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.access import EVERYONE, CommandOutcome, Right
from bot.core.model.observation import CONTROL, Observation, Outcome, Target
from bot.core.model.request import Verb
from bot.core.signals.metric_threshold import Series
from bot.core.state.on_demand import wanted_of
from bot.slack.render.buttons import LEFT_ALONE
from bot.slack.render.help import how_to
from bot.slack.render.incident_line import incident_list
from bot.slack.render.oncall import swapped
from bot.slack.render.signals import measured_line, measured_name
from bot.slack.render.silences import silence_ended_by_hand, silence_set
from bot.slack.render.text import (
    BAD,
    COMMAND,
    UNSEEN,
    WELL,
    Rendered,
    context,
    escaped,
    fault_name,
    listing,
    mentions,
    paragraphs,
    quoted,
    signal_name,
    when,
)

if TYPE_CHECKING:
    from bot.core.model.access import NotAllowed, Who
    from bot.core.model.measurement import Measurement
    from bot.core.model.request import Request
    from bot.core.state.incident import Incident
    from bot.core.state.outbox import Answer, Result
    from bot.ports import View

_OVER = "{incident} is over already, since {ended}"
_SENTENCES = {
    (Verb.ACK, CommandOutcome.DONE): "{incident} is yours: nobody else is called.",
    (Verb.ACK, CommandOutcome.ALREADY): "{owner} {incident} already, since {acked}.",
    (Verb.ACK, CommandOutcome.TOO_LATE): f"{_OVER}: there is nothing left to take.",
    (Verb.RESOLVE, CommandOutcome.DONE): "{incident} is resolved.{left}",
    (Verb.RESOLVE, CommandOutcome.ALREADY): f"{_OVER}.",
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
    (Verb.ESCALATE, CommandOutcome.TOO_LATE): f"{_OVER}: nobody was called.",
    (
        Verb.ESCALATE,
        CommandOutcome.NOBODY,
    ): "There is nobody to call for {incident}: neither who is on "
    "call nor whom to mention is configured, or all were told.",
}


def changed(request: Request, result: Result, view: View) -> Rendered:
    """Say what came of it."""
    if result.refused:
        return paragraphs(refused(result.refused))
    if request.verb is Verb.SILENCE:
        return silence_set(request, result, view)
    if request.verb is Verb.UNSILENCE:
        return silence_ended_by_hand(request, result, view)
    if request.verb is Verb.ONCALL:
        return swapped(request, result)
    incident = view.desk.incidents.get(result.incident or 0)
    return _handled(request, result, incident) if incident else _no_such(request, view)


def _handled(request: Request, result: Result, incident: Incident) -> Rendered:
    sentence = _SENTENCES[request.verb, result.outcome].format(**_words(request, incident))
    is_unclear = result.outcome is CommandOutcome.INVALID
    return paragraphs(sentence, how_to(request.verb) if is_unclear else "")


def _words(request: Request, incident: Incident) -> dict[str, str]:
    mine = incident.acknowledged_by == request.user
    by = f", by <@{incident.resolved_by}>" if incident.resolved_by else ""
    left = ", ".join(incident.left[:5])
    return {
        "incident": f"#{incident.id}",
        "number": str(incident.id),
        "owner": "You have" if mine else f"<@{incident.acknowledged_by}> has",
        "acked": when(incident.acknowledged_at or 0.0),
        "ended": when(incident.resolved_at or 0.0) + by,
        "reason": quoted(incident.false_alarm),
        "left": f" Still failing: {left}. {LEFT_ALONE}" if left else "",
    }


def _no_such(request: Request, view: View) -> Rendered:
    """Say which incidents there are."""
    still_open = view.desk.open_incidents
    named = request.argument.split(" ")[0].removeprefix("#")
    if named.isdecimal():
        said = f"There is no incident #{named[:9]} of the last seven days."
    else:
        said = "Which incident? Please say its number." if still_open else "No incident is open."
    return paragraphs(said, *incident_list(still_open, view), how_to(request.verb))


_DOES = {
    Right.VIEW: "ask me",
    Right.ACKNOWLEDGE: "handle incidents",
    Right.SILENCE: "silence alerts",
    Right.ADMINISTER: "do that",
}


def refused(why: NotAllowed) -> str:
    """Say kindly that they may not, and who may."""
    if not why.who:
        return "Sorry, guests cannot use me. Please ask a member of the team."
    who = ", ".join(_named(one) for one in why.who)
    return f"Sorry, you may not {_DOES[why.right]} here. Those who may: {who}."


def _named(who: Who) -> str:
    if who == EVERYONE:
        return "every member"
    return f"everyone in <#{who}>" if who[0] in "CG" else mentions((who,))


SHOWN = 15
"""Of each kind, and twice as many looks: it stays one message."""


def begun(request: Request, view: View) -> Rendered:
    """Say what is looked at now, or what there is to look at."""
    wanted = wanted_of(request, view.rules)
    if wanted is None:
        tenants = view.rules.tenants
        signals = dict.fromkeys(s for t in tenants.values() for s in t.all_signals)
        asked = escaped(request.argument, 40)
        return paragraphs(
            f"There is no tenant or signal `{asked}`. Tenants: {', '.join([*tenants][:SHOWN])}. "
            f"Signals: {', '.join([*signals][:SHOWN])}."
        )
    known, signal = wanted
    whom = known[0] if len(known) == 1 else f"{len(known)} tenants"
    whom = f"{signal} of {whom}" if signal else whom
    return paragraphs(f"Looking at {whom} now …")


def result(said: Answer, view: View) -> Rendered:
    """Say what came of every look."""
    seen = sorted(said.seen, key=lambda s: (s.target.owner == CONTROL, s.target))
    lines = [_seen(one) for one in seen[: 2 * SHOWN]]
    lines += [_measured(one, view) for one in said.measured[:SHOWN]]
    lines += [f"{UNSEEN} *{_name(target)}*: no answer yet" for target in said.missing[:SHOWN]]
    lines += [
        f"{UNSEEN} *{_name(target)}*: not tried, to spare its user; ask again later"
        for target in said.left_out[:SHOWN]
    ]
    failed = sum(one.outcome is Outcome.FAILED for one in seen)
    figures = "The figures" if said.measured else "No look came back"
    well = f"All {len(seen)} looks are well" if seen else figures
    head = f"{failed} of {len(seen)} looks failed" if failed else well
    told = paragraphs(f"*{head}*", *(listing(lines) or ["Nothing was looked at."]))
    return Rendered(told.text, [*told.blocks, context(f"Looked at {when(view.now)}")])


def _seen(one: Observation) -> str:
    name, latency = _name(one.target), f"{(one.latency_s or 0) * 1000:.0f} ms"
    if one.outcome is Outcome.NO_DATA:
        return f"{UNSEEN} *{name}*: could not look ({escaped(one.blind)})"
    if one.fault is None:
        stages = ", ".join(f"{t.stage} {t.seconds * 1000:.0f}" for t in one.timings)
        return f"{WELL} *{name}*: ok in {latency}" + (f" ({stages} ms)" if stages else "")
    said = f" _{quoted(one.fault.description, 120)}_" if one.fault.description else ""
    return f"{BAD} *{name}*: {fault_name(one.fault)} after {latency}{said}"


def _measured(one: Measurement, view: View) -> str:
    tenant, name = one.target
    limits = view.rules.tenants[tenant].series[name]
    series = view.world.tenants[tenant].series.get(name, Series())
    mark = UNSEEN if one.missing else ":bar_chart:"
    what = f"{tenant} {measured_name(name, limits.kind)}"
    return f"{mark} *{what}*: {measured_line(one, series, limits)}"


def _name(target: Target) -> str:
    return f"{target.owner} {signal_name(target.name)}" if target.owner != CONTROL else target.name
