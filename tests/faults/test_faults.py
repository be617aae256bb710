"""The experiments that are done in seconds, once each, all at the same time: they mostly wait."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.__main__ import load_experiments
from tests.faults.experiment import EXPERIMENTS, Tier

load_experiments()
NAMES = [each.name for each in EXPERIMENTS.values() if each.tier is Tier.TEST]


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    """The results by the experiments' names."""
    ended = subprocess.run(  # noqa: S603 - our own program with our own arguments
        [sys.executable, "-m", "tests.faults", "--tier=test", f"--at-once={len(NAMES)}", "--json"],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return {result["experiment"]: result for result in json.loads(ended.stdout)}


@pytest.mark.xdist_group("faults")  # one process plays them all
@pytest.mark.parametrize("name", NAMES)
def test_promises_are_kept(results: dict[str, dict[str, Any]], name: str) -> None:
    """While this fault lasts, what must be true becomes true in time."""
    result = results[name]
    if result["skipped"]:
        pytest.skip(result["skipped"])
    assert not result["failure"], f"{EXPERIMENTS[name].done}\n{result['failure']}"


def test_every_kind_of_fault_is_played() -> None:
    """All 14 kinds have an experiment."""
    assert {each.point for each in EXPERIMENTS.values()} >= {str(n) for n in range(1, 15)}
