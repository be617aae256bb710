"""The Home tab: all that is known now, the worst first, and what can be done about it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.slack import actions
from bot.slack.render.buttons import button, buttons
from bot.slack.render.command_results import refused
from bot.slack.render.incident_line import incident_line
from bot.slack.render.oncall import on_call_now
from bot.slack.render.silences import silence_line
from bot.slack.render.status import health, light, tenant_line
from bot.slack.render.text import COMMAND, LIGHTS, Block, context, listing, section, when

if TYPE_CHECKING:
    from collections.abc import Hashable

    from bot.core.model.access import NotAllowed
    from bot.core.state.silence import Silence
    from bot.ports import View

INCIDENTS, TENANTS, SILENCES = 10, 100, 10
"""So many are shown. Slack takes 100 blocks and 250 kB (views.publish, read 2026-11)."""


def home(view: View, status_link: str) -> Block:
    """Render the tab."""
    blocks = [
        _head(view),
        *_incidents(view, status_link),
        {"type": "divider"},
        *_tenants(view),
        *_silences(view),
        {"type": "divider"},
        *on_call_now(view).blocks,
        {"type": "divider"},
        *health(view).blocks,
        context(f"As of {when(view.now)}. All that can be asked: `{COMMAND} help`"),
    ]
    return {"type": "home", "blocks": blocks}


def closed(why: NotAllowed) -> Block:
    """Render the tab of somebody who may see nothing."""
    return {"type": "home", "blocks": [section(refused(why))]}


def shown(view: View) -> Hashable:
    """Return what the tab is worth showing anew for: all but ages and latencies."""
    incidents = [
        (one.id, one.state, one.severity, one.tenants, one.is_muted, one.verdict.cause)
        for one in view.desk.open_incidents
    ]
    silences = [(one.id, one.suppressed) for one in view.desk.running_silences]
    lights = [light(name, view) for name in view.rules.tenants]
    feeds = [(name, feed.state) for name, feed in view.desk.outside.feeds.items()]
    return tuple(incidents), tuple(silences), tuple(lights), tuple(feeds), view.desk.shift


def _head(view: View) -> Block:
    count = len(view.desk.open_incidents)
    said = f"{count} open incident{'s' if count > 1 else ''}" if count else "No open incident"
    return section(f"*{said}*") | {"accessory": button("Refresh", actions.REFRESH)}


def _incidents(view: View, status_link: str) -> list[Block]:
    found = sorted(view.desk.open_incidents, key=lambda one: (one.severity.rank, -one.id))
    blocks = [
        block
        for one in found[:INCIDENTS]
        for block in (section(incident_line(one, view)), buttons(one, view, status_link))
    ]
    return blocks + _more(len(found) - INCIDENTS, "alerts open")


def _tenants(view: View) -> list[Block]:
    names = sorted(view.rules.tenants, key=lambda name: LIGHTS.index(light(name, view)))
    lines = [tenant_line(name, view) for name in names[:TENANTS]]
    return [section(text) for text in listing(lines)] + _more(len(names) - TENANTS, "status")


def _silences(view: View) -> list[Block]:
    found = view.desk.running_silences
    return [_silence(one) for one in found[:SILENCES]] + _more(len(found) - SILENCES, "silences")


def _silence(silence: Silence) -> Block:
    value = actions.OnSilence(silence=silence.id).model_dump_json()
    end = button("End", actions.END_SILENCE, value=value)
    return section(silence_line(silence)) | {"accessory": end}


def _more(count: int, verb: str) -> list[Block]:
    return [context(f"… and {count} more: `{COMMAND} {verb}`")] if count > 0 else []
