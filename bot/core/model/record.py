"""Copies of records: most of what a step does is to copy a record with one field changed."""

from __future__ import annotations

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import replace as replace  # noqa: PLC0414 - type checkers know its fields
else:

    def replace(record: Any, /, **changes: Any) -> Any:
        """Return a copy of a frozen dataclass with some fields changed.

        `dataclasses.replace` calls `__init__`, which calls a setter for each field. A record
        without slots is copied at a fifth of that, without its cached properties.
        """
        cls = type(record)
        if not hasattr(record, "__dict__"):
            return dataclasses.replace(record, **changes)
        count, derived = _FIELDS.get(cls) or _note_fields(cls)
        copy = object.__new__(cls)
        values = copy.__dict__
        values.update(record.__dict__)
        if len(values) > count:
            for name in derived:
                values.pop(name, None)
        values.update(changes)
        if len(values) > count:
            raise TypeError(f"{cls.__name__} has no {sorted(changes.keys() - vars(record).keys())}")
        return copy


_FIELDS: dict[type, tuple[int, tuple[str, ...]]] = {}
"""By class: how many fields a record has, and the names of what is worked out of it."""


def _note_fields(cls: type) -> tuple[int, tuple[str, ...]]:
    derived = (name for name, value in vars(cls).items() if isinstance(value, cached_property))
    return _FIELDS.setdefault(cls, (len(dataclasses.fields(cls)), tuple(derived)))
