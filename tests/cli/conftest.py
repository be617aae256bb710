from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
Ended = subprocess.CompletedProcess[str]


def run(*arguments: str, cwd: str = "", **environment: str) -> Ended:
    """Run the program to its end with nothing else in its environment."""
    return subprocess.run(  # noqa: S603 - our own program with our own arguments
        [sys.executable, "-m", "tests.steady", "bot", *arguments],
        cwd=cwd or ROOT,
        env={"PYTHONPATH": str(ROOT), **environment} if cwd else environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def auth0_check() -> Callable[..., Ended]:
    """Run `auth0-check` with these arguments and variables."""
    return run
