"""The fields of all that is stored, by record, as text: what a migration is compared with."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from enum import Enum
from itertools import count
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Fields = dict[str, dict[str, str]]
"""By record and field: the type. Enums are shown by their values, named tuples by their items."""


def describe_records(roots: Mapping[str, Any], bodies: Mapping[str, type]) -> Fields:
    """Describe records and all that is inside them.

    Args:
        roots: by what is stored: its type.
        bodies: those of a delivery, by the tag under which the codec writes them.
    """
    found: Fields = {}
    found["Row"] = {name: _describe(kind, found) for name, kind in roots.items()}
    found["Body"] = {tag: _describe(kind, found) for tag, kind in bodies.items()}
    found["Delivery"]["body"] = "Body"
    return found


def _describe(kind: Any, found: Fields) -> str:  # noqa: PLR0911 - one for each kind of type
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (UnionType, Union):
        return " | ".join(_describe(one, found) for one in arguments)
    if origin is Literal:
        return " | ".join(repr(str(one)) for one in arguments)
    if origin:
        inner = ", ".join(_describe(one, found) for one in arguments if one is not ...)
        return f"{'list' if ... in arguments else origin.__name__}[{inner}]"
    hints = get_type_hints(kind) if isinstance(kind, type) else {}
    if is_dataclass(kind) and isinstance(kind, type):
        if kind.__name__ not in found:
            found[kind.__name__] = {}
            found[kind.__name__] |= {f.name: _describe(hints[f.name], found) for f in fields(kind)}
        return kind.__name__
    if issubclass(kind, Enum):
        return " | ".join(repr(one.value) for one in kind)
    if not issubclass(kind, tuple):
        return "null" if kind is NoneType else str(kind.__name__)
    return f"tuple[{', '.join(_describe(hints[name], found) for name in kind._fields)}]"


def make_sample(described: Fields) -> Any:
    """Return JSON with every field of every record, each with a number of its own."""
    return _sample(described, "Row", count())


def _sample(described: Fields, record: str, numbers: Iterator[int]) -> dict[str, Any]:
    return {
        name: _sample_value(described, kind, numbers) for name, kind in described[record].items()
    }


def _sample_value(described: Fields, kind: str, numbers: Iterator[int]) -> Any:
    records = re.findall(r"\b[A-Z]\w+", kind)
    inside = [_sample(described, record, numbers) for record in records]
    if kind.startswith("list[") and inside:
        return inside
    if kind.startswith("dict[") and inside:
        return {"key": inside[0]}
    return inside[0] if inside else next(numbers)
