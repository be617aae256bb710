"""Why an incident has its verdict: every fact with its time, and who knew first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.measurement import Kind
from bot.core.model.observation import Cause, Fact
from bot.core.state.incident import MESSAGE, MONITOR, NOTICE, PROBE
from bot.slack.render.text import CAUSES, SCOPES, escaped, span, time_of_day

if TYPE_CHECKING:
    from bot.core.model.observation import Verdict
    from bot.core.state.incident import Incident

SOURCES = {
    PROBE: "our probes",
    Kind.METRICS.value: "applications' metrics",
    Kind.ERRORS.value: "error tracker",
    Kind.LOGS.value: "tenant log",
    MONITOR: "outside monitor",
    NOTICE: "status page",
    MESSAGE: "our message",
}


def why_text(incident: Incident) -> list[str]:
    """Return paragraphs: the verdict, the facts for and against, how it went, who knew first."""
    verdict = incident.verdict
    paragraphs = [
        f"*Why #{incident.id}: {cause_name(verdict)}*",
        _facts("For", verdict.because, incident),
        _facts("Against", verdict.against, incident),
        f"Would settle it: {verdict.settle}" if verdict.settle else "",
        _history(incident),
        lead_text(incident),
    ]
    return [paragraph for paragraph in paragraphs if paragraph]


def cause_name(verdict: Verdict) -> str:
    """Say a cause in words, with how sure that is and how far it reaches."""
    return CAUSES[verdict.cause].split(":")[0] + sureness(verdict)


def sureness(verdict: Verdict) -> str:
    """Say how sure a verdict is and how far it reaches; nothing of one that is unclear."""
    if verdict.cause is Cause.UNCLEAR:
        return ""
    return f" ({min(99, round(verdict.confidence * 100))} %, {SCOPES[verdict.scope]})"


def _facts(title: str, facts: tuple[Fact, ...], incident: Incident) -> str:
    lines = [
        f"• {time_of_day(incident.facts_since.get(fact.row, incident.opened_at))} "
        f"{escaped(fact.text)} (`{fact.row}` {fact.weight:+.1f})"
        for fact in facts
    ]
    return "\n".join([f"*{title}*", *lines]) if lines else ""


def _history(incident: Incident) -> str:
    if len(incident.history) < 2:  # noqa: PLR2004 - one verdict is no history
        return ""
    lines = [
        f"• {time_of_day(judged.at)} {cause_name(judged.verdict)}"
        + (f", for {', '.join(f'`{row}`' for row in judged.news[:5])}" if judged.news else "")
        for judged in incident.history
    ]
    return "\n".join(["*The verdict over time*", *lines])


def lead_text(incident: Incident) -> str:
    """Say when each source first knew, and how far we were ahead of the status page."""
    knew = sorted(incident.knew.items(), key=lambda each: each[1])
    if not knew:
        return ""
    said = " · ".join(f"{SOURCES[source]} {time_of_day(at)}" for source, at in knew)
    told, posted = incident.knew.get(MESSAGE), incident.knew.get(NOTICE)
    if told is not None and posted is not None and posted > told:
        said += f". We knew {span(posted - told)} before the status page"
    return f"First known: {said}"
