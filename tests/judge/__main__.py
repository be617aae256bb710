"""`python -m tests.judge`: generate worlds, play them, fit the table's numbers to them."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from tests.judge.families import FAMILIES
from tests.judge.generate import generate as generate_worlds
from tests.judge.months import DAYS, play_months
from tests.judge.play import Played, jobs_of, play
from tests.judge.score import group, matrix_table, measures_table, reliability_table
from tests.judge.telling import write_page

if TYPE_CHECKING:
    from collections.abc import Sequence

WIDTH = 140
worlds_option = click.option("--worlds", default=5000, help="How many worlds to generate.")
seed_option = click.option("--seed", default=1, help="Which worlds.")
workers_option = click.option("--workers", default=2, help="Processes that play.")


@click.group()
def cli() -> None:
    """Judge the verdict by worlds that nobody tuned it for."""


@cli.command()
@worlds_option
@seed_option
@click.argument("folder", type=click.Path(path_type=Path))
def generate(worlds: int, seed: int, folder: Path) -> None:
    """Write generated worlds into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    for made in generate_worlds(worlds, seed):
        made.world.save(folder)
    click.echo(f"{worlds} worlds in {time.monotonic() - begun:.0f} s")


@cli.command("play")
@worlds_option
@seed_option
@workers_option
@click.option("--seeds", default=1, help="Seeds for each given file.")
@click.option("--wrong", is_flag=True, help="List each world that came out wrong.")
@click.option("--strict", is_flag=True, help="Exit 1 if one came out wrong.")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path, exists=True))
def play_command(
    worlds: int,
    seed: int,
    workers: int,
    seeds: int,
    files: Sequence[Path],
    *,
    wrong: bool,
    strict: bool,
) -> None:
    """Play files and folders or, without any, generated worlds, and print the measures."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if files:
            jobs = jobs_of(_expand(files), seeds)
        else:
            made = generate_worlds(worlds, seed)
            jobs = jobs_of([each.world.save(folder) for each in made], 1)
        begun = time.monotonic()
        played = list(play(jobs, workers))
    report(played, Console(width=WIDTH))
    click.echo(f"{len(played)} worlds played in {time.monotonic() - begun:.0f} s")
    if wrong:
        for each in played:
            if not each.is_right:
                good = " or ".join(each.good)
                click.echo(f"{each.name}: said {each.cause} {each.confidence:.2f}, is {good}")
    if strict and not all(each.is_right for each in played):
        raise SystemExit(1)


@cli.command()
def table() -> None:
    """Make the tables of docs/how-it-decides.md again."""
    write_page()


@cli.command()
@click.option("--count", default=200, help="How many months.")
@click.option("--days", default=DAYS, help="Days of a month.")
@workers_option
def months(count: int, days: int, workers: int) -> None:
    """Play healthy, noisy months, and print how often people were alerted and called."""
    played = list(play_months(count, workers, days))
    alerts, calls = sum(m.alerts for m in played), sum(m.calls for m in played)
    share = count * days / DAYS
    click.echo(f"{count} times {days} days: {alerts} alerts, {calls} calls")
    click.echo(f"a month: {alerts / share:.2f} alerts, {calls / share:.2f} calls")


def _expand(files: Sequence[Path]) -> list[Path]:
    """Return the files, those of folders included."""
    found: list[Path] = []
    for file in files:
        found += sorted(file.glob("*.yml")) if file.is_dir() else [file]
    return found


def report(played: Sequence[Played], console: Console) -> None:
    """Print all tables about some worlds."""
    held_out = [each for each in played if _is_held_out(each)]
    others = [each for each in played if not _is_held_out(each)]
    groups = {"all": list(played)}
    if held_out and others:
        groups |= {"never trained on": held_out, "other families": others}
    console.print(measures_table("all worlds", groups))
    console.print(matrix_table(played))
    console.print(reliability_table(played))
    console.print(measures_table("by true cause", group(played, lambda each: each.truth)))
    console.print(measures_table("by family", group(played, _family_with_mark)))


def _is_held_out(played: Played) -> bool:
    is_made = played.family != played.name  # a file of the same name is none of the family's
    return is_made and played.family in FAMILIES and FAMILIES[played.family].is_held_out


def _family_with_mark(played: Played) -> str:
    return played.family + (" (held out)" if _is_held_out(played) else "")


if __name__ == "__main__":
    cli()
