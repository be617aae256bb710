"""`/status.json`: what it says about every state, and how clients ask for it."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientSession

from bot.app.http_server import Server
from bot.app.status_json import SIGNAL_WORDS, UNKNOWN, TenantHealth, status_json, status_routes
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Cause, Evidence, Scope, Severity, SignalState, Verdict
from bot.core.signals.external_alerts import Monitor
from bot.core.signals.metric_threshold import MetricLimits, MetricReading, MetricState
from bot.core.signals.probe_threshold import ProbeState, Reason
from bot.core.state.desk import DeskState
from bot.core.state.incident import (
    Acknowledgement,
    Incident,
    IncidentKind,
    IncidentLife,
    Resolution,
)
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.tenant import HasData, NoData, Tenants, TenantState
from bot.ports import View
from bot.simulator.reading import load_file
from bot.simulator.simulation import Simulation
from bot.simulator.virtual import run_virtually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from bot.simulator.virtual import VirtualLoop

NOW = 1_772_445_600.0  # 2026-03-02T10:00:00Z
TOKEN = "canary-status-token"
CHAPTER = (Path(__file__).parents[2] / "docs/status-json.md").read_text()
STORY = """\
format: 1
name: story
about: One tenant of two is down for ten minutes.
start: 2026-03-02T10:00:00Z
warmup: 5m
duration: 20m
tenants:
  prod: {domain: acme.us.auth0.com, environment: US-1}
  eu: {domain: acme.eu.auth0.com, environment: EU-1}
controls: [neutral]
timeline:
  - {target: prod.login, from: 2m, to: 12m, is: {http: 503}}
