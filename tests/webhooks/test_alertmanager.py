"""Alertmanager's alerts: in their recorded shape, and from the real program."""

from __future__ import annotations

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from bot.core.model.measurement import ExternalAlert
from bot.core.model.observation import Target
from bot.core.signals.external_alerts import Monitor, record_alert
from tests.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "canary-alert-token"
PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


async def test_firing(door: Any, genuine: Any) -> None:
    """An alert has a title, a start and a link."""
    await door.push("alertmanager", genuine["alertmanager"])

    assert door.inbox.items == [
        ExternalAlert(
            Target("prod", "alertmanager"),
            id="ab12cd34ef56ab78",
            at=door.clock.at - 599.876544,
            is_firing=True,
            title="LoginErrors: Every third login fails",
            link="https://prometheus.acme.example/graph?g0.expr=up",
        )
    ]


async def test_resolved(door: Any, genuine: Any) -> None:
    """The end has its own time, so that an earlier "firing" is known to be old."""
    (alert,) = genuine["alertmanager"]["alerts"]
    alert |= {"status": "resolved", "endsAt": "2026-11-23T08:58:00Z"}
    await door.push("alertmanager", genuine["alertmanager"])

    (claim,) = door.inbox.items
    assert (claim.is_firing, claim.at) == (False, door.clock.at - 120)


@pytest.mark.parametrize(
    ("labels", "tenant"),
    [
        ({"auth0_tenant": "prod", "tenant": "eu"}, "prod"),
        ({"tenant": "prod"}, "prod"),
        ({"auth0_tenant": "acme", "tenant": "prod"}, "prod"),
        ({"tenant": "acme"}, "eu"),
        ({"tenant": ["prod"]}, "eu"),
        ({}, "eu"),
    ],
)
async def test_tenant(default_door: Any, genuine: Any, labels: Any, tenant: str) -> None:
    """The tenant is that of a label, if it is configured, else the webhook's default."""
    genuine["alertmanager"]["alerts"][0]["labels"] = labels
    await default_door.push("alertmanager", genuine["alertmanager"])

    assert [claim.target.owner for claim in default_door.inbox.items] == [tenant]


async def test_only_tenant(only_door: Any, genuine: Any) -> None:
    """A single tenant need not be named."""
    genuine["alertmanager"]["alerts"][0]["labels"] = {}
    await only_door.push("alertmanager", genuine["alertmanager"])

    assert [claim.target.owner for claim in only_door.inbox.items] == ["prod"]


async def test_no_tenant(door: Any, genuine: Any) -> None:
    """If no alert names a tenant, the sender gets the remedy; alerts that name one are accepted."""
    content = genuine["alertmanager"]
    nameless = {**content["alerts"][0], "labels": {"alertname": "Other"}}
    status, text = await door.push("alertmanager", {**content, "alerts": [nameless]})

    assert status == 422
    assert "auth0_tenant" in text
    assert "prod, eu" in text
    content["alerts"].append(nameless)
    assert (await door.push("alertmanager", content))[0] == 202
    assert len(door.inbox.items) == 1


@pytest.mark.parametrize(
    "broken",
    [
        {"labels": None},
        {"labels": []},
        {"status": "suppressed"},
        {"status": ["firing"]},
    ],
)
async def test_no_alert(door: Any, genuine: Any, broken: dict[str, Any]) -> None:
    """Alerts without an essential part are ignored, the others are accepted."""
    alerts = genuine["alertmanager"]["alerts"]
    alerts += [{**alerts[0], **broken}, None, 5, "x"]

    assert (await door.push("alertmanager", genuine["alertmanager"]))[0] == 202
    assert len(door.inbox.items) == 1


@pytest.mark.parametrize("without", [{}, {"fingerprint": ""}, {"fingerprint": {}}])
async def test_no_fingerprint(door: Any, genuine: Any, without: dict[str, Any]) -> None:
    """Its labels identify an alert that has none: the end is that of the begin."""
    (alert,) = genuine["alertmanager"]["alerts"]
    del alert["fingerprint"]
    other = {**alert, "labels": {**alert["labels"], "alertname": "Other"}}
    for told in (alert, other, {**alert, "status": "resolved", "annotations": {}}):
        await door.push("alertmanager", {"alerts": [told | without]})

    began, second, over = door.inbox.items
    assert began.id == over.id != second.id
    assert began.id


async def test_a_body_with_a_byte_order_mark(door: Any, genuine: Any) -> None:
    """Some programs begin UTF-8 with one."""
    body = b"\xef\xbb\xbf" + json.dumps(genuine["alertmanager"]).encode()

    assert (await door.push("alertmanager", body))[0] == 202


async def test_grafana_alerting(door: Any, genuine: Any) -> None:
    """Grafana's contact points send Alertmanager's shape with more in it, as version 1."""
    (alert,) = genuine["alertmanager"]["alerts"]
    alert |= {"startsAt": "2026-11-23T10:58:00.5+02:00", "values": {"A": 1}, "dashboardURL": ""}
    more = {"version": "1", "orgId": 1, "title": "[FIRING:1]", "state": "alerting", "message": "x"}
    await door.push("alertmanager", genuine["alertmanager"] | more)

    assert [(each.is_firing, each.at) for each in door.inbox.items] == [
        (True, door.clock.at - 119.5)
    ]


