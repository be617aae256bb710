"""An incident as a direct message, and as a pager message in plain text. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape
from typing import TYPE_CHECKING

from bot.core.state.outbox import PagerMessage
from bot.slack.render.advice import acknowledge_button, advise, runbook_buttons, runbook_url
from bot.slack.render.first_line import first_line, state_of
from bot.slack.render.info import own_fault_text
from bot.slack.render.text import (
    RenderedMessage,
    clean_text,
    clock_utc,
    context,
    duration,
    escape,
    link,
    section,
    strip_markup,
)
from bot.slack.render.timeline import render_timeline_entry
from bot.slack.render.verdict import MISSING_EVIDENCE, evidence_text, name_facts

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.core.state.outbox import Delivery, Paging
    from bot.core.state.timeline import TimelineEntry
    from bot.ports import View


def render_direct_message(
    incident: Incident, view: View, permalink: str, entry: TimelineEntry | None = None
) -> RenderedMessage:
    """Say what fails and what to do, with a button to acknowledge it.

    Of a timeline entry: say what the thread says to the person whom it concerns, and where that is.
    """
    line = escape(first_line(incident, view))
    if entry is not None:
        message = render_timeline_entry(entry, incident, view)
        about = context(f"{link(permalink, f'#{incident.id}')} {line}")
        return replace(message, blocks=[*message.blocks, about])
    lasted = duration((incident.ended_at or view.now) - incident.failing_since)
    where = link(permalink, "The message with all that is known") if permalink else ""
    what_to_do = advise(incident, view)
    lines = [
        f"{state_of(incident, view).mark} *{line}*",
        f"{state_of(incident, view).text}, for {lasted}" if incident.is_open else "",
        f"*Do now:* {what_to_do}" if what_to_do else "",
        where,
    ]
    blocks = [section("\n".join(filter(None, lines)))]
    if incident.is_open:
        elements = [acknowledge_button(incident), *runbook_buttons(incident, view)]
        blocks.append({"type": "actions", "elements": elements})
    return RenderedMessage(f"{line} [#{incident.id}]", blocks)


TITLE_CHARS = 200


def render_pager_message(
    incident: Incident, view: View, delivery: Delivery, page: Paging, link: str
) -> PagerMessage:
    """Render the pager message: a title that says what is wrong, and what is known."""
    title = first_line(incident, view)
    since = f"Incident {incident.id}, since {clock_utc(incident.failing_since)}"
    runbook = runbook_url(incident, view)
    verdict = incident.verdict
    details: dict[str, str | list[str]] = {
        "cause": verdict.cause.value,
        "scope": verdict.scope.value,
        "confidence": f"{verdict.confidence:.0%}",
        "evidence for": [evidence_text(one) for one in verdict.evidence_for],
        "evidence against": [evidence_text(one) for one in verdict.evidence_against],
        "would settle it": MISSING_EVIDENCE[verdict.settled_by],
        "incident": str(incident.id),
        "tenants": list(incident.tenants),
    }
    if call := delivery.call:
        details["reason"] = call.reason.value
        if call.step is not None:
            details["escalation step"] = str(call.step)
    what_to_do = advise(incident, view)
    lines = [
        own_fault_text(incident),
        f"Do now: {what_to_do}" if what_to_do else "",
        f"Why: {name_facts(verdict)}" if incident.own_fault is None else "",
        since,
    ]
    lines += [f"Runbook: {runbook}"] if runbook else []
    return PagerMessage(
        delivery.key,
        incident.id,
        page.number,
        page.action,
        incident.severity,
        incident.tenants or ("auth0-check",),
        details,
        clean_text(title, TITLE_CHARS),
        "\n".join(strip_all_markup(one) for one in lines if one),
        link,
    )


def strip_all_markup(text: str) -> str:
    """Remove all of Slack's mark-up, but no sign of a code such as `type:f*` or invalid_grant."""
    text = strip_markup(text).replace("\u200b", "")
    plain = re.sub(r"`([^`]*)`|\*|(?<!\w)_|_(?!\w)", lambda found: found[1] or "", text)
    return clean_text(unescape(plain), len(plain))
