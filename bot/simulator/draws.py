"""Counts drawn from Python's own generator, exact at any size (Python 3.11 draws none of these)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

SMALL = 32
"""Up to this, drawing one by one is fast enough."""


def poisson(random: Random, mean: float) -> int:
    """Draw from the Poisson distribution with this mean.

    Large means are halved by the time of the k-th event, which is gamma distributed
    (Ahrens and Dieter 1974).
    """
    count = 0
    while mean > SMALL:
        step = int(mean * 7 / 8)
        time = random.gammavariate(step, 1.0)
        if time > mean:
            return count + binomial(random, step - 1, mean / time)
        count += step
        mean -= time
    limit, product = math.exp(-mean), random.random()
    while product > limit:
        count += 1
        product *= random.random()
    return count


def binomial(random: Random, count: int, share: float) -> int:
    """Draw from the binomial distribution: how many of `count`, each with the probability `share`.

    Large counts are halved by their median, which is beta distributed (Relles 1972).
    """
    hits = 0
    while count > SMALL and 0 < share < 1:
        middle = count // 2 + 1
        median = random.betavariate(middle, count + 1 - middle)
        if median < share:
            hits += middle
            count, share = count - middle, (share - median) / (1 - median)
        else:
            count, share = middle - 1, share / median
    if share >= 1:
        return hits + count
    return hits + sum(random.random() < share for _ in range(count if share > 0 else 0))