LEGACY = {
    "ruleId": 7,
    "ruleName": "Logins fail",
    "ruleUrl": "https://grafana.acme.example/d/1?viewPanel=2",
    "title": "[Alerting] Logins fail",
    "message": "Every third",
    "state": "alerting",
    "evalMatches": [{"value": 100, "metric": "m", "tags": None}],
    "tags": {"auth0_tenant": "eu"},
}


async def test_legacy_grafana(door: Any) -> None:
    """A rule of Grafana's before version 9 is one alert, by its tag's tenant; it tells no times."""
    await door.push("alertmanager", LEGACY)
    await door.push("alertmanager", LEGACY | {"state": "ok"})

    began, over = door.inbox.items
    assert began == ExternalAlert(
        Target("eu", "alertmanager"),
        id="rule 7",
        at=door.clock.at,
        is_firing=True,
        title="Logins fail: Every third",
        link="https://grafana.acme.example/d/1?viewPanel=2",
    )
    assert (over.id, over.is_firing) == ("rule 7", False)


@pytest.mark.parametrize("state", ["no_data", "paused", "pending", None, [], {}])
async def test_legacy_grafana_without_a_result(door: Any, state: Any) -> None:
    """A rule that was not evaluated is no alert, and no end."""
    assert (await door.push("alertmanager", LEGACY | {"state": state, "tags": None}))[0] == 200
    assert door.inbox.pushes == {}


async def test_resolved_by_a_lost_evaluation(door: Any, genuine: Any) -> None:
    """Prometheus loses an alert and finds it again: the same body, five minutes later, fires."""
    monitor = Monitor()
    ends = "2026-11-23T08:58:00Z"
    (alert,) = genuine["alertmanager"]["alerts"]
    resolved = {"alerts": [{**alert, "status": "resolved", "endsAt": ends}]}
    for content, wait_s in ((genuine["alertmanager"], 60), (resolved, 300)):
        await door.push("alertmanager", content)
        monitor = record_alert(monitor, door.inbox.items[-1], door.clock.at)
        door.clock.at += wait_s
    assert (await door.push("alertmanager", genuine["alertmanager"]))[0] == 202

    assert monitor.firing == ()
    assert record_alert(monitor, door.inbox.items[-1], door.clock.at).firing


async def test_foreign_texts(door: Any, genuine: Any) -> None:
    """Texts are plain and cut, links are https, no time is in the future."""
    (alert,) = genuine["alertmanager"]["alerts"]
    alert["labels"]["alertname"] = "Login\u202eErrors\ud800\n\x00" + "x" * 300
    alert |= {"generatorURL": "http://prometheus:9090/graph", "startsAt": "2030-01-01T00:00:00Z"}
    await door.push("alertmanager", genuine["alertmanager"])

    (claim,) = door.inbox.items
    assert claim.title.startswith("Login Errors xxx")
    assert (len(claim.title), claim.link, claim.at) == (150, "", door.clock.at)


@pytest.fixture
async def alertmanager(door: Any, tmp_path: Path) -> AsyncIterator[str]:
    """The URL of a running Alertmanager that is set up as on the page."""
    program = shutil.which("prometheus-alertmanager")
    if program is None:
        pytest.skip("needs the package prometheus-alertmanager")
    (snippet,) = (
        block for block in PAGE.read_text().split("```yaml\n") if block.startswith("route:")
    )
    told = snippet.split("```")[0].replace("https://bot.example.com", door.url)
    settings = yaml.safe_load(told)
    settings["route"] |= {"group_wait": "50ms", "group_interval": "200ms"}
    (hook,) = settings["receivers"][1]["webhook_configs"]
    hook["http_config"]["authorization"]["credentials_file"] = str(tmp_path / "token")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "alertmanager.yml").write_text(yaml.safe_dump(settings))
    address = f"127.0.0.1:{find_free_port()}"
    process = await asyncio.create_subprocess_exec(
        program,
        f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://{address}"
    finally:
        process.kill()
        await process.wait()


async def test_the_real_program(alertmanager: str, door: Any) -> None:
    """Set up as on the page, it delivers a firing and a resolved alert."""
    door.clock.at = datetime.now(UTC).timestamp()  # noqa: TID251 - as the program's own clock
    began = door.clock.at - 60
    alert = {
        "labels": {"alertname": "LoginErrors", "team": "identity", "auth0_tenant": "eu"},
        "annotations": {"summary": "Every third login fails"},
        "startsAt": iso(began),
        "generatorURL": "https://prometheus.acme.example/graph",
    }
    await _tell(door, alertmanager, alert)
    (firing,) = await door.inbox.arrived(1)
    await _tell(door, alertmanager, {**alert, "endsAt": iso(door.clock.at - 1)})
    _, resolved = await door.inbox.arrived(2)

    assert (firing.target, firing.is_firing) == (Target("eu", "alertmanager"), True)
    assert firing.at == pytest.approx(began, abs=0.01)
    assert firing.title == "LoginErrors: Every third login fails"
    assert (resolved.id, resolved.is_firing) == (firing.id, False)
    assert resolved.at > firing.at
    assert set(door.counted) == {("alertmanager", "accepted")}


async def _tell(door: Any, alertmanager: str, alert: dict[str, Any]) -> None:
    for _ in range(4000):
        try:
            async with door.session.post(
                f"{alertmanager}/api/v2/alerts",
                data=json.dumps([alert]),
                headers={"Content-Type": "application/json"},
            ) as answer:
                assert answer.status == 200
                return
        except OSError:
            await asyncio.sleep(0.05)
    raise AssertionError("Alertmanager did not start")
