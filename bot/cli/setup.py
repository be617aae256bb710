"""The commands for whoever sets the bot up."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from bot.cli.command_line import AS_JSON, CONFIG, load, print_rows, warn

if TYPE_CHECKING:
    from pathlib import Path


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
