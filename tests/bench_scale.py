"""How many tenants one process carries: `make bench ARGS="scale 4000"` on an idle machine."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import jwt
import trustme
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from bot.app.clock import SystemClock
from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.workspace import Workspace

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

START_S, WATCHED_S = 80.0, 60.0
LIFETIME_S = 36_000
Seen = dict[str, list[float]]
"""When each tenant's logins came."""


class Target(asyncio.Protocol):
    """Answers for each tenant at once, as a real one would after a while."""

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    tokens: ClassVar[dict[str, bytes]] = {}
    seen: ClassVar[Seen] = defaultdict(list)
    first: ClassVar[dict[str, float]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to read."""
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._read = transport, b""

    def data_received(self, data: bytes) -> None:
        """Answer a request once it is whole."""
        self._read += data
        head, is_whole, body = self._read.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if not is_whole or len(body) < int(lines.get(b"content-length", 0)):
            return
        host, path, now = lines[b"host"].decode(), head.split(b" ", 2)[1], SystemClock().now()
        self.first.setdefault(host, now)
        status, answer = 200, b"{}"
        if b"jwks" in path:
            public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
            answer = json.dumps({"keys": [{**public, "kid": "k", "use": "sig"}]}).encode()
        elif b"well-known" in path:
            keys = f"https://{host}/.well-known/jwks.json"
            answer = json.dumps({"issuer": f"https://{host}/", "jwks_uri": keys}).encode()
        elif b"no-such-grant" in body:
            status, answer = 403, b'{"error": "unsupported_grant_type"}'
        elif body:
            self.seen[host].append(now)
            answer = self._issue(host, int(now))
        head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\n\r\n".encode()
        self._transport.write(head + answer)
        self._read = b""

    def _issue(self, host: str, now: int) -> bytes:
        if host not in self.tokens:
            claims = {"iss": f"https://{host}/", "aud": "probe", "sub": "u", "iat": now}
            claims["exp"] = now + LIFETIME_S
            token = jwt.encode(claims, self.key, "RS256", {"kid": "k"})
            answer = {"access_token": "opaque", "token_type": "Bearer", "id_token": token}
            self.tokens[host] = json.dumps(answer).encode()
        return self.tokens[host]


def _run_target(pipe: Connection, ca_file: str) -> None:
    async def serve() -> None:
        authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.cert_pem.write_to_path(ca_file)
        authority.issue_cert("*.us.auth0.com").configure_cert(context)
        loop = asyncio.get_running_loop()
        ports = []
        for tls in (context, None):
            server = await loop.create_server(Target, "127.0.0.1", 0, ssl=tls, backlog=4096)
            ports.append(server.sockets[0].getsockname()[1])
        pipe.send(ports)
        while await asyncio.to_thread(pipe.recv):
            pipe.send((Target.first, dict(Target.seen)))
            Target.seen.clear()

    asyncio.run(serve())


async def _prepare(stack: AsyncExitStack, count: int) -> tuple[Path, Connection]:
    """Start a target and a workspace; return the bot's configuration, and how to ask the target."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    ours, theirs = get_context("spawn").Pipe()
    ca_file = str(folder / "ca.pem")
    target = get_context("spawn").Process(target=_run_target, args=(theirs, ca_file))
    target.start()
    stack.callback(target.terminate)
    tls_port, port = await asyncio.to_thread(ours.recv)
    workspace = Workspace(SystemClock().now)
    server = await stack.enter_async_context(WorkspaceServer(workspace))
    slack = {"bot_token": workspace.state.app.bot_token, "channel": "C0ALERTS"}
    slack |= {"app_token": workspace.state.app.app_token, "api_url": server.api_url}
    config = _configure(count, tls_port, port, ca_file)
    config |= {"slack": slack, "database": str(folder / "bench.sqlite")}
    file = folder / "config.yml"
    file.write_text(yaml.safe_dump(config))
    return file, ours


async def scaled(count: int) -> list[tuple[str, str, str]]:
    """Run a bot with so many healthy tenants for two minutes."""
    async with AsyncExitStack() as stack:
        file, target = await _prepare(stack, count)
        began_at = SystemClock().now()
        bot = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "run", "--config", str(file)),
            stderr=asyncio.subprocess.DEVNULL,
        )
        stack.push_async_callback(_end, bot)
        await asyncio.sleep(START_S)
        target.send(1)
        first, _ = await asyncio.to_thread(target.recv)
        before, at = _used(bot.pid), time.monotonic()
        await asyncio.sleep(WATCHED_S)
        span_s, after = time.monotonic() - at, _used(bot.pid)
        target.send(1)
        _, seen = await asyncio.to_thread(target.recv)
    cpu_s, written, memory = after[0] - before[0], after[1] - before[1], after[2]
    firsts = [at - began_at for host, at in first.items() if host.startswith("t")]
    late = statistics.quantiles(_lateness_s(seen, count), n=100)
    a_day = written / span_s * 86_400 / count / 1e6
    name = f"{count:,} tenants: "
    return [
        (
            f"{name}first probe, all probed",
            "1.5 s, 62 s",
            f"{min(firsts):.1f} s, {max(firsts):.0f} s",
        ),
        (f"{name}of a core", "", f"{cpu_s / span_s:.2f}"),
        (f"{name}CPU a tenant and minute", "10 ms", f"{cpu_s / span_s * 60_000 / count:.1f} ms"),
        (f"{name}logins late, half and 99 %", "1 s", f"{late[49]:.2f} s, {late[98]:.2f} s"),
        (f"{name}memory", "", f"{memory:.0f} MB"),
        (f"{name}written a day and tenant", "15 MB", f"{a_day:.0f} MB"),
    ]


async def _end(bot: asyncio.subprocess.Process) -> None:
    if bot.returncode is None:
        bot.terminate()
    await bot.wait()


def _configure(count: int, tls_port: int, port: int, ca_file: str) -> dict[str, Any]:
    login = {"client_id": "probe", "username": "probe", "password": "probe", "realm": "users"}
    names = [f"t{number:05}" for number in range(count)]
    return {
        "server": {"admin_listen": "127.0.0.1:0"},
        "controls": [f"http://127.0.0.1:{port}/"],
        "resolve": {f"{name}.us.auth0.com": f"127.0.0.1:{tls_port}" for name in names},
        "tenants": [
            {
                "name": name,
                "domain": f"{name}.us.auth0.com",
                "environment": f"EU-{number % 5}",
                "feed_url": f"http://127.0.0.1:{port}/feed",
                "ca_file": ca_file,
                "logins": [{**login}],  # the file has no aliases
            }
            for number, name in enumerate(names)
        ],
    }


def _lateness_s(seen: Seen, count: int) -> list[float]:
    """Return how late each login came by its tenant's place in the minute."""
    return [
        (at - 60 * int(host[1:6]) / count + 10) % 60 - 10
        for host, times in seen.items()
        for at in times
    ]


def _used(pid: int) -> tuple[float, int, float]:
    """Return seconds of processor time, bytes written, and megabytes in memory (Linux)."""
    process = Path(f"/proc/{pid}")
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    written = _read_number(process / "io", "write_bytes")
    memory = _read_number(process / "status", "VmRSS") / 1024
    cpu_s = sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")
    return cpu_s, written, memory


def _read_number(file: Path, name: str) -> int:
    lines = file.read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
