"""What stands in the fenced blocks of the pages can be read, and what is ours in it works.

Commands are run by tests/house/test_shown.py. Files of other vendors are only parsed. The routes
of Alertmanager are tried with it in tests/webhooks, where it is installed.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import sentry_sdk
import yaml

from bot.app.health import Health
from bot.config import build_settings, load_document
from bot.config.document import read_yaml
from bot.config.settings import Settings, Tenant
from bot.core.model.measurement import Measurement, MetricKind
from bot.core.model.observation import Target
from bot.core.signals.metric_threshold import MetricLimits, MetricState
from bot.slack.render.signals import measurement_line
from tests.config.test_listing import PlainLoader
from tests.house.test_docs import EVERYTHING, PAGES, blocks, code

ROOT = Path(__file__).parents[2]
NODE = shutil.which("node")
MAKE = shutil.which("make")
LANGUAGES = {"sh", "yaml", "json", "python", "js", "text", "mermaid", "nginx", ""}
"""All that stands in fenced blocks. Something is done with each."""
MADE = re.compile(r"<!-- (?:[a-z]+: )?made by .*?<!-- end of .*?-->", re.DOTALL)
MOST_PROSE, MOST_TABLES = 11_000, 3_000
"""Words in `docs/` without `docs/dev` and without the tags of pictures; of tables those that people
write."""


@pytest.mark.parametrize("name", PAGES)
def test_shell_blocks_can_be_run(name: str) -> None:
    """Each block of shell code is correct shell, and the JSON in it is JSON."""
    for block in map(dedent, blocks(PAGES[name], "sh")):
        subprocess.run(["bash", "-n", "-c", block], check=True)  # noqa: S603, S607 - read, not run
        words = shlex.split(block, comments=True)
        for option, value in pairwise(words):
            if option in {"--json", "--data", "--filters"} and value[:1] in "[{":
                json.loads(value)


@pytest.mark.parametrize("name", PAGES)
def test_samples_can_be_read(name: str) -> None:
    """JSON is JSON, Python is Python, and YAML is YAML."""
    page = PAGES[name]
    for text in map(dedent, blocks(page, "json")):
        json.loads(text)
    for text in map(dedent, blocks(page, "python")):
        ast.parse(text)
    for text in map(dedent, blocks(page, "yaml")):
        yaml.load(text, PlainLoader)  # noqa: S506 - a safe loader


def test_the_shown_reading_is_real() -> None:
    """The line that `probe --signal` prints is as the page shows it."""
    target = Target("prod", "checkout")
    measured = Measurement(target, 0.0, span_s=120.0, failed=0.0, total=220.0)
    line = measurement_line(measured, MetricState(), MetricLimits(MetricKind.METRICS))

    assert f"{target}: {line}\n" in PAGES["docs/real-users.md"]


def test_the_pages_are_short() -> None:
    """People read at most 11,000 words of prose and 3,000 in tables that were not made."""
    prose = tables = 0
    for name, page in PAGES.items():
        if not re.fullmatch(r"docs/[\w-]+\.md", name):
            continue
        written = re.sub(
            r"<!--.*?-->|</?(?:img|picture|source)\b.*?>|^ *```.*?^ *```",
            "",
            MADE.sub("", page),
            flags=re.MULTILINE | re.DOTALL,
        )
        for line in written.splitlines():
            count = len([word for word in line.split() if not re.fullmatch(r"[|-]+", word)])
            tables, prose = (tables + count, prose) if line[:1] == "|" else (tables, prose + count)

    assert prose <= MOST_PROSE, prose
    assert tables <= MOST_TABLES, tables


BASE = {
    "slack": {"bot_token": "xoxb-1", "app_token": "xapp-1", "channel": "C0123ABCD"},
    "tenants": [
        {
            "name": name,
            "domain": domain,
            "logins": [{"client_id": "id", "username": "probe", "password": "x"}],
        }
        for name, domain in (("prod", "acme.us.auth0.com"), ("staging", "acme.eu.auth0.com"))
    ],
    "server": {"listen": "127.0.0.1:3000"},
    "hooks": {"report": {"token": "r" * 24}},
    "oncall": {"rotation": {"people": ["U1"], "hand_over": "09:00", "start": "2026-01-05"}},
    "notify": [{"name": "pager", "pagerduty": {"routing_key": "k" * 32}}],
    "prometheus": {"url": "https://prometheus.example"},
    "sentry": {"organization": "acme", "token": "x"},
}
"""What each shown piece of a configuration is put into."""
SECRETS = {
    "app_token": "xapp-1",
    "oncall-calendar": "https://calendar.example/1.ics",
    "mail": "mailtos://user:password@acme.example",
    "proxy": "http://user:password@proxy.example:3128",
}
"""What is in files that need more than 32 letters and digits."""
FOREIGN = ("route:", "- name: Tell auth0-check", "format: 1", "# yaml-language-server")
"""How the other blocks of YAML begin: Alertmanager's, GitHub's, a scenario, a comment."""


def pieces() -> list[tuple[str, str]]:
    """Return the pieces of our configuration that the pages show, and on which page."""
    return [
        (name, text)
        for name, page in PAGES.items()
        for text in map(dedent, blocks(page, "yaml"))
        if not text.startswith(FOREIGN)
    ]


@pytest.mark.parametrize(("name", "text"), pieces())
def test_pieces_of_the_configuration(name: str, text: str, tmp_path: Path) -> None:
    """The bot loads each, as a part of a whole configuration."""
    piece_file, file = tmp_path / "piece.yml", tmp_path / "bot.yml"
    piece_file.write_text(text)
    piece = read_yaml(piece_file).values
    if not {*piece} <= {*Settings.model_fields}:
        assert {*piece} <= {*Tenant.model_fields}, name
        piece = {"tenants": [{"name": "prod", **piece}]}
    whole = json.dumps(put_into(BASE, piece))
    for path in re.findall(r'_file": "([^"]+)"', whole):
        place = tmp_path / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(SECRETS.get(place.name, place.name.replace("-", "").ljust(32, "0")))
    file.write_text(re.sub(r'(_file": ")/', r"\1", whole))
    variables = {found: f"xoxb-{found}" for found in re.findall(r"\$\{(\w+)\}", whole)}

    assert build_settings(load_document(file, variables)).tenants


def put_into(whole: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    """Put sections in the place of others; a tenant's keys beside those of that tenant."""
    given = {tenant["name"]: tenant for tenant in piece.get("tenants", ())}
    known = {tenant["name"]: tenant for tenant in whole["tenants"]}
    tenants = [known.get(name, {}) | given.get(name, {}) for name in known | given]
    merged = {key: whole[key] | piece.get(key, {}) for key in ("slack", "server")}
    if "app_token_file" in merged["slack"]:
        del merged["slack"]["app_token"]
    return whole | piece | merged | {"tenants": tenants}


