"""How the bot itself does: when it last saw what it watches. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.case import FRESH_S
from bot.slack.figures import measured_name
from bot.slack.rendered import Rendered, paragraphs
from bot.slack.status import feed_lines
from bot.slack.wording import DOUBTFUL, UNSEEN, WELL, escaped, listing, span

if TYPE_CHECKING:
    from bot.ports import View

SHOWN = 15


def health(view: View) -> Rendered:
    """Say what was seen last, the longest ago first."""
    seen = {name: state.usable_at or 0.0 for name, state in view.world.tenants.items()}
    names = sorted(seen, key=lambda name: seen[name])
    late = [name for name in names if view.now - seen[name] >= FRESH_S]
    head = f"{len(late)} of {len(names)} tenants not seen lately" if late else "I see all tenants"
    more = [f"… and {len(names) - SHOWN} more, seen since"] if len(names) > SHOWN else []
    return paragraphs(
        f"*{head}*",
        *listing([*(_tenant(name, view) for name in names[:SHOWN]), *more]),
        "\n".join(feed_lines(view)),
        *listing(_silent(view)[:SHOWN]),
        _calendar(view),
    )


def _tenant(name: str, view: View) -> str:
    seen_at = view.world.tenants[name].usable_at
    if seen_at is None:
        return f"{UNSEEN} *{name}*: not seen yet"
    light = WELL if view.now - seen_at < FRESH_S else UNSEEN
    return f"{light} *{name}*: last seen {span(view.now - seen_at)} ago"


def _silent(view: View) -> list[str]:
    return [
        f"{DOUBTFUL} {tenant}, {measured_name(name, view.rules.tenants[tenant].series[name].kind)}:"
        f" no figures for {span(view.now - series.silent_since)} ({escaped(series.missing)})"
        for tenant, state in view.world.tenants.items()
        for name, series in state.series.items()
        if series.silent_since is not None and name in view.rules.tenants[tenant].series
    ]


def _calendar(view: View) -> str:
    shifts = view.desk.shifts
    if shifts is None or not view.rules.calendar_every_s:
        return ""
    read = f"read {span(view.now - shifts.at)} ago"
    fault = f"{DOUBTFUL} cannot be read ({escaped(shifts.fault)}), last " if shifts.fault else ""
    return f"Calendar of who is on call: {fault}{read}"