"""
NOTHING = {"cause": None, "scope": None, "confidence": None, "since": None, "incident": None}
OK = ProbeState(last_at=NOW - 30, last_ok_at=NOW - 30)
FIRING = ProbeState(SignalState.FIRING, since=NOW - 60, last_at=NOW - 5)
WORKS = TenantState({"login": OK, "wellknown": OK}, data=HasData(NOW - 30))
FAILS = replace(WORKS, probes={"login": FIRING, "wellknown": OK})
STOPPED = MetricState(SignalState.FIRING, no_data_reason="HTTP 503", no_data_since=NOW - 400)
NO_DATA = replace(WORKS, data=NoData(NOW - 301, NOW - 301))
TAKEN = IncidentLife(NOW - 10, Acknowledgement("U1", NOW - 5))
OVER = IncidentLife(NOW - 10, resolved=Resolution(NOW - 5))
OUTAGE = Incident(
    id=12,
    kind=IncidentKind.FAILING,
    severity=Severity.CRITICAL,
    tenants=("prod",),
    since=NOW - 60.5,
    life=IncidentLife(NOW - 10),
    verdict=Verdict(
        Cause.AUTH0, Scope.ENVIRONMENT, 0.9312, (Evidence("row", {"text": "canary text"}, 2.0),)
    ),
)
PROBE = Verdict(Cause.PROBE, Scope.TENANT, 0.8)
WARNING = replace(OUTAGE, severity=Severity.WARNING, verdict=PROBE)


def view(tenant: TenantState, *incidents: Incident, **rules: Any) -> View:
    tenants = {"prod": TenantRules("prod", "acme.us.auth0.com", **rules)}
    desk = DeskState({incident.id: incident for incident in incidents})
    return View(NOW, Rules(tenants), Tenants({"prod": tenant}), desk)


def prod(*known: Any, **rules: Any) -> dict[str, Any]:
    told: Any = status_json(view(*known, **rules))["tenants"]
    return dict(told["prod"])


def test_an_outage() -> None:
    """The verdict as codes, the beginning, the incident, and each login; no foreign text."""
    told = status_json(view(FAILS, OUTAGE))

    assert told == {
        "version": 1,
        "at": "2026-03-02T10:00:00Z",
        "tenants": {
            "prod": {
                "state": "down",
                "cause": "auth0",
                "scope": "environment",
                "confidence": 0.93,
                "since": "2026-03-02T09:58:59Z",
                "incident": 12,
                "logins": {"login": "failing"},
                "signals": {"wellknown": "ok"},
            }
        },
    }
    assert "canary" not in json.dumps(told)


@pytest.mark.parametrize(
    ("known", "state", "incident"),
    [
        ((WORKS,), "ok", None),
        ((FAILS, OUTAGE), "down", 12),
        ((FAILS, WARNING), "degraded", 12),
        ((NO_DATA, replace(WARNING, kind=IncidentKind.NO_DATA)), "unknown", 12),
        ((replace(FAILS, data=NoData(NOW - 301, NOW - 301)), OUTAGE), "unknown", 12),
        ((replace(WORKS, metrics={"checkout": STOPPED}), OUTAGE), "unknown", 12),
        ((replace(FAILS, metrics={"checkout": STOPPED}), OUTAGE), "down", 12),
        ((TenantState(),), "unknown", None),
        ((WORKS, OUTAGE), "ok", None),
        ((FAILS, replace(OUTAGE, life=TAKEN)), "down", 12),
        ((WORKS, replace(OUTAGE, life=OVER)), "ok", None),
        ((FAILS, replace(OUTAGE, tenants=("eu",))), "ok", None),
        (
            (WORKS, replace(WARNING, kind=IncidentKind.SOURCE_NO_DATA, severity=Severity.INFO)),
            "ok",
            None,
        ),
    ],
    ids=[
        "works",
        "critical",
        "warning",
        "no data",
        "no data in an outage",
        "its figures stopped",
        "figures stopped, the login fails",
        "never checked",
        "works again, others of the incident do not",
        "acknowledged",
        "over",
        "of another tenant",
        "a source has no data",
    ],
)
def test_the_state_of_a_tenant(known: Any, state: str, incident: int | None) -> None:
    """Down and degraded only by an open incident of its own; no data is unknown."""
    told = prod(*known)

    assert (told["state"], told["incident"]) == (state, incident)
    if incident is None:
        assert {key: told[key] for key in NOTHING} == NOTHING


@pytest.mark.parametrize(
    ("signal", "seen"),
    [
        (OK, "ok"),
        (FIRING, "failing"),
        (replace(FIRING, state=SignalState.PENDING), "suspect"),
        (replace(FIRING, is_stopped=True), "unknown"),
        (replace(OK, last_at=NOW - 301), "unknown"),
        (ProbeState(), "unknown"),
    ],
    ids=["ok", "firing", "pending", "stopped", "old", "never"],
)
def test_a_login(signal: ProbeState, seen: str) -> None:
    """A login that is stopped or was checked long ago is neither ok nor failing."""
    assert prod(TenantState({"login": signal}))["logins"] == {"login": seen}


@pytest.mark.parametrize(
    ("metric", "seen"),
    [
        (MetricState(read_at=NOW, reading=MetricReading(is_good=True)), "ok"),
        (MetricState(read_at=NOW), "unknown"),
        (MetricState(SignalState.PENDING, read_at=NOW), "suspect"),
        (MetricState(SignalState.FIRING, read_at=NOW, reason=Reason.SHARE), "failing"),
        (MetricState(SignalState.FIRING, read_at=NOW, no_data_reason="unreachable"), "unknown"),
        (MetricState(reading=MetricReading(is_good=True)), "unknown"),
    ],
    ids=["good", "too few", "once bad", "bad", "missing", "not read since the start"],
)
def test_a_measured_signal(metric: MetricState, seen: str) -> None:
    """Missing or too few data are no sign of health."""
    state = replace(WORKS, metrics={"shop": metric}, monitors={"pingdom": Monitor()})
    told = prod(state, metrics={"shop": MetricLimits(MetricKind.METRICS)})

    assert told["signals"] == {"wellknown": "ok", "shop": seen, "pingdom": "ok"}


def test_a_tenant_that_is_checked_seldom() -> None:
    """Three intervals must pass without a check before its login is unknown."""
    limits = replace(TenantRules("prod", "").limits, every_s=300.0)
    state = TenantState({"login": replace(OK, last_at=NOW - 800)})

    assert prod(state, limits=limits)["state"] == "ok"


class Endpoint:
    """The route behind a real public listener."""

    def __init__(self, session: ClientSession) -> None:
        self.view = view(FAILS, OUTAGE)
        self.server = Server("127.0.0.1:0", status_routes(lambda: self.view, TOKEN), is_public=True)
        self._session = session

    @property
    def url(self) -> str:
        host, port = self.server.address
        return f"http://{host}:{port}/status.json"

    async def ask(self, method: str = "GET", **headers: str) -> tuple[int, Mapping[str, str], str]:
        sent = {"Authorization": f"Bearer {TOKEN}"} | headers
        async with self._session.request(method, self.url, headers=sent) as answer:
            return answer.status, answer.headers, await answer.text()


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with ClientSession() as session:
        made = Endpoint(session)
        await made.server.start()
        yield made
        await made.server.stop()


async def test_an_answer(endpoint: Endpoint) -> None:
    """JSON that the client may cache for ten seconds, and that no other origin may read."""
    code, headers, text = await endpoint.ask(Origin="https://acme.example")

    assert (code, json.loads(text)) == (200, status_json(endpoint.view))
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Cache-Control"] == "private, max-age=10"
    assert [name for name in headers if name.startswith("Access-Control")] == []


@pytest.mark.parametrize(
    "shown", ["", "Bearer", f"Basic {TOKEN}", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", TOKEN]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_without_the_token(endpoint: Endpoint, method: str, shown: str) -> None:
    """Without it a client learns nothing."""
    code, headers, text = await endpoint.ask(method, Authorization=shown)

    assert (code, headers["WWW-Authenticate"]) == (401, "Bearer")
    assert "prod" not in text
    assert "ETag" not in headers


async def test_nothing_new(endpoint: Endpoint) -> None:
    """304 while only the time changes; then the whole document again."""
    tag = (await endpoint.ask())[1]["ETag"]
    endpoint.view = replace(endpoint.view, now=NOW + 20)

    code, headers, text = await endpoint.ask(**{"If-None-Match": f'"other", {tag}'})
    assert (code, headers["ETag"], text) == (304, tag, "")
    assert headers["Cache-Control"] == "private, max-age=10"
    endpoint.view = view(WORKS)
    assert (await endpoint.ask(**{"If-None-Match": tag}))[0] == 200


async def test_a_head(endpoint: Endpoint) -> None:
    """The same headers as with GET, and no body."""
    _, whole, text = await endpoint.ask()
    code, headers, body = await endpoint.ask("HEAD")

    assert (code, body) == (200, "")
    assert (headers["ETag"], headers["Content-Length"]) == (whole["ETag"], str(len(text)))


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
async def test_other_methods(endpoint: Endpoint, method: str) -> None:
    """It can only be read; a browser's preflight request fails."""
    code, headers, _ = await endpoint.ask(method)

    assert (code, headers["Allow"]) == (405, "GET,HEAD")