def test_the_variables_of_the_pages(tmp_path: Path) -> None:
    """What the pages export is a whole configuration."""
    exported = re.findall(r"^ *export (.+)", EVERYTHING, re.MULTILINE)
    variables = dict(word.split("=", 1) for line in exported for word in line.split())
    for name, path in variables.items():
        if name.endswith("_FILE"):
            (tmp_path / path).parent.mkdir(exist_ok=True)
            prefix = {"bot": "xoxb-", "app": "xapp-"}.get(Path(path).name, "")
            (tmp_path / path).write_text(f"{prefix}secret")
            variables[name] = str(tmp_path / path)

    assert (
        build_settings(load_document(None, variables))
        .tenants[0]
        .logins[0]
        .password.get_secret_value()
    )


def test_the_health_of_the_page() -> None:
    """The document of `/health` is what the bot makes of such a problem."""
    (text,) = blocks(PAGES["docs/deploy.md"], "json")
    shown = json.loads(text)
    reasons = {part: each.get("reason", "") for part, each in shown["parts"].items()}
    (since,) = (each["since"] for each in shown["parts"].values() if "since" in each)
    now = [datetime.fromisoformat(since).timestamp()]
    health = Health(lambda: now[0])
    for part, reason in reasons.items():
        health.add(part, lambda reason=reason: reason)  # type: ignore[misc]
    health.check()
    now[0] = datetime.fromisoformat(shown["at"]).timestamp()

    assert health.to_json() == shown


def test_the_sentry_of_the_page() -> None:
    """An error that is reported so has the tag by which the bot counts."""
    (text,) = blocks(PAGES["docs/sentry.md"], "python")
    events: list[Any] = []
    client = sentry_sdk.Client(
        "http://key@127.0.0.1:9/1",
        default_integrations=False,
        before_send=lambda e, _: events.append(e),
    )
    with sentry_sdk.isolation_scope() as scope:
        scope.set_client(client)
        exec(dedent(text), {"sentry_sdk": sentry_sdk, "error": ValueError("x")})  # noqa: S102 - our page

    assert [event["tags"] for event in events] == [{"dependency": "auth0"}]


CALLERS = """
const claims = {};
globalThis.exports = {};
globalThis.Sentry = { httpClientIntegration: (o) => o, init: (o) => { globalThis.options = o; } };
PROGRAMS
const event = { client: { client_id: "probe" }, secrets: { PROBE_CLIENT_ID: "probe" } };
const api = { idToken: { setCustomClaim: (name, value) => { claims[name] = value; } } };
exports.onExecutePostLogin(event, api);
const seen = options.beforeSend({ request: { url: "https://acme.us.auth0.com/oauth/token" } });
const other = options.beforeSend({ request: { url: "https://acme.example/" } });
console.log(JSON.stringify({ claims, tags: seen.tags, others: other.tags ?? null }));
"""


@pytest.mark.skipif(NODE is None, reason="needs Node.js")
def test_the_javascript_of_the_pages() -> None:
    """The Action sets its claim, and Sentry's hook marks requests to Auth0 and no others."""
    programs = "\n".join(map(dedent, blocks(EVERYTHING, "js")))
    printed = subprocess.run(  # noqa: S603 - our own pages
        [str(NODE), "--eval", CALLERS.replace("PROGRAMS", programs)],
        capture_output=True,
        check=True,
    ).stdout
    came = json.loads(printed)

    assert came["claims"].keys() == {"https://acme.example/auth0-check"}
    assert (came["tags"], came["others"]) == ({"dependency": "auth0"}, None)


@pytest.mark.skipif(MAKE is None, reason="needs make")
def test_targets_of_make() -> None:
    """Make knows what to do for each that the pages show."""
    shown = {line for line in code(EVERYTHING) if re.match(r"make [A-Za-z]", line)}
    words = sorted({tuple(shlex.split(line)[1:]) for line in shown})
    for each in words:
        subprocess.run(  # noqa: S603 - it only prints
            [str(MAKE), "--dry-run", *each], cwd=ROOT, capture_output=True, check=True
        )

    assert ("demo",) in words


def test_nothing_else_is_shown() -> None:
    """Every fenced block is of a language that is run or parsed."""
    fences = re.findall(r"^ *```(\w*)\n.*?^ *```$", EVERYTHING, re.MULTILINE | re.DOTALL)

    assert {*fences} == LANGUAGES
