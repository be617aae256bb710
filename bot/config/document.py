"""What somebody wrote: the values, where each stands, and all that is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

Loc = tuple[str | int, ...]
"""The way to a value: `("tenants", 0, "domain")`."""
LIMIT = 1_000_000
"""Bytes of a file; nobody writes more by hand."""


class ConfigError(Exception):
    """The configuration cannot be used. Its text has one line a problem and never a value."""

    def __init__(self, problems: Iterable[str]) -> None:
        """Keep the problems, in the order in which they should be read."""
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Place(NamedTuple):
    """Where something was written: a line of a file, or an environment variable."""

    order: int
    name: str


class Problem(NamedTuple):
    """One line for the person who has to mend it."""

    place: Place
    text: str


@dataclass
class Document:
    """Every scalar is text or None: it is the settings that know what should be a number."""

    folder: Path
    """Where relative paths begin."""
    places: dict[Loc, Place]
    values: Any = None
    problems: dict[Loc, Problem] = field(default_factory=dict)

    def place(self, loc: Loc) -> Place:
        """Return where a value stands; for one that is missing, where its parent stands."""
        while loc not in self.places:
            loc = loc[:-1]
        return self.places[loc]

    def sections(self, *way: str) -> Iterator[tuple[Loc, dict[str, Any]]]:
        """Yield each section at a way, in lists or not, with the keys that are not left empty."""
        return _sections(self.values, way, ())

    def report(self, loc: Loc, text: str) -> None:
        """Note a problem. The first one of a value stands for all that follow from it."""
        place = self.place(loc)
        self.problems.setdefault(loc, Problem(place, f"{place.name}: {dotted(loc)}: {text}"))


def _sections(
    value: object, way: tuple[str, ...], loc: Loc
) -> Iterator[tuple[Loc, dict[str, Any]]]:
    if isinstance(value, list):
        for index, child in enumerate(value):
            yield from _sections(child, way, (*loc, index))
    elif isinstance(value, dict) and way:
        yield from _sections(value.get(way[0]), way[1:], (*loc, way[0]))
    elif isinstance(value, dict):
        yield loc, {key: child for key, child in value.items() if child is not None}


def dotted(loc: Loc) -> str:
    """Write a way as people do: `tenants[0].domain`. Always one short, printable line."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{_printable(step)}" for step in loc)
    return "".join(steps).removeprefix(".") or "the whole file"


def _printable(key: str) -> str:
    return (key if key.isprintable() else ascii(key))[:60]


def read_text(path: Path) -> str:
    """Read a small text file. Raises ValueError with a reason that names neither path nor content.

    The path is left out because people write a secret where the path of one belongs.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LIMIT + 1)
        if len(content) <= LIMIT:
            return content.decode("utf-8-sig")
        reason = "is larger than 1 MB"
    except UnicodeDecodeError:
        reason = "is not UTF-8: save it in that encoding"
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    except ValueError:
        reason = "is no path"
    # Outside of the handlers: a UnicodeDecodeError carries the content.
    raise ValueError(reason)


def read_secret(path: Path) -> str:
    """Read the content of a `KEY_file`, without its last line break. Raises like `read_text`."""
    text = read_text(path).removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("is an empty file")
    return text
