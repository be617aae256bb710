"""`init`: asks for what the bot needs, checks each answer, and writes the files."""

from __future__ import annotations

import asyncio
import json
import sys
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli.command_line import (
    CONFIG_FILE,
    FAILING,
    HEALTHY,
    Wrong,
    program,
    progress,
    show_finding,
    warn,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bot.config import Settings
    from bot.config.document import Document
    from bot.core.model.finding import Finding

QUESTIONS = {
    "AUTH0_DOMAIN": "The tenant's domain, such as acme.us.auth0.com",
    "AUTH0_NAME": "A short name for it in messages, such as prod (Enter: the domain's first part)",
    "AUTH0_CUSTOM_DOMAIN": "A custom domain where users log in (Enter: none)",
    "AUTH0_ENVIRONMENT": "Its environment on status.auth0.com, such as US-1 (Enter: none)",
    "AUTH0_CLIENT_ID": "The application's Client ID",
    "AUTH0_CLIENT_SECRET": "The application's Client Secret (Enter: none)",
    "AUTH0_USERNAME": "The test user's e-mail address or user name",
    "AUTH0_PASSWORD": "The test user's password",
    "AUTH0_REALM": "The connection's name (Enter: the Default Directory)",
    "SLACK_BOT_TOKEN": "Slack: the Bot User OAuth Token (xoxb-…)",
    "SLACK_APP_TOKEN": "Slack: the app-level token (xapp-…)",
    "SLACK_CHANNEL": "Slack: the channel's ID (C…)",
}
"""In this order: an answer is checked once all that its check needs is known."""
FLAGS = {
    "AUTH0_DOMAIN": "--domain",
    "AUTH0_NAME": "--name",
    "AUTH0_CUSTOM_DOMAIN": "--custom-domain",
    "AUTH0_ENVIRONMENT": "--environment",
    "AUTH0_CLIENT_ID": "--client-id",
    "AUTH0_USERNAME": "--username",
    "AUTH0_REALM": "--realm",
    "SLACK_CHANNEL": "--channel",
}
"""Secrets have none: other programs of the machine see a command line."""
OPTIONAL = frozenset(
    {
        "AUTH0_NAME",
        "AUTH0_CUSTOM_DOMAIN",
        "AUTH0_ENVIRONMENT",
        "AUTH0_CLIENT_SECRET",
        "AUTH0_REALM",
    }
)
SECRET_QUESTIONS = frozenset(QUESTIONS.keys() - FLAGS.keys() - {"AUTH0_CLIENT_ID"})
NO_TERMINAL = (
    "nothing was written: there is no terminal to ask on. Set AUTH0_… and SLACK_… in the "
    "environment and use --from-env; what is no secret can be a flag, such as --domain"
)
MOST_LOGINS = 2
"""In one run: Auth0 blocks the user after ten refusals from one address."""
CHECKED = {
    "AUTH0_DOMAIN": "",
    "AUTH0_REALM": "",
    "SLACK_BOT_TOKEN": "bot token",
    "SLACK_APP_TOKEN": "app token",
    "SLACK_CHANNEL": "channel",
}
"""After which answer the service is asked, and about what of Slack's."""
NOT_FOR_THE_DOMAIN = ("AUTH0_CLIENT_ID", "AUTH0_USERNAME", "AUTH0_PASSWORD")
"""Each is required, and asked for after the domain has been checked."""
AT_FAULT = {
    "discovery and keys": ("AUTH0_DOMAIN",),
    "application": ("AUTH0_CLIENT_ID", "AUTH0_CLIENT_SECRET"),
    "user": ("AUTH0_USERNAME", "AUTH0_PASSWORD"),
    "connection": ("AUTH0_REALM",),
    "bot token": ("SLACK_BOT_TOKEN",),
    "app token": ("SLACK_APP_TOKEN",),
    "channel": ("SLACK_CHANNEL",),
}
"""Which answers may be wrong, by what a finding is about."""


class Interview:
    """The answers so far, on top of a file that may be there."""

    def __init__(self, file: Path, given: dict[str, str], *, is_online: bool) -> None:
        from bot.config import ConfigError, environment, load_document

        self.file = file
        self.answers = given
        self.base: Document | None = None
        self.problems = 0
        """Answers that the service did not accept."""
        self._is_online = is_online
        self._logins = 0
        if file.exists():
            try:
                self.base = load_document(file, environment())
            except ConfigError as error:
                raise Wrong(f"{file} is there, and cannot be read\n{error}") from None

    def find_present(self, variable: str) -> str:
        """Return what the file has; empty: nothing, or there is no file."""
        from bot.config.loading import VARIABLES

        value: Any = self.base.values if self.base else None
        for step in VARIABLES[variable]:
            try:
                value = value[step]
            except (LookupError, TypeError):
                return ""
        return str(value or "")

    def build_document(self, *, stands_in_for: Iterable[str] = ()) -> Document:
        """Build the configuration as it would be, with anything for what is not asked yet."""
        from bot.config.loading import NO_SLACK, VARIABLES, read_variables

        if self.base is None:
            stand_ins = {f"SLACK_{key.upper()}": value for key, value in NO_SLACK.items()}
            stand_ins |= dict.fromkeys(stands_in_for, "unknown")
            return read_variables(stand_ins | {k: v for k, v in self.answers.items() if v})
        document = deepcopy(self.base)
        document.problems.clear()
        for variable, answer in self.answers.items():
            parent: Any = document.values
            *way, key = VARIABLES[variable]
            for step in way:
                parent = parent[step]
            parent[key] = answer or None
        return document

    def find_problem(self, variable: str) -> str:
        """Return what is wrong with the form of an answer; empty: nothing."""
        from bot.config import ConfigError, build_settings
        from bot.config.loading import VARIABLES

        if not self.answers[variable] and variable not in OPTIONAL:
            return "is needed"
        document = self.build_document()
        try:
            build_settings(document)
        except ConfigError:
            problem = document.problems.get(VARIABLES[variable])
            return problem.text.split(": ", 2)[-1] if problem else ""
        return ""

    def find_doubts(self, *variables: str) -> list[str]:
        """Return what is probably a mistake in some answers, though it can be used."""
        from bot.config.document import format_loc
        from bot.config.loading import VARIABLES
        from bot.config.warnings import find_warnings

        places = [f" {format_loc(VARIABLES[each])}: " for each in variables]
        lines = find_warnings(self.build_document())
        return [line.split(": ", 2)[-1] for line in lines if any(place in line for place in places)]

    def check(self, variable: str) -> list[Finding]:
        """Check an answer against the real service, once all that this needs is known."""
        from bot.config import ConfigError, build_settings

        login = QUESTIONS.keys() - {*CHECKED} | {variable}
        changed = login if variable == "AUTH0_REALM" else {variable}
        if not self._is_online or variable not in CHECKED or not changed & self.answers.keys():
            return []
        needless = NOT_FOR_THE_DOMAIN if variable == "AUTH0_DOMAIN" else ()
        try:
            settings = build_settings(self.build_document(stands_in_for=needless))
        except ConfigError:
            return []
        if variable == "AUTH0_REALM":
            if self._logins >= MOST_LOGINS:
                return []
            self._logins += 1
        with progress("Checking …"):
            return asyncio.run(_check(settings, variable))

    def find_problems(self) -> list[str]:
        """Return why the configuration could not be used; empty: it could."""
        from bot.config import ConfigError, build_settings
        from bot.config.loading import VARIABLES

        required = QUESTIONS.keys() - OPTIONAL
        missing = sorted(required - self.answers.keys()) if self.base is None else []
        document = self.build_document()
        try:
            build_settings(document)
        except ConfigError as error:
            names = {loc: variable for variable, loc in VARIABLES.items()}
            problems = [
                f"{names[loc]}: {p.text.partition(': ')[2]}" if loc in names else p.text
                for loc, p in document.problems.items()
                if names.get(loc) not in missing
            ]
            return [*(f"{name} is missing" for name in missing), *problems] or [str(error)]
        return [f"{name} is missing" for name in missing]

    def write(self) -> list[str]:
        """Write the files; return a line for each."""
        from bot.config.listing import build_schema
        from bot.config.loading import derive_name, env_file_of, read_env_file
        from bot.config.writing import (
            SECRETS,
            change_file,
            render_env,
            render_file,
            write_private,
        )

        answers = {name: value for name, value in self.answers.items() if value}
        if self.base is None:
            named = {"AUTH0_NAME": derive_name(answers["AUTH0_DOMAIN"])} | answers
            self.file.write_text(render_file(named, self.file))
        else:
            try:
                text = change_file(self.file.read_text(), self.base, answers)
            except ValueError as error:
                raise Wrong(f"{self.file}: {error}: change it by hand") from None
            self.file.write_text(text)
        secrets = {name: value for name, value in answers.items() if name in SECRETS}
        env_file, schema = env_file_of(self.file), self.file.with_name("bot.schema.json")
        write_private(env_file, render_env(read_env_file(env_file) | secrets))
        schema.write_text(json.dumps(build_schema(), indent=2) + "\n")
        return [
            f"{self.file}: the configuration",
            f"{env_file}: its secrets, which only you may read",
            f"{schema}: its schema, for editors",
        ]


async def _check(settings: Settings, variable: str) -> list[Finding]:
    """Ask Auth0 or Slack about one answer."""
    from bot.app.clock import SystemClock
    from bot.app.doctor import Doctor

    doctor = Doctor(settings, SystemClock())
    tenant = settings.tenants[0]
    if variable == "AUTH0_DOMAIN":
        return [await doctor.examine_keys(tenant)]
    if variable == "AUTH0_REALM":
        return [finding async for finding in doctor.examine_login(tenant, tenant.logins[0])]
    what = CHECKED[variable]
    slack = doctor.examine_slack(opens_socket=False)
    return [finding async for finding in slack if finding.what.startswith(what)]


@click.command()
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=CONFIG_FILE,
    show_default=True,
    help="The file to write. If it is there, only what you answer is changed.",
)
@click.option("--from-env", is_flag=True, help="Take AUTH0_… and SLACK_… from the environment.")
@click.option("--offline", is_flag=True, help="Write without asking Auth0 and Slack.")
def init(file: Path, *, from_env: bool, offline: bool, **flags: str | None) -> None:
    """Write the configuration: ask for each value, and check it against Auth0 and Slack.

    Secrets go into a second file, such as bot.env, which only you may read. They are never shown.
    One login is tried, or two if the first one fails: after ten, Auth0 would block the user.

    \b
    Examples:
      auth0-check init
      auth0-check init --channel C0123ABCD           # change only this
      auth0-check init --from-env --offline          # ask nothing
    """
    from bot.config import environment

    given = {name: flags[flag[2:].replace("-", "_")] for name, flag in FLAGS.items()}
    answers = {name: value for name, value in given.items() if value is not None}
    if from_env:
        found = environment()
        answers = {name: found[name] for name in QUESTIONS if found.get(name)} | answers
    interview = Interview(file, answers, is_online=not offline)
    asks = not from_env and (interview.base is None or not answers)
    for variable in QUESTIONS:
        if asks and variable not in answers:
            _ask(interview, variable)
        for finding in interview.check(variable):
            _settle(interview, variable, finding, asks=asks)
    if problems := interview.find_problems():
        raise Wrong("\n".join(("nothing was written", *problems)))
    for line in interview.write():
        click.echo(line)
    warn([] if asks else interview.find_doubts(*answers))
    if interview.problems:
        click.echo("An answer does not work yet: see above.")
    click.echo(f"Next: {program()} doctor --config {file}")
    sys.exit(FAILING if interview.problems else HEALTHY)


