"""What other services push to the public listener of a running bot."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.simulator.workspace.model import Fault, FaultKind

if TYPE_CHECKING:
    from pathlib import Path

    from tests.live.sources.conftest import Bot, Scene

TOKEN = "canary-token-of-a-hook"
SIGNING = "canary-client-secret-of-sentry"
IN_PATH = "canary-path-secret-0123"
SETTLED_S = 0.3
"""After a kill during a post the next process waits 40 s before it searches for the post."""
ALERT = {
    "labels": {"alertname": "LoginErrors", "team": "identity"},
    "annotations": {"summary": "Every third login fails"},
    "generatorURL": "https://prometheus.acme.example/graph",
}


class Slack:
    """Refuses posts while the test wants it."""

    def __init__(self, scene: Scene) -> None:
        self.refused = 0
        self.is_closed = False
        scene.town.workspace.fault = self._fault

    def _fault(self, method: str) -> Fault | None:
        if method != "chat.postMessage" or not self.is_closed:
            return None
        self.refused += 1
        return Fault(FaultKind.RATE_LIMITED, 2)


async def test_alertmanager(scene: Scene, debian: Any, free_address: str, tmp_path: Path) -> None:
    """It fires, and the bot is killed before it can post: the next process posts, also the end."""
    hook = {
        "url": f"http://{free_address}/hooks/alertmanager",
        "http_config": {"authorization": {"credentials": TOKEN}},
    }
    quick = {"group_wait": "10ms", "group_interval": "200ms"}
    routes = {
        "route": {"receiver": "auth0-check", **quick},
        "receivers": [{"name": "auth0-check", "webhook_configs": [hook]}],
    }
    (tmp_path / "alertmanager.yml").write_text(json.dumps(routes))
    _, url = await debian(
        "prometheus-alertmanager",
        f"--config.file={tmp_path / 'alertmanager.yml'}",
        f"--storage.path={tmp_path / 'data'}",
        "--cluster.listen-address=",
    )
    server = {"listen": free_address, "admin_listen": "127.0.0.1:0"}
    config = scene.write({}, hooks={"alertmanager": {"token": TOKEN}}, server=server)
    slack = Slack(scene)
    slack.is_closed = True
    async with scene.bot(config) as bot:
        await tell(bot, url, ALERT)
        while await bot.received("alertmanager", "accepted") < 1:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        await scene.town.until(lambda: slack.refused)
        await asyncio.sleep(SETTLED_S)
        await bot.child.kill()
    assert scene.cards() == []

    slack.is_closed = False
    async with scene.bot(config) as bot:
        firing = await scene.card("Degraded · since")
        now = datetime.now(UTC)  # noqa: TID251 - as Alertmanager's own clock
        await tell(bot, url, ALERT | {"endsAt": now.isoformat()})
        await scene.card("Resolved ·")
    assert "LoginErrors: Every third login fails" in firing
    assert len(scene.cards()) == 1


async def tell(bot: Bot, url: str, alert: dict[str, Any]) -> None:
    """Send an alert to Alertmanager, as Prometheus does."""
    async with bot.session.post(f"{url}/api/v2/alerts", json=[alert]) as answer:
        assert answer.status == 200


async def test_sentry(scene: Scene) -> None:
    """A signed alert opens an incident and resolves it; a forged one does not."""
    config = scene.write({}, hooks={"sentry": {"client_secret": SIGNING}})
    async with scene.bot(config) as bot:
        assert (await bot.push("sentry", *signed("critical", secret="canary-forged")))[0] == 401
        assert (await bot.push("sentry", *signed("critical")))[0] == 202
        firing = await scene.card("Degraded · since")
        assert (await bot.push("sentry", *signed("critical")))[0] == 200
        assert (await bot.push("sentry", *signed("resolved")))[0] == 202
        await scene.card("Resolved ·")
        received = {key: await bot.received("sentry", key) for key in ("accepted", "refused")}
    assert "Logins fail" in firing
    assert received == {"accepted": 2, "refused": 1}
    assert len(scene.cards()) == 1


def signed(action: str, secret: str = SIGNING) -> tuple[bytes, dict[str, str]]:
    """Return a metric alert as Sentry sends it, with its headers."""
    alert = {"id": "4", "alert_rule": {"name": "Logins fail"}, "date_started": None}
    body = json.dumps({"action": action, "data": {"metric_alert": alert}}).encode()
    now = datetime.now(UTC).timestamp()  # noqa: TID251 - as Sentry's own clock
    return body, {
        "Sentry-Hook-Resource": "metric_alert",
        "Sentry-Hook-Timestamp": str(int(now)),
        "Sentry-Hook-Signature": hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }


async def test_pingdom(scene: Scene) -> None:
    """DOWN makes the bot check at once, and alerts nobody; the secret of the path leaks nowhere."""
    check = {
        "check_id": 12345,
        "check_name": "Login page",
        "check_params": {"hostname": "acme.us.auth0.com"},
        "current_state": "DOWN",
    }
    logins = scene.town.world.arrived
    config = scene.write({"probe": {"every": "24h"}}, hooks={"pingdom": {"path_secret": IN_PATH}})
    async with scene.bot(config) as bot:
        await bot.has_looked()
        before = logins["prod.login"]
        answers = [await bot.push(f"pingdom/{secret}", check) for secret in (IN_PATH, IN_PATH[:-1])]
        await scene.town.until(lambda: logins["prod.login"] > before)
        answered = await scene.answer("status")
        told = [*map(str, answers), answered, await bot.metrics()]
        await bot.child.stop()
    files = [file.read_bytes() for file in scene.town.folder.glob("auth0-check.sqlite*")]

    assert [status for status, _ in answers] == [202, 401]
    assert scene.cards() == []
    assert "Pingdom 1 alert" in answered
    assert not any("canary" in text for text in (*told, *bot.child.lines))
    assert files
    assert not any(b"canary" in content for content in files)


async def test_report_and_change(scene: Scene) -> None:
    """An application's counts, bad twice, are a warning; the deploy before is evidence."""
    hooks = {"report": {"token": TOKEN}, "change": {"token": TOKEN + "-2"}}
    config = scene.write({"metrics": [{"name": "checkout"}]}, hooks=hooks)
    deploy = {"what": "deploy 4711", "app": "checkout"}
    counts = {"app": "checkout", "failed": 30, "total": 40}
    async with scene.bot(config) as bot:
        await bot.has_looked()
        assert (await bot.push("change", deploy, bearer(TOKEN + "-2")))[0] == 202
        for _ in range(2):
            assert (await bot.push("report", counts, bearer(TOKEN)))[0] == 202
            answered = await scene.answer("run checkout")
        firing = await scene.card("Degraded · since")

    assert "30 of 40 failed" in answered
    assert "read as bad: too many calls fail" in answered
    assert "75% fail (30 of 40" in firing
    assert "users fail" in firing
    assert "deploy 4711 (checkout)" in firing


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}
