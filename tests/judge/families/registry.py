"""The families of faults: each draws one kind of fault, and says what would be seen of it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.judge.fault import Draw, Fault
    from tests.judge.setup import Setup

    Show = Callable[[Setup, Draw], Fault]

HELD_OUT = 5
"""One family in so many is never trained on."""


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of fault."""

    name: str
    """Begins with its cause."""
    about: str
    show: Show
    odds: float = 1.0
    """How common it is among the families of its cause."""

    @property
    def cause(self) -> str:
        """The cause that a person who knows everything would name."""
        return self.name.split("-")[0]

    @property
    def is_held_out(self) -> bool:
        """Whether it is never trained on: chosen by its name alone, so that nobody chooses."""
        return hashlib.sha256(self.name.encode()).digest()[0] % HELD_OUT == 0


FAMILIES: dict[str, Family] = {}


def family(name: str, odds: float = 1.0) -> Callable[[Show], Show]:
    """Register a family; the docstring of the function says what it is."""

    def register(show: Show) -> Show:
        FAMILIES[name] = Family(name, (show.__doc__ or "").strip(), show, odds)
        return show

    return register
