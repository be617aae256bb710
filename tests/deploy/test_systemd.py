"""The unit as it is shipped, under a real systemd.

systemd is the first process of namespaces of its own, so it also runs where PID 1 is another one,
and sees nothing of this machine's services.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.cli.command_line import WRONG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
SYSTEMD = next(
    filter(Path.exists, map(Path, ("/usr/lib/systemd/systemd", "/lib/systemd/systemd"))), None
)
PATIENCE_S = 120.0
"""For what takes a few seconds on a machine that has time."""
BOOT = """\
set -eu
mount --make-rprivate /
for each in /run /var/lib /opt; do mount -t tmpfs tmpfs $each; done
mkdir /run/upper /run/work
mount -t overlay overlay -o lowerdir=/etc,upperdir=/run/upper,workdir=/run/work /etc
for each in /etc/systemd/system /usr/lib/systemd/system; do mount -t tmpfs tmpfs $each; done
program=/opt/auth0-check/.venv/bin/auth0-check
mkdir -p /opt/python /opt/site /opt/checkout /opt/auth0-check/.venv/bin
mount --bind "$1" /opt/python
mount --bind "$2" /opt/site
mount --bind "$3" /opt/checkout
cat > $program <<'END'
#!/bin/sh
export LD_LIBRARY_PATH=/opt/python/lib PYTHONPATH=/opt/site:/opt/checkout
exec /opt/python/bin/python3 -m bot "$@"
END
chmod 755 $program
cp -a "$4" /etc/auth0-check
cp "$3/deploy/auth0-check.service" /etc/systemd/system
mkdir /etc/systemd/system/auth0-check.service.d
printf '[Service]\\nRestartSec=100ms\\nStandardError=append:/run/bot.log\\n' \\
> /etc/systemd/system/auth0-check.service.d/test.conf
for each in sysinit basic shutdown network-online test; do
printf '[Unit]\\nDefaultDependencies=no\\n' > /usr/lib/systemd/system/$each.target
done
export container=test
exec "$5" --system --unit=test.target --log-target=console --show-status=no
"""
"""Nothing that is mounted or written here is seen outside. The program's Python is mounted where
the unit's user may read it: at home it would be hidden by ProtectHome."""
NAMESPACES = ("--pid", "--mount", "--uts", "--ipc", "--cgroup")
UNSHARE = ("unshare", *NAMESPACES, "--fork", "--kill-child", "--mount-proc")
PLACES = (sys.base_prefix, sysconfig.get_path("purelib"), str(ROOT))
CONFIGURATION = """\
slack: {bot_token: "${SLACK_BOT_TOKEN}", app_token: "${SLACK_APP_TOKEN}", channel: C1, api_url: "http://127.0.0.1:9/api/"}
tenants:
  - name: NAME
    domain: acme.us.auth0.com
    base_url: http://127.0.0.1:9
    feed_url: http://127.0.0.1:9/
    logins: [{client_id: id, username: u, password: p}]
controls: ["http://127.0.0.1:9/"]
server: {admin_listen: "127.0.0.1:0"}
"""


@dataclass
class Machine:
    """A systemd, and the unit in it."""

    pid: int
    """Of systemd, as this process sees it."""

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", "--target", str(self.pid), "--all", *command]
        return subprocess.run(inside, capture_output=True, text=True, check=False)  # noqa: S603

    def show(self, name: str) -> str:
        return self.run(
            "systemctl", "show", "--value", "--property", name, "auth0-check"
        ).stdout.strip()

    def write(self, name: str) -> None:
        """Write the configuration, with a tenant of this name."""
        text = CONFIGURATION.replace("NAME", name)
        self.run("sh", "-c", f"cat > /etc/auth0-check/bot.yml <<'END'\n{text}END\n")

    def log(self) -> str:
        return self.run("cat", "/run/bot.log").stdout

    def wait(self, is_so: Callable[[], object]) -> None:
        until = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < until, (
                self.run("systemctl", "status", "auth0-check").stdout + self.log()
            )
            time.sleep(0.1)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """Start a systemd; skip where that cannot be done."""
    if SYSTEMD is None or not all(map(shutil.which, ("unshare", "nsenter", "systemctl"))):
        pytest.skip("needs systemd and util-linux")
    if os.geteuid() != 0:
        pytest.skip("needs root, to start a systemd in namespaces of its own")
    folder = tmp_path / "auth0-check"
    folder.mkdir()
    (folder / "bot.yml").write_text(CONFIGURATION.replace("NAME", "prod"))
    (folder / "bot.env").write_text("SLACK_BOT_TOKEN=xoxb-1\nSLACK_APP_TOKEN=xapp-1\n")
    (folder / "bot.env").chmod(0o600)
    with (tmp_path / "boot.log").open("w+") as log:
        started = subprocess.Popen(  # noqa: S603 - our own program with our own arguments
            [*UNSHARE, "sh", "-c", BOOT, "sh", *PLACES, str(folder), str(SYSTEMD)],
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            found = find_systemd(started)
            if found is None:
                pytest.skip(f"systemd does not start here: {(tmp_path / 'boot.log').read_text()}")
            yield found
        finally:
            started.kill()
            started.wait()


def find_systemd(started: subprocess.Popen[bytes]) -> Machine | None:
    """Wait until it is up; None: it ended."""
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    until = time.monotonic() + PATIENCE_S
    while started.poll() is None and time.monotonic() < until:
        time.sleep(0.1)
        pids = children.read_text().split() if children.exists() else []
        here = Machine(int(pids[0])) if pids else None
        if here and here.run("systemctl", "is-active", "test.target").stdout == "active\n":
            return here
    return None


def test_the_unit_under_systemd(machine: Machine) -> None:
    """It says when it is ready, has a user and a database of its own, and takes a reload.

    If it is killed it starts again; with a wrong configuration it does not.
    """
    assert machine.run("systemctl", "start", "auth0-check").returncode == 0, machine.log()
    pid = machine.show("MainPID")
    owner, mode = machine.run(
        *("stat", "--format", "%u %a", "/var/lib/auth0-check/auth0-check.sqlite")
    ).stdout.split()
    user = machine.run("stat", "--format", "%u", f"/proc/{pid}").stdout.strip()
    assert (machine.show("ActiveState"), mode) == ("active", "600")
    assert (owner, user) == (user, owner) != ("0", "0")

    machine.write("renamed")
    assert machine.run("systemctl", "reload", "auth0-check").returncode == 0
    machine.wait(lambda: "renamed" in machine.log())
    assert machine.show("MainPID") == pid

    machine.run("kill", "-KILL", pid)
    machine.wait(lambda: machine.show("NRestarts") == "1" and machine.show("SubState") == "running")

    machine.write("a b")
    assert machine.run("systemctl", "restart", "auth0-check").returncode != 0
    assert machine.show("ExecMainStatus") == str(WRONG)
    assert machine.show("ActiveState") == "failed"
