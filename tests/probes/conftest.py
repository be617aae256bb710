"""A laboratory: login servers on loopback that answer as they are told, and probes to meet them."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl

import jwt
import pytest
import trustme
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from bot.config.settings import Settings
from bot.http import Fetcher, LoopLag
from bot.probes import Probes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from pathlib import Path

    from bot.http.network import Address

    Behaviour = Callable[[asyncio.StreamWriter], Awaitable[None]]

DOMAIN = "acme.us.auth0.test"
CUSTOM_DOMAIN = "login.acme.test"
CLIENT_ID = "probe-client"
PASSWORD = "canary-password"
NEVER_LATE = 60.0
"""A lag limit for tests of other things, on a machine that may be busy."""


@dataclass
class FastClock:
    """Runs `speed` times as fast as the test's event loop; it can be moved forward."""

    speed: float = 4.0
    ahead_s: float = 0.0
    started_at: float = field(default_factory=time.monotonic)
    epoch: float = 1_790_000_000

    def now(self) -> float:
        run_s = asyncio.get_running_loop().time() - self.started_at
        return self.epoch + self.ahead_s + run_s * self.speed

    async def sleep(self, span_s: float) -> None:
        await asyncio.sleep(span_s / self.speed)


@dataclass
class LabPath:
    """Connects every host to one port, or fails as the test sets it."""

    port: int = 0
    dns: Exception | None = None
    refusal: Exception | None = None

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        assert host
        assert port
        if self.dns:
            raise self.dns
        return [("127.0.0.1", self.port)]

    async def before_connect(self, host: str) -> None:
        assert host
        if self.refusal:
            raise self.refusal


@dataclass
class Server:
    """Answers HTTP by path; a `raw` behaviour gets the connection before a byte is read."""

    routes: dict[str, Behaviour] = field(default_factory=dict)
    raw: Behaviour | None = None
    tls: ssl.SSLContext | None = None
    seen: list[tuple[str, dict[str, str], dict[str, str]]] = field(default_factory=list)
    """Path, headers and form of every request."""
    port: int = 0
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.seen]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await (self.raw or await self._route(reader))(writer)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        writer.transport.abort()
        self._tasks.discard(task)

    async def _route(self, reader: asyncio.StreamReader) -> Behaviour:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        path = first.split()[1]
        self.seen.append((path, headers, dict(parse_qsl(body.decode()))))
        return self.routes.get(path, closes)


async def closes(_writer: asyncio.StreamWriter) -> None:
    """Say nothing. An exception here would leave the connection open in Python 3.11.2."""


def answer(
    status: int = 200, body: bytes | dict[str, Any] | None = None, **headers: str
) -> Behaviour:
    """Build a behaviour that sends a complete answer."""
    content = json.dumps(body).encode() if isinstance(body, dict) else body or b""
    named = {"Content-Length": str(len(content)), "Connection": "close"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in named.items())

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status} Whatever\r\n{head}\r\n".encode() + content)
        await asyncio.sleep(0)

    return behave


@dataclass(frozen=True)
class Signer:
    """A tenant's signing key."""

    key: rsa.RSAPrivateKey
    kid: str

    def row(self) -> dict[str, Any]:
        """Its row in the JWKS document."""
        public = RSAAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        return {**public, "kid": self.kid, "use": "sig", "alg": "RS256"}

    def sign(self, claims: dict[str, Any], algorithm: str = "RS256", kid: str | None = None) -> str:
        headers = {"kid": self.kid if kid is None else kid}
        return jwt.encode(claims, self.key, algorithm, headers=headers)


@dataclass
class Lab:
    """A healthy tenant, the network to it, and probes."""

    authority: trustme.CA
    ca_file: str
    signer: Signer
    clock: FastClock = field(default_factory=FastClock)
    path: LabPath = field(default_factory=LabPath)
    server: Server = field(default_factory=Server)
    lag: LoopLag = field(default_factory=lambda: LoopLag(limit_s=NEVER_LATE))

    def __post_init__(self) -> None:
        self.fetcher = Fetcher(self.clock, self.path, self.lag)
        self.server.tls = self.context(self.authority.issue_cert(DOMAIN, CUSTOM_DOMAIN))
        self.server.routes = self.routes()

    @staticmethod
    def context(leaf: trustme.LeafCert) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        leaf.configure_cert(context)
        return context

    def server_with(self, token: Behaviour, **parts: Any) -> Server:
        """Build a second server, with another token endpoint only."""
        tls = parts.pop("tls", self.server.tls)
        return Server(routes={**self.routes(), "/oauth/token": token}, tls=tls, **parts)

    def routes(self, domain: str = DOMAIN) -> dict[str, Behaviour]:
        origin = f"https://{domain}"
        keys_uri = f"{origin}/.well-known/jwks.json"

        async def token(writer: asyncio.StreamWriter) -> None:
            await answer(200, self.tokens(issuer=f"{origin}/"))(writer)

        return {
            "/oauth/token": token,
            "/.well-known/jwks.json": answer(200, {"keys": [self.signer.row()]}),
            "/.well-known/openid-configuration": answer(
                200, {"issuer": f"{origin}/", "jwks_uri": keys_uri}
            ),
        }

    def claims(self, **changed: Any) -> dict[str, Any]:
        now = int(self.clock.now())
        standard = {"iss": f"https://{DOMAIN}/", "aud": CLIENT_ID, "sub": "u", "iat": now}
        return {**standard, "exp": now + 36_000, **changed}

    def tokens(self, issuer: str) -> dict[str, Any]:
        identity = self.signer.sign(self.claims(iss=issuer))
        return {"access_token": "opaque", "token_type": "Bearer", "id_token": identity}

    def probes(
        self,
        login: dict[str, Any] | None = None,
        tenant: dict[str, Any] | None = None,
        timeout: float = 60.0,
    ) -> Probes:
        """Build probes as the configuration file would; `timeout` is by the clock port."""
        user = {"client_id": CLIENT_ID, "username": "u", "password": PASSWORD, "realm": "users"}
        acme = {
            "name": "prod",
            "domain": DOMAIN,
            "ca_file": self.ca_file,
            "probe": {"timeout": timeout},
            "logins": [{**user, **(login or {})}],
            **(tenant or {}),
        }
        slack = {"bot_token": "xoxb-1", "app_token": "xapp-1", "channel": "C1"}
        controls = ["http://localhost/any"]
        settings = {"slack": slack, "tenants": [acme], "controls": controls}
        return Probes(Settings.model_validate(settings), self.fetcher)


@pytest.fixture
def says() -> Callable[..., Behaviour]:
    """Answers with a document, with HTTP 200 by default."""
    return lambda document, status=200: answer(status, document)


@pytest.fixture
def real_clock() -> FastClock:
    """A clock with the real time, for other people's servers."""
    return FastClock(speed=1.0, epoch=time.time())  # noqa: TID251 - this is the clock


@pytest.fixture(scope="session")
def signing_keys() -> tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]:
    """The tenant's key and another; generating them takes a while."""
    return (
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    )


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file


@pytest.fixture(scope="session")
def signer(signing_keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]) -> Signer:
    return Signer(signing_keys[0], "key-1")


@pytest.fixture(scope="session")
def other_signer(signing_keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]) -> Signer:
    return Signer(signing_keys[1], "key-2")


@pytest.fixture
async def lab(authority: trustme.CA, ca_file: Path, signer: Signer) -> AsyncIterator[Lab]:
    """A lab that connects to its healthy server."""
    made = Lab(authority, str(ca_file), signer)
    async with made.server:
        made.path.port = made.server.port
        yield made
