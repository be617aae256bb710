"""`make fit`: plays worlds with the written numbers, fits, checks the guards, writes the result."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table as PrintedTable

from bot.core.model.observation import Cause
from bot.core.triage.weights import WRITTEN, WRITTEN_TEMPERATURE, parse_weights
from tests.judge.families import FAMILIES
from tests.judge.features import read_features
from tests.judge.fit import find_contradictions
from tests.judge.fit import fit as fit_numbers
from tests.judge.generate import generate
from tests.judge.play import ROOT, SCENARIOS, jobs_of, own_corpus, play
from tests.judge.samples import CASE_WEIGHT, load_samples, save_samples

if TYPE_CHECKING:
    from tests.judge.fit import Table

WRITTEN_TABLE = parse_weights(WRITTEN)
WEIGHTS = ROOT / "bot" / "core" / "triage" / "weights.py"
FITTED = re.compile(r'(FITTED = """\\\n)(.*?)(""")', re.DOTALL)
TEMPERATURE = re.compile(r"(FITTED_TEMPERATURE: float \| None = )(.+)")
GUARD_SEEDS = 3
WORLDS = 400
WIDTH = 160
TRAINED_SEED = 90
"""The generated worlds of the fit are others than those that `make judge` plays."""


def record_samples(folder: Path, out: Path, worlds: int, workers: int) -> None:
    """Play own corpus, cases and generated families that may be trained on."""
    out.write_text("")
    cases = sorted((SCENARIOS / "cases").glob("*.yml"))
    names = [f.name for f in FAMILIES.values() if not f.is_held_out]
    made = [each.world.save(folder) for each in generate(worlds, TRAINED_SEED, names)]
    for paths, factor in ((cases, CASE_WEIGHT), (own_corpus(), 1.0), (made, 1.0)):
        asked = [path for path in paths if "alert: true" in path.read_text()]
        played = play(jobs_of(asked, 1), workers, read_features)
        save_samples(out, played, factor=factor)


def write_fitted(table: Table | None, temperature: float | None) -> None:
    """Write the rows with a number that moved; without any, what people wrote counts."""
    head = f"{'rule':<26}" + "".join(f"{cause:>9}" for cause in _columns()) + "\n"
    moved = {rule: row for rule, row in (table or {}).items() if row != WRITTEN_TABLE[rule]}
    lines = [_line(rule, row) for rule, row in moved.items()]
    text = FITTED.sub(lambda m: m[1] + head + "".join(lines) + m[3], WEIGHTS.read_text())
    text = TEMPERATURE.sub(lambda m: f"{m[1]}{temperature}", text)
    WEIGHTS.write_text(text)


def _columns() -> list[Cause]:
    names = ["auth0", "tenant", "quota", "probe", "network", "app", "upstream", "unclear"]
    return [Cause(name) for name in names]


def _line(rule: str, row: dict[Cause, float]) -> str:
    cells = "".join(f"{row[c]:>9.1f}" if c in row else f"{'.':>9}" for c in _columns())
    return f"{rule:<26}{cells}\n"


def difference_table(old: Table, new: Table) -> PrintedTable:
    """Return each number before and after."""
    table = PrintedTable("rule", box=SIMPLE_HEAD, title="written -> fitted", title_justify="left")
    for cause in _columns():
        table.add_column(cause, justify="right")
    for rule, row in old.items():
        cells = [
            f"{row[cause]:.1f} -> {new[rule][cause]:.1f}" if cause in row else "·"
            for cause in _columns()
        ]
        table.add_row(rule, *cells)
    return table


def do_guards_hold(workers: int) -> bool:
    """Play the guards with the numbers that were just written, in a process that reads them."""
    guards = sorted(str(path) for path in (SCENARIOS / "cases").glob("guard-*.yml"))
    command = [sys.executable, "-m", "tests.judge", "play", "--strict", "--wrong"]
    options = ["--seeds", str(GUARD_SEEDS), "--workers", str(workers)]
    return subprocess.run([*command, *options, *guards], cwd=ROOT, check=False).returncode == 0  # noqa: S603 - our own


@click.group()
def cli() -> None:
    """Fit the numbers of the evidence table to many worlds."""


@cli.command()
@click.option("--worlds", default=WORLDS, help="How many worlds to generate.")
@click.option("--workers", default=2, help="Processes that play.")
@click.option("--samples", type=click.Path(path_type=Path), help="Keep the samples in this file.")
@click.option("--again", is_flag=True, help="Use the samples of the file, without playing.")
def fit(worlds: int, workers: int, samples: Path | None, *, again: bool) -> None:
    """Play, fit, check the guards, and write the numbers."""
    before = WEIGHTS.read_text()
    with tempfile.TemporaryDirectory() as name:
        file = samples or Path(name) / "samples"
        if not again:
            write_fitted(None, None)
            options = ["--worlds", str(worlds), "--workers", str(workers)]
            command = [sys.executable, "-m", "tests.judge.fitting", "record", str(file), *options]
            subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603 - our own
        found = load_samples(file)
    fitted = fit_numbers(found, WRITTEN_TABLE, WRITTEN_TEMPERATURE)
    Console(width=WIDTH).print(difference_table(WRITTEN_TABLE, fitted.table))
    families = len({each.family for each in found})
    click.echo(f"{len(found)} samples of {families} families, pull {fitted.pull}")
    click.echo(f"temperature {WRITTEN_TEMPERATURE} -> {fitted.temperature}")
    for name, right, sure in (
        ("as written", fitted.as_written, fitted.written_confidently_wrong),
        ("families left out", fitted.unseen, fitted.unseen_confidently_wrong),
    ):
        click.echo(f"{name}: right {right:.1%}, confidently wrong {sure:.1%}")
    click.echo(f"families seen: right {fitted.seen:.1%}")
    problems = find_contradictions(fitted.table, WRITTEN_TABLE)
    write_fitted(fitted.table, fitted.temperature)
    if problems or not do_guards_hold(workers):
        WEIGHTS.write_text(before)
        raise SystemExit("\n".join([*problems, "The numbers were not written."]))


@cli.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--worlds", default=WORLDS)
@click.option("--workers", default=2)
def record(out: Path, worlds: int, workers: int) -> None:
    """Play the worlds of the fit with the written numbers, and keep what triage saw."""
    with tempfile.TemporaryDirectory() as name:
        record_samples(Path(name), out, worlds, workers)


if __name__ == "__main__":
    cli()
