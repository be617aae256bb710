"""Reads a document key by key and reports all its problems at once."""

from __future__ import annotations

import reprlib
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.config.document import Document, Loc

T = TypeVar("T")
_SHORT = reprlib.Repr()
_SHORT.maxstring = 60


class Misread(ValueError):  # noqa: N818 - says what happened
    """A value that does not fit its key."""

    def __init__(self, value: object, expected: str) -> None:
        """Name the value, shortened, and what was expected."""
        super().__init__(f"{_SHORT.repr(value)} {expected}")


def suggest(word: object, known: Iterable[str]) -> str:
    """Return the known word that was probably meant, or all known words."""
    words = sorted(known)
    close = get_close_matches(str(word), words, n=1)
    return f"did you mean {close[0]}?" if close else f"there are: {', '.join(words) or 'none'}"


class MappingReader:
    """One mapping of a document. Problems are collected in the document, not raised.

    A value that is read after a problem is meaningless: check the document's problems first.
    """

    def __init__(self, document: Document, loc: Loc, values: object) -> None:
        """Take the mapping at `loc`; anything else there is a problem."""
        self._document = document
        self._loc = loc
        self._known_keys: set[str] = set()
        self._is_mapping = isinstance(values, dict)
        self.values: dict[str, Any] = values if isinstance(values, dict) else {}
        if not self._is_mapping:
            self.add_problem("must be a mapping of keys to values")

    def add_problem(self, text: str, *steps: str | int) -> None:
        """Add a problem here, or at a key below."""
        self._document.report((*self._loc, *steps), text)

    def read_required(self, key: str, read: Callable[[Any], T]) -> T:
        """Read a key that must be there. `read` raises `Misread`."""
        if key not in self.values and self._is_mapping:
            self.add_problem("is missing", key)
        return self.read_optional(key, read, cast("T", None))

    def read_optional(self, key: str, read: Callable[[Any], T], default: T) -> T:
        """Read a key that may be left out, but not left empty."""
        self._known_keys.add(key)
        if key not in self.values:
            return default
        if self.values[key] is None:
            self.add_problem("is empty: write a value, or leave the key out", key)
            return default
        try:
            return read(self.values[key])
        except Misread as error:
            self.add_problem(str(error), key)
            return default

    def below(self, key: str, *steps: str | int) -> MappingReader:
        """Return the mapping under a key; the caller closes it."""
        self._known_keys.add(key)
        values: Any = self.values.get(key)
        for step in steps:
            values = values[step]
        return MappingReader(self._document, (*self._loc, key, *steps), values)

    def below_if_any(self, key: str) -> MappingReader | None:
        """Return the mapping under a key that may be left out."""
        self._known_keys.add(key)
        return self.below(key) if key in self.values else None

    def each(self, key: str, read: Callable[[MappingReader], T]) -> tuple[T, ...]:
        """Read a list of mappings, which may be left out."""
        count = len(self.read_optional(key, _read_list, list[object]()))
        parts = [self.below(key, number) for number in range(count)]
        return tuple(part.close(read(part)) for part in parts)

    def items(self, key: str, read: Callable[[Any], T]) -> tuple[T, ...]:
        """Read a list of single values, which may be left out. Returns the valid ones."""
        right = []
        for number, item in enumerate(self.read_optional(key, _read_list, list[object]())):
            try:
                right.append(read(item))
            except Misread as error:
                self.add_problem(str(error), key, number)
        return tuple(right)

    def close(self, value: T) -> T:
        """Add a problem for every key that was not read, and return the value."""
        for key in self.values:
            if key not in self._known_keys:
                self.add_problem(f"unknown key; {suggest(key, self._known_keys)}", key)
        return value


def _read_list(values: object) -> list[object]:
    if not isinstance(values, list):
        raise Misread(values, "must be a list")
    return values
