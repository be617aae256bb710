"""Why somebody may not, and who may. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.access import EVERYONE, Right
from bot.slack.wording import mentions

if TYPE_CHECKING:
    from bot.core.access import NotAllowed, Who

_DOES = {
    Right.VIEW: "ask me",
    Right.ACKNOWLEDGE: "handle incidents",
    Right.SILENCE: "silence alerts",
    Right.ADMINISTER: "do that",
}


def refused(why: NotAllowed) -> str:
    """Say kindly that they may not, and who may."""
    if not why.who:
        return "Sorry, guests cannot use me. Please ask a member of the team."
    who = ", ".join(_named(one) for one in why.who)
    return f"Sorry, you may not {_DOES[why.right]} here. Those who may: {who}."


def _named(who: Who) -> str:
    if who == EVERYONE:
        return "every member"
    return f"everyone in <#{who}>" if who[0] in "CG" else mentions((who,))
