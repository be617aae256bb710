"""Runs calls of our command one after the other, in one process: each start takes a second.

It reads a JSON list of `Call`s, and prints a JSON list of what came of each.
"""

from __future__ import annotations

import json
import os
import sys
from typing import NamedTuple

from click.testing import CliRunner

from bot.app import rehearsal
from bot.cli import main


class Call(NamedTuple):
    """A command line, with what is around it."""

    folder: str
    words: list[str]
    environment: dict[str, str]
    typed: str = ""


class Ended(NamedTuple):
    """How it ended."""

    status: int
    output: str


def run(call: Call) -> Ended:
    """Run it to its end."""
    os.chdir(call.folder)
    result = CliRunner().invoke(main, call.words, env=call.environment, input=call.typed)
    trace = repr(result.exception) if result.exception else ""
    return Ended(result.exit_code, result.output + trace)


if __name__ == "__main__":
    rehearsal.STEP_S = 1.0  # nobody reads along
    print(json.dumps([run(Call(*each)) for each in json.load(sys.stdin)]))  # noqa: T201 - for the test
