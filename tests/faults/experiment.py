"""What an experiment is, and the list of all."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tests.faults.lab import Lab

    Play = Callable[[Lab], Awaitable[None]]


FULL_TIMES = 20


class Kind(StrEnum):
    """What is wrong."""

    SLACK = "Slack is away"
    CLOCK = "the wall clock moves"
    LISTENER = "half-sent requests"
    STALLS = "the host stalls"
    DISK = "the disk hangs"
    MANY_TENANTS = "500 tenants"
    ANSWERS = "hostile answers"
    CPU = "little CPU"
    NO_DATA = "missing data"
    CALLS = "Slack takes no call"
    CRASHES = "crashes"
    RECIPIENT = "a dead recipient"
    FLOOD = "a flood"
    WAITS = "Slack asks to wait"
    SOCKET = "broken sockets"
    WATCHDOG = "a part stands still"
    OWN = "what the bot lacks"
    SOAK = "all kinds, for long"


class Tier(IntEnum):
    """Where an experiment is played; each tier plays those of the tiers before, too."""

    TEST = 1
    """`make test`: done in seconds, also beside other work."""
    QUICK = 2
    """The first part of `make faults`: done in seconds, where need be with a fast clock."""
    FAULTS = 3
    """`make faults`: done in minutes."""
    FULL = 4
    """`make faults-full`."""


@dataclass(frozen=True)
class Experiment:
    """One fault, and what must be true all the same."""

    kind: Kind
    name: str
    done: str
    """What is done, in one sentence."""
    promises: Mapping[str, float]
    """What must become true, and within how many seconds."""
    play: Play
    tier: Tier
    tenants: tuple[str, ...]
    test_speed: float
    """In the quick tiers: how many times as fast as real the program's clock runs."""
    speed: float
    """The same in the other tiers."""
    is_busy: bool
    """It needs a core of its own, where others mostly wait."""
    is_alone: bool
    """Parts of a second count: it is played before all others."""
    times: int
    """How often the full tier plays it."""
    lasts_s: float
    """How long it plays in the full tier before its longest promise counts, in real seconds."""
    unit: str
    """Of what is promised; most promises are in seconds."""


EXPERIMENTS: dict[str, Experiment] = {}
"""All experiments by name, once their modules are imported."""


def experiment(
    kind: Kind,
    promises: Mapping[str, float],
    *,
    tier: Tier = Tier.FAULTS,
    tenants: tuple[str, ...] = ("prod",),
    test_speed: float = 1.0,
    speed: float = 1.0,
    is_busy: bool = False,
    is_alone: bool = False,
    times: int = FULL_TIMES,
    lasts_s: float = 60.0,
    unit: str = "s",
) -> Callable[[Play], Play]:
    """Add a function to the experiments. Its docstring says what is done."""

    def add(play: Play) -> Play:
        name = play.__name__.replace("_", "-")
        EXPERIMENTS[name] = Experiment(
            kind=kind,
            name=name,
            done=" ".join((inspect.getdoc(play) or "").split("\n\n")[0].split()),
            promises=promises,
            play=play,
            tier=tier,
            tenants=tenants,
            test_speed=test_speed,
            speed=speed,
            is_busy=is_busy,
            is_alone=is_alone,
            times=times,
            lasts_s=lasts_s,
            unit=unit,
        )
        return play

    return add
