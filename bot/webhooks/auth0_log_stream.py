"""Auth0's log stream "Custom Webhook": lines, an array or one object, at least once, in any order.

https://auth0.com/docs/customize/log-streams/custom-log-streams (read 2026-11)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.webhooks.json_reading import inside, parse
from bot.webhooks.sender import Receipt, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.webhooks.counts import PushedCounts
    from bot.webhooks.sender import Message

CAP = 1024 * 1024
"""Bytes: a batch of some hundred rows."""


def read(message: Message, tenant: str, counts: PushedCounts) -> Receipt:
    """Count the rows at once: what they say of people is not kept."""
    try:
        elements = [*_elements(message.text)]
    except ValueError:
        raise Refusal(400, "not JSON: lines, an array or an object") from None
    if not elements:
        return Receipt.IGNORED
    rows = [row for element in elements if (row := _row(element))]
    if not rows:
        raise Refusal(400, "no log rows")
    return Receipt.ACCEPTED if counts.add_rows(tenant, rows) else Receipt.REPEATED


def _elements(text: str) -> Iterator[object]:
    try:
        document = parse(text)
    except ValueError:
        # Not splitlines(): a string of JSON may hold other line breaks.
        for line in text.split("\n"):
            if line.strip():
                yield parse(line)
    else:
        yield from document if isinstance(document, list) else [document]


def _row(element: object) -> dict[str, Any] | None:
    """Unwrap `{"log_id", "data"}`, also as EventBridge has it; a bare row is taken, too.

    A row without an id cannot be told from its repetition, so it is none.
    """
    element = inside(element, "detail") or element
    row = inside(element, "data") or element
    log_id = inside(row, "log_id") or inside(element, "log_id")
    return {**row, "log_id": log_id} if isinstance(row, dict) and isinstance(log_id, str) else None
