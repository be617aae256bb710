"""Fits the numbers of the evidence table to many worlds, held close to what people wrote.

The share of a cause is a softmax over sums of weights: this is a multinomial logistic regression.
Only cells that people filled in are trained, and none changes its sign: the table goes on to say
what its rows say.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import partial
from math import exp, log, sqrt
from statistics import stdev
from typing import TYPE_CHECKING

from bot.core.model.observation import Cause
from bot.core.triage.verdict import MIN_CONFIDENCE
from bot.core.triage.weights import PRIOR
from tests.judge.samples import FOLDS, fold_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.judge.samples import Sample

Table = dict[str, dict[Cause, float]]
"""Weights by rule and cause; `prior` holds how likely a cause is beforehand."""
Cell = tuple[str, Cause]

PULLS = (0.2, 0.4, 0.8, 1.6, 3.2)
"""Prices of moving a number by 1 from what people wrote, in nats of loss of one family. The highest
one is taken that is within a standard error of the best on families that were left out: numbers
move no further than worlds can tell (Hastie, Tibshirani, Friedman, section 7.10)."""
STEPS = 120
STEP = 0.15
"""Adam's usual constants, but for a larger step: numbers are of the size of 1."""
DECAY_1, DECAY_2, TINY = 0.9, 0.99, 1e-8
TEMPERATURES = tuple(round(0.4 + 0.05 * step, 2) for step in range(13))
"""Up to 1: sums are made less sure of themselves, never surer, for worlds hold more surprises than
anybody generates."""


@dataclass(frozen=True, slots=True)
class Fit:
    """Fitted numbers, and what they are worth on families that they have not seen."""

    table: Table
    temperature: float
    pull: float
    seen: float
    """The share that is right at the instant of the score, on the samples themselves."""
    unseen: float
    """The same by cross-validation."""
    as_written: float
    """The same for the numbers that people wrote, who have seen a part of the worlds."""
    unseen_confidently_wrong: float
    written_confidently_wrong: float


def fit(samples: Sequence[Sample], written: Table, temperature: float) -> Fit:
    """Fit the numbers to all samples; pull and temperature to families that were left out."""
    tried = {pull: _leave_out(samples, written, temperature, pull) for pull in PULLS}
    losses = {pull: _mean_loss(pairs, temperature) for pull, pairs in tried.items()}
    lowest = min(PULLS, key=losses.__getitem__)
    limit = losses[lowest] + _standard_error(tried[lowest], temperature)
    pull = max(pull for pull in PULLS if losses[pull] <= limit)
    scored = [pair for pair in tried[pull] if pair[0].is_scored]
    best = min(TEMPERATURES, key=partial(_mean_loss, scored))
    table = round_table(train(samples, written, temperature, pull))
    as_written = [(sample, written) for sample in samples]
    return Fit(
        table,
        best,
        pull,
        seen=share_right([(sample, table) for sample in samples], best),
        unseen=share_right(tried[pull], best),
        as_written=share_right(as_written, temperature),
        unseen_confidently_wrong=share_confidently_wrong(tried[pull], best),
        written_confidently_wrong=share_confidently_wrong(as_written, temperature),
    )


def _leave_out(
    samples: Sequence[Sample], written: Table, temperature: float, pull: float
) -> list[tuple[Sample, Table]]:
    """Return each sample with the table that was fitted to the other folds."""
    pairs: list[tuple[Sample, Table]] = []
    for fold in range(FOLDS):
        rest = [sample for sample in samples if fold_of(sample.family) != fold]
        table = round_table(train(rest, written, temperature, pull))
        pairs += [(sample, table) for sample in samples if fold_of(sample.family) == fold]
    return pairs


def train(samples: Iterable[Sample], written: Table, temperature: float, pull: float) -> Table:
    """Return the table that fits some samples best, with the signs of the written one."""
    merged = _merge(samples)
    table = {rule: dict(row) for rule, row in written.items()}
    cells = [(rule, cause) for rule, row in written.items() for cause in row]
    means: dict[Cell, float] = defaultdict(float)
    squares: dict[Cell, float] = defaultdict(float)
    for step in range(1, STEPS + 1):
        slopes = _slopes(merged, table, temperature)
        rate = STEP * (1 - step / (STEPS + 1))
        for cell in cells:
            rule, cause = cell
            start = written[rule][cause]
            slope = slopes[cell] + 2 * pull * (table[rule][cause] - start)
            means[cell] = DECAY_1 * means[cell] + (1 - DECAY_1) * slope
            squares[cell] = DECAY_2 * squares[cell] + (1 - DECAY_2) * slope * slope
            mean = means[cell] / (1 - DECAY_1**step)
            square = squares[cell] / (1 - DECAY_2**step)
            moved = table[rule][cause] - rate * mean / (square**0.5 + TINY)
            table[rule][cause] = moved if rule == PRIOR else _keep_sign(moved, start)
    return table


