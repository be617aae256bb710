"""The life of an incident: opened, looked at again with each new fact, resolved, reopened."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.case import Case
from bot.core.clues import feed_views, fitting_notices, verdict
from bot.core.incident import (
    Entry,
    EntryKind,
    Incident,
    IncidentState,
    Kind,
    reopened,
)
from bot.core.model import Cause, Notice, Scope, Severity, SignalState, Verdict
from bot.core.outbox import Edit, Post, Reply
from bot.core.stimulus import Effect, IncidentChanged, Send, VerdictChanged
from bot.core.trouble import is_down, signals_agreeing, troubles_of

if TYPE_CHECKING:
    from bot.core.rules import Rules
    from bot.core.stimulus import World
    from bot.core.tenant_state import TenantState

REFRESH_S = 60.0
"""Figures alone are brought up to date this often; anything else at once."""
TOLD_CONFIDENCE = 0.1
OURS = frozenset({Cause.PROBE, Cause.NETWORK})
"""Causes of ours: users elsewhere may be fine, so it is a warning."""


def is_troubled(world: World, tenant: str) -> bool:
    """Tell whether a tenant belongs into an incident."""
    state = world.tenants[tenant]
    return state.blind_since is not None or is_failing(state)


def is_failing(state: TenantState) -> bool:
    """Tell whether a probe, a measured signal or an outside monitor fires."""
    states = (
        [signal.state for signal in state.signals.values()]
        + [series.state for series in state.series.values()]
        + [monitor.state for monitor in state.monitors.values()]
    )
    return SignalState.FIRING in states


def kind_of(case: Case) -> Kind:
    """Tell what an incident of these tenants would be about."""
    fails = any(is_failing(case.world.tenants[name]) for name in case.tenants)
    return Kind.FAILING if fails else Kind.BLIND


def opened(number: int, case: Case, rules: Rules) -> tuple[Incident, tuple[Effect, ...]]:
    """Open an incident for the tenants of a case."""
    judged = verdict(case)
    troubles = troubles_of((), case)
    severity = _severity(judged, case)
    agrees = signals_agreeing(case) > 1 or bool(fitting_notices(case))
    is_grave = severity is Severity.CRITICAL and bool(rules.mention)
    wait_s = max((rules.mention_after_s.get(name, 0.0) for name in case.tenants), default=0.0)
    incident = Incident(
        id=number,
        kind=kind_of(case),
        severity=severity,
        tenants=case.tenants,
        since=case.since,
        opened_at=case.now,
        verdict=judged,
        troubles=troubles,
        notices=fitting_notices(case),
        with_mention=is_grave and agrees,
        is_mentioned=is_grave and agrees,
        mention_at=None if not is_grave or agrees else case.since + wait_s,
        shown_at=case.now,
    )
    return incident, (
        IncidentChanged(incident),
        VerdictChanged(number, judged),
        Send(f"{number}:post:1", lane(number), Post(number)),
    )


def told_gap(number: int, tenants: tuple[str, ...], now: float, gap_s: float) -> Incident:
    """Return an incident that is over: we could not look for a while."""
    return Incident(
        id=number,
        kind=Kind.GAP,
        severity=Severity.INFO,
        tenants=tenants,
        since=now - gap_s,
        opened_at=now,
        verdict=Verdict(Cause.NETWORK, Scope.UNKNOWN, 1.0),
        state=IncidentState.RESOLVED,
        resolved_at=now,
    )


def reviewed(incident: Incident, case: Case, rules: Rules) -> tuple[Incident, list[Effect]]:
    """Look at an open incident again: resolve it, or bring its verdict and figures up to date."""
    if not any(is_troubled(case.world, name) for name in incident.tenants):
        return _resolved(incident, case)
    judged = incident.verdict if _is_unseen(incident, case) else verdict(case)
    if _is_new_cause(incident.verdict, judged) and not _has_new_rows(incident.verdict, judged):
        judged = incident.verdict
    after = replace(
        incident,
        verdict=judged,
        severity=_severity(judged, case, incident),
        troubles=troubles_of(incident.troubles, case),
        notices=_notices(incident.notices, case),
    )
    if after.severity is Severity.CRITICAL and incident.severity is not Severity.CRITICAL:
        after = _mention_due(after, case.now, rules)
    return _told(incident, after, case.now)


def _is_unseen(incident: Incident, case: Case) -> bool:
    """Tell whether nothing new can be known: we are blind, or are just getting over it."""
    tenants = [case.world.tenants[name] for name in incident.tenants]
    return incident.kind is Kind.BLIND or any(tenant.blind_since for tenant in tenants)


def _mention_due(incident: Incident, now: float, rules: Rules) -> Incident:
    """An incident that became grave mentions people as one that was grave from the start."""
    if not rules.mention or incident.is_mentioned:
        return incident
    wait_s = max(rules.mention_after_s.get(name, 0.0) for name in incident.tenants)
    return replace(incident, mention_at=max(now, incident.since + wait_s))


def joined(
    incident: Incident, tenant: str, case: Case, rules: Rules
) -> tuple[Incident, list[Effect]]:
    """Take one more tenant into an incident; the case is that of all tenants together."""
    after, effects = reviewed(replace(incident, tenants=case.tenants), case, rules)
    trouble = next((t for t in after.troubles if t.tenant == tenant), None)
    after, told = reply(after, Entry(case.now, EntryKind.JOINED, trouble=trouble))
    return after, [IncidentChanged(after), *effects, told]


def back(incident: Incident, case: Case, rules: Rules) -> tuple[Incident, list[Effect]]:
    """Open an incident again that ended a moment ago."""
    tenants = tuple(dict.fromkeys((*incident.tenants, *case.tenants)))
    again = replace(reopened(incident), tenants=tenants)
    again, told = reply(again, Entry(case.now, EntryKind.REOPENED))
    after, effects = reviewed(again, replace(case, tenants=tenants, since=again.since), rules)
    is_shown = any(isinstance(e, Send) and isinstance(e.body, Edit) for e in effects)
    if not is_shown:
        after, shown = edit(after, case.now)
        effects.append(shown)
    return after, [IncidentChanged(after), told, *effects]


def without_strangers(
    incident: Incident, now: float, rules: Rules
) -> tuple[Incident, list[Effect]]:
    """Take tenants out that are no longer configured; without any tenant it is over."""
    known = tuple(name for name in incident.tenants if name in rules.tenants)
    if known or not incident.is_open:
        return replace(incident, tenants=known), []
    return ended(replace(incident, notices=()), now)


def mentioned(incident: Incident, now: float) -> tuple[Incident, list[Effect]]:
    """Mention people in the thread, where nothing is known yet to spare them."""
    incident = replace(incident, mention_at=None, is_mentioned=True)
    after, told = reply(incident, Entry(now, EntryKind.MENTION))
    return after, [told]


def reply(incident: Incident, entry: Entry) -> tuple[Incident, Send]:
    """Add a line to an incident's timeline."""
    after = replace(incident, replies=incident.replies + 1)
    key = f"{incident.id}:reply:{after.replies}"
    return after, Send(key, lane(incident.id), Reply(incident.id, entry))


