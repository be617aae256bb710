from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from bot.cli import main
from bot.config import build_settings, load_document
from bot.config.writing import render_value
from tests.app.test_doctor import LOGIN, place
from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS = {
    "AUTH0_DOMAIN": "acme.us.auth0.com",
    "AUTH0_NAME": "prod",
    "AUTH0_CUSTOM_DOMAIN": "",
    "AUTH0_ENVIRONMENT": "US-1",
    "AUTH0_CLIENT_ID": "4kJ0",
    "AUTH0_CLIENT_SECRET": "canary#1",
    "AUTH0_USERNAME": "probe@acme.example",
    "AUTH0_PASSWORD": 'canary "2" $',
    "AUTH0_REALM": "users",
    "SLACK_BOT_TOKEN": "xoxb-canary",
    "SLACK_APP_TOKEN": "xapp-canary",
    "SLACK_CHANNEL": "C0123",
}


def init(file: Path, *arguments: str, typed: str = "", **environment: str) -> tuple[int, str]:
    call = ["init", "--config", str(file), "--offline", *arguments]
    result = CliRunner(env=environment).invoke(main, call, input=typed)
    assert "canary" not in result.output
    return result.exit_code, result.output


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bot.yml"


def test_answers_become_a_configuration(file: Path) -> None:
    """What is typed is in force; the secrets lie in a file of their own that only we may read."""
    status, said = init(file, typed="\n".join(ANSWERS.values()) + "\n")
    settings = build_settings(load_document(file, {}))
    (tenant,) = settings.tenants
    login = tenant.logins[0]

    assert status == 0, said
    assert (tenant.name, tenant.environment, login.realm) == ("prod", "US-1", "users")
    assert login.password.get_secret_value() == ANSWERS["AUTH0_PASSWORD"]
    assert settings.slack.channel == "C0123"
    assert "canary" not in file.read_text()
    assert file.read_text().startswith("# yaml-language-server: $schema=bot.schema.json\n")
    assert file.with_suffix(".env").stat().st_mode & 0o777 == 0o600
    assert json.loads(file.with_name("bot.schema.json").read_text())["title"] == "auth0-check"


@pytest.mark.parametrize("name", ["", "live"])
def test_the_tenant_has_a_name(file: Path, name: str) -> None:
    """The domain's first part, unless a flag or an answer gives another; it can be changed."""
    flag = ("--name", name) if name else ()
    init(file, "--from-env", *flag, **(ANSWERS | {"AUTH0_NAME": ""}))
    assert build_settings(load_document(file, {})).tenants[0].name == (name or "acme")

    init(file, "--name", "staging")
    assert build_settings(load_document(file, {})).tenants[0].name == "staging"


def test_a_wrong_answer_is_asked_again(file: Path) -> None:
    """At once, with what is wrong with it."""
    typed = ["https://acme.us.auth0.com", *ANSWERS.values()]
    status, said = init(file, typed="\n".join(typed) + "\n")

    assert status == 0
    assert "✗ is an address: write the host name alone" in said


def test_a_probable_mistake_is_doubted_once(file: Path) -> None:
    """With what it should be; whoever means it, keeps it. Without questions it is a warning."""
    typed = list(ANSWERS.values())
    at = list(ANSWERS).index("AUTH0_ENVIRONMENT")
    typed[at : at + 1] = ["US1", "US-1"]
    status, said = init(file, typed="\n".join(typed) + "\n")

    assert status == 0
    assert "• is no environment that Auth0's status page names: did you mean US-1?" in said
    assert build_settings(load_document(file, {})).tenants[0].environment == "US-1"

    typed[at : at + 2] = ["US1", ""]
    file.unlink()
    assert init(file, typed="\n".join(typed) + "\n")[0] == 0
    assert build_settings(load_document(file, {})).tenants[0].environment == "US1"

    assert "Warning: is no environment" in init(file, "--environment", "US-11")[1]


