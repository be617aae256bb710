"""The buttons: their action ids, and what a button carries in its `value`."""

from __future__ import annotations

from typing import Literal

from bot.config.settings import Name, Section

OPEN_STATUS = "open_status"
OPEN_RUNBOOK = "open_runbook"
CHECK_AGAIN = "check_again"

LINKS = (OPEN_STATUS, OPEN_RUNBOOK)
"""Buttons with a `url`. Slack reports their clicks too and wants them acknowledged.

https://docs.slack.dev/reference/block-kit/block-elements/button-element (read 2026-11)
"""


class CheckAgain(Section):
    """The value of a `check_again` button. Messages outlive releases, hence the version."""

    v: Literal[1] = 1
    tenant: Name