Merged = list[tuple[tuple[tuple[str, float], ...], frozenset[Cause], float]]


def _merge(samples: Iterable[Sample]) -> Merged:
    """Add up the weights of samples that look alike."""
    weights: dict[tuple[tuple[tuple[str, float], ...], tuple[str, ...]], float] = defaultdict(float)
    for sample in samples:
        weights[sample.features, sample.good] += sample.weight
    return [
        (features, frozenset(map(Cause, good)), weight)
        for (features, good), weight in sorted(weights.items())
    ]


def _slopes(merged: Merged, table: Table, temperature: float) -> dict[Cell, float]:
    """Return how the loss changes with each cell."""
    slopes: dict[Cell, float] = defaultdict(float)
    for features, good, weight in merged:
        shares = share_causes(features, table, temperature)
        right = sum(shares[cause] for cause in good if cause in shares) or TINY
        pushes = {
            cause: weight * temperature * (share - (share / right if cause in good else 0.0))
            for cause, share in shares.items()
        }
        for rule, strength in ((PRIOR, 1.0), *features):
            for cause in table[rule]:
                slopes[rule, cause] += strength * pushes[cause]
    return slopes


def _keep_sign(moved: float, start: float) -> float:
    if start == 0:
        return 0.0
    return max(0.0, moved) if start > 0 else min(0.0, moved)


def share_causes(
    features: Iterable[tuple[str, float]], table: Table, temperature: float
) -> dict[Cause, float]:
    """Return how likely each cause is, as `bot.core.triage.verdict` has it."""
    scores = dict(table[PRIOR])
    for rule, strength in features:
        for cause, weight in table[rule].items():
            scores[cause] += strength * weight
    best = max(scores.values())
    powers = {cause: exp(temperature * (score - best)) for cause, score in scores.items()}
    total = sum(powers.values())
    return {cause: power / total for cause, power in powers.items()}


def round_table(table: Table) -> Table:
    """Return a table with one digit behind the point, as people write it."""
    return {
        rule: {cause: round(value, 1) + 0.0 for cause, value in row.items()}
        for rule, row in table.items()
    }


def _loss(sample: Sample, table: Table, temperature: float) -> float:
    shares = share_causes(sample.features, table, temperature)
    return -log(max(sum(shares.get(Cause(cause), 0.0) for cause in sample.good), TINY))


def _mean_loss(pairs: Sequence[tuple[Sample, Table]], temperature: float) -> float:
    total = sum(sample.weight * _loss(sample, table, temperature) for sample, table in pairs)
    return total / sum(sample.weight for sample, _ in pairs)


def _standard_error(pairs: Sequence[tuple[Sample, Table]], temperature: float) -> float:
    """Return how far the mean loss would differ with other families."""
    by_family: dict[str, float] = defaultdict(float)
    for sample, table in pairs:
        by_family[sample.family] += sample.weight * _loss(sample, table, temperature)
    weights = sum(sample.weight for sample, _ in pairs)
    return stdev(by_family.values()) * sqrt(len(by_family)) / weights


def share_right(pairs: Iterable[tuple[Sample, Table]], temperature: float) -> float:
    """Return the share that is right at the instant of the score, each family the same."""
    right = total = 0.0
    for sample, table in pairs:
        if sample.is_scored:
            total += sample.weight
            right += sample.weight * (_said(sample, table, temperature)[0] in sample.good)
    return right / total


def share_confidently_wrong(pairs: Iterable[tuple[Sample, Table]], temperature: float) -> float:
    """Return the share that is wrong with a confidence of 70 % or more."""
    wrong = total = 0.0
    for sample, table in pairs:
        if sample.is_scored:
            said, sure = _said(sample, table, temperature)
            total += sample.weight
            wrong += sample.weight * (said not in sample.good and sure >= 0.7)
    return wrong / total


def _said(sample: Sample, table: Table, temperature: float) -> tuple[Cause, float]:
    shares = share_causes(sample.features, table, temperature)
    best = max((cause for cause in shares if cause is not Cause.UNCLEAR), key=shares.__getitem__)
    return (best if shares[best] >= MIN_CONFIDENCE else Cause.UNCLEAR), shares[best]


def find_contradictions(table: Table, written: Table) -> list[str]:
    """Name the cells whose sign is not the one that the row was written with."""
    return [
        f"{rule}: {cause} was written {start:+.1f}, and is fitted {table[rule][cause]:+.1f}"
        for rule, row in written.items()
        if rule != PRIOR
        for cause, start in row.items()
        if table[rule][cause] * start < 0
    ]
