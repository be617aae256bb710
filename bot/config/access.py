"""Who may do what in Slack."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from bot.config.values import Section
from bot.core.access import EVERYONE

_WHO = re.compile(rf"{EVERYONE}|[UWSCG][A-Z0-9]+")


def _who(value: str) -> str:
    if not _WHO.fullmatch(value):
        raise ValueError(
            f"must be {EVERYONE}, or the id of a member (U…), a user group (S…) or a channel (C…)"
        )
    return value


Whom = Annotated[tuple[Annotated[str, AfterValidator(_who)], ...], Field(min_length=1)]
"""A channel stands for all who ask in it."""


class Access(Section):
    """Who may do what. Guests and members of other workspaces never may anything."""

    view: Whom = (EVERYONE,)
    """See what the bot knows, and let it look afresh."""
    acknowledge: Whom = (EVERYONE,)
    """Take over an incident, note something, resolve it, call it a false alarm."""
    silence: Whom = (EVERYONE,)
    """Mute a tenant, a signal or an incident for a while, and end that."""
    administer: Whom = (EVERYONE,)
    """Mute everything, swap who is on call, read the audit trail."""
