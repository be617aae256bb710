"""Real parts that several packages are tested against."""

from __future__ import annotations

import gc
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from hypothesis import settings

from tests.steady import SteadyLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

pytest_plugins = ["tests.canaries", "tests.faults.drills", "tests.postgresql"]
FOLDER = Path(__file__).parent / "probes" / "oidc_provider"
INSTALL = f"npm install --no-package-lock, in {FOLDER.relative_to(Path(__file__).parents[1])}"
settings.register_profile("patient", deadline=None)  # how fast an example is depends on the machine
settings.load_profile("patient")


def pytest_collection_finish() -> None:
    """Leave what pytest has collected out of later garbage collections.

    It lives until the end: a million objects, through which Python went for half a second whenever
    it liked, in the middle of a request with a limit of half a second (measured 2026-11).
    """
    gc.collect()
    gc.freeze()


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], SteadyLoop]]:
    """Run all tests on a loop that a busy machine does not confuse."""
    return {"steady": SteadyLoop}


@dataclass
class OidcProvider:
    """npm's oidc-provider, a login server that we did not write, under `domain` on loopback."""

    process: subprocess.Popen[str] = field(repr=False)
    port: int
    ca_file: Path
    domain: str = "login.example.test"

    @property
    def tenant(self) -> dict[str, Any]:
        """The tenant as the configuration file would have it."""
        return {
            "name": "prod",
            "domain": self.domain,
            "ca_file": str(self.ca_file),
            "logins": [
                {
                    "client_id": "probe-client",
                    "client_secret": "probe-client-secret",
                    "username": "probe@example.test",
                    "password": "correct horse",
                    "realm": "users",
                }
            ],
        }

    @property
    def resolve(self) -> dict[str, str]:
        """The `resolve` setting that leads here."""
        return {self.domain: f"127.0.0.1:{self.port}"}

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def oidc_provider(tmp_path: Path) -> Iterator[OidcProvider]:
    """A running server, or a skip where Node.js or the module is missing."""
    node = shutil.which("node")
    if node is None or not (FOLDER / "node_modules" / "oidc-provider").is_dir():
        pytest.skip(f"needs Node.js (Debian: nodejs npm) and: {INSTALL}")
    authority = trustme.CA()
    leaf = authority.issue_cert(OidcProvider.domain)
    ca_file, certificate, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    authority.cert_pem.write_to_path(str(ca_file))
    leaf.cert_chain_pems[0].write_to_path(str(certificate))
    leaf.private_key_pem.write_to_path(str(key))
    issuer = f"https://{OidcProvider.domain}/"
    with subprocess.Popen(  # noqa: S603 - our own program with our own arguments
        [node, "server.mjs", str(certificate), str(key), issuer],
        cwd=FOLDER,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        server = OidcProvider(process, int(process.stdout.readline()), ca_file)
        yield server
        server.stop()
