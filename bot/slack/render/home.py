"""The Home tab: all that is known now, the worst first, with buttons to act on it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.slack import actions
from bot.slack.render.buttons import button, incident_buttons
from bot.slack.render.command_results import refusal_text
from bot.slack.render.incident_line import incident_line
from bot.slack.render.oncall import render_on_call
from bot.slack.render.silences import silence_line
from bot.slack.render.status import render_health, tenant_light, tenant_line, tenants_by_light
from bot.slack.render.text import COMMAND, Block, context, date_and_time, join_lines, section

if TYPE_CHECKING:
    from collections.abc import Hashable

    from bot.core.model.access import NotAllowed
    from bot.ports import View

MAX_INCIDENTS, MAX_TENANTS, MAX_SILENCES = 10, 100, 10
"""Most that are shown. Slack takes 100 blocks and 250 kB (views.publish, read 2026-11)."""


def render_home_tab(view: View, status_link: str) -> Block:
    """Render the tab."""
    found = sorted(view.desk.open_incidents, key=lambda one: (one.severity.rank, -one.id))
    incidents = [
        block
        for one in found[:MAX_INCIDENTS]
        for block in (section(incident_line(one, view)), incident_buttons(one, view, status_link))
    ]
    active = view.desk.active_silences
    silences = []
    for silence in active[:MAX_SILENCES]:
        value = actions.SilenceValue(silence=silence.id).model_dump_json()
        end = button("End", actions.END_SILENCE, value=value)
        silences.append(section(silence_line(silence)) | {"accessory": end})
    count = len(found)
    head = f"{count} open incident{'s' if count > 1 else ''}" if count else "No open incident"
    names = tenants_by_light(view)
    lines = [tenant_line(name, view) for name in names[:MAX_TENANTS]]
    blocks = [
        section(f"*{head}*") | {"accessory": button("Refresh", actions.REFRESH)},
        *incidents,
        *_more(len(found) - MAX_INCIDENTS, "alerts open"),
        {"type": "divider"},
        *map(section, join_lines(lines)),
        *_more(len(names) - MAX_TENANTS, "status"),
        *silences,
        *_more(len(active) - MAX_SILENCES, "silences"),
        {"type": "divider"},
        *render_on_call(view).blocks,
        {"type": "divider"},
        *render_health(view).blocks,
        context(f"As of {date_and_time(view.now)}. All that can be asked: `{COMMAND} help`"),
    ]
    return {"type": "home", "blocks": blocks}


def render_refused_home_tab(refusal: NotAllowed) -> Block:
    """Render the tab of somebody who may see nothing."""
    return {"type": "home", "blocks": [section(refusal_text(refusal))]}


def home_tab_fingerprint(view: View) -> Hashable:
    """Return all that makes publishing the tab again worth it: not ages and latencies."""
    incidents = [
        (one.id, one.state, one.severity, one.tenants, one.notification.is_muted, one.verdict.cause)
        for one in view.desk.open_incidents
    ]
    silences = [(one.id, one.suppressed) for one in view.desk.active_silences]
    lights = [tenant_light(name, view) for name in view.rules.tenants]
    feeds = [(name, feed.state) for name, feed in view.desk.shared.feeds.items()]
    return tuple(incidents), tuple(silences), tuple(lights), tuple(feeds), view.desk.shift


def _more(count: int, verb: str) -> list[Block]:
    return [context(f"… and {count} more: `{COMMAND} {verb}`")] if count > 0 else []