def _ask(interview: Interview, variable: str) -> None:
    """Ask until the answer has the right form."""
    keeps = interview.base is not None
    question = QUESTIONS[variable]
    if keeps:
        present = "it" if variable in SECRET_QUESTIONS else interview.find_present(variable)
        kept = f"Enter keeps {present}" if present else "Enter: none"
        question = f"{question.partition(' (Enter')[0]} ({kept})"
    doubt = ""
    while True:
        answer = _prompt(question, hides=variable in SECRET_QUESTIONS)
        if not answer and (keeps or doubt):
            return
        interview.answers[variable] = answer
        problem = interview.find_problem(variable)
        doubt = "" if problem or doubt else next(iter(interview.find_doubts(variable)), "")
        if problem:
            del interview.answers[variable]
            click.echo(f"  ✗ {problem}")
        elif doubt:
            click.echo(f"  • {doubt} Enter keeps it.")
        else:
            return


def _prompt(question: str, *, hides: bool) -> str:
    try:
        answer = click.prompt(question, default="", show_default=False, hide_input=hides)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        click.echo()  # the question has no line break
        raise Wrong(NO_TERMINAL) from None
    return str(answer).strip()


def _settle(interview: Interview, variable: str, finding: Finding, *, asks: bool) -> None:
    """Show what a check found; ask again for what is wrong, once."""
    from bot.core.model.finding import Level

    show_finding(finding)
    if finding.level is Level.OK or finding.level is Level.ADVICE:
        return
    about = finding.what.rpartition(": ")[2]
    wrong = next((names for what, names in AT_FAULT.items() if about.startswith(what)), ())
    if asks and wrong and finding.level is Level.PROBLEM:
        click.echo("  Again, please.")
        for name in wrong:
            _ask(interview, name)
        again = interview.check(variable)
        for one in again:
            show_finding(one)
        if again and all(one.level in {Level.OK, Level.ADVICE} for one in again):
            return
    interview.problems += 1


for _variable, _flag in FLAGS.items():
    init = click.option(_flag, metavar="TEXT", help=QUESTIONS[_variable].partition(" (")[0])(init)
