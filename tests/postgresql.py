"""A real PostgreSQL for tests: one server for all of a process, one database for each test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.ports import find_free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

PASSWORD = "canary-database-password"
PATIENCE_S = 60.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",  # what the system keeps is there after a killed process; only power loss is not
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "8MB",
    "max_connections": "40",
    "max_wal_senders": "0",
    "wal_level": "minimal",
}
GROUP = pytest.mark.xdist_group("postgresql")
"""For all tests that need the server: they share one worker, which starts it once."""


def find_programs() -> Path | None:
    """Return where Debian, or the search path, has `initdb` and `postgres`."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = shutil.which("initdb")
    return next((each for each in folders if (each / "initdb").exists()), None) or (
        Path(found).parent if found else None
    )


class PostgresqlServer:
    """A server on loopback, in a folder of its own. It refuses to run as root."""

    def __init__(self, programs: Path) -> None:
        self.port = find_free_port()
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="auth0-check-postgresql-"))
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        self._made: set[str] = set()
        password = self._folder / "password"
        password.write_text(PASSWORD)
        data = self._folder / "data"
        self._call(
            "initdb", "--no-sync", "--auth-host=scram-sha-256", "--auth-local=scram-sha-256",
            "--username=bot", f"--pwfile={password}", "--encoding=UTF8", "--locale=C", "-D", data,
        )  # fmt: skip
        self.start()

    def _call(self, program: str, *arguments: str | Path) -> None:
        subprocess.run(  # noqa: S603 - Debian's program
            [self._programs / program, *arguments],
            user=self._user,
            group=self._user,
            extra_groups=() if self._user else None,
            cwd=self._folder,
            check=True,
            capture_output=True,
        )

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(  # noqa: S603 - Debian's program
                [
                    self._programs / "postgres", "-D", self._folder / "data",
                    "-p", str(self.port), "-k", self._folder, *options,
                ],
                user=self._user,
                group=self._user,
                extra_groups=() if self._user else None,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )  # fmt: skip
        import psycopg  # noqa: PLC0415 - every run of tests loads this module, and few need that

        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                psycopg.connect(self.url("postgres")).close()
            except psycopg.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT at once and in good order, SIGQUIT as in a crash."""
        if self._process:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it keep all connections, and answer none: neither it nor its children run."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, what: signal.Signals) -> None:
        assert self._process
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        for pid in (parent, *map(int, children)):
            os.kill(pid, what)

    def remove(self) -> None:
        """Stop it, and delete all that it had."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)

    def url(self, database: str) -> str:
        """Return the address of a database, with the password in it."""
        return f"postgresql://bot:{PASSWORD}@127.0.0.1:{self.port}/{database}"

    def execute(self, query: str, database: str = "postgres") -> None:
        """Do something as its administrator, outside a transaction."""
        import psycopg  # noqa: PLC0415 - see `start`

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(query.encode())

    def make_once(self, query: str) -> None:
        """Do something for all tests of this server."""
        if query not in self._made:
            self._made.add(query)
            self.execute(query)

    def create_database(self) -> str:
        """Return the address of an empty database: always one, as each has three hundred files."""
        self.make_once("CREATE DATABASE test STRATEGY file_copy")
        self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'test'"
        )
        self.execute("GRANT CONNECT ON DATABASE test TO public")
        for query in (
            "DROP SCHEMA public CASCADE",
            "CREATE SCHEMA public",
            "GRANT USAGE ON SCHEMA public TO public",
        ):
            self.execute(query, "test")
        return self.url("test")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgresqlServer]:
    """A running server, or a skip where the package is missing."""
    programs = find_programs()
    if programs is None:
        pytest.skip("needs the package postgresql")
    server = PostgresqlServer(programs)
    yield server
    server.remove()
