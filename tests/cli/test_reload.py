"""SIGHUP to a running bot."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from tests.app.test_doctor import Place, place
from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Running:
    """A bot in a process of its own, and its log so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log: list[str] = []

    async def wait_for(self, text: str) -> None:
        assert self.process.stderr
        async with asyncio.timeout(60):
            async for line in self.process.stderr:
                self.log.append(line.decode())
                if text in self.log[-1]:
                    return
        raise AssertionError("".join(self.log))

    def reload(self) -> None:
        self.process.send_signal(signal.SIGHUP)


def write(file: Path, whole: dict[str, Any]) -> None:
    file.write_text(json.dumps(whole))  # JSON is YAML


@asynccontextmanager
async def running(here: Place, file: Path) -> AsyncIterator[Running]:
    write(file, here.good() | {"server": {"admin_listen": "127.0.0.1:0"}})
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.steady", "bot", "run", "--config", str(file)),
        cwd=ROOT,
        env={},
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield Running(process)
    finally:
        process.terminate()
        await process.communicate()


async def test_reload(tmp_path: Path) -> None:
    """A new tenant is watched; a wrong file changes nothing, and log and channel say why."""
    async with place(tmp_path) as here:
        file = tmp_path / "bot.yml"
        async with running(here, file) as bot:
            await bot.wait_for("first check of prod.login: ok")
            right = json.loads(file.read_text())
            file.write_text(json.dumps(right | {"colour": "red"}))
            bot.reload()
            await bot.wait_for("colour: is no setting")
            right["tenants"][0]["name"] = "renamed"
            file.write_text(json.dumps(right))
            bot.reload()
            await bot.wait_for("the configuration was read again")
            await bot.wait_for("first check of renamed.login: ok")
            assert bot.process.returncode is None

            def find_said() -> list[str]:
                texts = [message.text for message in here.workspace.messages("C0ALERTS")]
                return [text for text in texts if "configuration" in text]

            async with asyncio.timeout(60):
                while not (said := find_said()):  # noqa: ASYNC110 - polls as a person would
                    await asyncio.sleep(0.05)

    assert len(said) == 1
    assert "colour: is no setting" in said[0]
    assert "I go on with the old one" in said[0]


async def test_a_configuration_that_cannot_begin(tmp_path: Path) -> None:
    """If its port is taken, the bot goes on with the one before."""
    async with place(tmp_path) as here:
        file = tmp_path / "bot.yml"
        async with running(here, file) as bot:
            await bot.wait_for("first check of prod.login: ok")
            taken = here.server.page_url.removeprefix("http://").rstrip("/")
            right = json.loads(file.read_text())
            file.write_text(json.dumps(right | {"server": {"admin_listen": taken}}))
            bot.reload()
            await bot.wait_for("going on with the old one")
            await bot.wait_for("first check of prod.login: ok")
