"""The answer of a polled source, or in a few words why there is no data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.core.model.fault import describe_fault
from bot.http import parse_json_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.http import HttpResult

UNEXPECTED = "unexpected answer"
"""JSON, but not what the API's documentation promises."""


MOVED = "it has moved, or wants a person to log in"


class NoUsableAnswer(Exception):  # noqa: N818 - says what happened
    """There is no data; the text says why, without any foreign word."""


def require_body(reply: HttpResult, remedies: Mapping[int, str]) -> bytes:
    """Return the body of a 2xx answer. Raises `NoUsableAnswer` for every other reply.

    `remedies` says for an HTTP status what to do. The answer's own error message is not repeated:
    it may quote the query, or anything that a proxy puts in.
    """
    if reply.no_data_reason:
        raise NoUsableAnswer(reply.no_data_reason)
    if reply.fault:
        raise NoUsableAnswer(describe_fault(reply.fault).replace("_", " "))
    if not 200 <= reply.status < 300:  # noqa: PLR2004 - HTTP's own classes
        moved = MOVED if 300 <= reply.status < 400 else ""  # noqa: PLR2004 - HTTP's own classes
        remedy = remedies.get(reply.status, moved)
        raise NoUsableAnswer(f"HTTP {reply.status}" + (f": {remedy}" if remedy else ""))
    return reply.body


def require_json(reply: HttpResult, remedies: Mapping[int, str]) -> dict[str, Any]:
    """Return the JSON object of a 2xx answer. Raises `NoUsableAnswer` for every other reply."""
    document = parse_json_object(require_body(reply, remedies))
    if document is None:
        raise NoUsableAnswer("not JSON")
    return document
