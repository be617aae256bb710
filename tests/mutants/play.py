"""Plays lists of mutants: which of them do the tests notice?

    python -m tests.mutants.play [ID ...] [--list guards] [--jobs 2]
    make mutants ARGS="ID ..."

Each mutant runs in a copy of this tree: first against the nearest tests, nearest files first, then,
if it survives, against all stories and crash tests. The first failure ends it. The test that failed
then runs without the mutant: if it fails by itself, its failure proves nothing.

Forty mutants that are all killed take 8 minutes of one core, and each that survives up to 3 more
(measured in November 2026; 18 minutes in all on two cores that were busy with other work, too).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING, NamedTuple

import click

from tests.mutants.guards import GUARDS
from tests.mutants.mutant import Mutant, MutantError
from tests.mutants.mutants import MUTANTS

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FAR_TESTS = ("tests/stories", "tests/crashes")
TIME_LIMIT_S = 3600.0
"""Much more than all of these tests take on a busy machine; pytest itself stops one that hangs."""
GOAL = 0.9
LISTS = {"promises": MUTANTS, "guards": GUARDS}
PASSED, FAILED = 0, 1
"""Exit statuses of pytest. All others mean that the tests did not run as they should."""


class Run(NamedTuple):
    """One run of pytest."""

    status: int | None
    """None: it took too long."""
    output: str
    seconds: float

    @property
    def failed_test(self) -> str:
        """The test that failed."""
        summary = self.output.rpartition("short test summary info")[2]
        found = re.search(
            r"^(?:FAILED|ERROR) ([^\[]+?(?:\[.*?\])?)(?: - .*)?$", summary, re.MULTILINE
        )
        return found[1] if found else "a test that pytest does not name"

    @property
    def last_line(self) -> str:
        """What pytest said in the end."""
        lines = self.output.strip().splitlines()
        return lines[-1] if lines else f"exit status {self.status}"


class Result(NamedTuple):
    """What became of one mutant."""

    mutant: Mutant
    is_killed: bool
    words: str
    seconds: float


def run_tests(tree: Path, module: str, paths: tuple[str, ...]) -> Run:
    """Run pytest in a tree. Child processes of the tests import from that tree as well."""
    command = [
        *("/usr/bin/env", f"PYTHONPATH={tree}", "PYTHONDONTWRITEBYTECODE=1"),
        *(sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:randomly"),
        *("-p", "tests.mutants.witness", "--mutated", module, *paths),
    ]
    begin = time.monotonic()
    with TemporaryFile("w+", errors="replace") as log:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter
            command, cwd=tree, stdout=log, stderr=log, start_new_session=True
        )
        try:
            status: int | None = child.wait(TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            status = None
        finally:
            if child.poll() is None:  # with all that the tests have started
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        log.seek(0)
        return Run(status, log.read(), time.monotonic() - begin)


@contextmanager
def mutated(tree: Path, mutant: Mutant) -> Iterator[None]:
    """Change a tree, and restore it in the end. Raises `MutantError`."""
    file = tree / mutant.path
    before = file.read_text()
    file.write_text(mutant.apply(before))
    try:
        shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)
        yield
    finally:
        file.write_text(before)
        shutil.rmtree(file.parent / "__pycache__", ignore_errors=True)


def play(mutant: Mutant, tree: Path, source: Path) -> Result:
    """Play one mutant in a tree of its own. Never raises for what is wrong with it.

    Args:
        mutant: what to play.
        tree: is changed, and restored.
        source: a tree without a mutant; is never changed.
    """
    begin, is_killed, words = time.monotonic(), False, "survived"
    try:
        for paths in (mutant.tests, FAR_TESTS):
            with mutated(tree, mutant):
                run = run_tests(tree, mutant.module, paths)
            if run.status != PASSED:
                is_killed, words = True, explain(run, source)
                break
    except (MutantError, OSError) as error:
        is_killed, words = False, f"ERROR: {error}"
    return Result(mutant, is_killed, words, time.monotonic() - begin)


def explain(run: Run, source: Path) -> str:
    """Return what killed a mutant. Raises `MutantError` if the run does not prove that."""
    if run.status is None:
        return "TIME-OUT"
    if run.status != FAILED:
        raise MutantError(run.last_line)
    if run_tests(source, "bot", (run.failed_test,)).status != PASSED:
        raise MutantError(f"{run.failed_test} fails without the mutant, too")
    return f"killed by {run.failed_test}"


def copy_tree(target: Path) -> None:
    """Copy what git tracks, and what it would track."""
    git = shutil.which("git")
    if git is None:
        raise click.ClickException("git is needed to list the files")
    command = [git, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(  # noqa: S603 - fixed words
        command, cwd=ROOT, check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        file = ROOT / name
        if file.is_file():
            copy = target / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(file, copy)
    if (environment := ROOT / ".venv").exists():
        (target / ".venv").symlink_to(environment.resolve())


def play_all(mutants: tuple[Mutant, ...], jobs: int) -> Iterator[Result]:
    """Play mutants side by side, each in a copy of its own; yield the results as they come."""
    with TemporaryDirectory(prefix="mutants-") as folder:
        source = Path(folder).resolve() / "source"
        copy_tree(source)
        trees: SimpleQueue[Path] = SimpleQueue()
        for number in range(jobs):
            tree = source.with_name(f"job-{number}")
            shutil.copytree(source, tree, symlinks=True)
            trees.put(tree)

        def play_one(mutant: Mutant) -> Result:
            tree = trees.get()
            try:
                return play(mutant, tree, source)
            finally:
                trees.put(tree)

        with ThreadPoolExecutor(jobs) as pool:
            for done in as_completed([pool.submit(play_one, mutant) for mutant in mutants]):
                yield done.result()


def check(mutants: tuple[Mutant, ...]) -> list[str]:
    """Return what is wrong with the list, a line each: without a test run, within a second."""
    problems = []
    for mutant in mutants:
        try:
            mutant.apply((ROOT / mutant.path).read_text())
        except (MutantError, OSError) as error:
            problems.append(str(error))
    return problems


@click.command()
@click.argument("ids", nargs=-1, metavar="[ID ...]")
@click.option("--list", "lists", type=click.Choice(list(LISTS)), multiple=True, help="all of one")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="at a time")
@click.option("--check", "is_check", is_flag=True, help="only see whether the list fits the source")
def main(ids: tuple[str, ...], *, lists: tuple[str, ...], jobs: int, is_check: bool) -> None:
    """Play the mutants; exit with 1 if under 90 % are killed, with 2 if a list does not fit."""
    known = [mutant for name in lists or LISTS for mutant in LISTS[name]]
    if unknown := set(ids) - {mutant.id for mutant in known}:
        raise click.UsageError(f"no such mutant: {', '.join(sorted(unknown))}")
    mutants = tuple(mutant for mutant in known if not ids or mutant.id in ids)
    problems = check(mutants)
    for problem in problems:
        click.echo(problem, err=True)
    if problems:
        sys.exit(2)
    if is_check:
        click.echo(f"all {len(mutants)} mutants apply")
        return
    results = []
    for result in play_all(mutants, jobs):
        results.append(result)
        click.echo(f"{result.mutant.id:28} {result.seconds:6.0f} s  {result.words}")
        if result.words == "survived":
            click.echo(f"{'':28}           {result.mutant.harm}")
    killed = sum(result.is_killed for result in results)
    click.echo(f"{killed} of {len(results)} killed")
    if any(result.words.startswith("ERROR") for result in results):
        sys.exit(2)
    sys.exit(0 if killed >= GOAL * len(results) else 1)


if __name__ == "__main__":
    main()
