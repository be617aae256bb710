"""What is said of the dependencies."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.house.dependencies import Package, audit, make_sbom, read_lock

PAGE = (Path(__file__).parents[2] / "docs" / "SECURITY.md").read_text()
PACKAGES = [Package("a", "1.0", ()), Package("b", "2.0", ())]


@pytest.mark.parametrize("package", read_lock(), ids=lambda package: package.name)
def test_licences(package: Package) -> None:
    """The page has each locked package beside its licence."""
    (row,) = [line for line in PAGE.split("\n") if line.startswith(f"| {package.licence} |")]

    assert package.name in row.split(" | ")[1].removesuffix(" |").split(", ")


def test_bill_of_materials() -> None:
    """It names each package with version, address, licence and hashes."""
    bill = make_sbom(read_lock())

    (found,) = [each for each in bill["components"] if each["name"] == "aiohttp"]
    assert found["purl"] == f"pkg:pypi/aiohttp@{found['version']}"
    assert found["licenses"] == [{"expression": "Apache-2.0 AND MIT"}]
    assert len(found["hashes"][0]["content"]) == 64
    assert len(bill["components"]) == len(read_lock())


@pytest.mark.parametrize(
    ("status", "results", "said"),
    [
        (200, [{}, {}], "No known weakness in 2 locked packages"),
        (200, [{}, {"vulns": [{"id": "GHSA-1"}]}], "KNOWN WEAKNESS: b 2.0: GHSA-1"),
        (200, [], "were not checked"),
        (200, None, "were not checked"),
        (503, [], "were not checked"),
    ],
)
async def test_audit(status: int, results: Any, said: str) -> None:
    """It says what is known of the locked versions, or that nobody could be asked."""
    asked: list[dict[str, Any]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(json.loads(await request.text()))
        return web.json_response({"results": results}, status=status)

    app = web.Application()
    app.router.add_post("/", answer)
    async with TestServer(app) as server:
        line = await asyncio.to_thread(audit, PACKAGES, str(server.make_url("/")))

    assert said in line
    query = {"version": "1.0", "package": {"name": "a", "ecosystem": "PyPI"}}
    assert asked[0]["queries"][0] == query


def test_audit_without_a_network() -> None:
    """It says so, and fails nothing."""
    assert "http://127.0.0.1:1/ cannot be reached" in audit(PACKAGES, "http://127.0.0.1:1/")
