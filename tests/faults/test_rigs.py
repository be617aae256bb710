"""The rigs: a lab that passes whatever happens, or agrees with what it tests, proves nothing."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import ClientError, ClientSession

from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.workspace import Workspace
from tests.faults import site as sites
from tests.faults.experiment import Experiment, Kind, Tier
from tests.faults.experiments.soak import LATE_S, Truth, follow_incidents
from tests.faults.preload import NotPossibleError, Preload
from tests.faults.runner import Conditions, play
from tests.faults.slack import APP_TOKEN, BOT_TOKEN, CHANNEL, Call, Slack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tests.faults.lab import Lab

FOLDER = Path(__file__).parent


@pytest.fixture
async def slack() -> AsyncIterator[Slack]:
    """The lab's workspace, at its address."""
    workspace = Slack()
    await workspace.site.open()
    yield workspace
    await workspace.site.close()


def test_the_rigs_share_nothing_with_the_product() -> None:
    """No file of the lab imports the product: its simulator and the lab check each other."""
    imported = {
        name.split(".")[0]
        for path in FOLDER.rglob("*.py")
        if not path.name.startswith("test_")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [each.name for each in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }

    assert "aiohttp" in imported
    assert "bot" not in imported


SCRIPT: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("auth.test", {}, BOT_TOKEN),
    ("auth.test", {}, "xoxb-wrong"),
    ("auth.test", {}, ""),
    ("apps.connections.open", {}, APP_TOKEN),
    ("apps.connections.open", {}, "xapp-wrong"),
    ("conversations.info", {"channel": CHANNEL}, BOT_TOKEN),
    ("conversations.info", {"channel": "C0NOWHERE"}, BOT_TOKEN),
    ("chat.postMessage", {"channel": CHANNEL, "text": "hello"}, BOT_TOKEN),
    ("chat.postMessage", {"channel": CHANNEL}, BOT_TOKEN),
    ("chat.postMessage", {"channel": "C0NOWHERE", "text": "hello"}, BOT_TOKEN),
    ("chat.update", {"channel": CHANNEL, "ts": "1.000001", "text": "hello"}, BOT_TOKEN),
    ("chat.getPermalink", {"channel": CHANNEL, "message_ts": "1.000001"}, BOT_TOKEN),
    ("conversations.history", {"channel": CHANNEL, "limit": "10"}, BOT_TOKEN),
    ("conversations.replies", {"channel": CHANNEL, "ts": "1.000001"}, BOT_TOKEN),
    ("no.such.method", {}, BOT_TOKEN),
)


async def ask(api_url: str, tokens: dict[str, str]) -> list[tuple[str, str]]:
    """Make the script's calls; return what each was answered."""
    found = []
    async with ClientSession() as session:
        for method, params, token in SCRIPT:
            named = tokens.get(token, token)
            headers = {"Authorization": f"Bearer {named}"} if named else {}
            async with session.post(api_url + method, data=params, headers=headers) as reply:
                answer = await reply.json()
            found.append((method, answer.get("error", "ok")))
    return found


async def test_both_workspaces_answer_alike(slack: Slack) -> None:
    """The lab's Slack and the simulator's were written apart, and answer calls in the same way."""
    workspace = Workspace(time.monotonic)
    app = workspace.state.app
    async with WorkspaceServer(workspace) as server:
        tokens = {BOT_TOKEN: app.bot_token, APP_TOKEN: app.app_token}
        theirs = await ask(server.api_url, tokens)

    assert await ask(slack.api_url, {}) == theirs


@pytest.mark.parametrize(
    ("fault", "is_done"), [(sites.cut_before, False), (sites.cut_after_done, True)]
)
async def test_a_connection_is_cut(slack: Slack, fault: sites.Fault, *, is_done: bool) -> None:
    """The caller gets no answer; the message is posted or not, as the fault says."""
    slack.site.faults["chat.postMessage"] = fault
    headers = {"Authorization": f"Bearer {BOT_TOKEN}"}
    form = {"channel": CHANNEL, "text": "hello"}
    async with ClientSession(headers=headers) as session:
        with pytest.raises(ClientError):
            await session.post(f"{slack.api_url}chat.postMessage", data=form)

    assert len(slack.cards()) == is_done


async def test_a_site_is_shut_and_opened(slack: Slack) -> None:
    """Connections are refused while it is shut; it comes back at the same address."""
    await slack.site.shut()
    statuses = []
    for is_open in (True, False, True):
        await (slack.site.open() if is_open else slack.site.shut())
        async with ClientSession() as session:
            try:
                async with session.post(f"{slack.api_url}auth.test") as reply:
                    statuses.append(reply.status)
            except ClientError:
                statuses.append(0)
        await slack.site.shut()

    assert statuses == [200, 0, 200]


def test_calls_inside_a_wait_are_found(slack: Slack) -> None:
    """A wait holds for its method and channel alone, and ends."""
    slack.calls = [
        Call(0.0, "chat.postMessage", "C1", retry_at=10.0),
        Call(1.0, "chat.postMessage", "C2"),
        Call(2.0, "chat.update", "C1"),
        Call(3.0, "chat.postMessage", "C1"),
        Call(11.0, "chat.postMessage", "C1"),
    ]

    assert [call.at for call in slack.calls_inside_a_wait()] == [3.0]


