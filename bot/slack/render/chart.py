"""Charts of the logins around an incident, drawn by Slack or as text. Pure.

The block: docs.slack.dev/reference/block-kit/blocks/data-visualization-block (read 2026-11). Not
every workspace has it yet: `fallback_blocks` says what to send if Slack refuses it.
"""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

from bot.core.signals.history import MINUTE_S, MINUTES, Minute
from bot.slack.render.text import Block, clean_text, context

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.core.state.incident import Incident
    from bot.ports import View

BEFORE_S, AFTER_S = 15 * 60.0, 5 * 60.0
"""How much is shown of the time before an incident, and after its end."""
MAX_TENANTS = 3
MAX_POINTS, NAME_CHARS = 20, 20
"""Slack's limits for the points of a series and for its name."""
MIN_POINTS = 4
"""Fewer points are not drawn."""
MIN_RISE = 2.0
"""Latency is drawn only if it rises by this factor above its first point (at least 1 ms)."""
BARS = "▁▂▃▄▅▆▇█"
BLOCK_TYPE = "data_visualization"

Bins = dict[int, Minute]
"""A tenant's logins by the number of the bin, which holds some minutes together."""
Lines = dict[str, list[float]]
"""The values of all points, by the name of the line."""


def render_charts(incident: Incident, view: View) -> list[Block]:
    """Draw what changed around an incident: the share of logins that succeed, and their latency.

    Returns nothing if less than `MIN_POINTS` of it lie in the last hour.
    """
    states, rules = view.tenants.states, view.rules.tenants
    names = [name for name in incident.tenants if name in states and name in rules][:MAX_TENANTS]
    first = int((incident.since - BEFORE_S) // MINUTE_S)
    ended_at = (
        view.now if incident.life.resolved_at is None else incident.life.resolved_at + AFTER_S
    )
    last = int(min(view.now, ended_at) // MINUTE_S)
    # A point holds so many minutes that each has a login in it.
    slowest_s = max((rules[name].limits.every_s for name in names), default=0.0)
    minutes = max(ceil(min(last - first + 1, MINUTES) / MAX_POINTS), ceil(slowest_s / MINUTE_S))
    recent = {
        name: [minute for minute in states[name].recent_logins if first <= minute.number <= last]
        for name in names
    }
    tenants = _bin_logins(recent, minutes)
    common = set[int].intersection(*map(set, tenants.values())) if tenants else set[int]()
    numbers = sorted(common)[-MAX_POINTS:]
    if len(numbers) < MIN_POINTS:
        return []
    # Slack shows a label as it is: a time of day would be that of no reader's zone.
    offsets_s = [number * minutes * MINUTE_S - incident.since for number in numbers]
    times = [f"{round(offset_s / MINUTE_S):+d}".replace("+0", "0") for offset_s in offsets_s]
    axis = "min from the first failure"
    success: Lines = {}
    latency: Lines = {}
    for name, bins in tenants.items():
        points = [bins[number] for number in numbers]
        success[name] = [round(100 * point.ok / point.tries, 1) for point in points]
        latency[name] = [round(1000 * point.latency_s / point.tries) for point in points]
    blocks = []
    if any(value < 100 for values in success.values() for value in values):  # noqa: PLR2004 - percent
        blocks.append(_chart_block("Logins that succeed", success, times, (axis, "%")))
    if any(max(values) >= MIN_RISE * max(values[0], 1) for values in latency.values()):
        blocks.append(_chart_block("How long a login takes", latency, times, (axis, "ms")))
    return blocks


def fallback_blocks(blocks: list[Block]) -> list[list[Block]]:
    """Return what to try, one after the other: the blocks, with charts as text, no blocks."""
    lettered = [_text_chart(block) if block["type"] == BLOCK_TYPE else block for block in blocks]
    return [blocks, lettered, []] if lettered != blocks else [blocks, []]


def sparkline(values: Sequence[float], top: float) -> str:
    """Draw values from 0 to `top` as block characters."""
    steps = len(BARS) - 1
    return "".join(BARS[round(steps * value / top) if top else 0] for value in values)


def _bin_logins(recent: Mapping[str, Sequence[Minute]], minutes: int) -> dict[str, Bins]:
    """Put the logins of each tenant into bins. Leave out tenants with less than half of the bins.

    Such a tenant was checked too seldom, or its login is stopped, and Slack wants each line to
    have all points.
    """
    binned: dict[str, Bins] = {}
    for name, logins in recent.items():
        bins = binned.setdefault(clean_text(name, NAME_CHARS), {})
        for minute in logins:
            number = minute.number // minutes
            one = bins.get(number, Minute(number))
            ok, failed = one.ok + minute.ok, one.failed + minute.failed
            bins[number] = Minute(number, ok, failed, one.latency_s + minute.latency_s)
    most = max(map(len, binned.values()), default=0)
    return {name: bins for name, bins in binned.items() if bins and 2 * len(bins) >= most}


def _chart_block(title: str, lines: Lines, times: list[str], labels: tuple[str, str]) -> Block:
    # Of lines that lie on one another a reader sees only the last.
    names: dict[tuple[float, ...], list[str]] = {}
    for name, values in lines.items():
        names.setdefault(tuple(values), []).append(name)
    series = [
        {
            "name": clean_text(", ".join(alike), NAME_CHARS),
            "data": [{"label": t, "value": v} for t, v in zip(times, values, strict=True)],
        }
        for values, alike in names.items()
    ]
    axes = {"categories": times, "x_label": labels[0], "y_label": labels[1]}
    return {
        "type": BLOCK_TYPE,
        "title": f"{title}, {labels[1]}",
        "chart": {"type": "line", "series": series, "axis_config": axes},
    }


def _text_chart(block: Block) -> Block:
    """Draw a chart as text, with its lowest and highest values."""
    axes, series = block["chart"]["axis_config"], block["chart"]["series"]
    lines = {each["name"]: [point["value"] for point in each["data"]] for each in series}
    top = max(map(max, lines.values()))
    drawn = [
        f"{name} {sparkline(values, top)} {values[0]:g} → {values[-1]:g}, "
        f"lowest {min(values):g}, highest {max(values):g}"
        for name, values in lines.items()
    ]
    times = axes["categories"]
    head = f"{block['title']}, {times[0]} to {times[-1]} {axes['x_label']}"
    return context("\n".join([head, *drawn]))
