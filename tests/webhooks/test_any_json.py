"""Whatever JSON a genuine sender could send."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.measurement import MONITORS, ChangeMade, ExternalAlert
from bot.core.model.observation import Target
from bot.webhooks.auth import RequestHead
from bot.webhooks.counts import PushedCounts
from bot.webhooks.routes import _senders
from bot.webhooks.sender import (
    Receipt,
    Refusal,
    SenderConfig,
    WebhookConfig,
    WebhookRequest,
    WebhookTenant,
)

NOW = 1_795_424_400.0
TENANTS = {
    "prod": WebhookTenant(("acme.us.auth0.com",), "token", frozenset(), ("checkout",)),
    "eu": WebhookTenant(),
}
CONFIG = WebhookConfig(
    senders={name: SenderConfig("secret", "eu") for name in (*MONITORS, "report", "change")},
    tenants=TENANTS,
)
PARSERS = (Path(__file__).parents[2] / "bot" / "webhooks").glob("*.py")
ROW_KEYS = "date details request path method description connection client_id environment_name type"
KEYS = sorted(
    {*ROW_KEYS.split(), *re.findall(r'"(\w+)"', "".join(file.read_text() for file in PARSERS))}
)
"""What any sender reads, and what is read of a log's rows."""
WORDS = """
    prod eu checkout firing resolved critical DOWN UP s fp fn sapi api_limit patch <!channel>
    /api/v2/clients acme.us.auth0.com https://[ https://a.example/ 2026-11-23T08:59:00Z
    0001-01-01T00:00:00Z 9999-12-31T23:59:59-14:00 \ud800 \x00
"""
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(WORDS.split()),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6)
    ),
    max_leaves=20,
)


class Still:
    speed = 1.0

    def now(self) -> float:
        return NOW

    async def sleep(self, span_s: float) -> None:
        raise AssertionError(span_s)


@pytest.mark.no_cover
@given(document=VALUES, resource=st.sampled_from(["event_alert", "metric_alert", "issue"]))
@settings(max_examples=300, deadline=None)
def test_any_json(document: Any, resource: str) -> None:
    """It is refused with a text or becomes valid items; nothing else ever happens."""
    counters = PushedCounts(TENANTS, Still())
    head = RequestHead(NOW, {"Sentry-Hook-Resource": resource})
    message = WebhookRequest("id", head, json.dumps(document))
    for _, hook in _senders(CONFIG, counters):
        try:
            told = hook.parse(message)
        except Refusal:
            continue
        for item in () if isinstance(told, Receipt) else told:
            _is_sane(item)
    for name in ("logs", "checkout"):
        assert counters.drain(Target("prod", name), NOW).failed >= 0


def _is_sane(item: ExternalAlert | ChangeMade) -> None:
    assert 0 <= item.at <= NOW
    assert item.id
    texts = (item.id, item.what) if isinstance(item, ChangeMade) else (item.id, item.title)
    assert all(text.isprintable() and len(text) <= 250 for text in texts)
    "".join(texts).encode()
    if isinstance(item, ExternalAlert):
        assert item.target.owner in TENANTS
        assert item.link == "" or item.link.startswith("https://")
