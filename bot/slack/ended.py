"""A silence that is over, told to the channel. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.silence import covers
from bot.slack.incidents import incident_list
from bot.slack.rendered import Rendered, paragraphs
from bot.slack.silences import hid, over
from bot.slack.wording import quoted

if TYPE_CHECKING:
    from bot.core.silence import Silence
    from bot.ports import View


def silence_ended(silence: Silence, view: View) -> Rendered:
    """Say what it hid, and what of it still goes on."""
    by = f" by <@{silence.ended_by}>" if silence.ended_by else ""
    head = f":bell: Silence S{silence.id} over *{over(silence)}* ended{by}; {hid(silence)}."
    going_on = [one for one in view.desk.open_incidents if covers(silence, one)]
    still = ["*Still going on*", *incident_list(going_on, view)] if going_on else []
    return paragraphs(f"{head} It was: {quoted(silence.reason)}", *still)
