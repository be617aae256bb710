"""Why an incident has its verdict: all evidence with its time, and who detected it first. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Cause, Evidence
from bot.core.state.incident import MESSAGE, MONITOR, PROBE, STATUS_INCIDENT
from bot.slack.render.evidence import MISSING_EVIDENCE, evidence_text
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
    """Return paragraphs: the verdict, its evidence and its history, who detected it first."""
    verdict = incident.verdict
    paragraphs = [
        f"*Why #{incident.id}: {cause_name(verdict)}*",
        _evidence_text("For", verdict.evidence_for, incident),
        _evidence_text("Against", verdict.evidence_against, incident),
        f"Would settle it: {MISSING_EVIDENCE[verdict.settled_by]}" if verdict.settled_by else "",
        _verdict_history(incident),
        time_to_detect_text(incident),
    ]
    return [paragraph for paragraph in paragraphs if paragraph]


def cause_name(verdict: Verdict) -> str:
    """Name the cause of a verdict, with its confidence and scope."""
    return CAUSES[verdict.cause].split(":")[0] + confidence_text(verdict)


def confidence_text(verdict: Verdict) -> str:
    """Return the confidence and scope of a verdict; empty if the cause is unclear."""
    if verdict.cause is Cause.UNCLEAR:
        return ""
    return f" ({min(99, round(verdict.confidence * 100))} %, {SCOPES[verdict.scope]})"


def _evidence_text(title: str, evidence: tuple[Evidence, ...], incident: Incident) -> str:
    since, opened_at = incident.history.evidence_since, incident.life.opened_at
    lines = [
        f"• {time_of_day(since.get(one.rule_id, opened_at))} "
        f"{escape(evidence_text(one))} (`{one.rule_id}` {one.weight:+.1f})"
        for one in evidence
    ]
    return "\n".join([f"*{title}*", *lines]) if lines else ""


def _verdict_history(incident: Incident) -> str:
    if len(incident.history.verdicts) < 2:  # noqa: PLR2004 - one verdict is no history
        return ""
    lines = ["*The verdict over time*"]
    for change in incident.history.verdicts:
        rules = ", ".join(f"`{rule_id}`" for rule_id in change.new_rule_ids[:5])
        because = f", for {rules}" if rules else ""
        lines.append(f"• {time_of_day(change.at)} {cause_name(change.verdict)}{because}")
    return "\n".join(lines)


def time_to_detect_text(incident: Incident) -> str:
    """Say when each source first detected the incident, and our lead over the status page."""
    detected_at = incident.history.detected_at
    if not detected_at:
        return ""
    text = "First known: " + " · ".join(
        f"{DETECTION_SOURCES[source]} {time_of_day(at)}"
        for source, at in sorted(detected_at.items(), key=lambda item: item[1])
    )
    notified_at, posted_at = detected_at.get(MESSAGE), detected_at.get(STATUS_INCIDENT)
    if notified_at is not None and posted_at is not None and posted_at > notified_at:
        text += f". We knew {duration(posted_at - notified_at)} before the status page"
    return text