async def test_the_documentation_shows_a_real_answer(endpoint: Endpoint) -> None:
    """Its keys and words are those of the code."""
    (shown,) = re.findall(r"```json\n(.+?)```", CHAPTER, re.DOTALL)
    page, told = json.loads(shown), json.loads((await endpoint.ask())[2])

    assert page.keys() == told.keys()
    assert page["tenants"]["prod"].keys() == told["tenants"]["prod"].keys()
    assert re.findall(r"^\| `(\w+)` \|", CHAPTER, re.MULTILINE) == [*TenantHealth]
    assert all(f"`{word}`" in CHAPTER for word in (*SIGNAL_WORDS.values(), UNKNOWN))


async def test_the_pages_program_fails_open(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows its hint while a tenant is down, and none without a usable answer."""
    monkeypatch.setenv("no_proxy", "*")
    (program,) = re.findall(r"```python\n(.+?)```", CHAPTER, re.DOTALL)
    theirs: dict[str, Any] = {}
    exec(program, theirs)  # noqa: S102 - our own page
    theirs |= {"URL": endpoint.url, "TOKEN": TOKEN}

    assert await asyncio.to_thread(theirs["hint"], "prod") == theirs["HINT"]
    assert await asyncio.to_thread(theirs["hint"], "staging") == ""
    theirs["TOKEN"] = "wrong"
    assert await asyncio.to_thread(theirs["hint"], "prod") == ""
    theirs["TOKEN"] = TOKEN
    endpoint.view = view(WORKS)
    assert await asyncio.to_thread(theirs["hint"], "prod") == ""
    endpoint.view = view(FAILS, OUTAGE)
    await endpoint.server.stop()
    assert await asyncio.to_thread(theirs["hint"], "prod") == ""


def test_without_a_token_there_is_no_route() -> None:
    """An empty token would admit everybody."""
    with pytest.raises(ValueError, match="secret"):
        status_routes(lambda: view(WORKS), " ")


def test_an_outage_shows_at_once(tmp_path: Path) -> None:
    """Within a second of the incident's beginning and end, and never at the other tenant."""
    file = tmp_path / "story.yml"
    file.write_text(STORY)
    scenario = load_file(file)
    told: list[dict[str, Any]] = []
    asked: dict[str, list[tuple[float, str]]] = {"prod": [], "eu": []}

    async def main(loop: VirtualLoop) -> None:
        simulation = Simulation(loop, scenario, 1, told.append)
        playing = asyncio.create_task(simulation.run())
        while not playing.done():
            tenants: Any = status_json(simulation.engine.view())["tenants"]
            for name, states in asked.items():
                at = simulation.clock.now() - scenario.start_at
                states.append((at, tenants[name]["state"]))
            await simulation.clock.sleep(1)

    run_virtually(main)
    changes = [(at, now) for (_, was), (at, now) in pairwise(asked["prod"]) if now != was]
    begun, ended = (event["t"] for event in told if event["event"] == "incident")

    assert [state for _, state in changes] == ["ok", "down", "ok"]
    assert begun <= changes[1][0] <= begun + 1
    assert ended <= changes[2][0] <= ended + 1
    assert {state for _, state in asked["eu"]} == {"unknown", "ok"}
