from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.simulator.reading import example_names

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).parents[2]
STORY = """\
format: 1
name: brief
about: Half a minute without a login.
start: 2026-03-02T10:00:00Z
warmup: 20s
duration: DURATION
bot:
  tenants: [{name: prod, probe: {every: 10s, confirm_every: 2s}}]
  thresholds: {fail_count: 3, window: 5, recover_count: 2}
"""
TENANTS = """\
tenants:
  prod: {domain: acme.us.auth0.com, environment: US-1}
controls: [neutral]
"""
OUTAGE = "timeline: [{target: prod.login, from: 0s, to: 25s, is: {http: 503}}]\n"
ALERT = "answer: {cause: auth0, decidable: 5s, alert: true}\n"
SPEED = "5"
"""So slow that a busy machine keeps up: a time-out of the bot lasts two real seconds."""
LISTENS = "0A"
"""The state of a socket in /proc/net/tcp."""


@pytest.fixture
def brief(tmp_path: Path) -> Callable[..., str]:
    """Write the story with more sections."""

    def write(more: str, duration: str = "1m") -> str:
        file = tmp_path / "brief.yml"
        file.write_text(STORY.replace("DURATION", duration) + TENANTS + more)
        return str(file)

    return write


def demo(auth0_check: Run, file: str) -> subprocess.CompletedProcess[str]:
    return auth0_check("demo", "--headless", "--speed", SPEED, "--scenario", file)


def test_an_outage_is_shown_to_its_end(auth0_check: Run, brief: Callable[..., str]) -> None:
    """The real bot on real sockets: exit status 0, as the scenario wants an alert."""
    ended = demo(auth0_check, brief(OUTAGE + ALERT))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert re.search(r"message +\[post\] .*logins to prod fail", ended.stdout)
    assert re.search(r"message +\[update\] Logins to prod work again", ended.stdout)
    assert ended.stdout.endswith("brief: 1 alert(s); wanted: one or more\n")


def test_an_answer_that_contradicts(auth0_check: Run, brief: Callable[..., str]) -> None:
    """Exit status 1: nothing failed, so there was no alert."""
    ended = demo(auth0_check, brief(ALERT, duration="10s"))

    assert ended.returncode == 1
    assert ended.stdout.endswith("brief: 0 alert(s); wanted: one or more\n")


PAGED = """\
bot:
  tenants: [{name: prod, probe: {every: 10s, confirm_every: 2s}}]
  thresholds: {fail_count: 3, window: 5, recover_count: 2}
  notify:
    - name: pager
      pagerduty:
        routing_key: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk
        url: https://events.eu.pagerduty.com
  oncall: {group: S1}
  escalation: {critical: [{after: 0s, tell: pager}], repeat: 0}
people: [{at: 30s, user: U1, click: acknowledge, incident: 1}]
timeline: [{target: [prod.login, prod.wellknown], from: 0s, is: {http: 503}}]
"""


def test_people_are_paged_and_click(auth0_check: Run, brief: Callable[..., str]) -> None:
    """By a local PagerDuty, whatever address is configured: a demo wakes nobody."""
    file = Path(brief("", duration="90s"))
    file.write_text(file.read_text().partition("bot:")[0] + TENANTS + PAGED)
    ended = demo(auth0_check, str(file))

    assert ended.stderr == ""
    assert re.search(r"call +#1 mention S1: begun", ended.stdout)
    assert re.search(r"page +#1 trigger by pager", ended.stdout)
    assert re.search(r"call +#1 page pager: unacknowledged", ended.stdout)
    assert re.search(r"click +U1 acknowledge #1: pressed", ended.stdout)
    assert re.search(r"page +#1 acknowledge by pager", ended.stdout)


def test_a_port_that_is_taken_is_named(auth0_check: Run, brief: Callable[..., str]) -> None:
    """The error says which port, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = auth0_check("demo", "--port", port, "--scenario", brief(OUTAGE))

    assert ended.returncode == 1
    assert f"port {port} is taken: choose another one, such as --port 0" in ended.stderr


async def test_a_sandbox_to_set_up_in(tmp_path: Path) -> None:
    """Its configuration passes the doctor while it serves, and SIGINT ends it."""
    file = tmp_path / "new" / "bot.yml"
    program = (sys.executable, "-m", "tests.steady", "bot")
    serving = await asyncio.create_subprocess_exec(
        *(*program, "sandbox", "--port", "0", "--folder", str(file.parent)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert serving.stdout
    try:
        said = (await serving.stdout.readuntil(b"Stop with Ctrl-C.")).decode()
        doctor = await asyncio.create_subprocess_exec(
            *(*program, "doctor", "--json", "--config", str(file)), stdout=asyncio.subprocess.PIPE
        )
        examined, _ = await doctor.communicate()
    finally:
        serving.send_signal(signal.SIGINT)
        await serving.communicate()

    found = [json.loads(line) for line in examined.splitlines()]
    assert [one for one in found if one["level"] not in {"ok", "advice"}] == []
    assert doctor.returncode == 0
    assert serving.returncode == 0
    assert f"auth0-check test-alert --config {file}" in said
    assert file.with_suffix(".env").stat().st_mode & 0o777 == 0o600


def test_a_sandbox_leaves_your_configuration_alone(auth0_check: Run, tmp_path: Path) -> None:
    """Exit status 3, and the file is as it was."""
    file = tmp_path / "bot.yml"
    file.write_text("slack: {}\n")
    ended = auth0_check("sandbox", "--port", "0", "--folder", str(tmp_path))

    assert ended.returncode == 3
    assert "is a configuration of your own: choose another --folder" in ended.stderr
    assert file.read_text() == "slack: {}\n"


def test_the_help_names_every_example(auth0_check: Run) -> None:
    """Whoever tries the demo sees what can be played."""
    shown = auth0_check("demo", "--help").stdout

    assert all(name in shown for name in example_names())


def test_what_cannot_be_played_is_refused(auth0_check: Run, brief: Callable[..., str]) -> None:
    """With its name, before anything starts."""
    ended = demo(auth0_check, brief("timeline: [{target: bot, is: {paused: true}}]\n"))

    assert (ended.returncode, ended.stdout) == (3, "")
    assert "brief.yml:13: timeline[0]: paused of bot cannot be played" in ended.stderr


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
def test_its_servers_listen_on_loopback_only(brief: Callable[..., str]) -> None:
    """Tenant, feed, control endpoint, workspace and the bot's own: other machines reach none."""
    arguments = [sys.executable, "-m", "bot", "demo", "--port", "0", "--scenario", brief("")]
    with subprocess.Popen(  # noqa: S603 - our own program with our own arguments
        arguments, cwd=ROOT, env={}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout
        assert any("The channel: http://127.0.0.1:" in line for line in process.stdout)
        listening = addresses_of(process.pid)
        process.terminate()
        assert process.wait(200) == 0

    assert len(listening) >= 4
    assert set(listening) == {"0100007F"}


def addresses_of(pid: int) -> list[str]:
    """Return the addresses, in the kernel's hexadecimal, that a process listens on."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]
    ]
    return [row[1].partition(":")[0] for row in rows if is_open_by(links, row)]


def is_open_by(links: list[str], row: list[str]) -> bool:
    return row[3] == LISTENS and f"socket:[{row[9]}]" in links
