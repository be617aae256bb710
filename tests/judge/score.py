"""The measures of many worlds: right, sure and wrong, first message, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.table import Table

from bot.core.model.observation import Cause
from bot.simulator.score import CONFIDENT_FROM

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from tests.judge.play import Played

SILENT = frozenset({Cause.NONE, Cause.BLIP, Cause.UNCLEAR})
"""Verdicts without a stated confidence in a cause."""
BINS = (0.0, 0.55, 0.7, 0.8, 0.9, 0.95, 1.01)
MANY_CHANGES = 2


@dataclass(frozen=True, slots=True)
class Measures:
    """What came of some worlds, as shares from 0 to 1."""

    worlds: int
    right: float
    macro: float
    confidently_wrong: float
    first_right: float
    """Of the worlds in which an alert is due and came."""
    first_wrong: float
    many_changes: float
    """More than two changes of the cause after the alert."""
    brier: float
    """The mean squared distance of the stated confidence from 1 if right, else 0."""


def measure(played: Sequence[Played]) -> Measures:
    """Measure some worlds."""
    by_truth = group(played, lambda each: each.truth)
    told = [each for each in played if each.is_alert_due and each.said_first is not None]
    first_right = [each.said_first in each.good for each in told]
    first_wrong = [
        each.said_first not in each.good and each.said_first is not Cause.UNCLEAR for each in told
    ]
    stated = [each for each in played if each.cause not in SILENT]
    return Measures(
        worlds=len(played),
        right=mean(each.is_right for each in played),
        macro=mean(mean(each.is_right for each in members) for members in by_truth.values()),
        confidently_wrong=mean(
            not each.is_right and each.confidence >= CONFIDENT_FROM for each in played
        ),
        first_right=mean(first_right or [0]),
        first_wrong=mean(first_wrong or [0]),
        many_changes=mean(each.changes > MANY_CHANGES for each in played),
        brier=mean([(each.confidence - _is_named(each)) ** 2 for each in stated] or [0.0]),
    )


def _is_named(played: Played) -> bool:
    return played.cause in played.good


def group(played: Iterable[Played], key: Callable[[Played], Hashable]) -> dict[str, list[Played]]:
    """Group worlds, in the order of the groups' names."""
    groups: dict[str, list[Played]] = {}
    for each in played:
        groups.setdefault(str(key(each)), []).append(each)
    return dict(sorted(groups.items()))


def measures_table(title: str, groups: dict[str, list[Played]]) -> Table:
    """Return a table of measures, a line for each group."""
    table = Table("", box=SIMPLE_HEAD, title=title, title_justify="left")
    heads = ("worlds", "right", "macro", "sure + wrong", "first right", "first wrong")
    for head in (*heads, "> 2 changes", "Brier"):
        table.add_column(head, justify="right")
    for name, members in groups.items():
        if members:
            m = measure(members)
            shares = (m.right, m.macro, m.confidently_wrong, m.first_right, m.first_wrong)
            cells = [*(f"{s:.1%}" for s in (*shares, m.many_changes)), f"{m.brier:.3f}"]
            table.add_row(name, str(m.worlds), *cells)
    return table


def reliability_table(played: Sequence[Played]) -> Table:
    """Return how often what was stated with some confidence was right, for each cause."""
    table = Table("stated", box=SIMPLE_HEAD, title="stated confidence: right of stated")
    table.title_justify = "left"
    bins = list(pairwise(BINS))
    for low, high in bins:
        table.add_column(f"{low:.2f}-{min(high, 1.0):.2f}", justify="right")
    table.add_column("Brier", justify="right")
    stated = [each for each in played if each.cause not in SILENT]
    for name, members in {"all": stated, **group(stated, lambda each: each.cause)}.items():
        cells = []
        for low, high in bins:
            inside = [_is_named(each) for each in members if low <= each.confidence < high]
            cells.append(f"{sum(inside)}/{len(inside)}" if inside else "·")
        brier = mean([(each.confidence - _is_named(each)) ** 2 for each in members] or [0.0])
        table.add_row(name, *cells, f"{brier:.3f}")
    return table


def matrix_table(played: Sequence[Played]) -> Table:
    """Return which cause was said of which truth; what a world accepts counts as its truth."""
    said = {each: _said(each) for each in played}
    columns = [c for c in (*map(str, Cause), "alert") if c in said.values()]
    table = Table("truth", box=SIMPLE_HEAD, title="what was said", title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    for truth, members in group(played, lambda each: each.truth).items():
        counts = [sum(said[each] == column for each in members) for column in columns]
        table.add_row(truth, *(str(count or "·") for count in counts))
    return table


def _said(played: Played) -> str:
    if played.is_right:
        return str(played.truth)
    return "alert" if played.cause in played.good else str(played.cause)
