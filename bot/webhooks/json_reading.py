"""Foreign JSON, put down to values that can be relied on."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import Any, NoReturn

from bot.core.model.fault import sanitize_text
from bot.webhooks.sender import Refusal

_LINK = re.compile(r"https://[a-zA-Z0-9.-]+(?::\d{1,5})?(?:[/?#][!#-;=?-{}~]{0,1000})?")


def parse_json(text: str) -> Any:
    """Read JSON. Raises ValueError, also for numbers that JSON does not have, and for depth."""
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def parse_json_object(text: str) -> dict[str, Any]:
    """Read one JSON object. Raises Refusal."""
    try:
        document = parse_json(text)
    except ValueError:
        raise Refusal(400, "not JSON") from None
    if not isinstance(document, dict):
        raise Refusal(400, "not a JSON object")
    return document


def get_nested(document: object, *path: str) -> Any:
    """Return what lies at the end of a path of keys, or None."""
    for key in path:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def to_short_text(value: object, limit: int = 150) -> str:
    """Make foreign text fit to be shown: one plain line, cut. A number counts as text."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    return sanitize_text(text)[:limit]


def to_https_link(value: object) -> str:
    """Return an https address as it is, and nothing for anything else."""
    return value if isinstance(value, str) and _LINK.fullmatch(value) else ""


def parse_instant(value: object, now: float) -> float | None:
    """Read seconds since the epoch, or an ISO 8601 date (UTC where it names no offset).

    An instant after `now` is cut to `now`; what is none, or lies before 1970, is None.
    """
    try:
        if isinstance(value, str):
            moment = datetime.fromisoformat(value[:40])
            value = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(min(value, now)) if value >= 0 else None


def _reject_constant(_: str) -> NoReturn:
    raise ValueError("no JSON number")
