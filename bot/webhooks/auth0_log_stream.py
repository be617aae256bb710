"""Auth0's log stream "Custom Webhook": lines, an array or one object, at least once, in any order.

https://auth0.com/docs/customize/log-streams/custom-log-streams (read 2026-11)
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from bot.webhooks.json_reading import get_nested, parse_json, to_short_text
from bot.webhooks.sender import Receipt, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.webhooks.counts import PushedCounts
    from bot.webhooks.sender import WebhookRequest

BODY_CAP = 1024 * 1024
"""Bytes: a batch of a few hundred rows."""


def count_rows(message: WebhookRequest, tenant: str, counts: PushedCounts) -> Receipt:
    """Count the rows at once: nothing about people is stored."""
    try:
        elements = [*_parse_elements(message.text)]
    except ValueError:
        raise Refusal(400, "not JSON: lines, an array or an object") from None
    if not elements:
        return Receipt.IGNORED
    rows = [row for element in elements if (row := _unwrap_row(element))]
    if not rows:
        raise Refusal(400, "no log rows")
    return Receipt.ACCEPTED if counts.add_rows(tenant, rows) else Receipt.REPEATED


def _parse_elements(text: str) -> Iterator[object]:
    try:
        document = parse_json(text)
    except ValueError:
        # Not splitlines(): a string of JSON may hold other line breaks.
        lines = [line for line in text.split("\n") if line.strip()]
        rows = []
        for line in lines:
            with suppress(ValueError):  # one broken line does not hold back the others
                rows.append(parse_json(line))
        if lines and not any(row is not None for row in rows):
            raise
        yield from (row for row in rows if row is not None)
    else:
        yield from document if isinstance(document, list) else [document]


def _unwrap_row(element: object) -> dict[str, Any] | None:
    """Unwrap `{"log_id", "data"}`, also in EventBridge's form; a bare row is accepted, too.

    A row without an id is rejected: its repetition would look the same.
    """
    element = get_nested(element, "detail") or element
    row = get_nested(element, "data") or element
    log_id = to_short_text(get_nested(row, "log_id") or get_nested(element, "log_id"))
    return {**row, "log_id": log_id} if isinstance(row, dict) and log_id else None
