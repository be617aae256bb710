"""The experiments that are done in seconds, once each, all at the same time: they mostly wait."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.faults.__main__ import load_experiments
from tests.faults.experiment import EXPERIMENTS, Kind, Tier
from tests.faults.page import PAGE

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


@pytest.mark.faults
@pytest.mark.xdist_group("faults")  # one process plays them all
@pytest.mark.parametrize("name", NAMES)
def test_promises_are_kept(results: dict[str, dict[str, Any]], name: str) -> None:
    """While this fault lasts, what must be true becomes true in time."""
    result = results[name]
    if result["skipped"]:
        pytest.skip(result["skipped"])
    assert not result["failure"], f"{EXPERIMENTS[name].done}\n{result['failure']}"


def test_every_kind_of_fault_is_played() -> None:
    """Each has an experiment, and the page lists them all."""
    page = PAGE.read_text()

    assert {each.kind for each in EXPERIMENTS.values()} == {*Kind}
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.MULTILINE) == [*EXPERIMENTS]
