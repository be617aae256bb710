"""How often the bot is right over many worlds, beside three baselines in the same worlds."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bot.core.model.observation import Cause

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.simulator.simulation import RunResult
    from bot.simulator.story import Event, Score

CONFIDENT_FROM = 0.7
"""From this confidence on a wrong cause counts as a confident mistake."""
WRONG_ALERT = "alert"
"""The column for a wrong result with the right cause."""
COLUMNS = (*Cause, WRONG_ALERT)
TABLE_WIDTH = 250
"""Columns of text: tables do not wrap, however narrow the terminal is."""


def compare(runs: list[RunResult]) -> Event:
    """Summarize many worlds, for the bot and each baseline.

    Each run's scenario has an `answer`.
    """
    families = _families(runs)
    return {
        "event": "compare",
        "worlds": len(runs),
        "players": {
            name: {
                **_shares(run.scores[name] for run in runs),
                "matrix": _confusion_matrix(run.scores[name] for run in runs),
                "families": {
                    family: _shares(run.scores[name] for run in members)
                    for family, members in families.items()
                },
            }
            for name in runs[0].scores
        },
    }


def _families(runs: list[RunResult]) -> dict[str, list[RunResult]]:
    """Group by the first word of the file's name, where several files share it."""
    families: dict[str, list[RunResult]] = {}
    for run in runs:
        families.setdefault(run.summary["scenario"].split("-")[0], []).append(run)
    return {
        family: members
        for family, members in sorted(families.items())
        if len({run.summary["scenario"] for run in members}) > 1
    }


def _shares(judged: Iterable[Score]) -> dict[str, float]:
    words = list(judged)
    wrong = [word for word in words if not word.is_right]
    return {
        "worlds": len(words),
        "right": round(1 - len(wrong) / len(words), 4),
        "confidently_wrong": round(
            sum(w.confidence >= CONFIDENT_FROM for w in wrong) / len(words), 4
        ),
    }


def _confusion_matrix(judged: Iterable[Score]) -> dict[str, dict[str, int]]:
    """Count the given causes by the true cause; whatever counts as right is counted as true."""
    counts = Counter((word.truth, _column(word)) for word in judged)
    return {
        truth: {said: counts[truth, said] for said in COLUMNS if counts[truth, said]}
        for truth in Cause
        if any(counted is truth for counted, _ in counts)
    }


def _column(word: Score) -> str:
    if word.is_right:
        return word.truth
    return WRONG_ALERT if word.cause is word.truth else word.cause


def render_tables(comparison: Event) -> str:
    """Return a comparison as tables for people."""
    console = Console(width=TABLE_WIDTH, color_system=None)
    with console.capture() as captured:
        for name, player in comparison["players"].items():
            console.print(_matrix_table(name, player["matrix"]))
        console.print(_shares_table(comparison))
    return captured.get()


def _matrix_table(name: str, matrix: dict[str, dict[str, int]]) -> Table:
    said = [c for c in COLUMNS if c in matrix or any(c in row for row in matrix.values())]
    table = Table("truth", box=SIMPLE_HEAD, title=f"{name}: what it said", title_justify="left")
    for column in said:
        table.add_column(column, justify="right")
    for truth, row in matrix.items():
        table.add_row(truth, *(str(row.get(column, "·")) for column in said))
    return table


def _shares_table(comparison: Event) -> Table:
    """Show all players side by side, first in all worlds and then by family."""
    players: dict[str, Any] = comparison["players"]
    table = Table("", box=SIMPLE_HEAD, title="right / confidently wrong", title_justify="left")
    for column in ("worlds", *players):
        table.add_column(column, justify="right")
    first = next(iter(players.values()))
    _add_shares(table, "all", list(players.values()))
    for family in first["families"]:
        _add_shares(table, family, [player["families"][family] for player in players.values()])
    return table


def _add_shares(table: Table, name: str, shares: list[dict[str, float]]) -> None:
    cells = (f"{s['right']:.1%} / {s['confidently_wrong']:.1%}" for s in shares)
    table.add_row(name, str(shares[0]["worlds"]), *cells)