SCRIPT_OF_A_PROGRAM = """
import os, select, time
began = time.monotonic()
os.fsync(os.open("file", os.O_CREAT))
synced = time.monotonic()
select.epoll().poll(0)
print(time.time(), began, synced - began, time.monotonic() - synced)
"""


def test_a_programs_clock_disk_and_loop_are_held(tmp_path: Path) -> None:
    """A program sees the wall clock, the disk and the loop that the lab sets, and no more."""
    try:
        preload = Preload(tmp_path)
    except NotPossibleError as error:
        pytest.skip(str(error))
    preload.set(clock_offset_s=-7200.0, fsync_s=0.5, epoll_s=0.25)
    ended = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", SCRIPT_OF_A_PROGRAM],
        cwd=tmp_path,
        env=preload.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    wall, monotonic, fsync_s, epoll_s = map(float, ended.stdout.split())

    assert time.time() - wall == pytest.approx(7200.0, abs=60.0)
    assert time.monotonic() - monotonic == pytest.approx(0.0, abs=60.0)
    assert fsync_s >= 0.5
    assert epoll_s >= 0.25


async def keep(lab: Lab) -> None:
    """Keep the promise."""
    await lab.reach("it is so", lambda: True)


async def forget(_: Lab) -> None:
    """Measure nothing."""


async def miss(lab: Lab) -> None:
    """Never keep it."""
    await lab.reach("it is so", lambda: False)


async def be_late(lab: Lab) -> None:
    """Keep it too late, while nobody looks."""

    async def is_so() -> bool:
        await asyncio.sleep(0.3)
        return True

    await lab.reach("it is so", is_so)


async def die(lab: Lab) -> None:
    """Wait for a program that has ended."""
    await lab.run(sys.executable, "-c", "raise SystemExit(7)")
    await lab.until(lambda: False, 600, "never")


async def leak(lab: Lab) -> None:
    """Write a secret."""
    lab.may_end = True
    await lab.run(sys.executable, "-c", "print('lab-pass-word')")
    await lab.program.ended()
    lab.measure("it is so", 0.1)


async def blunder(_: Lab) -> None:
    """Be wrong itself."""
    raise ValueError("an experiment has a mistake")


@pytest.mark.parametrize(
    ("play_once", "failure"),
    [
        (keep, ""),
        (forget, "never measured: it is so"),
        (miss, "not so after 0.2 s: it is so"),
        (be_late, "it is so: 0.3"),
        (die, "not so: never; the program ended (7)"),
        (leak, "no secret is shown: [\"b'lab-pass-word' in the log\""),
        (blunder, "an experiment has a mistake"),
    ],
)
async def test_a_broken_promise_fails(
    tmp_path: Path, play_once: Callable[[Lab], Awaitable[None]], failure: str
) -> None:
    """A run passes only if each promise was measured and kept; a failed one leaves its events."""
    experiment = Experiment(
        kind=Kind.SLACK,
        name="trial",
        done="",
        promises={"it is so": 0.2},
        play=play_once,
        tier=Tier.TEST,
        tenants=("prod",),
        test_speed=1.0,
        speed=1.0,
        lasts_s=0.0,
        is_busy=False,
        is_alone=False,
        times=1,
        unit="s",
    )
    result = await play(experiment, 0, Conditions(tmp_path, seed=1, at_once=1))

    assert result.passed is not bool(failure)
    assert failure in result.failure
    assert bool(failure) == (tmp_path / "trial-0" / "events.txt").exists()


JOINED = ((20.0, "a"), (600.0, "a,b"))
"""`a` works again when `b` fails and joins its incident."""


@pytest.mark.parametrize(
    ("lines", "false"),
    [
        ([(20, "1 state=open severity=critical tenants=a")], 0),
        ([(20, "1 state=open severity=critical tenants=never")], 1),
        ([(20, "1 state=open severity=critical tenants=")], 1),
        ([(60 + LATE_S, "1 state=open severity=critical tenants=a")], 1),
        (
            [(LATE_S, f"1 state=open severity=critical tenants={who}") for who in ("a", "a,never")],
            1,
        ),
        ([(at, f"1 state=open severity=critical tenants={who}") for at, who in JOINED], 0),
        ([(at, f"{n} state=open severity=critical tenants=a") for at, n in ((20, 1), (600, 2))], 1),
    ],
)
def test_the_soak_knows_false_alerts(lines: list[tuple[float, str]], false: int) -> None:
    """Each tenant that an alert names first has failed shortly before."""
    truth = Truth()
    truth.spans |= {"a": [(10.0, 50.0)], "b": [(580.0, float("inf"))]}
    found, _ = follow_incidents([(at, f"incident={line}") for at, line in lines], truth)

    assert len(found) == false


def test_the_soak_knows_which_outages_were_alerted() -> None:
    """While an incident with the tenant was open."""
    lines = [
        (20.0, "incident=1 state=open severity=critical tenants=a"),
        (40.0, "incident=1 state=open severity=critical tenants=a,b"),
        (90.0, "incident=1 state=resolved severity=critical tenants=a,b"),
        (99.0, "incident=2 state=open severity=critical tenants=b"),
    ]

    assert follow_incidents(lines, Truth())[1] == {
        "a": [(20.0, 90.0)],
        "b": [(40.0, 90.0), (99.0, float("inf"))],
    }
