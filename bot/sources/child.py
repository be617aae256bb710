"""The side of the child: a program that reads foreign bytes within limits that it cannot escape."""

from __future__ import annotations

import json
import os
import resource
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

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