def lane(number: int) -> str:
    """Return the lane of the outbox in which an incident's lines keep their order."""
    return f"incident:{number}"


def _resolved(incident: Incident, case: Case) -> tuple[Incident, list[Effect]]:
    return ended(replace(incident, notices=_notices(incident.notices, case)), case.now)


def ended(incident: Incident, now: float) -> tuple[Incident, list[Effect]]:
    """Resolve an incident."""
    over = tuple(replace(trouble, is_over=True) for trouble in incident.troubles)
    after = replace(
        incident,
        state=IncidentState.RESOLVED,
        resolved_at=now,
        troubles=over,
        mention_at=None,
    )
    after, shown = edit(after, now)
    after, told = reply(after, Entry(now, EntryKind.RESOLVED))
    return after, [IncidentChanged(after), shown, told]


def _told(before: Incident, after: Incident, now: float) -> tuple[Incident, list[Effect]]:
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
        after, shown = edit(after, now)
        effects.append(shown)
    return after, effects


def edit(incident: Incident, now: float) -> tuple[Incident, Send]:
    """Bring an incident's message up to date."""
    after = replace(incident, edits=incident.edits + 1, shown_at=now)
    return after, Send(f"{incident.id}:edit:{after.edits}", lane(incident.id), Edit(incident.id))


def _entries(before: Incident, after: Incident, now: float) -> list[Entry]:
    entries = []
    if _is_new_cause(before.verdict, after.verdict):
        entries.append(Entry(now, EntryKind.VERDICT, verdict=after.verdict))
    if after.severity.rank < before.severity.rank:
        entries.append(Entry(now, EntryKind.GRAVER, severity=after.severity))
    known = {(notice.id, notice.phase) for notice in before.notices}
    news = [notice for notice in after.notices if (notice.id, notice.phase) not in known]
    entries += [Entry(now, EntryKind.NOTICE, notice=notice) for notice in news]
    well = {
        t.tenant: t for t in after.troubles if t.tenant in _suffering(before) - _suffering(after)
    }
    return entries + [Entry(now, EntryKind.RECOVERED, trouble=t) for t in well.values()]


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


def _is_new_cause(before: Verdict, after: Verdict) -> bool:
    return (before.cause, before.scope) != (after.cause, after.scope)


def _has_new_rows(before: Verdict, after: Verdict) -> bool:
    """A verdict changes for a new fact only: not because a figure moved, or a fact went away."""
    old, new = ({f.row for f in (*v.because, *v.against)} for v in (before, after))
    return bool(new - old)


def _is_told(before: Verdict, after: Verdict) -> bool:
    moved = abs(before.confidence - after.confidence) >= TOLD_CONFIDENCE
    return moved or _is_new_cause(before, after)


def _severity(judged: Verdict, case: Case, before: Incident | None = None) -> Severity:
    """Return how bad it is; within one cause it never gets milder."""
    if judged.cause in OURS:
        return Severity.WARNING
    was_critical = before is not None and before.severity is Severity.CRITICAL
    if was_critical or any(is_down(case, name) for name in case.tenants):
        return Severity.CRITICAL
    return Severity.WARNING


def _notices(before: tuple[Notice, ...], case: Case) -> tuple[Notice, ...]:
    """Return the posts that fit now, and those that fitted before, as they read now."""
    current = {notice.id: notice for view in feed_views(case) for notice in view.notices}
    followed = [current.get(notice.id, notice) for notice in before]
    known = {notice.id for notice in before}
    return (*(n for n in fitting_notices(case) if n.id not in known), *followed)
