"""The commands for whoever sets the bot up."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bot.cli.command_line import (
    AS_JSON,
    CANNOT_TELL,
    CONFIG,
    FAILING,
    HEALTHY,
    console,
    load,
    print_rows,
    progress,
    warn,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bot.core.model.finding import Finding

MARKS = {"ok": "✓", "advice": "•", "unknown": "?", "problem": "✗"}
STYLES = {"ok": "green", "advice": "cyan", "unknown": "yellow", "problem": "bold red"}
"""Marks differ in shape, too."""


@click.group("config")
def config_group() -> None:
    """Check and show the configuration, without any network."""


@config_group.command()
@CONFIG
def check(config: Path | None) -> None:
    """Check the configuration. Exit status: 0 it can be used, 3 it cannot.

    \b
    Example: auth0-check config check --config bot.yml
    """
    loaded = load(config)
    warn(loaded.warnings)
    tenants = ", ".join(tenant.name for tenant in loaded.settings.tenants)
    click.echo(f"The configuration can be used. Tenants: {tenants}.")


@config_group.command()
@CONFIG
@AS_JSON
def show(config: Path | None, *, is_json: bool) -> None:
    """Show every value that is in force, without secrets, and where it comes from.

    \b
    Example: auth0-check config show --config bot.yml
    """
    from bot.config.listing import list_values

    loaded = load(config)
    values = list_values(loaded.settings, loaded.document)
    if is_json:
        for value in values:
            click.echo(json.dumps(value._asdict()))
    else:
        print_rows(("setting", "value", "from"), values)


@config_group.command()
def schema() -> None:
    """Print the JSON Schema of the configuration file, for editors.

    \b
    Example: auth0-check config schema > bot.schema.json
    """
    from bot.config.listing import build_schema

    click.echo(json.dumps(build_schema(), indent=2))


@click.command()
@CONFIG
@AS_JSON
def doctor(config: Path | None, *, is_json: bool) -> None:
    """Examine the whole set-up: this machine, Auth0, Slack, sources, calls.

    Each login is tried once. Nothing is posted and nobody is called.

    Exit status: 0 no problem, 1 a problem, 2 cannot tell, 3 wrong configuration.

    \b
    Examples:
      auth0-check doctor --config bot.yml
      auth0-check doctor --json --config bot.yml
    """
    from bot.app.clock import SystemClock
    from bot.app.doctor import Doctor
    from bot.core.model.finding import Level, worst_level
    from bot.telemetry import set_up_logging

    settings, _, warnings = load(config)
    set_up_logging(settings.secrets(), logging.ERROR)
    findings: list[Finding] = []

    async def examine() -> None:
        async for finding in Doctor(settings, SystemClock(), warnings=warnings).examine():
            if is_json:
                click.echo(json.dumps(asdict(finding)))
            else:
                show_finding(finding, findings[-1].area if findings else "")
            findings.append(finding)

    with progress("Examining …"):
        asyncio.run(examine())
    if not is_json:
        counts = Counter(finding.level for finding in findings)
        problems, unknown, advice = (
            counts[level] for level in (Level.PROBLEM, Level.UNKNOWN, Level.ADVICE)
        )
        click.echo(
            f"{problems} problem(s), {unknown} that cannot be told, {advice} piece(s) of advice, "
            f"{counts[Level.OK]} ok"
        )
    statuses = {Level.PROBLEM: FAILING, Level.UNKNOWN: CANNOT_TELL}
    sys.exit(statuses.get(worst_level(findings), HEALTHY))


def show_finding(finding: Finding, area_before: str) -> None:
    """Print a finding, under its area; one plain line in a pipe."""
    from rich.table import Table
    from rich.text import Text

    if not sys.stdout.isatty():
        line = f"{finding.level}: {finding.area}: {finding.what}: {finding.detail}"
        click.echo(f"{line}. {finding.remedy}" if finding.remedy else line)
        return
    if finding.area != area_before:
        console().print(f"\n{finding.area}")
    style = STYLES[finding.level]
    text = Text.assemble((finding.what, "bold"), "  ", finding.detail)
    if finding.remedy:
        text.append(f"\n→ {finding.remedy}", style)
    grid = Table.grid(padding=(0, 1))
    grid.add_row(Text(f"  {MARKS[finding.level]}", style), text)
    console().print(grid)
