"""Foreign documents are read apart, in a child process: libraries cannot be bounded from inside."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE
from typing import Any

from bot.sources.child import Refused


async def read_apart(
    module: str, body: bytes, *arguments: str, within_s: float = 10.0
) -> dict[str, Any]:
    """Let a program of `child.answer` read a body; it is killed after `within_s` real seconds.

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
