from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

FILE = """\
slack: {bot_token: xoxb-canary, app_token: xapp-canary, channel: C1}
tenants:
  - name: prod
    domain: acme.us.auth0.com
    environment: US1
    logins: [{client_id: id, username: probe, password: canary}]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bot.yml"
    path.write_text(FILE)
    return path


def test_check(auth0_check: Run, file: Path) -> None:
    """0 and the tenants if it can be used; probable mistakes are warnings."""
    ended = auth0_check("config", "check", "--config", str(file))

    assert (ended.returncode, ended.stdout) == (
        0,
        "The configuration can be used. Tenants: prod.\n",
    )
    assert "bot.yml:5: tenants[0].environment: is no environment" in ended.stderr


def test_check_refuses(auth0_check: Run, file: Path) -> None:
    """3, and all problems at once."""
    file.write_text(FILE.replace("xapp-canary", "xapp").replace("US1", "US-1") + "colour: red\n")
    ended = auth0_check("config", "check", "--config", str(file))

    assert (ended.returncode, ended.stdout) == (3, "")
    assert len(ended.stderr.splitlines()) == 3


def test_a_file_that_is_overlooked(auth0_check: Run, file: Path) -> None:
    """What `init` wrote is named; with a configuration that is chosen nothing of it is said."""
    hint = "bot.yml is here: use --config bot.yml"
    folder = str(file.parent)

    assert hint in auth0_check("config", "check", cwd=folder).stderr
    assert hint not in auth0_check("config", "check", "--config", "no.yml", cwd=folder).stderr
    file.rename(file.with_name("b1.yml"))
    assert hint not in auth0_check("config", "check", cwd=folder).stderr


def test_show(auth0_check: Run, file: Path) -> None:
    """A line for each value, with tabs in a pipe; never a secret."""
    ended = auth0_check("config", "show", "--config", str(file))
    as_json = auth0_check("config", "show", "--json", "--config", str(file))

    assert ended.returncode == as_json.returncode == 0
    assert f"tenants[0].environment\tUS1\t{file}:5" in ended.stdout.splitlines()
    told = [json.loads(line) for line in as_json.stdout.splitlines()]
    assert {"key": "slack.bot_token", "value": "***", "origin": f"{file}:1"} in told
    assert "canary" not in ended.stdout + as_json.stdout


def test_schema(auth0_check: Run) -> None:
    """JSON on standard output."""
    ended = auth0_check("config", "schema")

    assert json.loads(ended.stdout)["properties"].keys() >= {"slack", "tenants"}


@pytest.mark.parametrize("arguments", [(), ("prob",), ("config", "nowhere"), ("probe", "--x")])
def test_a_wrong_command_line(auth0_check: Run, arguments: tuple[str, ...]) -> None:
    """Exit status 3, whatever is wrong in it."""
    assert auth0_check(*arguments).returncode == 3
