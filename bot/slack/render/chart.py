"""How the logins went around an incident, drawn by Slack itself, or in letters. Pure.

The block: docs.slack.dev/reference/block-kit/blocks/data-visualization-block (read 2026-11). Not
every workspace has it yet; what to send where it is refused, `plainer` tells.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from bot.core.signals.history import MINUTE_S, MINUTES, Minute, RecentLogins
from bot.slack.render.text import Block, clean_text, clock_utc, context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.state.incident import Incident
    from bot.ports import View

BEFORE_S, AFTER_S = 15 * 60.0, 5 * 60.0
"""How much is shown of the time before an incident, and of that after its end."""
MAX_TENANTS = 3
MAX_POINTS, NAME_CHARS = 20, 20
"""Slack's limits of the points of a series and of its name."""
MIN_POINTS = 4
"""Fewer points are no picture."""
MIN_RISE = 2.0
"""Latencies that rise by less than this factor say nothing; nor do failures that are fast."""
BARS = "▁▂▃▄▅▆▇█"
BLOCK_TYPE = "data_visualization"

Bins = dict[int, Minute]
"""A tenant's logins, some minutes together, by the number of the bin."""
Lines = dict[str, list[float]]
"""Values from point to point, by the name of what they are of."""


def render_charts(incident: Incident, view: View) -> list[Block]:
    """Draw what moved around an incident: the share that succeeds, and how long a login takes.

    Nothing where too little of it lies in the last hour.
    """
    minutes = _minutes_per_point(incident, view)
    tenants = _bin_logins(incident, view, minutes)
    numbers = _common_bins(tenants)[-MAX_POINTS:]
    if len(numbers) < MIN_POINTS:
        return []
    times = [clock_utc(number * minutes * MINUTE_S).removesuffix(" UTC") for number in numbers]
    axis = f"UTC, {minutes} min a point"
    well = {name: [_success_percent(bins[n]) for n in numbers] for name, bins in tenants.items()}
    took = {name: [_latency_ms(bins[n]) for n in numbers] for name, bins in tenants.items()}
    blocks = []
    if any(value < 100 for values in well.values() for value in values):  # noqa: PLR2004 - percent
        blocks.append(_chart_block("Logins that succeed", well, times, (axis, "%")))
    if any(max(values) >= MIN_RISE * max(values[0], 1) for values in took.values()):
        blocks.append(_chart_block("How long a login takes", took, times, (axis, "ms")))
    return blocks


def fallback_blocks(blocks: list[Block]) -> list[list[Block]]:
    """Return what to send, richest first: as it is, with its charts in letters, the text alone."""
    lettered = [_text_chart(block) if block["type"] == BLOCK_TYPE else block for block in blocks]
    return [blocks, lettered, []] if lettered != blocks else [blocks, []]


def sparkline(values: Sequence[float], top: float) -> str:
    """Draw values from 0 to `top` in letters."""
    steps = len(BARS) - 1
    return "".join(BARS[round(steps * value / top) if top else 0] for value in values)


def _minute_range(incident: Incident, view: View) -> tuple[int, int]:
    """Return the first and the last minute that are shown."""
    ended_at = view.now if incident.resolved_at is None else incident.resolved_at + AFTER_S
    until = min(view.now, ended_at)
    return int((incident.since - BEFORE_S) // MINUTE_S), int(until // MINUTE_S)


def _minutes_per_point(incident: Incident, view: View) -> int:
    """Return how many minutes a point stands for: so many that each has a login in it."""
    first, last = _minute_range(incident, view)
    rules = view.rules.tenants
    slowest_s = max(
        (rules[n].limits.every_s for n, _ in _recent_logins(incident, view)), default=0.0
    )
    return max(ceil(min(last - first + 1, MINUTES) / MAX_POINTS), ceil(slowest_s / MINUTE_S))


def _recent_logins(incident: Incident, view: View) -> list[tuple[str, RecentLogins]]:
    """Return the last hour of the first tenants that are still configured."""
    states = view.tenants.states
    known = [name for name in incident.tenants if name in states and name in view.rules.tenants]
    return [(name, states[name].recent_logins) for name in known[:MAX_TENANTS]]


def _bin_logins(incident: Incident, view: View, minutes: int) -> dict[str, Bins]:
    """Return the logins around an incident, by tenant; one that has few is left out.

    It was looked at too seldom, or stopped: Slack wants a value of every line at every point.
    """
    first, last = _minute_range(incident, view)
    binned: dict[str, Bins] = {}
    for name, recent in _recent_logins(incident, view):
        bins = binned.setdefault(clean_text(name, NAME_CHARS), {})
        for minute in recent:
            if first <= minute.number <= last:
                number = minute.number // minutes
                bins[number] = _add(bins.get(number, Minute(number)), minute)
    most = max(map(len, binned.values()), default=0)
    return {name: bins for name, bins in binned.items() if bins and 2 * len(bins) >= most}


def _add(one: Minute, other: Minute) -> Minute:
    latency_s = one.latency_s + other.latency_s
    return Minute(one.number, one.ok + other.ok, one.failed + other.failed, latency_s)


def _common_bins(tenants: dict[str, Bins]) -> list[int]:
    """Return the bins that all tenants have."""
    return sorted(set[int].intersection(*map(set, tenants.values()))) if tenants else []


def _success_percent(minute: Minute) -> float:
    return round(100 * minute.ok / minute.tries, 1)


def _latency_ms(minute: Minute) -> float:
    return round(1000 * minute.latency_s / minute.tries)


def _chart_block(title: str, lines: Lines, times: list[str], labels: tuple[str, str]) -> Block:
    series = [
        {
            "name": name,
            "data": [{"label": t, "value": v} for t, v in zip(times, values, strict=True)],
        }
        for name, values in lines.items()
    ]
    axes = {"categories": times, "x_label": labels[0], "y_label": labels[1]}
    return {
        "type": BLOCK_TYPE,
        "title": f"{title}, {labels[1]}",
        "chart": {"type": "line", "series": series, "axis_config": axes},
    }


def _text_chart(block: Block) -> Block:
    """Draw a chart in letters, with its figures."""
    axes, series = block["chart"]["axis_config"], block["chart"]["series"]
    lines = {each["name"]: [point["value"] for point in each["data"]] for each in series}
    top = max(map(max, lines.values()))
    drawn = [
        f"{name} {sparkline(values, top)} {values[0]:g} → {values[-1]:g}, "
        f"lowest {min(values):g}, highest {max(values):g}"
        for name, values in lines.items()
    ]
    times = axes["categories"]
    head = f"{block['title']}, {times[0]} to {times[-1]} UTC"
    return context("\n".join([head, *drawn]))