def test_again_each_question_promises_one_thing(file: Path) -> None:
    """Enter keeps the value, which is shown unless it is secret, also of what need not be set."""
    init(file, "--from-env", **ANSWERS)
    status, said = init(file, typed="\n" * len(ANSWERS))

    assert status == 0
    assert "(Enter keeps acme.us.auth0.com): " in said
    assert "custom domain where users log in (Enter: none): " in said
    assert said.count("(Enter keeps it): ") == 4  # secrets
    assert said.count("Enter") == len(ANSWERS)


def test_without_a_terminal_the_remedy_is_said(file: Path) -> None:
    """Exit status 3, and nothing is written."""
    status, said = init(file)

    assert (status, file.exists()) == (3, False)
    assert "use --from-env" in said
    assert "Aborted" not in said


def test_nothing_is_asked_with_the_environment(file: Path) -> None:
    """What is missing is named: exit status 3, and nothing is written."""
    status, said = init(file, "--from-env", **(ANSWERS | {"AUTH0_USERNAME": ""}))

    assert (status, file.exists()) == (3, False)
    assert "AUTH0_USERNAME" in said
    assert init(file, "--from-env", **ANSWERS)[0] == 0


def test_again_only_what_is_asked_changes(file: Path) -> None:
    """Comments, order and all other values stay; a key that was not there is added."""
    init(file, "--from-env", **ANSWERS)
    file.write_text(file.read_text() + "# mine\nthresholds: {fail_count: 4}\n")
    before = file.read_text().splitlines()
    status, said = init(file, "--channel", "C9", "--custom-domain", "login.acme.example")
    after = file.read_text().splitlines()

    assert status == 0, said
    changed = [line.partition(" #")[0].strip() for line in after if line not in before]
    assert changed == ["channel: C9", "custom_domain: login.acme.example"]
    assert len(after) == len(before) + 1
    settings = build_settings(load_document(file, {}))
    assert settings.tenants[0].custom_domain == "login.acme.example"
    assert settings.thresholds.fail_count == 4


def test_a_new_secret_changes_the_secrets_alone(file: Path) -> None:
    """The configuration stays as it is, byte by byte."""
    init(file, "--from-env", **ANSWERS)
    before = file.read_bytes()
    init(file, "--from-env", AUTH0_PASSWORD="canary-new")

    assert file.read_bytes() == before
    login = build_settings(load_document(file, {})).tenants[0].logins[0]
    assert login.password.get_secret_value() == "canary-new"
    assert login.client_secret
    assert login.client_secret.get_secret_value() == ANSWERS["AUTH0_CLIENT_SECRET"]


def test_the_environment_wins_over_the_file(file: Path) -> None:
    """So that a container can give a secret in another way."""
    init(file, "--from-env", **ANSWERS)

    assert build_settings(load_document(file, {"AUTH0_PASSWORD": "other"})).tenants[0].logins[
        0
    ].password.get_secret_value() == ("other")


@given(
    st.from_regex(
        r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]+", fullmatch=True
    )
)
@example("-")
@example("---")
def test_any_name_is_written_so_that_it_is_read_back(text: str) -> None:
    """Whatever signs it has."""
    line = f"key: {render_value('AUTH0_USERNAME', text)} # comment"
    written = yaml.load(line, yaml.BaseLoader)["key"]  # noqa: S506

    assert written.replace("$$", "$") == text


async def test_answers_are_checked_against_the_services(tmp_path: Path) -> None:
    """A wrong password is said with its remedy, and so is a wrong channel; right ones work."""
    async with place(tmp_path) as here:
        file = tmp_path / "bot.yml"
        file.write_text(yaml.safe_dump(here.good(), sort_keys=False, width=1000))
        wrong = await _run(file, AUTH0_PASSWORD="canary", SLACK_CHANNEL="C9")
        right = await _run(file, AUTH0_PASSWORD=LOGIN["password"], SLACK_CHANNEL="C0ALERTS")

    assert wrong[0] == 1
    assert "Set the test user's new password" in wrong[1]
    assert "copy the id from the channel's details" in wrong[1]
    assert right[0] == 0, right[1]
    assert "token verified" in right[1]
    assert "canary" not in wrong[1] + right[1]


async def _run(file: Path, **environment: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.steady", "bot"),
        *("init", "--from-env", "--config", str(file)),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()
