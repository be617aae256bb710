"""The commands for whoever sets the bot up."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from bot.cli.command_line import (
    AS_JSON,
    CANNOT_TELL,
    CONFIG,
    FAILING,
    HEALTHY,
    load,
    print_rows,
    progress,
    show_finding,
    warn,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bot.config import Settings
    from bot.core.model.finding import Finding


MEMBER_ID = re.compile(r"[UW][A-Z0-9]+")
COPY_ID = "in Slack: your profile > ⋮ > Copy member ID"


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


@click.group("db")
def database_group() -> None:
    """Move the bot's state."""


@database_group.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
def copy_database(source: str, target: str) -> None:
    """Copy the bot's state to another database, and compare what arrived.

    FROM and TO are files or addresses, as in the setting `database`. Nobody may use them
    meanwhile, and TO must be empty. Leave a password to ~/.pgpass or PGPASSWORD: others on this
    machine see the command line.

    \b
    Example: auth0-check db copy auth0-check.sqlite postgresql://bot@db.example/auth0check
    """
    from bot.app.clock import SystemClock
    from bot.ports import StoreError
    from bot.store import copy_all

    try:
        with progress("Copying …"):
            counts = copy_all(source, target, SystemClock().now())
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    print_rows(("table", "rows"), ((name, str(count)) for name, count in counts.items()))
    click.echo("Every table arrived with the same rows.")


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
    from bot.config import environment
    from bot.config.warnings import find_unread_proxy
    from bot.core.model.finding import Level, worst_level
    from bot.telemetry import set_up_logging

    settings, _, warnings = load(config)
    warnings += find_unread_proxy(settings, environment())
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


@click.command("test-alert")
@CONFIG
@click.option(
    "--only", metavar="me|U…", default="", help="Call only you, or this member, and no pager."
)
@click.option("--yes", is_flag=True, help="Do not ask first.")
@click.option("--keep", "keeps", is_flag=True, help="Leave the messages in Slack.")
@AS_JSON
def test_alert(config: Path | None, only: str, *, yes: bool, keeps: bool, is_json: bool) -> None:
    """Let a marked test incident go the whole way, and say what arrived where.

    It is posted, calls whom a real one would call, waits for Acknowledge, and ends. Its messages
    are then removed. It is in no report and no metric.

    Exit status: 0 all arrived, 1 something did not, 2 Slack gives no answer, 3 wrong configuration.

    \b
    Examples:
      auth0-check test-alert --config bot.yml
      auth0-check test-alert --only me --config bot.yml
    """
    from bot.app.bot import StartupError
    from bot.app.rehearsal import Rehearsal, shorten
    from bot.core.model.finding import Level, worst_level
    from bot.telemetry import set_up_logging

    settings, _, warnings = load(config)
    warn(warnings)
    if only and only != "me" and not MEMBER_ID.fullmatch(only):
        raise click.UsageError(f"--only needs `me`, or a member's ID (U…): {COPY_ID}")
    only = _choose_person(only, names := _ask_slack(settings))
    if not is_json:
        called = _describe_calls(shorten(settings, only), names)
        click.echo("\n  ".join(("This test calls:", *called)))
    if not yes:
        click.confirm("Go on?", abort=True)
    set_up_logging(settings.secrets(), logging.ERROR)
    findings: list[Finding] = []

    def note(finding: Finding) -> None:
        findings.append(finding)
        if is_json:
            click.echo(json.dumps(asdict(finding)))
        else:
            show_finding(finding)

    try:
        with progress("Testing …"):
            asyncio.run(Rehearsal(settings, note, only=only, keeps=keeps).play())
    except StartupError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(FAILING)
    sys.exit(FAILING if worst_level(findings) is Level.PROBLEM else HEALTHY)


def _ask_slack(settings: Settings) -> dict[str, str]:
    """Return the people whom the configuration names: their names by their IDs.

    Ends the program if Slack does not take the bot token, before anybody is asked or called.
    """
    from bot.app.rules import rules_of
    from bot.ports import CallFailed
    from bot.slack.checks import SlackProblem, SlackStatus, check_bot_token
    from bot.slack.examination import list_named_people
    from bot.slack.web_api import open_web

    async def ask() -> dict[str, str]:
        web, names = open_web(settings), dict[str, str]()
        try:
            await check_bot_token(web)
            for each in filter(MEMBER_ID.fullmatch, list_named_people(rules_of(settings))):
                with suppress(CallFailed):
                    person = (await web.call("users.info", {"user": each}))["user"]
                    names[each] = str(person.get("real_name") or person.get("name") or each)
        finally:
            await web.close()
        return names

    try:
        return asyncio.run(ask())
    except SlackProblem as problem:
        click.echo(f"Error: {problem}", err=True)
        sys.exit(FAILING if problem.status is SlackStatus.REFUSED else CANNOT_TELL)


def _describe_calls(settings: Settings, names: dict[str, str]) -> list[str]:
    """Say whom a test calls, one line each; people by their names, where those are known."""
    from bot.app.clock import SystemClock
    from bot.app.rules import rules_of
    from bot.core.oncall import DM, MENTION, NEXT, current_shift, next_shift_to_notify

    slack, steps, now = settings.slack, settings.escalation.critical, SystemClock().now()
    source = rules_of(settings).on_call
    shift = current_shift(source, (), now) if source else None
    on_call = shift.person if shift else getattr(source, "id", slack.mention or "")
    later = source and next_shift_to_notify(source, (), now, notified={on_call})
    first = names.get(on_call, on_call) or "whoever is on call by the calendar"
    second = names.get(later.person, later.person) if later else "nobody else"
    kinds = {
        MENTION: f"a mention of {first}",
        DM: f"a direct message to {first}",
        NEXT: f"a direct message to {second}",
    }
    lines = [f"Slack: a post in {slack.channels.critical or slack.channel}"]
    lines += [f"Slack: {kinds[MENTION]}"] * bool(slack.mention or settings.oncall)
    return lines + [f"step {n}: {kinds.get(s.tell, s.tell)}" for n, s in enumerate(steps, start=1)]


def _choose_person(only: str, names: dict[str, str]) -> str:
    """Ask who `me` is. Slack cannot tell: the bot has no other account than its own."""
    if only != "me":
        return only
    choices = {str(number): each for number, each in enumerate(names, start=1)}
    for number, each in choices.items():
        click.echo(f"  {number}  {names[each]} ({each})")
    question = "Who are you: a number, or your member ID" if choices else "Your member ID"
    while True:
        try:
            answer = click.prompt(f"{question} ({COPY_ID})").strip()
        except click.Abort:
            if sys.stdin.isatty():
                raise
            raise click.UsageError("there is no terminal to ask on: use --only U…") from None
        if MEMBER_ID.fullmatch(chosen := choices.get(answer, answer)):
            return chosen
        click.echo("  ✗ is neither a number above nor a member ID (U…)")


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print what completes commands and options in a shell.

    \b
    Examples:
      auth0-check completion bash >> ~/.bashrc
      auth0-check completion zsh >> ~/.zshrc
      auth0-check completion fish > ~/.config/fish/completions/auth0-check.fish
    """
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    program = "auth0-check"
    click.echo(found(ctx.find_root().command, {}, program, "_AUTH0_CHECK_COMPLETE").source())
