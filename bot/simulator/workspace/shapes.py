"""The shape of JSON: small checks that combine, and report problems in Slack's words.

A check takes a value and its JSON pointer and yields problems, such as
`must be less than 151 characters [json-pointer:/blocks/0/text/text]`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

Check = Callable[[Any, str], Iterator[str]]


def problem(what: str, at: str) -> str:
    """One line of `response_metadata.messages`, without its level."""
    return f"{what} [json-pointer:{at}]"


def anything(_value: object, _at: str) -> Iterator[str]:
    """Accept anything."""
    yield from ()


def string(high: int, low: int = 1) -> Check:
    """Accept a string of `low` to `high` characters."""

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, str):
            yield problem("must be a string", at)
        elif len(value) < low:
            yield problem(f"must be more than {low - 1} characters", at)
        elif len(value) > high:
            yield problem(f"must be less than {high + 1} characters", at)

    return check


def number(low: float = float("-inf"), high: float = float("inf")) -> Check:
    """Accept a number from `low` to `high`; a boolean is no number."""

    def check(value: object, at: str) -> Iterator[str]:
        if isinstance(value, bool) or not isinstance(value, int | float):
            yield problem("must be a number", at)
        elif not low <= value <= high:
            yield problem(f"must be between {low} and {high}", at)

    return check


def boolean(value: object, at: str) -> Iterator[str]:
    """Accept true or false."""
    if not isinstance(value, bool):
        yield problem("must be a boolean", at)


def one_of(*allowed: str) -> Check:
    """Accept one of a few words."""

    def check(value: object, at: str) -> Iterator[str]:
        if value not in allowed:
            yield problem(f"must be one of: {', '.join(allowed)}", at)

    return check


def items(each: Check, high: int, low: int = 1) -> Check:
    """Accept a list of `low` to `high` items."""

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, list):
            yield problem("must be an array", at)
            return
        if len(value) > high:
            yield problem(f"no more than {high} items allowed", at)
        if len(value) < low:
            yield problem(f"no fewer than {low} items required", at)
        for index, item in enumerate(value):
            yield from each(item, f"{at}/{index}")

    return check


def record(
    required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, *, any_of: str = ""
) -> Check:
    """Accept an object with these keys and no other; at least one of those named in `any_of`."""
    known = {**required, **(optional or {})}

    def check(value: object, at: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield problem("must be an object", at)
            return
        for key in required.keys() - value.keys():
            yield problem(f"missing required field: {key}", at)
        if any_of and not any(value.get(key) for key in any_of.split()):
            yield problem(f"missing required field: {any_of.split(maxsplit=1)[0]}", at)
        for key, inner in value.items():
            if key in known:
                yield from known[key](inner, f"{at}/{key}")
            else:
                yield problem(f"invalid additional property: {key}", at)

    return check


def typed(shapes: Mapping[str, Check]) -> Check:
    """Accept an object whose `type` says which of the shapes it must have."""

    def check(value: object, at: str) -> Iterator[str]:
        kind = value.get("type") if isinstance(value, dict) else None
        shape = shapes.get(kind) if isinstance(kind, str) else None
        if shape is None:
            yield problem(f"unsupported type: {kind}", f"{at}/type")
        else:
            yield from shape(value, at)

    return check
