from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bot.app.probe_command import exit_code
from bot.core.model.observation import Fault, Observation, Outcome, Stage, Target

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

CANARY = "canary-password"


@pytest.fixture
def config(oidc_provider: Any, tmp_path: Path) -> Callable[..., str]:
    """Write a configuration of the login server, with an `m2m` and changes to its login."""

    def write(m2m: dict[str, str] | None = None, **changes: Any) -> str:
        tenant = oidc_provider.tenant | ({"m2m": m2m} if m2m else {})
        tenant["logins"] = [tenant["logins"][0] | changes]
        file = tmp_path / "auth0-check.yml"
        slack = {"bot_token": "xoxb-unused", "app_token": "xapp-unused", "channel": "#unused"}
        whole = {
            "slack": slack,
            "tenants": [tenant],
            "resolve": oidc_provider.resolve,
            "controls": [],
        }
        file.write_text(json.dumps(whole))  # JSON is YAML
        return str(file)

    return write


def test_a_login_that_works(auth0_check: Run, config: Callable[..., str]) -> None:
    """Over TLS with a CA of its own: exit status 0, and each stage with its time."""
    ended = auth0_check("probe", "--config", config())

    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"^prod\.login: ok; \d+ ms", ended.stdout, re.MULTILINE)
    assert re.search(r"tls \d+", ended.stdout)


def test_a_line_of_json_for_each_probe(auth0_check: Run, config: Callable[..., str]) -> None:
    """For machines: target, outcome, times in milliseconds, fault."""
    ended = auth0_check("probe", "prod", "--json", "--config", config())
    told = {one["target"]: one for one in map(json.loads, ended.stdout.splitlines())}

    assert told.keys() == {"prod.login", "prod.wellknown"}
    login = told["prod.login"]
    assert login.keys() == {"target", "outcome", "latency_ms", "stages_ms", "fault", "blind"}
    assert (login["outcome"], login["fault"], login["blind"]) == ("ok", None, None)
    assert {"connect", "tls"} <= login["stages_ms"].keys()


def test_a_machine_token_is_probed_too(auth0_check: Run, config: Callable[..., str]) -> None:
    """Where one is configured; this server gives none."""
    machine = {"client_id": "machine", "client_secret": CANARY}
    ended = auth0_check("probe", "--json", "--config", config(machine))
    told = {one["target"]: one for one in map(json.loads, ended.stdout.splitlines())}

    assert ended.returncode == 1
    assert told.keys() == {"prod.login", "prod.wellknown", "prod.m2m"}
    assert told["prod.m2m"]["fault"]["stage"] == "oauth"
    assert CANARY not in ended.stdout + ended.stderr


def test_a_wrong_password(auth0_check: Run, config: Callable[..., str]) -> None:
    """Exit status 1, the server's own words, and not the password."""
    ended = auth0_check("probe", "--config", config(password=CANARY))

    assert ended.returncode == 1
    assert "invalid_grant" in ended.stdout
    assert CANARY not in ended.stdout + ended.stderr


def test_a_stopped_server(auth0_check: Run, config: Callable[..., str], oidc_provider: Any) -> None:
    """Exit status 1: the connection is refused."""
    oidc_provider.stop()
    ended = auth0_check("probe", "--json", "--config", config())
    faults = [json.loads(line)["fault"] for line in ended.stdout.splitlines()]

    assert ended.returncode == 1
    assert {(fault["stage"], fault["reason"]) for fault in faults} == {("connect", "refused")}


def test_an_unknown_tenant(auth0_check: Run, config: Callable[..., str]) -> None:
    """The error names the configured tenants."""
    ended = auth0_check("probe", "nowhere", "--config", config())

    assert ended.returncode == 3
    assert "there is no tenant 'nowhere'; configured: prod" in ended.stderr


def test_the_environment_alone_is_enough(auth0_check: Run) -> None:
    """Even without any of Slack's variables: the error here is the tenant's name."""
    ended = auth0_check(
        "probe",
        "nowhere",
        AUTH0_DOMAIN="acme.us.auth0.com",
        AUTH0_CLIENT_ID="id",
        AUTH0_USERNAME="probe@example.test",
        AUTH0_PASSWORD=CANARY,
    )

    assert ended.returncode == 3
    assert "configured: acme" in ended.stderr


def test_all_missing_variables_are_named(auth0_check: Run) -> None:
    """One line for each, and no traceback."""
    ended = auth0_check("probe", AUTH0_DOMAIN="acme.us.auth0.com", AUTH0_PASSWORD=CANARY)

    assert ended.returncode == 3
    lines = ended.stderr.splitlines()
    assert lines[0] == "Error: the configuration cannot be used"
    assert [line.split()[0].rstrip(":") for line in lines[1:]] == [
        "AUTH0_CLIENT_ID",
        "AUTH0_USERNAME",
    ]
    assert CANARY not in ended.stderr


def test_a_file_needs_no_slack(auth0_check: Run, config: Callable[..., str]) -> None:
    """Whatever the section `slack` says, or if it is not there: `probe` does not read it."""
    path = Path(config())
    whole = json.loads(path.read_text())
    for slack in ({"slack": {"bot_token": "${UNSET}"}}, {}):
        path.write_text(json.dumps({**whole, "slack": None} | slack))
        ended = auth0_check("probe", "--config", str(path))

        assert (ended.returncode, ended.stderr) == (0, "")


SILENT = Fault(Stage.TIMEOUT, "connect")
REFUSED = Fault(Stage.CONNECT, "refused")
PORTAL = Fault(Stage.HTTP, "redirect", status=302)
BROKEN = Fault(Stage.HTTP, "http_503", status=503)


def seen(target: str, outcome: str = "ok", fault: Fault | None = None) -> Observation:
    return Observation(Target(*target.split(".")), 0.0, Outcome(outcome), fault=fault)


@pytest.mark.parametrize(
    ("all_seen", "status"),
    [
        ([seen("prod.login"), seen("control.neutral", "no_data")], 0),
        ([seen("prod.login"), seen("prod.wellknown", "no_data")], 2),
        ([seen("prod.login", "failed", BROKEN), seen("prod.wellknown", "no_data")], 1),
        ([seen("prod.login", "failed", SILENT)], 1),
        ([seen("prod.login", "failed", SILENT), seen("control.neutral", "failed", SILENT)], 2),
        ([seen("prod.login", "failed", BROKEN), seen("control.neutral", "failed", SILENT)], 1),
        ([seen("prod.login", "failed", REFUSED), seen("control.neutral", "failed", REFUSED)], 2),
        ([seen("prod.login", "failed", PORTAL), seen("control.neutral", "failed", PORTAL)], 2),
        ([seen("prod.login", "failed", PORTAL), seen("control.neutral", "failed", BROKEN)], 1),
        (
            [
                seen("prod.login", "failed", SILENT),
                seen("control.neutral", "failed", SILENT),
                seen("control.other"),
            ],
            1,
        ),
    ],
)
def test_the_exit_status(all_seen: list[Observation], status: int) -> None:
    """2 without data, or where the control endpoints fail alike; any other failure is 1."""
    assert exit_code(all_seen) == status
