"""Fresh looks that a person asked for. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model import CONTROL, Observation, Outcome, Target
from bot.core.run import wanted_of
from bot.core.series import Series
from bot.slack.figures import measured_line, measured_name
from bot.slack.rendered import Rendered, paragraphs
from bot.slack.wording import (
    BAD,
    UNSEEN,
    WELL,
    context,
    escaped,
    fault_name,
    listing,
    quoted,
    signal_name,
    when,
)

if TYPE_CHECKING:
    from bot.core.measurement import Measurement
    from bot.core.outbox import Answer
    from bot.core.request import Request
    from bot.ports import View

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
