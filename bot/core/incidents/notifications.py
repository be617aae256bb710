"""What is said of an incident: its message brought up to date, and lines in its thread."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.state.incident import Entry, EntryKind, Incident, IncidentState
from bot.core.state.outbox import GATHERED, Edit, PageAction, Paging, Reply
from bot.core.state.stimulus import Effect, IncidentChanged, Send, VerdictChanged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.model.observation import Fact, Verdict

CROWD = 5
"""Of more tenants than this, who joins and who recovers is told together."""
GATHER_S = 30.0
SETTLE_S = 5.0
"""In a crowd the message waits so long for more of what changes it; people's acts never wait."""

REFRESH_S = 60.0
"""Figures alone are brought up to date this often; anything else at once."""
TOLD_CONFIDENCE = 0.1


def lane(number: int) -> str:
    """Return the lane of the outbox in which an incident's lines keep their order."""
    return f"incident:{number}"


def reply(incident: Incident, entry: Entry) -> tuple[Incident, Send]:
    """Add a line to an incident's timeline."""
    after = replace(incident, replies=incident.replies + 1)
    key = f"{incident.id}:reply:{after.replies}"
    hold_s = GATHER_S if _is_crowd(incident) and entry.kind in GATHERED else 0.0
    return after, Send(key, lane(incident.id), Reply(incident.id, entry), hold_s)


def _is_crowd(incident: Incident) -> bool:
    return len(incident.tenants) > CROWD


def told(before: Incident, after: Incident, now: float) -> tuple[Incident, list[Effect]]:
    """Say what changed: the card by an edit, what matters in the thread as well."""
    effects: list[Effect] = []
    if after.severity is not before.severity:
        effects.append(IncidentChanged(after))
    if _is_told(before.verdict, after.verdict):
        effects.append(VerdictChanged(after.id, after.verdict))
    for entry in _entries(before, after, now):
        after, told = reply(after, entry)
        effects.append(told)
    is_due = now - before.shown_at >= REFRESH_S and before.troubles != after.troubles
    if _face(before) != _face(after) or is_due:
        after, shown = edit(after, now, SETTLE_S if _is_crowd(after) else 0.0)
        effects.append(shown)
    return after, effects


def edit(incident: Incident, now: float, hold_s: float = 0.0) -> tuple[Incident, Send]:
    """Bring an incident's message up to date."""
    after = replace(incident, edits=incident.edits + 1, shown_at=now)
    key = f"{incident.id}:edit:{after.edits}"
    return after, Send(key, lane(incident.id), Edit(incident.id), hold_s)


def _entries(before: Incident, after: Incident, now: float) -> list[Entry]:
    entries = []
    if is_new_cause(before.verdict, after.verdict):
        facts = tuple(_news(before.verdict, after.verdict))
        entries.append(Entry(now, EntryKind.VERDICT, verdict=after.verdict, news=facts))
    if after.severity.rank < before.severity.rank:
        entries.append(Entry(now, EntryKind.GRAVER, severity=after.severity))
    known = {(notice.id, notice.phase) for notice in before.notices}
    news = [notice for notice in after.notices if (notice.id, notice.phase) not in known]
    entries += [Entry(now, EntryKind.NOTICE, notice=notice) for notice in news]
    recovered = _suffering(before) - _suffering(after)
    well = {t.tenant: t for t in after.troubles if t.tenant in recovered}
    if well:
        first = next(iter(well.values()))
        entries.append(Entry(now, EntryKind.RECOVERED, trouble=first, tenants=tuple(well)))
    return entries


def _suffering(incident: Incident) -> set[str]:
    return {trouble.tenant for trouble in incident.troubles if not trouble.is_over}


def _face(incident: Incident) -> tuple[object, ...]:
    """Return all that is worth an edit at once."""
    return (
        incident.state,
        incident.severity,
        incident.tenants,
        incident.verdict.cause,
        incident.verdict.scope,
        [(notice.id, notice.phase) for notice in incident.notices],
        [(t.tenant, t.signal, t.is_over, t.is_stopped) for t in incident.troubles],
    )


def ended(incident: Incident, now: float) -> tuple[Incident, list[Effect]]:
    """Resolve an incident; what a person left failing is not over."""
    over = tuple(
        replace(trouble, is_over=f"{trouble.tenant}.{trouble.signal}" not in incident.left)
        for trouble in incident.troubles
    )
    after = replace(
        incident,
        state=IncidentState.RESOLVED,
        resolved_at=now,
        troubles=over,
    )
    after, shown = edit(after, now)
    end = EntryKind.RESOLVED if after.merged_into is None else EntryKind.MERGED
    after, told = reply(after, Entry(now, end, by=after.resolved_by))
    pages = [page(after, way, PageAction.RESOLVE) for way in after.paged]
    return after, [IncidentChanged(after), shown, told, *pages]


def page(incident: Incident, way: str, action: PageAction) -> Send:
    """Tell an incident beyond Slack; each way keeps the order."""
    key = f"{incident.id}:page:{way}:{incident.replies}:{action.value}"
    return Send(key, f"page:{incident.id}:{way}", Paging(incident.id, way, action))


def is_new_cause(before: Verdict, after: Verdict) -> bool:
    """Tell whether another cause is blamed, or it reaches further."""
    return (before.cause, before.scope) != (after.cause, after.scope)


def has_new_rows(before: Verdict, after: Verdict) -> bool:
    """A verdict changes for a new fact only: not because a figure moved, or a fact went away."""
    return any(True for _ in _news(before, after))


def _news(before: Verdict, after: Verdict) -> Iterator[Fact]:
    known = {fact.row for fact in (*before.because, *before.against)}
    return (fact for fact in (*after.because, *after.against) if fact.row not in known)


def _is_told(before: Verdict, after: Verdict) -> bool:
    moved = abs(before.confidence - after.confidence) >= TOLD_CONFIDENCE
    return moved or is_new_cause(before, after)
