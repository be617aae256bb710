"""The table of docs/reliability.md: what was played, and what came out."""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.faults.experiment import Experiment
    from tests.faults.runner import Result

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN = "<!-- table: made by `make faults-full`; do not edit -->"
END = "<!-- end of the table -->"
DRILLS_BEGIN = "<!-- drills: made by `make faults-full`; do not edit -->"
DRILLS_END = "<!-- end of the drills -->"
DRILLS_HEAD = "| drill | what must be true | played | failed | on |\n|---|---|---|---|---|"
HEAD = (
    "| experiment | what is done | what must be true | within "
    "| kept | wanted | worst | played on |\n"
    "|---|---|---|---|---|---|---|---|"
)


def with_table(page: str, experiments: Iterable[Experiment], results: Iterable[Result]) -> str:
    """Return the page with these results in its table. What was not played stays as it was.

    How often the full tier would have played it stands beside: time may have been short.
    """
    head, _, rest = page.partition(BEGIN)
    table, _, tail = rest.partition(END)
    by_name = defaultdict[str, list["Result"]](list)
    for result in results:
        by_name[result.experiment].append(result)
    lines = [HEAD]
    for each in experiments:
        rows = [*_rows(each, by_name[each.name])]
        known = _find_rows(table, each)
        lines += known if known and not by_name[each.name] else rows
    text = "\n".join(lines)
    return f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}"


def _find_rows(table: str, experiment: Experiment) -> list[str]:
    """Return an experiment's rows in a table, if they are about what is promised today."""
    lines = table.split("\n")
    first = next((n for n, line in enumerate(lines) if f"| `{experiment.name}` |" in line), 0)
    rows = lines[first : first + len(experiment.promises)]
    promises = [
        f" | {promise} | {f'{limit:g} {experiment.unit}'.strip()} | "
        for promise, limit in experiment.promises.items()
    ]
    is_same = all(promise in row for promise, row in zip(promises, rows, strict=True))
    return rows if is_same else []


def _rows(experiment: Experiment, runs: list[Result]) -> Iterable[str]:
    """Yield a row for each promise; what is done stands in the first."""
    kept = f"{sum(run.passed for run in runs)} of {len(runs)}" if runs else "not played"
    today = _day(max(run.ended_at for run in runs)) if runs else ""
    first, wanted = (f"`{experiment.name}`", experiment.done), f"{experiment.times}"
    for promise, limit_s in experiment.promises.items():
        times = [run.measured[promise] for run in runs if promise in run.measured]
        worst = f"{max(times):.1f} {experiment.unit}".strip() if times else ""
        limit = f"{limit_s:g} {experiment.unit}".strip()
        yield f"| {' | '.join((*first, promise, limit, kept, wanted, worst, today))} |"
        first, kept, wanted, today = ("", ""), "", "", ""


@dataclass
class Drilled:
    """What came of a drill, over all its parameters."""

    claim: str = ""
    times: int = 0
    failed: int = 0


def with_drills(page: str, results: Mapping[str, Drilled]) -> str:
    """Return the page with these drills in their table. What was not played stays as it was."""
    head, _, rest = page.partition(DRILLS_BEGIN)
    table, _, tail = rest.partition(DRILLS_END)
    rows = {line.split("`")[1]: line for line in table.split("\n") if line.startswith("| `")}
    for name, drill in results.items():
        cells = f"`{name}`", drill.claim, f"{drill.times:,}", f"{drill.failed}", _day(time.time())
        rows[name] = f"| {' | '.join(cells)} |"
    text = "\n".join([DRILLS_HEAD, *(rows[name] for name in sorted(rows))])
    return f"{head}{DRILLS_BEGIN}\n\n{text}\n\n{DRILLS_END}{tail}"


def _day(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
