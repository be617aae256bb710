"""What an examination of the set-up found: one line a prerequisite, with the remedy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Level(StrEnum):
    """How a prerequisite is."""

    OK = "ok"
    ADVICE = "advice"
    """It works, and could be better; or nobody but a person can see whether it is right."""
    UNKNOWN = "unknown"
    """It cannot be told from here, such as without a network."""
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One prerequisite."""

    area: str
    """A tenant's name, `Slack`, `machine` or `calls`."""
    what: str
    level: Level
    detail: str
    remedy: str = ""
    """What to do; empty only where all is well."""


def worst_level(findings: Iterable[Finding]) -> Level:
    """Return the level that counts for the whole; advice does not."""
    levels = {finding.level for finding in findings}
    return next((each for each in (Level.PROBLEM, Level.UNKNOWN) if each in levels), Level.OK)
