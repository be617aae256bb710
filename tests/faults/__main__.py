"""`python -m tests.faults`: play the fault lab's experiments."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import NoReturn

import click
from rich.console import Console

from tests.faults.experiment import EXPERIMENTS, Tier
from tests.faults.lab import SOAK_S
from tests.faults.page import PAGE, with_table
from tests.faults.runner import WIDTH, Conditions, as_json, play_all, print_table

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
@click.option("--at-once", type=click.IntRange(1), default=16, show_default=True)
@click.option("--seed", type=int, help="Repeats a run. Default: another each time.")
@click.option(
    "--soak", type=float, default=SOAK_S / 60, show_default=True, help="Minutes that `soak` lasts."
)
@click.option("--json", "is_json", is_flag=True, help="Print JSON instead of a table.")
@click.option("--write", "is_written", is_flag=True, help="Put the table into its page, too.")
def main(
    names: tuple[str, ...],
    tier: str,
    times: int | None,
    at_once: int,
    seed: int | None,
    soak: float,
    *,
    is_json: bool,
    is_written: bool,
) -> NoReturn:
    """Play the experiments of a tier, or those of these NAMES. Exit status 1 if one fails."""
    load_experiments()
    if unknown := set(names) - EXPERIMENTS.keys():
        raise click.UsageError(f"there is no experiment {', '.join(sorted(unknown))}")
    chosen = [
        each
        for each in EXPERIMENTS.values()
        if each.name in names or (not names and each.tier <= TIERS[tier])
    ]
    is_quick = TIERS[tier] <= Tier.QUICK
    seed = int(time.time()) if seed is None else seed
    folder = Path(tempfile.mkdtemp(prefix="auth0-check-faults-"))
    conditions = Conditions(folder, seed, at_once, is_quick, 60 * soak)
    began = time.monotonic()
    is_full = TIERS[tier] is Tier.FULL
    runs = [(each, times or (each.times if is_full else 1)) for each in chosen]
    results = asyncio.run(play_all(runs, conditions))
    console = Console(width=WIDTH)
    if is_written:
        PAGE.write_text(with_table(PAGE.read_text(), EXPERIMENTS.values(), results))
    if is_json:
        click.echo(as_json(results))
    else:
        print_table(chosen, results, folder, console)
        console.print(f"{len(results)} runs in {time.monotonic() - began:.0f} s, seed {seed}")
    sys.exit(any(result.failure for result in results))


if __name__ == "__main__":
    main()
