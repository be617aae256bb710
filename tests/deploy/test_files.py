"""The files under deploy/, each by a parser or linter of its own kind."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import hcl2
import pytest
import yaml
from prometheus_client.exposition import generate_latest

from bot.app.health import Health, admin_routes
from bot.cli.command_line import WRONG
from bot.cli.init import QUESTIONS
from bot.config import build_settings, load_document
from bot.config.loading import VARIABLES
from bot.config.settings import Server
from bot.config.writing import SECRETS, render_file
from bot.telemetry import Metrics

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
ADMIN_PORT = int(Server().admin_listen.rpartition(":")[2])
EXAMPLE = {
    "SLACK_CHANNEL": "C0123ABCD",
    "AUTH0_DOMAIN": "acme.us.auth0.com",
    "AUTH0_CUSTOM_DOMAIN": "login.acme.example",
    "AUTH0_NAME": "prod",
    "AUTH0_ENVIRONMENT": "US-1",
    "AUTH0_CLIENT_ID": "4kJ0exampleexample",
    "AUTH0_USERNAME": "probe@acme.example",
    "AUTH0_REALM": "Username-Password-Authentication",
}


STRICT = ("--offline=true", "--threshold=15", "--no-pager")
"""An exposure of at most 1.5 of 10, as systemd counts it."""


def run(*command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    program = shutil.which(command[0])
    if program is None:
        package = {"promtool": "prometheus", "systemd-analyze": "systemd"}[command[0]]
        pytest.skip(f"needs the package {package}")
    return subprocess.run(  # noqa: S603 - our own files
        [program, *command[1:]], input=given, capture_output=True, text=True, check=False
    )


def text_of(name: str) -> str:
    return (DEPLOY / name).read_text()


def exported() -> set[str]:
    """The names of all metrics of the bot."""
    metrics = Metrics()
    for metric in vars(metrics).values():
        if names := getattr(metric, "_labelnames", ()):
            metric.labels(*names)
    return {sample.name for family in metrics.registry.collect() for sample in family.samples}


def test_the_example_is_what_init_writes(tmp_path: Path) -> None:
    """Whoever copies it has the same file; with the secrets of bot.env.example it loads."""
    secrets = {name: f"${{{name}}}" for name in SECRETS}
    written = render_file(EXAMPLE | secrets, tmp_path / "bot.yml")

    assert text_of("bot.example.yml") == written
    shutil.copy(DEPLOY / "bot.example.yml", tmp_path / "bot.yml")
    shutil.copy(DEPLOY / "bot.env.example", tmp_path / "bot.env")
    assert build_settings(load_document(tmp_path / "bot.yml", {})).tenants[0].name == "prod"


def test_the_example_of_the_secrets() -> None:
    """It names each secret that the bot asks for, and no other variable."""
    names = re.findall(r"^([A-Z0-9_]+)=", text_of("bot.env.example"), re.MULTILINE)

    assert set(names) == SECRETS & QUESTIONS.keys()
    assert set(names) <= VARIABLES.keys()


def test_the_alert_rules() -> None:
    """Promtool accepts them, and each metric is one of ours."""
    checked = run("promtool", "check", "rules", str(DEPLOY / "alerts.rules.yml"))
    used = set(re.findall(r"auth0_check_\w+", text_of("alerts.rules.yml")))

    assert checked.returncode == 0, checked.stderr
    assert used <= exported()
    assert len(used) >= 5


def test_the_metrics() -> None:
    """Promtool finds nothing wrong with their names and help."""
    metrics = Metrics()
    checked = run("promtool", "check", "metrics", given=generate_latest(metrics.registry).decode())

    assert checked.returncode == 0, checked.stderr + checked.stdout


def test_the_dashboard() -> None:
    """JSON; no panel lies on another; the queries are PromQL and use our metrics alone."""
    board = json.loads(text_of("grafana.json"))
    queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    squares = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert len(squares) == len(set(squares))
    assert max(x for x, _ in squares) == 23
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert set(re.findall(r"auth0_check_\w+", " ".join(queries))) <= exported()
    rules = [{"record": f"q{number}", "expr": query} for number, query in enumerate(queries)]
    text = yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]})
    checked = run("promtool", "check", "rules", "/dev/stdin", given=text)
    assert checked.returncode == 0, checked.stderr


def test_the_unit(tmp_path: Path) -> None:
    """Systemd accepts it; a wrong configuration is not started again and again."""
    program = shutil.which("true")
    unit = tmp_path / "auth0-check.service"
    text = re.sub(r"ExecStart=\S+", f"ExecStart={program}", text_of("auth0-check.service"))
    unit.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))
    checked = run("systemd-analyze", "verify", "--man=no", str(unit))
    settings = dict(re.findall(r"^(\w+)=(.*)$", text_of("auth0-check.service"), re.MULTILINE))

    assert checked.returncode == 0, checked.stderr
    assert str(unit) not in checked.stderr, checked.stderr
    assert run("systemd-analyze", "security", *STRICT, str(unit)).returncode == 0
    assert settings["RestartPreventExitStatus"] == str(WRONG)
    assert (settings["Type"], settings["Restart"]) == ("notify", "always")


def test_the_compose_file() -> None:
    """It fits the Compose specification, and leaves the root file system alone."""
    compose = pytest.importorskip("compose_spec", reason="has wheels for Linux on x86-64 only")
    parsed = compose.PyCompose.from_yaml(text_of("compose.yaml"))
    (service,) = yaml.safe_load(text_of("compose.yaml"))["services"].values()

    assert parsed.service_names() == ["auth0-check"]
    assert service["read_only"]
    assert "/data" in str(service["volumes"])


def test_the_compose_file_with_postgresql() -> None:
    """It adds to the other file; the database that it makes is the one of its comment."""
    compose = pytest.importorskip("compose_spec", reason="has wheels for Linux on x86-64 only")
    text = text_of("compose.postgresql.yaml")
    services = yaml.safe_load(text)["services"]
    made = services["database"]["environment"]
    (address,) = re.findall(r"`database: (postgresql://\S+)`", text)
    url = urlsplit(address)

    assert set(compose.PyCompose.from_yaml(text).service_names()) == {"auth0-check", "database"}
    assert services["auth0-check"]["deploy"] == {"replicas": 2}
    assert url.hostname == "database"
    assert (url.username, url.path) == (made["POSTGRES_USER"], f"/{made['POSTGRES_DB']}")
    assert str(url.password)[:-1] in made["POSTGRES_PASSWORD"]


def test_kubernetes() -> None:
    """One replica, recreated; probes at addresses that the bot has; the volume is mounted."""
    claim, deployment = yaml.safe_load_all(text_of("kubernetes.yaml"))
    spec = deployment["spec"]
    pod = spec["template"]["spec"]
    (container,) = pod["containers"]
    probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    paths = {path for _, path in admin_routes(Metrics().registry, Health(lambda: 0.0), str)}

    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    assert {probe["path"] for probe in probes} == {"/livez", "/readyz"} <= paths
    assert container["ports"] == [{"name": "admin", "containerPort": ADMIN_PORT}]
    assert {probe["port"] for probe in probes} == {"admin"}
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }
    claims = [
        each["persistentVolumeClaim"] for each in pod["volumes"] if "persistentV" in str(each)
    ]
    assert claims == [{"claimName": claim["metadata"]["name"]}]


ADDED = {
    "random_password",
    "auth0_client",
    "auth0_client_credentials",
    "auth0_connection",
    "auth0_connection_client",
    "auth0_user",
    "auth0_action",
    "auth0_trigger_action",
    "auth0_log_stream",
}
"""Resources that stand beside what a tenant has. Others, such as auth0_trigger_actions,
auth0_attack_protection or auth0_tenant, replace it."""


def test_terraform() -> None:
    """HCL; only resources that add; the Password grants alone, and a proof by this Action alone."""
    parsed = hcl2.loads(text_of("terraform/auth0.tf"))
    resources: dict[str, Any] = {}
    for each in parsed["resource"]:
        for kind, named in each.items():
            resources[kind.strip('"')] = next(iter(named.values()))

    assert resources.keys() == ADDED
    grants = {grant.strip('"') for grant in resources["auth0_client"]["grant_types"]}
    assert grants == {"password", "http://auth0.com/oauth/grant-type/password-realm"}
    assert resources["auth0_trigger_action"]["trigger"].strip('"') == "post-login"
    assert "PROBE_CLIENT_ID" in resources["auth0_action"]["code"]
    formatter = shutil.which("terraform")
    if formatter:
        done = run("terraform", "fmt", "-check", "-diff", str(DEPLOY / "terraform"))
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "file", sorted(p for p in DEPLOY.rglob("*") if p.is_file()), ids=lambda p: p.name
)
def test_each_file_is_documented(file: Path) -> None:
    """A page says what it is for."""
    pages = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))

    assert f"deploy/{file.relative_to(DEPLOY)}" in pages
