"""The command line."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import logging
import os
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from bot.cli import setup
from bot.cli.command_line import (
    AS_JSON,
    CANNOT_TELL,
    CONFIG,
    FAILING,
    HEALTHY,
    CommandLine,
    Wrong,
    console,
    load,
    program,
    progress,
    warn,
)
from bot.cli.init import init

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop
    from collections.abc import Callable, Coroutine
    from typing import Any

    from bot.config import Settings
    from bot.core.model.observation import Observation

# Each command imports what it needs when it runs: `--help` is fast, and `run` does not load the
# simulator.

T = TypeVar("T")


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="auth0-check")
def main() -> None:
    """Find out why logins break: Auth0, the tenant, the network, the application, or a blip."""


@main.command()
@CONFIG
def run(config: Path | None) -> None:
    """Watch the configured tenants and post to Slack.

    SIGHUP reads the configuration again. Exit status: 1 it cannot begin, 3 wrong configuration,
    70 a part of it was lost.

    \b
    Example: auth0-check run --config bot.yml
    """
    gc.disable()  # nothing of a start is garbage, and collecting takes a fifth of its time
    from bot.app.bot import Bot, StartupError
    from bot.app.clock import SystemClock
    from bot.app.reload import run_reloading
    from bot.app.watchdog import PartLostError
    from bot.config import ConfigError, environment
    from bot.ports import StoreError
    from bot.telemetry import set_up_logging

    settings, _, warnings = load(config)
    set_up_logging(settings.secrets())
    for line in warnings:
        logging.getLogger(__name__).warning("%s", line)

    def build(each: Settings) -> Bot:
        bot = Bot(each, SystemClock(), environment=environment())
        gc.freeze()  # later collections leave out what stays anyway, and so are short
        gc.enable()
        return bot

    try:
        _run_until_stopped(run_reloading(settings, build, partial(_read_again, config, settings)))
    except ConfigError as error:
        raise Wrong(str(error)) from None
    except (StartupError, StoreError, PartLostError) as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(os.EX_SOFTWARE if isinstance(error, PartLostError) else FAILING)
    finally:
        # Python would wait for ever for the database's thread if the disk hangs that it waits for.
        if any(thread.name.startswith("store") for thread in threading.enumerate()):
            logging.shutdown()
            os._exit(os.EX_SOFTWARE)


def _read_again(config: Path | None, before: Settings) -> Settings:
    """Load the configuration while a bot runs. Raises ConfigError."""
    from bot.config import ConfigError
    from bot.telemetry import set_up_logging

    try:
        fresh = load(config).settings
    except Wrong as error:
        raise ConfigError(error.message.splitlines()[1:]) from None
    set_up_logging(fresh.secrets() | before.secrets())
    return fresh


@main.command()
@click.argument("tenant", default="")
@click.option("--signal", "signal_name", default="", help="Only this login, metric … or `logs`.")
@AS_JSON
@CONFIG
def probe(tenant: str, signal_name: str, config: Path | None, *, is_json: bool) -> None:
    """Check a tenant once, or all; without Slack.

    Exit status: 0 healthy, 1 failing, 2 cannot tell, 3 wrong configuration or command line.

    \b
    Examples:
      auth0-check probe --config bot.yml
      auth0-check probe prod --json --config bot.yml
      auth0-check probe prod --signal checkout --config bot.yml
    """
    from bot.app.clock import ClockWatch, SystemClock
    from bot.app.probe_command import as_json, exit_code, probe_once
    from bot.app.prober import ClockCheckedProber, LiveProber
    from bot.telemetry import set_up_logging

    settings, _, warnings = load(config, with_slack=False)
    warn(warnings)
    names = [t.name for t in settings.tenants]
    if tenant and tenant not in names:
        raise click.UsageError(f"there is no tenant {tenant!r}; configured: {', '.join(names)}")
    set_up_logging(settings.secrets())
    if signal_name:
        sys.exit(_probe_signal(settings, signal_name, tenant, is_json=is_json))

    async def probe_all() -> list[Observation]:
        clock = SystemClock()
        watch = ClockWatch(clock)
        prober = LiveProber(settings, clock, clock_watch=watch)
        return await probe_once(settings, ClockCheckedProber(prober, clock, watch), tenant)

    with progress("Checking …"):
        observations = asyncio.run(probe_all())
    if is_json:
        for one in observations:
            click.echo(json.dumps(as_json(one)))
    else:
        _print_table(observations)
    sys.exit(exit_code(observations))


def _probe_signal(settings: Settings, name: str, tenant: str, *, is_json: bool) -> int:
    from bot.app.clock import SystemClock
    from bot.app.probe_command import SignalResult, check_signal
    from bot.app.prober import LiveProber
    from bot.app.rules import rules_of
    from bot.core.model.observation import Target

    rules = rules_of(settings)
    known = [
        Target(each, signal)
        for each, its_rules in rules.tenants.items()
        if tenant in {"", each}
        for signal in its_rules.all_signals
    ]
    targets = [target for target in known if target.name == name]
    if not targets:
        names = ", ".join(dict.fromkeys(target.name for target in known))
        raise click.UsageError(f"there is no signal {name!r}; there are: {names}")

    async def check_all() -> list[SignalResult]:
        prober = LiveProber(settings, SystemClock())
        return [await check_signal(rules, prober, target) for target in targets]

    with progress("Checking …"):
        results = asyncio.run(check_all())
    for one in results:
        click.echo(json.dumps(one.json) if is_json else one.text)
    codes = {one.exit_code for one in results}
    return next((code for code in (FAILING, CANNOT_TELL) if code in codes), HEALTHY)


@main.command()
@click.argument("files", nargs=-1, required=True)
@AS_JSON
@click.option("--score", is_flag=True, help="Compare with the truth; exit status 1 if wrong.")
@click.option("--compare", is_flag=True, help="Tables of right and wrong, beside simple rules.")
@click.option("--seeds", type=click.IntRange(1), help="So many worlds a file, on all cores.")
@click.option("--requests", is_flag=True, help="Tell each request.")
def simulate(
    files: tuple[str, ...],
    seeds: int | None,
    *,
    is_json: bool,
    score: bool,
    compare: bool,
    requests: bool,
) -> None:
    """Play scenario FILES (or examples, by name) in virtual time.

    \b
    Examples:
      auth0-check simulate region-503
      auth0-check simulate my-outage.yml --score --json
    """
    from bot.simulator.command import SimulateCommand

    command = SimulateCommand(
        echo=_print_line,
        is_json=is_json,
        is_scored=score,
        is_compared=compare,
        with_requests=requests,
    )
    try:
        is_right = command.run(files, seeds)
    except ValueError as error:
        raise Wrong(str(error)) from None
    sys.exit(1 if score and not is_right else 0)


@main.command()
@click.option("--scenario", default="region-503", show_default=True, help="Example or file.")
@click.option("--speed", type=click.FloatRange(1, 100), help="Times as fast as real time.")
@click.option("--headless", is_flag=True, help="No page: print the story, end by itself.")
@click.option("--port", type=click.IntRange(0, 65535), default=8471, show_default=True)
def demo(scenario: str, speed: float | None, port: int, *, headless: bool) -> None:
    """Run the real bot against a local tenant, status page and Slack workspace.

    \b
    Scenarios: edge-2022-06-21, grant-switched-off, other-component-post,
    our-egress, our-release, quota-used-up, region-503, single-failure.

    \b
    Example: auth0-check demo --scenario our-release --speed 30
    """
    from bot.simulator.demo import play_demo
    from bot.simulator.story_time import StoryLoop

    playing = play_demo(scenario, speed=speed, port=port, headless=headless, echo=_print_line)
    try:
        code = _run_until_stopped(playing, StoryLoop)
    except OSError as error:
        raise click.ClickException(_explain(error, port)) from None
    except ValueError as error:
        raise Wrong(str(error)) from None
    sys.exit(code or 0)


@main.command()
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default="sandbox",
    show_default=True,
    help="Where to write bot.yml and its secrets.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8471, show_default=True)
def sandbox(folder: Path, port: int) -> None:
    """Serve a local tenant and Slack workspace, to try the set-up without accounts.

    It writes a configuration that fits, and goes on until you stop it. Meanwhile try doctor,
    test-alert, init and run with that configuration. A page shows the channel.

    \b
    Example: auth0-check sandbox
    """
    from bot.simulator.sandbox import serve_sandbox

    try:
        _run_until_stopped(serve_sandbox(folder, port, program(), _print_line))
    except OSError as error:
        raise click.ClickException(_explain(error, port)) from None
    except ValueError as error:
        raise Wrong(str(error)) from None


def _explain(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken: choose another one, such as --port 0 for any free one"
    return str(error)


def _print_line(line: str) -> None:
    """Print a line of a story; end quietly if nobody reads on, as `head` does.

    An error would end only the part of the bot that led to the line.
    """
    try:
        click.echo(line)
    except BrokenPipeError:
        os._exit(128 + signal.SIGPIPE)


def _run_until_stopped(
    work: Coroutine[Any, Any, T], make_loop: Callable[[], AbstractEventLoop] | None = None
) -> T | None:
    """Run to the end, or until SIGINT or SIGTERM; then clean up and return None."""

    async def guarded() -> T | None:
        task = asyncio.ensure_future(work)
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return None

    with asyncio.Runner(loop_factory=make_loop) as runner:
        return runner.run(guarded())


def _print_table(observations: list[Observation]) -> None:
    from rich.table import Table
    from rich.text import Text

    from bot.app.probe_command import as_row

    rows = [as_row(one) for one in observations]
    if not sys.stdout.isatty():
        for row in rows:
            click.echo(f"{row[0]}: {'; '.join(filter(None, row[1:]))}")
        return
    table = Table("target", "result", "details")
    for one, (target, result, *details) in zip(observations, rows, strict=True):
        style = "red" if one.fault else "yellow" if one.no_data_reason else ""
        table.add_row(target, Text(result, style), "\n".join(filter(None, details)))
    console().print(table)


main.add_command(setup.config_group)
main.add_command(setup.database_group)
main.add_command(setup.doctor)
main.add_command(init)
main.add_command(setup.test_alert)
main.add_command(setup.completion)

if __name__ == "__main__":
    main()
