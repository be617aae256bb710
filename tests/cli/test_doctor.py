from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING

import pytest

from bot.simulator.workspace.model import User
from tests.app.test_doctor import DM_ONLY, ROTATION, changed, place
from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

CLOSED = "http://127.0.0.1:9"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A set-up that reaches nothing."""
    path = tmp_path / "bot.yml"
    whole = {
        "slack": {
            "bot_token": "xoxb-canary",
            "app_token": "xapp-canary",
            "channel": "C1",
            "api_url": f"{CLOSED}/api/",
        },
        "tenants": [
            {
                "name": "prod",
                "domain": "acme.us.auth0.com",
                "base_url": CLOSED,
                "feed_url": CLOSED,
                "logins": [{"client_id": "id", "username": "u", "password": "canary"}],
            }
        ],
        "controls": [f"{CLOSED}/"],
        "database": str(tmp_path / "bot.sqlite"),
    }
    path.write_text(json.dumps(whole))  # JSON is YAML
    return path


def test_without_a_network(auth0_check: Run, file: Path) -> None:
    """Exit status 2; a line for each finding, and a count; no secret."""
    ended = auth0_check("doctor", "--config", str(file))
    *lines, count = ended.stdout.splitlines()

    assert (ended.returncode, ended.stderr) == (2, "")
    assert count.startswith("0 problem(s), 8 that cannot be told")
    assert lines[0].startswith("unknown: machine: control endpoint 127.0.0.1:9: connect refused. ")
    assert "canary" not in ended.stdout


def test_json(auth0_check: Run, file: Path) -> None:
    """One object a line. What works with a control endpoint is a problem: exit status 1."""
    file.write_text(file.read_text().replace(f'["{CLOSED}/"]', "[]"))
    ended = auth0_check("doctor", "--json", "--config", str(file))
    found = [json.loads(line) for line in ended.stdout.splitlines()]

    assert ended.returncode == 1
    assert all(one.keys() == {"area", "what", "level", "detail", "remedy"} for one in found)
    assert {"prod", "Slack", "machine", "calls"} == {one["area"] for one in found}


def test_an_alert_is_not_tested_without_slack(auth0_check: Run, file: Path) -> None:
    """Slack is asked first: one line, exit status 2, and nobody is asked to do anything."""
    ended = auth0_check("test-alert", "--yes", "--config", str(file))

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "cannot be reached: check this machine's network" in ended.stderr.splitlines()[-1]


def test_a_proxy_of_the_machine_is_not_read(auth0_check: Run, file: Path) -> None:
    """The doctor says so, unless a proxy is configured."""
    ended = auth0_check("doctor", "--config", str(file), https_proxy=CLOSED)
    assert "https_proxy is set, and the bot does not read it. did you mean to set" in ended.stdout

    file.write_text(file.read_text().replace("{", f'{{"proxy": {{"notify": "{CLOSED}"}}, ', 1))
    ended = auth0_check("doctor", "--config", str(file), https_proxy=CLOSED)
    assert "https_proxy" not in ended.stdout


async def test_only_me(tmp_path: Path) -> None:
    """Those whom the configuration names are offered; whoever is nobody is asked again."""
    async with place(tmp_path, people=[User("U1", "ann", "Ann")]) as here:
        path = tmp_path / "bot.yml"
        on_call = {"rotation": {"people": ["U1"], **ROTATION}}
        changes = {"escalation": DM_ONLY, "oncall": on_call}
        path.write_text(json.dumps(changed(here.good(), changes)))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.steady", "bot", "test-alert"),
            *("--only", "me", "--config", str(path)),
            cwd=ROOT,
            env={},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        said, _ = await process.communicate(b"2\n1\nn\n")
    lines = said.decode()

    assert process.returncode == 1
    assert "  1  Ann (U1)\n" in lines
    assert "✗ is neither a number above nor a member ID (U…)" in lines
    assert "  Slack: a mention of Ann\n" in lines
    assert "  step 1: a direct message to Ann\n" in lines
    assert lines.endswith("Go on? [y/N]: ")


def test_a_wrong_configuration(auth0_check: Run, file: Path) -> None:
    """Exit status 3, with all its problems at once."""
    file.write_text(file.read_text().replace("xapp-", "xoxb-").replace("acme.us.auth0.com", "acme"))
    ended = auth0_check("doctor", "--config", str(file))

    assert (ended.returncode, ended.stdout) == (3, "")
    assert len(ended.stderr.splitlines()) == 3
