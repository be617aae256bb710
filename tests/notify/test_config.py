from __future__ import annotations

import sys

import pytest
from pydantic import ValidationError

from bot.config.settings_oncall import ContactPoint

KEY = "0123456789abcdefABCDEF0123456789"


def test_pagerduty() -> None:
    """A routing key is enough; an account in the EU has another URL."""
    us = ContactPoint.model_validate({"name": "pager", "pagerduty": {"routing_key": KEY}})
    url = "https://events.eu.pagerduty.com/"
    eu = ContactPoint.model_validate({"name": "eu", "pagerduty": {"routing_key": KEY, "url": url}})

    assert us.pagerduty
    assert us.pagerduty.url == "https://events.pagerduty.com"
    assert eu.pagerduty
    assert eu.pagerduty.url == "https://events.eu.pagerduty.com"


@pytest.mark.parametrize("key", ["", "canary", f"{KEY}0", KEY.replace("0", "-")])
def test_a_routing_key_that_is_none(key: str) -> None:
    """A key of another kind is refused at the start: PagerDuty would refuse each message."""
    with pytest.raises(ValidationError, match="must be the integration key") as caught:
        ContactPoint.model_validate({"name": "pager", "pagerduty": {"routing_key": key}})

    assert "canary" not in str(caught.value)


def test_without_apprise(monkeypatch: pytest.MonkeyPatch) -> None:
    """If the extra is not installed, the problem says how to install it."""
    monkeypatch.setitem(sys.modules, "apprise", None)

    with pytest.raises(ValidationError, match=r"pip install 'auth0-check\[apprise\]'") as caught:
        ContactPoint.model_validate({"name": "mail", "apprise": "mailtos://canary@example.com"})

    assert "canary" not in str(caught.value)


def test_secrets_are_not_shown() -> None:
    """Neither the key nor a URL is in the repr."""
    both = [
        ContactPoint.model_validate({"name": "pager", "pagerduty": {"routing_key": KEY}}),
        ContactPoint.model_validate({"name": "mail", "apprise": "mailtos://canary@example.com"}),
    ]

    assert "canary" not in repr(both)
    assert KEY not in repr(both)
