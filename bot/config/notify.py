"""Ways to reach people beyond Slack: what the steps of an escalation name."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

from pydantic import AfterValidator, SecretStr

from bot.config.values import BaseAddress, Name, Secret, Section, like


def _reachable(address: SecretStr) -> SecretStr:
    if not find_spec("apprise"):
        raise ValueError("needs Apprise, which is not here: pip install 'auth0-check[apprise]'")
    return address


class PagerDuty(Section):
    """One service of PagerDuty."""

    routing_key: Annotated[
        SecretStr,
        like(r"[A-Za-z0-9]{32}", "must be the integration key: 32 letters and digits"),
    ]
    """The integration key: the service > Integrations > Events API V2."""
    url: BaseAddress = "https://events.pagerduty.com"
    """An account in the EU has https://events.eu.pagerduty.com."""


class Notify(Section):
    """One way to reach people."""

    name: Name
    """A short name of your own for it."""
    pagerduty: PagerDuty | None = None
    """A section with routing_key; or apprise in its place."""
    apprise: Annotated[Secret, AfterValidator(_reachable)] | None = None
    """In place of pagerduty: an address as Apprise writes it, such as mailtos://…"""
