"""What is sent about an incident: updates of its message, and entries of its timeline."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.incidents.verdict_changes import is_new_cause, new_evidence
from bot.core.state.incident import Incident, Resolution
from bot.core.state.outbox import (
    Call,
    CrossPost,
    DirectEdit,
    Edit,
    PagerAction,
    Paging,
    Post,
    Reply,
)
from bot.core.state.problem import ProbeProblem
from bot.core.state.stimulus import DeskEffect, IncidentChanged, Send, VerdictChanged
from bot.core.state.timeline import (
    BatchedEntry,
    JoinedEntry,
    MergedEntry,
    RecoveredEntry,
    ResolvedEntry,
    SeverityRaisedEntry,
    StatusUpdateEntry,
    TimelineEntry,
    VerdictEntry,
)

if TYPE_CHECKING:
    from bot.core.state.rules import Rules

MANY_TENANTS = 5
"""With more tenants than this, those that join and those that recover are batched."""
GROUP_WAIT_S = 30.0
EDIT_WAIT_S = 5.0
"""With many tenants the message waits so long for further changes; commands never wait."""
REFRESH_S = 60.0
"""Numbers and times alone are updated this often; anything else at once."""
STEADY_AFTER_S, STEADY_REFRESH_S = 600.0, 300.0
"""After so long, times alone are updated less often."""
MIN_CONFIDENCE_CHANGE = 0.1


def lane(number: int) -> str:
    """Return the outbox lane that keeps an incident's messages in order."""
    return f"incident:{number}"


def post_message(incident: Incident, call: Call | None = None) -> Send:
    """Post an incident's message; its first one may be a call."""
    key = f"{incident.id}:post:{incident.message.posts}"
    body = Post(incident.id, incident.message.channel)
    return Send(key, lane(incident.id), body, call=call)


def cross_post(incident: Incident, rules: Rules) -> tuple[Incident, list[DeskEffect]]:
    """Post a link into each further channel that an incident has come to concern."""
    known = incident.message.channels
    concerned = rules.channels.concerned(incident.tenants, (incident.severity,))
    new = tuple(channel for channel in concerned if channel not in known)
    if not new:
        return incident, []
    message = replace(incident.message, cross_posts=(*incident.message.cross_posts, *new))
    key, name = f"{incident.id}:cross-post", lane(incident.id)
    return replace(incident, message=message), [
        Send(f"{key}:{number}", name, CrossPost(incident.id, channel))
        for number, channel in enumerate(new, start=len(known))
    ]


def add_entry(
    incident: Incident, entry: TimelineEntry, call: Call | None = None
) -> tuple[Incident, Send]:
    """Add an entry to an incident's timeline; it may be a call."""
    message = replace(incident.message, replies=incident.message.replies + 1)
    after = replace(incident, message=message)
    key = f"{incident.id}:reply:{message.replies}"
    hold_s = (
        GROUP_WAIT_S if _has_many_tenants(incident) and isinstance(entry, BatchedEntry) else 0.0
    )
    return after, Send(key, lane(incident.id), Reply(incident.id, entry), hold_s, call)


def _has_many_tenants(incident: Incident) -> bool:
    return len(incident.tenants) > MANY_TENANTS


def notify_changes(
    before: Incident, after: Incident, now: float
) -> tuple[Incident, list[DeskEffect]]:
    """Notify of what changed: all of it by an edit, what matters in the thread as well."""
    effects: list[DeskEffect] = []
    if after.severity is not before.severity:
        effects.append(IncidentChanged(after))
    moved = abs(before.verdict.confidence - after.verdict.confidence)
    if moved >= MIN_CONFIDENCE_CHANGE or is_new_cause(before.verdict, after.verdict):
        effects.append(VerdictChanged(after.id, after.verdict))
    for entry in _new_entries(before, after, now):
        after, reply = add_entry(after, entry)
        effects.append(reply)
    is_moving = before.problems != after.problems or now - after.since < STEADY_AFTER_S
    wait_s = REFRESH_S if is_moving else STEADY_REFRESH_S
    is_due = after.is_open and now - before.message.updated_at >= wait_s
    if _visible_state(before) != _visible_state(after) or is_due:
        after, edit = edit_message(after, now, EDIT_WAIT_S if _has_many_tenants(after) else 0.0)
        effects.append(edit)
    return after, effects


