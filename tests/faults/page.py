"""The table of docs/reliability.md: what was played, and what came out."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.faults.experiment import Experiment
    from tests.faults.runner import Result

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN = "<!-- table: made by `make faults-full ARGS=--write`; do not edit -->"
END = "<!-- end of the table -->"
HEAD = (
    "| experiment | what is done | what must be true | within | kept | worst |\n"
    "|---|---|---|---|---|---|"
)


def with_table(
    page: str, experiments: Iterable[Experiment], results: Iterable[Result], seed: int
) -> str:
    """Return the page with the table of these results, and today's date."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    by_name = defaultdict[str, list["Result"]](list)
    for result in results:
        by_name[result.experiment].append(result)
    rows = [row for each in experiments for row in _rows(each, by_name[each.name])]
    table = "\n".join([HEAD, *rows])
    played = f"Played on {datetime.now(UTC):%Y-%m-%d}, seed {seed}."
    return f"{head}{BEGIN}\n\n{played}\n\n{table}\n\n{END}{tail}"


def _rows(experiment: Experiment, runs: list[Result]) -> Iterable[str]:
    """Yield a row for each promise; what is done stands in the first."""
    kept = f"{sum(run.passed for run in runs)} of {len(runs)}" if runs else "not played"
    first = f"`{experiment.name}`", experiment.done
    for promise, limit_s in experiment.promises.items():
        times = [run.measured[promise] for run in runs if promise in run.measured]
        worst = f"{max(times):.1f} s" if times else ""
        yield f"| {' | '.join((*first, promise, f'{limit_s:g} s', kept, worst))} |"
        first, kept = ("", ""), ""
