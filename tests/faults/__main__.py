"""`python -m tests.faults`: play the fault lab's experiments."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from math import inf
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

from tests.faults.experiment import EXPERIMENTS, Tier
from tests.faults.lab import SOAK_S
from tests.faults.page import PAGE, with_table
from tests.faults.program import ROOT
from tests.faults.runner import WIDTH, Conditions, Results, as_json, play_all, print_table

DRILLS = 150
"""So many there are, each set of parameters counted."""
TIERS = {tier.name.lower(): tier for tier in Tier}


def load_experiments() -> None:
    """Import all modules of experiments."""
    for path in sorted((Path(__file__).parent / "experiments").glob("*.py")):
        import_module(f"tests.faults.experiments.{path.stem}")


@click.command()
@click.argument("names", nargs=-1)
@click.option("--tier", type=click.Choice(list(TIERS)), default="faults", show_default=True)
@click.option(
    "--times", type=click.IntRange(1), help="Default: once, and as said in the full tier."
)
@click.option("--minutes", type=float, help="What would last longer is not played. Default: all.")
@click.option("--at-once", type=click.IntRange(1), default=16, show_default=True)
@click.option("--seed", type=int, help="Repeats a run. Default: another each time.")
@click.option(
    "--soak", type=float, default=SOAK_S / 60, show_default=True, help="Minutes that `soak` lasts."
)
@click.option(
    "--results",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Add results to this file, and play only what it lacks.",
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--write", "is_written", is_flag=True, help="Put the tables into their page, too.")
@click.option("--drills", "with_drills", is_flag=True, help="Play all drills first.")
def main(
    names: tuple[str, ...],
    tier: str,
    times: int | None,
    minutes: float | None,
    at_once: int,
    seed: int | None,
    soak: float,
    results: Path | None,
    *,
    is_json: bool,
    is_written: bool,
    with_drills: bool,
) -> NoReturn:
    """Play the experiments of a tier, or those of these NAMES. Exit status 1 if one fails."""
    began = time.monotonic()
    load_experiments()
    if unknown := set(names) - EXPERIMENTS.keys():
        raise click.UsageError(f"there is no experiment {', '.join(sorted(unknown))}")
    if is_written and soak * 60 < SOAK_S:
        raise click.UsageError("the page tells of a soak of an hour")
    until = inf if minutes is None else began + 60 * minutes
    have_drills_failed = with_drills and play_drills(minutes)
    chosen = [
        each
        for each in EXPERIMENTS.values()
        if each.name in names or (not names and each.tier <= TIERS[tier])
    ]
    is_full, is_quick = TIERS[tier] is Tier.FULL, TIERS[tier] <= Tier.QUICK
    seed = int(time.time()) if seed is None else seed
    folder = Path(tempfile.mkdtemp(prefix="auth0-check-faults-"))
    conditions = Conditions(folder, seed, at_once, is_quick, 60 * soak, until)
    wanted = {each.name: times or (each.times if is_full else 1) for each in chosen}
    kept = Results(results)
    runs = [(each, range(kept.count(each.name), wanted[each.name])) for each in chosen]
    asyncio.run(play_all(runs, conditions, kept.add))
    if is_written:
        PAGE.write_text(with_table(PAGE.read_text(), EXPERIMENTS.values(), kept.results))
    if is_json:
        click.echo(as_json(kept.results))
    else:
        console = Console(width=WIDTH)
        print_table(chosen, kept.results, folder, console)
        missing = {name: count - kept.count(name) for name, count in wanted.items()}
        for name in filter(missing.get, missing):
            console.print(f"{name}: {missing[name]} of {wanted[name]} not played, for lack of time")
        console.print(f"{len(kept.results)} runs, {time.monotonic() - began:.0f} s, seed {seed}")
    sys.exit(have_drills_failed or any(result.failure for result in kept.results))


def play_drills(minutes: float | None) -> bool:
    """Play all drills, in a third of the time, and write their table; tell whether one failed."""
    workers = (os.cpu_count() or 1) + 1
    each_s = inf if minutes is None else 60 * minutes / 3 * workers / DRILLS
    options = ["-n", f"{workers}", "--dist", "loadgroup", "--timeout", "0", "-m", "drill"]
    options += ["--drills", "full", f"--drill-seconds={each_s}", "tests"]
    command = [sys.executable, "-m", "pytest", "-q", *options]
    ended = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - our own program
    return ended.returncode != 0


if __name__ == "__main__":
    main()