def edit_message(incident: Incident, now: float, hold_s: float = 0.0) -> tuple[Incident, Send]:
    """Update an incident's message."""
    message = replace(incident.message, edits=incident.message.edits + 1, updated_at=now)
    after = replace(incident, message=message)
    key = f"{incident.id}:edit:{message.edits}"
    return after, Send(key, lane(incident.id), Edit(incident.id), hold_s)


def edit_direct_messages(incident: Incident) -> list[Send]:
    """Update the messages to single people."""
    count = incident.message.edits
    return [
        Send(
            f"{incident.id}:direct-edit:{message.ts}:{count}",
            f"direct:{incident.id}:{message.ts}",
            DirectEdit(incident.id, message),
        )
        for message in incident.notification.direct_messages
    ]


def _new_entries(before: Incident, after: Incident, now: float) -> list[TimelineEntry]:
    entries: list[TimelineEntry] = []
    verdict = after.verdict
    if is_new_cause(before.verdict, verdict):
        entries.append(VerdictEntry(now, verdict, new_evidence(before.verdict, verdict)))
    if after.severity.rank < before.severity.rank:
        entries.append(SeverityRaisedEntry(now, after.severity))
    known = {(update.id, update.phase) for update in before.status_incidents}
    entries += [
        StatusUpdateEntry(now, update)
        for update in after.status_incidents
        if (update.id, update.phase) not in known
    ]
    names = _failing_tenants(before) - _failing_tenants(after)
    recovered = dict.fromkeys(p.tenant for p in after.problems if p.tenant in names)
    if recovered:
        entries.append(RecoveredEntry(now, tuple(recovered)))
    # What an incident begins with, or begins again with, the thread says in another line.
    if before.problems and before.life.reopened_at != now:
        names = _failing_tenants(after) - _failing_tenants(before)
        joined = dict.fromkeys(p.tenant for p in after.problems if p.tenant in names)
        entries += [JoinedEntry(now, tuple(joined))] if joined else []
    return entries


def _failing_tenants(incident: Incident) -> set[str]:
    return {problem.tenant for problem in incident.problems if not problem.is_over}


def _visible_state(incident: Incident) -> tuple[object, ...]:
    """Return all that is worth an edit at once."""
    return (
        incident.state,
        incident.severity,
        incident.tenants,
        incident.verdict.cause,
        incident.verdict.scope,
        [(update.id, update.phase) for update in incident.status_incidents],
        [
            (p.target, p.is_over, isinstance(p, ProbeProblem) and p.is_stopped)
            for p in incident.problems
        ],
    )


def resolve_incident(
    incident: Incident, resolution: Resolution
) -> tuple[Incident, list[DeskEffect]]:
    """Resolve an incident; what still failed when a person resolved it is not over."""
    now, still_failing = resolution.at, resolution.still_failing
    problems = tuple(replace(p, is_over=p.target not in still_failing) for p in incident.problems)
    life = replace(incident.life, resolved=resolution)
    after, edit = edit_message(replace(incident, life=life, problems=problems), now)
    is_merged = resolution.merged_into is not None
    entry = MergedEntry(now) if is_merged else ResolvedEntry(now, resolution.by)
    after, reply = add_entry(after, entry)
    pages = update_pages(after, PagerAction.RESOLVE)
    return after, [IncidentChanged(after), edit, reply, *pages]


def update_pages(incident: Incident, action: PagerAction) -> list[Send]:
    """Send what changed to every contact point that was paged."""
    return [page_contact_point(incident, name, action) for name in incident.notification.paged_at]


def page_contact_point(
    incident: Incident, contact_point: str, action: PagerAction, call: Call | None = None
) -> Send:
    """Send a page beyond Slack; each contact point gets its pages in order."""
    count = f"{incident.message.replies}.{incident.notification.calls}"
    key = f"{incident.id}:page:{contact_point}:{count}:{action.value}"
    body = Paging(incident.id, contact_point, action, count_pages(incident, contact_point))
    return Send(key, f"page:{incident.id}:{contact_point}", body, call=call)


def count_pages(incident: Incident, contact_point: str) -> int:
    """Return how often a contact point was paged; an older version did not count."""
    was_paged = contact_point in incident.notification.paged_at
    return incident.notification.pages.get(contact_point, int(was_paged))
