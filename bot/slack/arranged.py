"""What people arranged, told to the channel: a silence that begins or is over, a swap. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.silence import covers
from bot.slack.incidents import incident_list
from bot.slack.rendered import Rendered, paragraphs
from bot.slack.silences import hid, over
from bot.slack.wording import quoted, when

if TYPE_CHECKING:
    from bot.core.outbox import SwapTold
    from bot.core.silence import Silence
    from bot.ports import View


def silence_told(silence: Silence, view: View) -> Rendered:
    """Say that nobody is alerted, and why; when it is over, what it hid and what still goes on."""
    if silence.ended_at is None:
        return paragraphs(
            f":no_bell: *{over(silence)}* is silenced by <@{silence.by}> until "
            f"{when(silence.until)}: {quoted(silence.reason)} (S{silence.id})"
        )
    by = f" by <@{silence.ended_by}>" if silence.ended_by else ""
    head = f":bell: Silence S{silence.id} over *{over(silence)}* ended{by}; {hid(silence)}."
    going_on = [one for one in view.desk.open_incidents if covers(silence, one)]
    still = ["*Still going on*", *incident_list(going_on, view)] if going_on else []
    return paragraphs(f"{head} It was: {quoted(silence.reason)}", *still)


def swap_told(swap: SwapTold) -> Rendered:
    """Say who is on call, to them as well."""
    by = f", by <@{swap.by}>" if swap.by != swap.shift.person else ""
    who = f"<@{swap.shift.person}>"
    return paragraphs(f":bust_in_silhouette: {who} is on call until {when(swap.shift.until)}{by}.")
