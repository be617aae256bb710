"""All that is drawn of one world, before its file is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.judge.course import Course
    from tests.judge.families import Family
    from tests.judge.fault import Fault
    from tests.judge.setup import Setup


@dataclass(frozen=True, slots=True)
class Drawn:
    """A fault that happens to somebody who watches with some sources."""

    family: Family
    fault: Fault
    """What is to be seen of it."""
    parameters: dict[str, object]
    setup: Setup
    course: Course
    change: str
    """The kind of change that came before it; empty: none."""
    post_min: float | None
    """When the status page has a post that fits; None: never."""
