"""Reads YAML and remembers the line of every key and entry.

Of YAML only mappings, lists and text: no tags, which construct objects, and no aliases, with which
ten lines grow to gigabytes. `no`, `0123` and `1:30` stay what they look like.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    NodeEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from bot.config.document import ConfigError, Document, Loc, Place, read_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DEPTH = 20
_NULLS = ("", "~", "null", "Null", "NULL")
_QUOTED = re.compile(r"""(['"]).{2,}\1""")
_ADVICE = "a value that begins with one of @ ` % & * ! | > { [ or holds ': ' belongs in quotes"


def read_yaml(path: Path) -> Document:
    """Read a file. Raises ConfigError, with one problem, where it is no YAML or too strange."""
    document = Document(path.parent, {(): Place(1, f"{path}:1")})
    try:
        text = read_text(path)
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"]) from None
    try:
        _Reader(text, path, document).read()
    except yaml.YAMLError as error:
        problem = _malformed(error, text)
    except (ValueError, OverflowError):
        problem = "1: has an escape or a version that no YAML has"
    else:
        return document
    # Outside of the handlers: YAML's own errors carry the text, and with it the secrets.
    raise ConfigError([f"{path}:{problem}"])


def _malformed(error: yaml.YAMLError, text: str) -> str:
    """Say what is wrong without what YAML quotes from the file."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        line, what = error.problem_mark.line + 1, _QUOTED.sub("…", error.problem or "")
    else:
        line, what = text.count("\n", 0, getattr(error, "position", 0)) + 1, "control characters"
    return f"{line}: is not readable as YAML ({what}): indent with blanks only; {_ADVICE}"


class _Reader:
    def __init__(self, text: str, path: Path, document: Document) -> None:
        self._events: Iterator[Event] = yaml.parse(text, Loader=yaml.SafeLoader)
        self._path = path
        self._document = document

    def read(self) -> None:
        next(self._events)
        if isinstance(next(self._events), StreamEndEvent):
            self._refuse(1, "is empty")
        self._document.values = self._value(next(self._events), ())
        next(self._events)
        after = next(self._events)
        if not isinstance(after, StreamEndEvent):
            self._refuse(_line(after), "begins a second document: write only one")

    def _value(self, event: Event, loc: Loc) -> object:
        self._only_plain(event, loc)
        if isinstance(event, SequenceStartEvent):
            return self._list(loc)
        if isinstance(event, MappingStartEvent):
            return self._mapping(loc)
        assert isinstance(event, ScalarEvent)  # noqa: S101 - YAML has no fourth kind
        is_null = event.implicit[0] and event.value in _NULLS
        return None if is_null else event.value

    def _list(self, loc: Loc) -> list[object]:
        result: list[object] = []
        for event in self._until(SequenceEndEvent):
            here = (*loc, len(result))
            self._stands(here, event)
            result.append(self._value(event, here))
        return result

    def _mapping(self, loc: Loc) -> dict[str, object]:
        result: dict[str, object] = {}
        for event in self._until(MappingEndEvent):
            key = self._key(event, loc)
            here = (*loc, key)
            first = self._document.places[here].order if key in result else None
            self._stands(here, event)
            if first:
                self._document.report(here, f"is written twice, in line {first} too: remove one")
            result[key] = self._value(next(self._events), here)
        return result

    def _key(self, event: Event, loc: Loc) -> str:
        self._only_plain(event, loc)
        if not isinstance(event, ScalarEvent):
            self._refuse(_line(event), f"has a list or mapping as a key; {_ADVICE}")
        return str(event.value)

    def _until(self, end: type[Event]) -> Iterator[Event]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event

    def _stands(self, loc: Loc, event: Event) -> None:
        line = _line(event)
        self._document.places[loc] = Place(line, f"{self._path}:{line}")

    def _only_plain(self, event: Event, loc: Loc) -> None:
        if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
            self._refuse(_line(event), f"has an anchor (&) or alias (*): write it out; {_ADVICE}")
        if getattr(event, "tag", None):
            self._refuse(_line(event), f"has a tag (!): leave it out; {_ADVICE}")
        if len(loc) > DEPTH:
            self._refuse(_line(event), "is nested deeper than any setting")

    def _refuse(self, line: int, text: str) -> NoReturn:
        raise ConfigError([f"{self._path}:{line}: {text}"])


def _line(event: Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 1
