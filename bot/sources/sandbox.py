"""Parses foreign documents in a child process, within limits that a library cannot escape."""

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

PARSE_S = 60.0
"""Real seconds for a child. One that computes for ever is ended sooner, by `CPU_LIMIT_S`; on a busy
machine a healthy one may take long to start."""


async def parse_in_sandbox(
    module: str, body: bytes, *arguments: str, within_s: float = PARSE_S
) -> dict[str, Any]:
    """Let a module that calls `run_parser` parse a body; kill it after `within_s` real seconds.

    Raises DocumentRefused, also for `too_slow` and `parser_died`, and OSError if no process can be
    started.
    """
    # The parent's environment contains secrets; a parser of foreign bytes gets none of it.
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
    )
    try:
        async with asyncio.timeout(within_s):
            output, _ = await child.communicate(body)
    except TimeoutError:
        raise DocumentRefused("too_slow") from None
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
    if child.returncode:
        raise DocumentRefused("parser_died")
    document: dict[str, Any] = json.loads(output)
    if "refused" in document:
        raise DocumentRefused(document["refused"], document["detail"])
    return document


CPU_LIMIT_S = 15
"""If the parent dies, the child ends by itself."""
MEMORY_LIMIT = 512 * 1024 * 1024
NICE = 10
"""Probes come first: a busy host makes healthy targets look slow."""


class DocumentRefused(Exception):  # noqa: N818 - says what happened
    """The document cannot be parsed, or is too complex."""

    def __init__(self, reason: str, detail: str = "") -> None:
        """Refuse with a stable code of ours, and the detail for people."""
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


def run_parser(parse: Callable[..., dict[str, Any]]) -> None:
    """Parse stdin, with the program's arguments, and write the result as JSON to stdout."""
    os.nice(NICE)
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    with suppress(ValueError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    try:
        result = parse(sys.stdin.buffer.read(), *sys.argv[1:])
    except DocumentRefused as refusal:
        result = {"refused": refusal.reason, "detail": refusal.detail}
    json.dump(result, sys.stdout)
