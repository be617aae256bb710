"""Reads foreign documents in a child process, within limits that a library cannot escape."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


async def read_apart(
    module: str, body: bytes, *arguments: str, within_s: float = 10.0
) -> dict[str, Any]:
    """Let a program of `answer` read a body; it is killed after `within_s` real seconds.

    Raises Refused, also for `too_slow` and `parser_died`, and OSError where no process can be
    started.
    """
    # The parent's environment holds secrets; a parser of foreign bytes gets none of it.
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        async with asyncio.timeout(within_s):
            said, _ = await child.communicate(body)
    except TimeoutError:
        raise Refused("too_slow") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise Refused("parser_died")
    document: dict[str, Any] = json.loads(said)
    if "refused" in document:
        raise Refused(document["refused"], document["detail"])
    return document


CPU_S = 15
"""Should the parent die, the child ends by itself."""


MEMORY = 512 * 1024 * 1024


NICE = 10
"""Probes come first: a busy host makes healthy targets look slow."""


class Refused(Exception):  # noqa: N818 - says what happened
    """The document is not read."""

    def __init__(self, reason: str, detail: str = "") -> None:
        """Keep a stable code of ours and the detail for people."""
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def answer(read: Callable[..., dict[str, Any]]) -> None:
    """Read stdin, given the program's arguments, and answer with JSON on stdout."""
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    with suppress(ValueError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    try:
        said = read(sys.stdin.buffer.read(), *sys.argv[1:])
    except Refused as refusal:
        said = {"refused": refusal.reason, "detail": refusal.detail}
    json.dump(said, sys.stdout)
