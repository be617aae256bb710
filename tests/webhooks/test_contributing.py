"""The webhook sender that CONTRIBUTING.md adds works as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from bot.core.model import measurement
from bot.core.model.observation import Target
from bot.webhooks.auth import RequestHead
from bot.webhooks.sender import Refusal, TenantFinder, WebhookRequest, WebhookTenant

PAGE = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
PARSER, TEST = (dedent(block) for block in re.findall(r"```python\n(.+?)```", PAGE, re.DOTALL))
NOW = 1_795_424_400.0


def test_the_pages_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    """It turns a message into an alert, ignores what says nothing, and asks for a tenant."""
    monkeypatch.setattr(measurement, "UPTIME", "uptime", raising=False)
    theirs: dict[str, Any] = {}
    exec(compile(PARSER, "uptime.py", "exec", dont_inherit=True), theirs)  # noqa: S102 - our own page

    def parse(message: dict[str, object], *tenants: str) -> Any:
        request = WebhookRequest("1", RequestHead(NOW, {}), json.dumps(message))
        known = TenantFinder(dict.fromkeys(tenants, WebhookTenant()))
        return theirs["parse_check"](request, known)

    (alert,) = parse({"check": 7, "state": "down", "name": "Login"}, "prod")
    assert (alert.target, alert.id, alert.is_firing) == (Target("prod", "uptime"), "7", True)
    assert parse({"check": 7, "state": "paused"}, "prod") == ()
    with pytest.raises(Refusal, match=r"hooks\.uptime\.tenant"):
        parse({"check": 7, "state": "up"}, "prod", "eu")


def test_the_pages_test_is_python() -> None:
    """The page's own test can be compiled."""
    assert "test_down_and_up" in compile(TEST, "test_uptime.py", "exec").co_names
