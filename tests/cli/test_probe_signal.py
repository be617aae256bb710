"""`probe --signal` against small servers that answer as the real APIs do."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., subprocess.CompletedProcess[str]]

CANARY = "canary-secret"
BUSY = "loop was blocked"
"""On a busy machine `probe` rightly cannot tell: then the test runs it again."""
TOKEN = {"access_token": CANARY, "expires_in": 86400, "token_type": "Bearer"}
ROWS = [
    {"log_id": f"9{number:03d}", "type": kind, "client_id": client, "connection": "users"}
    for number, (kind, client) in enumerate([("f", "web")] * 30 + [("s", "web"), ("s", "probe")])
]


class Apis(ThreadingHTTPServer):
    """Prometheus, Sentry and a tenant at one address."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.counts: dict[str, float] = {"failed": 1, "all": 200}
        """By expression; a missing one returns an empty result."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, asked: dict[str, list[str]]) -> Any:
        match path:
            case "/api/v1/query":
                found = self.counts.get(asked["query"][0])
                rows = [] if found is None else [{"metric": {}, "value": [0, str(found)]}]
                return {"status": "success", "data": {"resultType": "vector", "result": rows}}
            case "/api/0/organizations/acme/events/":
                counted = {"title": "TimeoutError: of jane@acme.example", "count()": 3}
                return {"data": [counted], "meta": {"fields": {}}}
            case "/oauth/token":
                return TOKEN
            case "/api/v2/logs":
                return ROWS if "from" in asked else [ROWS[0] | {"log_id": "8"}]
        return {}


class Asked(BaseHTTPRequestHandler):
    server: Apis

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        found = self.server.answer(url.path, parse_qs(url.query) | parse_qs(body))
        told = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET  # noqa: N815 - the base class has it so

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def apis() -> Iterator[Apis]:
    with Apis() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def probe(apis: Apis, auth0_check: Run, tmp_path: Path) -> Run:
    """Probe with one signal of each kind configured; `other` is a tenant with metrics only."""
    login = {"client_id": "probe", "username": "probe@example.test", "password": CANARY}
    metrics = {"metrics": [{"name": "checkout", "failed": "failed", "all": "all"}]}
    prod = {
        "name": "prod",
        "domain": "acme.us.auth0.com",
        "base_url": apis.url,
        "logins": [login],
        "errors": [{"name": "web", "project": "1", "query": "dependency:auth0"}],
        "logs": {"client_id": "reader", "client_secret": CANARY, "every": "1s"},
    }
    other = {"name": "other", "domain": "acme.eu.auth0.com", "logins": [login]}
    whole = {
        "slack": {"bot_token": "xoxb-unused", "app_token": "xapp-unused", "channel": "#unused"},
        "prometheus": {"url": apis.url, "token": CANARY},
        "sentry": {"url": apis.url, "organization": "acme", "token": CANARY},
        "tenants": [prod | metrics, other | metrics],
        "controls": [],
    }
    file = tmp_path / "auth0-check.yml"
    file.write_text(json.dumps(whole))  # JSON is YAML

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        for _ in range(5):
            ended = auth0_check("probe", *arguments, "--config", str(file))
            if BUSY not in ended.stdout:
                break
        assert CANARY not in ended.stdout + ended.stderr
        return ended

    return run


@pytest.mark.parametrize(
    ("counts", "status", "words"),
    [
        ({"failed": 1, "all": 200}, 0, "1 of 200 failed in 2 min"),
        ({"failed": 40, "all": 200}, 1, "read as bad: too many calls fail"),
        ({"failed": 2, "all": 3}, 0, "not judged"),
    ],
)
def test_the_exit_status(
    apis: Apis, probe: Run, counts: dict[str, float], status: int, words: str
) -> None:
    """0 for ok or too few, 1 for failing."""
    apis.counts = counts
    ended = probe("prod", "--signal", "checkout")

    assert (ended.returncode, ended.stderr) == (status, "")
    assert ended.stdout.startswith("prod.checkout: ")
    assert words in ended.stdout


def test_no_data(apis: Apis, probe: Run) -> None:
    """Exit status 2, with the reason."""
    apis.counts = {}
    ended = probe("prod", "--signal", "checkout", "--json")
    told = json.loads(ended.stdout)

    assert ended.returncode == 2
    assert (told["outcome"], told["missing"]) == ("no_data", "empty result")


def test_without_a_tenant_it_is_each_that_has_it(probe: Run) -> None:
    """A line for each, with the raw counts."""
    ended = probe("--signal", "checkout", "--json")
    told = [json.loads(line) for line in ended.stdout.splitlines()]

    assert [one["target"] for one in told] == ["prod.checkout", "other.checkout"]
    assert [(one["failed"], one["total"], one["span_s"]) for one in told] == [(1, 200, 120)] * 2
    assert [(one["outcome"], one["missing"]) for one in told] == [("ok", None)] * 2


def test_events(probe: Run) -> None:
    """For an error tracker: the counts and the names of patterns, never a title."""
    ended = probe("--signal", "web", "--json")
    told = json.loads(ended.stdout)

    assert ended.returncode == 0
    assert (told["failed"], told["total"]) == (3, None)
    assert told["groups"] == [{"kind": "", "count": 3, "pattern": "timeout", "connection": ""}]
    assert "jane" not in ended.stdout


def test_a_log_is_read_twice(probe: Run) -> None:
    """Rows since the first read count; rows of our own login are counted apart."""
    ended = probe("--signal", "logs", "--json")
    told = json.loads(ended.stdout)

    assert ended.returncode == 1
    assert (told["failed"], told["total"], told["own"]) == (30, 31, 1)
    assert {(g["kind"], g["connection"]) for g in told["groups"]} == {
        ("failure", "users"),
        ("success", "users"),
    }


def test_a_login(probe: Run) -> None:
    """A login is a signal as well: a malformed token is a failure."""
    ended = probe("prod", "--signal", "login", "--json")

    assert ended.returncode == 1
    assert json.loads(ended.stdout)["fault"]["stage"] == "token"


def test_an_unknown_signal(probe: Run) -> None:
    """The error names the known signals, for a tenant only its own."""
    nowhere, others = probe("--signal", "nowhere"), probe("other", "--signal", "logs")

    assert (nowhere.returncode, others.returncode) == (3, 3)
    assert "there is no signal 'nowhere'; there are: login, " in nowhere.stderr
    assert "checkout, web, logs" in nowhere.stderr
    assert "there is no signal 'logs'; there are: login, wellknown, checkout" in others.stderr
