"""What the fit learns from: what triage saw at some instants, and which causes were right."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.judge.play import Played

FOLDS = 5
CASE_WEIGHT = 2.0
"""The cases are worlds that nobody generated: each counts like two families."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One instant of a world."""

    family: str
    truth: str
    features: tuple[tuple[str, float], ...]
    """The answer to each question, by its rule, and how strong it is."""
    good: tuple[str, ...]
    """The causes that are right at this instant."""
    is_scored: bool
    weight: float = 1.0


def save_samples(path: Path, played: Iterable[Played], *, factor: float) -> int:
    """Add the instants of some worlds to a file. Returns how many."""
    count = 0
    with path.open("a") as file:
        for each in played:
            for instant in each.instants:
                features = [[name, round(strength, 2)] for name, strength in instant.features]
                row = [each.family, each.truth, features, instant.good, instant.is_scored, factor]
                file.write(json.dumps(row) + "\n")
                count += 1
    return count


def load_samples(path: Path) -> list[Sample]:
    """Read samples, and give each family the same weight, and each cause about the same."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    of_family = Counter(family for family, *_ in rows)
    families = {(family, truth) for family, truth, *_ in rows}
    of_truth = Counter(truth for _, truth in families)
    mean = len(families) / len(of_truth)
    return [
        Sample(
            family,
            truth,
            tuple((name, strength) for name, strength in features),
            tuple(good),
            is_scored,
            factor / of_family[family] * (mean / of_truth[truth]) ** 0.5,
        )
        for family, truth, features, good, is_scored, factor in rows
    ]


def fold_of(family: str) -> int:
    """Return the fold of a family: all its worlds are in one, by its name alone."""
    return sum(family.encode()) % FOLDS
