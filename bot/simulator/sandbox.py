"""`sandbox`: a tenant, a status page and a workspace to try `doctor`, `test-alert` and `run` on."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import yaml

from bot.app.clock import SystemClock
from bot.config.settings import Login
from bot.config.writing import render_env, write_private
from bot.simulator.local import LocalTenants
from bot.simulator.reading import load_example
from bot.simulator.workspace.model import SCOPES, App
from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.workspace import Workspace
from bot.simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = "# Written by auth0-check sandbox, anew at each start.\n"
PASSWORD = "right"  # noqa: S105 - opens nothing elsewhere
LOGIN = {
    "client_id": "probe",
    "username": "probe@acme.example",
    "password": PASSWORD,
    "realm": "users",
}


async def serve_sandbox(folder: Path, port: int, program: str, echo: Callable[[str], None]) -> None:
    """Serve until cancelled, with a configuration in `folder` that fits.

    Args:
        folder: where the configuration is written.
        port: of the page that shows the channel.
        program: how people call this program.
        echo: prints a line.

    Raises ValueError where the folder holds somebody's own configuration, OSError where nothing can
    be written or the port is taken.
    """
    file = folder / "bot.yml"
    if file.exists() and not file.read_text().startswith(HEAD):
        raise ValueError(f"{file} is a configuration of your own: choose another --folder")
    clock = SystemClock()
    full = load_example("region-503")
    quiet = replace(
        full,
        start_at=clock.now(),
        tenants=full.tenants[:1],
        timeline=(),
        feed=(),
        metrics=(),
        logs=(),
    )
    logins = {quiet.tenants[0].name: [Login.model_validate(LOGIN)]}
    slack = Workspace(clock.now, app=App(scopes=SCOPES | {"dnd:read"}))
    async with (
        LocalTenants(World(quiet), clock, logins) as tenants,
        WorkspaceServer(slack, port=port) as server,
    ):
        _write(file, _configure(slack, server, tenants, folder), slack.state.app, tenants.ca_file)
        echo(
            f"\n  The channel: {server.page_url}\n"
            f"  The configuration: {file}; the test user's password is {PASSWORD!r}.\n\n"
            "  In a second terminal, for example:\n\n"
            f"    {program} doctor --config {file}\n"
            f"    {program} test-alert --config {file}\n"
            f"    {program} init --config {file}\n"
            f"    {program} run --config {file}\n\n"
            "  Stop with Ctrl-C.\n"
        )
        await asyncio.Event().wait()


def _write(file: Path, whole: dict[str, Any], app: App, ca_file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(ca_file, file.with_name("ca.pem"))
    file.write_text(HEAD + yaml.safe_dump(whole, sort_keys=False))
    secrets = {"SLACK_BOT_TOKEN": app.bot_token, "SLACK_APP_TOKEN": app.app_token}
    write_private(file.with_suffix(".env"), render_env(secrets | {"AUTH0_PASSWORD": PASSWORD}))


def _configure(
    slack: Workspace, server: WorkspaceServer, tenants: LocalTenants, folder: Path
) -> dict[str, Any]:
    """Return what is in the file."""
    (name, feed_url), *_ = tenants.feed_urls.items()
    domain = next(iter(tenants.resolve))
    return {
        "slack": {
            "bot_token": "${SLACK_BOT_TOKEN}",
            "app_token": "${SLACK_APP_TOKEN}",
            "channel": slack.state.channels[0].id,
            "api_url": server.api_url,
        },
        "tenants": [
            {
                "name": name,
                "domain": domain,
                "environment": "US-1",
                "ca_file": "ca.pem",
                "feed_url": feed_url,
                "logins": [LOGIN | {"password": "${AUTH0_PASSWORD}"}],
            }
        ],
        "oncall": {
            "rotation": {"people": ["U1", "U2"], "hand_over": "Mon 09:00", "start": "2026-01-05"}
        },
        "escalation": {
            "critical": [{"after": "3m", "tell": "dm"}, {"after": "6m", "tell": "next"}]
        },
        "resolve": dict(tenants.resolve),
        "controls": list(tenants.control_urls.values()),
        "database": str(folder / "auth0-check.sqlite"),
    }
