from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

WRONG = """\
slack:
  bot_token: xapp-canary
  app_token: ${APP_TOKEN}
  channel: "#auth0-alerts"
tenants:
  - name: prod
    domain: https://acme.us.auth0.com
    logins:
      - client_id: id
        username: probe@example.test
        pasword: canary
        password_file: nowhere.txt
colour: red
"""


def test_all_problems_of_a_configuration_are_reported(auth0_check: Run, tmp_path: Path) -> None:
    """A line for each problem with file, line and key; no traceback, and no secret."""
    file = tmp_path / "wrong.yml"
    file.write_text(WRONG)
    ended = auth0_check("run", "--config", str(file))
    first, *problems = ended.stderr.splitlines()

    assert (ended.returncode, ended.stdout) == (3, "")
    assert first == "Error: the configuration cannot be used"
    assert [re.sub(r".*wrong\.yml:(\d+): ([^:]+):.*", r"\1 \2", line) for line in problems] == [
        "2 slack.bot_token",
        "3 slack.app_token",
        "7 tenants[0].domain",
        "11 tenants[0].logins[0].pasword",
        "12 tenants[0].logins[0].password",
        "13 colour",
    ]
    assert "canary" not in ended.stderr


def test_a_configuration_that_is_not_there(auth0_check: Run) -> None:
    """One line with its name."""
    ended = auth0_check("run", "--config", "/nowhere/auth0-check.yml")

    assert ended.returncode == 3
    assert "/nowhere/auth0-check.yml" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_directory_that_is_not_there(auth0_check: Run, tmp_path: Path) -> None:
    """The database cannot be made: one line that says where and why."""
    file = tmp_path / "right.yml"
    file.write_text(
        WRONG.replace("xapp-canary", "xoxb-canary")
        .replace("${APP_TOKEN}", "xapp-canary")
        .replace("https://", "")
        .replace("pasword", "password")
        .replace("        password_file: nowhere.txt\n", "")
        .replace("colour: red", "database: nowhere/auth0-check.sqlite")
    )
    ended = auth0_check("run", "--config", str(file))

    assert ended.returncode == 1
    *_, error = ended.stderr.splitlines()
    assert error.startswith("Error: The database ")
    assert "its directory must exist" in error
