"""Who may do what in Slack."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bot.config.values import Section, like
from bot.core.access import EVERYONE

Who = Annotated[
    str,
    like(
        rf"{EVERYONE}|[UWSCG][A-Z0-9]+",
        f"must be {EVERYONE}, or the id of a member (U…), a user group (S…) or a channel (C…)",
    ),
]
Whom = Annotated[tuple[Who, ...], Field(min_length=1)]
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
