"""What all commands share: exit statuses, the configuration, and how output looks."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from bot.config import Settings
    from bot.config.document import Document
    from bot.core.model.finding import Finding

HEALTHY, FAILING, CANNOT_TELL, WRONG = 0, 1, 2, 3
"""Exit statuses. `WRONG`: the configuration or the command line, so a new try changes nothing."""
PROGRAM = "auth0-check"
CONFIG_FILE = Path("bot.yml")
"""What `init` writes unless told otherwise."""
CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="YAML file. Without it: the environment (docs/configuration.md).",
)
AS_JSON = click.option("--json", "is_json", is_flag=True, help="One JSON object a line.")


MARKS = {"ok": "✓", "advice": "•", "unknown": "?", "problem": "✗"}
STYLES = {"ok": "green", "advice": "cyan", "unknown": "yellow", "problem": "bold red"}
"""Marks differ in shape, too."""


class CommandLine(click.Group):
    """Ends with `WRONG` where the command line is wrong; click itself says 2."""

    def make_context(self, *args: Any, **more: Any) -> click.Context:
        """Parse the options before the command."""
        try:
            return super().make_context(*args, **more)
        except click.UsageError as error:
            error.exit_code = WRONG  # type: ignore[misc]  # click reads the instance's
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Parse the rest, and run the command."""
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            error.exit_code = WRONG  # type: ignore[misc]  # click reads the instance's
            raise


class Wrong(click.ClickException):
    """A command that can never work as it was given."""

    exit_code = WRONG


class Loaded(NamedTuple):
    """A configuration that can be used."""

    settings: Settings
    document: Document
    """As it was written."""
    warnings: list[str]
    """What is probably a mistake all the same."""


def load(config: Path | None, *, with_slack: bool = True) -> Loaded:
    """Load the configuration. Raises `Wrong` with all that is to be mended."""
    from bot.config import ConfigError, build_settings, environment, load_document
    from bot.config.loading import CONFIG_FILE as VARIABLE
    from bot.config.warnings import find_warnings

    try:
        document = load_document(config, environment(), with_slack=with_slack)
        warnings = find_warnings(document)
        try:
            return Loaded(build_settings(document), document, warnings)
        except ConfigError as error:
            raise ConfigError((*error.problems, *warnings)) from None
    except ConfigError as error:
        is_overlooked = not config and not environment().get(VARIABLE) and CONFIG_FILE.is_file()
        hint = f"{CONFIG_FILE} is here: use --config {CONFIG_FILE}\n" if is_overlooked else ""
        raise Wrong(f"the configuration cannot be used\n{hint}{error}") from None


def program() -> str:
    """Return how the program was called, if its name alone would not be found."""
    called = Path(sys.argv[0])
    return str(called) if called.name == PROGRAM and not which(PROGRAM) else PROGRAM


def warn(lines: list[str]) -> None:
    """Print warnings to standard error."""
    for line in lines:
        click.echo(f"Warning: {line}", err=True)


@contextmanager
def progress(text: str) -> Iterator[None]:
    """Show that something goes on, on a terminal only."""
    from rich.console import Console

    terminal = console() if sys.stdout.isatty() else Console(stderr=True)
    with terminal.status(text) if terminal.is_terminal else nullcontext():
        yield


@cache
def console() -> Console:
    """Return what prints to standard output: in colour on a terminal only."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=not sys.stdout.isatty())


def print_rows(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; in a pipe, tabs between the cells and no heads."""
    if not sys.stdout.isatty():
        for row in rows:
            click.echo("\t".join(row))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0))
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    console().print(table)


def show_finding(finding: Finding, area_before: str | None = None) -> None:
    """Print a finding, under its area unless that is None; one plain line in a pipe."""
    if not sys.stdout.isatty():
        line = f"{finding.level}: {finding.area}: {finding.what}: {finding.detail}"
        click.echo(f"{line}. {finding.remedy}" if finding.remedy else line)
        return
    if area_before is not None and finding.area != area_before:
        console().print(f"\n{finding.area}")
    from rich.table import Table
    from rich.text import Text

    style = STYLES[finding.level]
    text = Text.assemble((finding.what, "bold"), "  ", finding.detail)
    if finding.remedy:
        text.append(f"\n→ {finding.remedy}", style)
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(f"  {MARKS[finding.level]}", style), text)
    console().print(grid)
