"""What is said of an incident: its message brought up to date, and lines in its thread."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.state.incident import Incident, IncidentState, TimelineEntry, TimelineKind
from bot.core.state.outbox import BATCHED_KINDS, Edit, PagerAction, Paging, Reply
from bot.core.state.stimulus import Effect, IncidentChanged, Send, VerdictChanged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.observation import Evidence, Verdict

MANY_TENANTS = 5
"""Of more tenants than this, who joins and who recovers is told together."""
GROUP_WAIT_S = 30.0
EDIT_WAIT_S = 5.0
"""In a crowd the message waits so long for more of what changes it; people's acts never wait."""

REFRESH_S = 60.0
"""Figures alone are brought up to date this often; anything else at once."""
MIN_CONFIDENCE_CHANGE = 0.1


def lane(number: int) -> str:
    """Return the lane of the outbox in which an incident's lines keep their order."""
    return f"incident:{number}"


def add_entry(incident: Incident, entry: TimelineEntry) -> tuple[Incident, Send]:
    """Add a line to an incident's timeline."""
    after = replace(incident, replies=incident.replies + 1)
    key = f"{incident.id}:reply:{after.replies}"
    hold_s = GROUP_WAIT_S if _has_many_tenants(incident) and entry.kind in BATCHED_KINDS else 0.0
    return after, Send(key, lane(incident.id), Reply(incident.id, entry), hold_s)


def _has_many_tenants(incident: Incident) -> bool:
    return len(incident.tenants) > MANY_TENANTS


def notify_changes(before: Incident, after: Incident, now: float) -> tuple[Incident, list[Effect]]:
    """Say what changed: the card by an edit, what matters in the thread as well."""
    effects: list[Effect] = []
    if after.severity is not before.severity:
        effects.append(IncidentChanged(after))
    if _is_notable_change(before.verdict, after.verdict):
        effects.append(VerdictChanged(after.id, after.verdict))
    for entry in _new_entries(before, after, now):
        after, told = add_entry(after, entry)
        effects.append(told)
    is_due = now - before.message_updated_at >= REFRESH_S and before.problems != after.problems
    if _visible_state(before) != _visible_state(after) or is_due:
        after, shown = edit_message(after, now, EDIT_WAIT_S if _has_many_tenants(after) else 0.0)
        effects.append(shown)
    return after, effects


def edit_message(incident: Incident, now: float, hold_s: float = 0.0) -> tuple[Incident, Send]:
    """Bring an incident's message up to date."""
    after = replace(incident, edits=incident.edits + 1, message_updated_at=now)
    key = f"{incident.id}:edit:{after.edits}"
    return after, Send(key, lane(incident.id), Edit(incident.id), hold_s)


def _new_entries(before: Incident, after: Incident, now: float) -> list[TimelineEntry]:
    entries = []
    if is_new_cause(before.verdict, after.verdict):
        facts = tuple(_new_evidence(before.verdict, after.verdict))
        entries.append(
            TimelineEntry(now, TimelineKind.VERDICT, verdict=after.verdict, new_evidence=facts)
        )
    if after.severity.rank < before.severity.rank:
        entries.append(TimelineEntry(now, TimelineKind.SEVERITY_RAISED, severity=after.severity))
    known = {(notice.id, notice.phase) for notice in before.status_incidents}
    news = [notice for notice in after.status_incidents if (notice.id, notice.phase) not in known]
    entries += [
        TimelineEntry(now, TimelineKind.STATUS_UPDATE, status_incident=notice) for notice in news
    ]
    recovered = _failing_tenants(before) - _failing_tenants(after)
    well = {t.tenant: t for t in after.problems if t.tenant in recovered}
    if well:
        first = next(iter(well.values()))
        entries.append(
            TimelineEntry(now, TimelineKind.RECOVERED, problem=first, tenants=tuple(well))
        )
    return entries


def _failing_tenants(incident: Incident) -> set[str]:
    return {trouble.tenant for trouble in incident.problems if not trouble.is_over}


def _visible_state(incident: Incident) -> tuple[object, ...]:
    """Return all that is worth an edit at once."""
    return (
        incident.state,
        incident.severity,
        incident.tenants,
        incident.verdict.cause,
        incident.verdict.scope,
        [(notice.id, notice.phase) for notice in incident.status_incidents],
        [(t.tenant, t.signal, t.is_over, t.is_stopped) for t in incident.problems],
    )


def resolve_incident(incident: Incident, now: float) -> tuple[Incident, list[Effect]]:
    """Resolve an incident; what a person left failing is not over."""
    over = tuple(
        replace(
            trouble, is_over=f"{trouble.tenant}.{trouble.signal}" not in incident.sticky_resolve
        )
        for trouble in incident.problems
    )
    after = replace(
        incident,
        state=IncidentState.RESOLVED,
        resolved_at=now,
        problems=over,
    )
    after, shown = edit_message(after, now)
    end = TimelineKind.RESOLVED if after.merged_into is None else TimelineKind.MERGED
    after, told = add_entry(after, TimelineEntry(now, end, by=after.resolved_by))
    pages = [
        page_contact_point(after, way, PagerAction.RESOLVE) for way in after.paged_contact_points
    ]
    return after, [IncidentChanged(after), shown, told, *pages]


def page_contact_point(incident: Incident, way: str, action: PagerAction) -> Send:
    """Tell an incident beyond Slack; each way keeps the order."""
    key = f"{incident.id}:page:{way}:{incident.replies}:{action.value}"
    return Send(key, f"page:{incident.id}:{way}", Paging(incident.id, way, action))


def is_new_cause(before: Verdict, after: Verdict) -> bool:
    """Tell whether another cause is blamed, or it reaches further."""
    return (before.cause, before.scope) != (after.cause, after.scope)


def has_new_evidence(before: Verdict, after: Verdict) -> bool:
    """A verdict changes for a new fact only: not because a figure moved, or a fact went away."""
    return any(True for _ in _new_evidence(before, after))


def _new_evidence(before: Verdict, after: Verdict) -> Iterator[Evidence]:
    known = {fact.rule_id for fact in (*before.evidence_for, *before.evidence_against)}
    return (
        fact for fact in (*after.evidence_for, *after.evidence_against) if fact.rule_id not in known
    )


def _is_notable_change(before: Verdict, after: Verdict) -> bool:
    moved = abs(before.confidence - after.confidence) >= MIN_CONFIDENCE_CHANGE
    return moved or is_new_cause(before, after)
