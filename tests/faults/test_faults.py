"""The experiments that are done in seconds, once each, all at the same time: they mostly wait."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.__main__ import load_experiments
from tests.faults.experiment import EXPERIMENTS, Kind, Tier
from tests.faults.page import BEGIN, END, PAGE

if TYPE_CHECKING:
    from tests.faults.experiment import Experiment

load_experiments()
PLAYED = [
    pytest.param(each, marks=[pytest.mark.faults] if each.tier is Tier.QUICK else [], id=each.name)
    for each in EXPERIMENTS.values()
    if each.tier <= Tier.QUICK
]


@cache
def play_tier(tier: Tier) -> dict[str, dict[str, Any]]:
    """Play what is in a tier and in no other; return the results by the experiments' names."""
    names = [each.name for each in EXPERIMENTS.values() if each.tier is tier]
    options = [f"--tier={tier.name.lower()}", f"--at-once={len(names)}", "--json"]
    ended = subprocess.run(  # noqa: S603 - our own program with our own arguments
        [sys.executable, "-m", "tests.faults", *names, *options],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return {result["experiment"]: result for result in json.loads(ended.stdout)}


@pytest.mark.xdist_group("faults")  # one process plays them all
@pytest.mark.parametrize("experiment", PLAYED)
def test_promises_are_kept(experiment: Experiment) -> None:
    """While this fault lasts, what must be true becomes true in time."""
    result = play_tier(experiment.tier)[experiment.name]
    if result["skipped"]:
        pytest.skip(result["skipped"])
    assert not result["failure"], f"{experiment.done}\n{result['failure']}"


def test_every_kind_of_fault_is_played() -> None:
    """Each has an experiment, and the page lists them all."""
    table = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]

    assert {each.kind for each in EXPERIMENTS.values()} == {*Kind}
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE) == [*EXPERIMENTS]
