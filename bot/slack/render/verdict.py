"""Why an incident has its verdict: every fact with its time, and who knew first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Cause, Evidence
from bot.core.state.incident import MESSAGE, MONITOR, PROBE, STATUS_INCIDENT
from bot.slack.render.text import CAUSES, SCOPES, duration, escape, time_of_day

if TYPE_CHECKING:
    from bot.core.model.observation import Verdict
    from bot.core.state.incident import Incident

DETECTION_SOURCES = {
    PROBE: "our probes",
    MetricKind.METRICS.value: "applications' metrics",
    MetricKind.ERRORS.value: "error tracker",
    MetricKind.LOGS.value: "tenant log",
    MONITOR: "outside monitor",
    STATUS_INCIDENT: "status page",
    MESSAGE: "our message",
}


def explain_verdict(incident: Incident) -> list[str]:
    """Return paragraphs: the verdict, the facts for and against, how it went, who knew first."""
    verdict = incident.verdict
    paragraphs = [
        f"*Why #{incident.id}: {cause_name(verdict)}*",
        _evidence_text("For", verdict.evidence_for, incident),
        _evidence_text("Against", verdict.evidence_against, incident),
        f"Would settle it: {verdict.settled_by}" if verdict.settled_by else "",
        _verdict_history(incident),
        time_to_detect_text(incident),
    ]
    return [paragraph for paragraph in paragraphs if paragraph]


def cause_name(verdict: Verdict) -> str:
    """Say a cause in words, with how sure that is and how far it reaches."""
    return CAUSES[verdict.cause].split(":")[0] + confidence_text(verdict)


def confidence_text(verdict: Verdict) -> str:
    """Say how sure a verdict is and how far it reaches; nothing of one that is unclear."""
    if verdict.cause is Cause.UNCLEAR:
        return ""
    return f" ({min(99, round(verdict.confidence * 100))} %, {SCOPES[verdict.scope]})"


def _evidence_text(title: str, facts: tuple[Evidence, ...], incident: Incident) -> str:
    lines = [
        f"• {time_of_day(incident.evidence_since.get(fact.rule_id, incident.opened_at))} "
        f"{escape(fact.text)} (`{fact.rule_id}` {fact.weight:+.1f})"
        for fact in facts
    ]
    return "\n".join([f"*{title}*", *lines]) if lines else ""


def _verdict_history(incident: Incident) -> str:
    if len(incident.verdict_history) < 2:  # noqa: PLR2004 - one verdict is no history
        return ""
    lines = [
        f"• {time_of_day(judged.at)} {cause_name(judged.verdict)}"
        + (
            f", for {', '.join(f'`{row}`' for row in judged.new_rule_ids[:5])}"
            if judged.new_rule_ids
            else ""
        )
        for judged in incident.verdict_history
    ]
    return "\n".join(["*The verdict over time*", *lines])


def time_to_detect_text(incident: Incident) -> str:
    """Say when each source first knew, and how far we were ahead of the status page."""
    knew = sorted(incident.detected_at.items(), key=lambda each: each[1])
    if not knew:
        return ""
    said = " · ".join(f"{DETECTION_SOURCES[source]} {time_of_day(at)}" for source, at in knew)
    told, posted = incident.detected_at.get(MESSAGE), incident.detected_at.get(STATUS_INCIDENT)
    if told is not None and posted is not None and posted > told:
        said += f". We knew {duration(posted - told)} before the status page"
    return f"First known: {said}"
