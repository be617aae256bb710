"""Reads foreign JSON into values that are safe to use."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from bot.core.model.fault import sanitize_text
from bot.core.model.wall_clock import parse_iso
from bot.webhooks.sender import Refusal

_LINK = re.compile(r"https://[a-zA-Z0-9.-]+(?::\d{1,5})?(?:[/?#][!#-;=?-{}~]{0,1000})?")


def parse_json(text: str) -> Any:
    """Parse JSON. Raises ValueError, also for NaN and Infinity, and for too much nesting."""
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_json_object(text: str) -> dict[str, Any]:
    """Parse one JSON object. Raises Refusal."""
    try:
        document = parse_json(text)
    except ValueError:
        raise Refusal(400, "not JSON") from None
    if not isinstance(document, dict):
        raise Refusal(400, "not a JSON object")
    return document


def get_nested(document: object, *path: str) -> Any:
    """Return the value at a path of keys, or None."""
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def to_short_text(value: object, limit: int = 150) -> str:
    """Make foreign text safe to show: one plain line, cut. A number counts as text."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return sanitize_text(text)[:limit]


def to_https_link(value: object) -> str:
    """Return an https URL unchanged; empty for anything else."""
    return value if isinstance(value, str) and _LINK.fullmatch(value) else ""


def parse_instant(value: object, now: float) -> float | None:
    """Parse seconds since the epoch, or an ISO 8601 date (in UTC if it names no offset).

    A time after `now` becomes `now`; anything else, or a time before 1970, is None.
    """
    if isinstance(value, str):
        value = parse_iso(value[:40])
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(min(value, now)) if value >= 0 else None


def _reject_constant(_: str) -> NoReturn:
    raise ValueError("no JSON number")
