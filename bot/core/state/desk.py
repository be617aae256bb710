"""What people handle: incidents, silences, shifts, and the checks that they wait for."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import chain, takewhile
from typing import TYPE_CHECKING
from zlib import crc32

from bot.core.model.access import KNOWN_FOR_S, AuditEntry, CommandOutcome, Right
from bot.core.model.command import Request, RunCheck
from bot.core.model.measurement import Measurement
from bot.core.model.observation import Observation, Target
from bot.core.model.record import replace
from bot.core.model.wall_clock import WEEK_S
from bot.core.oncall import OnCallSource, Override, Shift, Shifts
from bot.core.state.incident import Incident, IncidentKind
from bot.core.state.outbox import Answer
from bot.core.state.rules import Rules
from bot.core.state.silence import Silence
from bot.core.state.stimulus import DeskEffect
from bot.core.state.tenant import SILENT_STATES, HasData, SharedSignals, Tenants, TenantState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bot.core.state.stimulus import CheckStarted

CHECK_LIMIT_S = 15.0
"""A check is answered with the results so far after this: one request may take 10 s."""


@dataclass(frozen=True, slots=True)
class OnDemandCheck:
    """Fresh probes that a person waits for."""

    request: Request
    until: float
    tenants: tuple[str, ...]
    """The tenants that are checked."""
    started: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    skipped: tuple[Target, ...] = ()
    observations: tuple[Observation, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    signal: str = ""
    """The only signal to check; empty: all."""

    @property
    def unanswered(self) -> tuple[Target, ...]:
        """The targets without a result yet."""
        results: tuple[Observation | Measurement, ...] = (*self.observations, *self.measurements)
        answered = {result.target for result in results}
        return tuple(target for target in self.targets if target not in answered)

    def with_news(self, news: CheckStarted | Observation | Measurement) -> OnDemandCheck:
        """Return it with the started probes of one tenant, or with one more result."""
        if isinstance(news, Measurement):
            return replace(self, measurements=(*self.measurements, news))
        if isinstance(news, Observation):
            return replace(self, observations=(*self.observations, news))
        return replace(
            self,
            started=(*self.started, news.tenant),
            targets=(*self.targets, *news.targets),
            skipped=(*self.skipped, *news.skipped),
        )

    def to_answer(self) -> Answer:
        """Return the answer with the results so far."""
        return Answer(
            self.request,
            is_first=False,
            observations=self.observations,
            measurements=self.measurements,
            skipped=self.skipped,
            unanswered=self.unanswered,
        )

    @property
    def is_complete(self) -> bool:
        """Whether all tenants have started and all results are there."""
        return set(self.started) == set(self.tenants) and not self.unanswered


def start_check(
    request: Request, command: RunCheck, now: float, rules: Rules
) -> OnDemandCheck | None:
    """Return a check; None: what it names is no longer configured."""
    tenants = resolve_check_scope(command, rules)
    if not tenants:
        return None
    controls = () if command.signal else rules.controls
    return OnDemandCheck(
        request, now + CHECK_LIMIT_S, tenants, targets=controls, signal=command.signal
    )


def resolve_check_scope(command: RunCheck, rules: Rules) -> tuple[str, ...]:
    """Return the tenants to check; none if what it names is not configured."""
    signal = command.signal.lower()
    return tuple(
        name
        for name, tenant in rules.tenants.items()
        if command.tenant in {"", name}
        and (not signal or signal in {each.lower() for each in tenant.all_signals})
    )


INCIDENT_RETENTION_S = WEEK_S
"""How long a resolved incident stays in the state."""


AUDIT_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the last call did not reach somebody."""

    at: float
    error: str
    """A code, or the words of a contact point's service."""


DUE_FIELDS = frozenset({"controls_due", "feeds_due", "calendar_due"})
"""A start makes all of it due."""


@dataclass(frozen=True)
class DeskState:
    """The state that is shared by all tenants."""

    incidents: dict[int, Incident] = field(default_factory=dict)
    next_id: int = 1
    shared: SharedSignals = field(default_factory=SharedSignals)
    controls_due: dict[str, float] = field(default_factory=dict)
    """When each control endpoint is probed next, by its name."""
    feeds_due: dict[str, float] = field(default_factory=dict)
    """When each status feed is polled next, by its name."""
    calendar_due: float | None = None
    corroborated_at: float = float("-1e9")
    """When the control endpoints were last probed out of turn."""
    evaluated_at: float = float("-1e9")
    """When all open incidents were last evaluated."""
    evaluate_at: float | None = None
    """When they are evaluated next, if that was deferred."""
    checks: dict[str, OnDemandCheck] = field(default_factory=dict)
    silences: dict[int, Silence] = field(default_factory=dict)
    """The active ones, and those that ended in the last seven days."""
    next_silence: int = 1
    overrides: tuple[Override, ...] = ()
    shifts: Shifts | None = None
    """The calendar as last read."""
    shift: Shift | None = None
    """The shift at the last step; its end is a hand-over."""
    audit: tuple[AuditEntry, ...] = ()
    """Recent actions of people, oldest first; the store has all of them."""
    report_at: float | None = None
    """When the next report is due."""
    reported_at: float | None = None
    """When the newest report was due."""
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """By the name of a contact point or the id of a person: it did not take the last call."""
    greeted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """By channel: the tenants that it was told are watched."""
    starts: tuple[float, ...] = ()
    """Recent starts of the process, without those that ended in good order."""

    @cached_property
    def open_incidents(self) -> Sequence[Incident]:
        """All unresolved incidents, oldest first."""
        return [incident for incident in self.incidents.values() if incident.is_open]

    @cached_property
    def open_login_incidents(self) -> Sequence[Incident]:
        """The open incidents in which a probe or a metric fails, or a tenant has no data."""
        kinds = {IncidentKind.FAILING, IncidentKind.NO_DATA}
        return [incident for incident in self.open_incidents if incident.kind in kinds]

    @cached_property
    def login_incident_kinds(self) -> dict[str, set[IncidentKind]]:
        """By tenant: of what kinds the open login incidents are that it is in."""
        kinds: dict[str, set[IncidentKind]] = {}
        for incident in self.open_login_incidents:
            for name in incident.tenants:
                kinds.setdefault(name, set()).add(incident.kind)
        return kinds

    @cached_property
    def active_silences(self) -> Sequence[Silence]:
        """The silences that have not ended."""
        return [silence for silence in self.silences.values() if silence.ended_at is None]

    @cached_property
    def due_at(self) -> float | None:
        """When something is due that is not about an incident: polls, checks, reports, ends."""
        dues = (
            *self.controls_due.values(),
            *self.feeds_due.values(),
            *(check.until for check in self.checks.values()),
            *(silence.until for silence in self.active_silences),
            *((self.shift.until,) if self.shift else ()),
            *(self.calendar_due, self.report_at, self.evaluate_at),
        )
        return min((at for at in dues if at is not None), default=None)

    @cached_property
    def is_at_rest(self) -> bool:
        """Whether no incident and no feed needs anything, so that what is well changes nothing."""
        return (
            not self.open_incidents
            and self.evaluate_at is None
            and not any(incident.life.still_failing for incident in self.incidents.values())
            and not any(feed.state in SILENT_STATES for feed in self.shared.feeds.values())
        )

    def on_call_source(self, rules: Rules) -> OnCallSource | None:
        """Return the source of who is on call; a calendar as last read."""
        return self.shifts if rules.calendar_every_s and self.shifts else rules.on_call

    def vouches_for(self, user: str, rules: Rules, now: float) -> bool:
        """Tell whether a person is known without Slack: by the configuration, or what they did."""
        source = self.on_call_source(rules)
        named = {person for right in Right for person in rules.access.who_may(right)}
        named |= {each.person for each in self.overrides}
        named |= {each.person for each in (source.list_shifts(now) if source else ())}
        recent = (entry for entry in self.audit if entry.at > now - KNOWN_FOR_S)
        named |= {each.user for each in recent if each.outcome is not CommandOutcome.REFUSED}
        return user in named

    def with_shift_over(self, now: float) -> DeskState:
        """End the remembered shift now, so that the next step determines it again."""
        return replace(self, shift=replace(self.shift, until=now)) if self.shift else self

    def with_audit_entry(self, entry: AuditEntry) -> DeskState:
        """Return the state with one more action of a person."""
        return replace(self, audit=(*self.audit, entry)[-AUDIT_SHOWN:])

    def differs_in(self, other: DeskState) -> set[str]:
        """Return the names of the fields in which two states differ, beside their incidents."""
        old, new = vars(self), vars(other)
        names = (field.name for field in fields(DeskState) if field.name != "incidents")
        return {name for name in names if old[name] is not new[name] and old[name] != new[name]}

    def is_saved_as(self, saved: DeskState) -> bool:
        """Tell whether a saved state says as much to a start, beside its incidents."""
        return self is saved or self.differs_in(saved) <= DUE_FIELDS

    def with_incident(self, incident: Incident) -> DeskState:
        """Return the state with an incident replaced, or added in place of what ended long ago."""
        known = self.incidents
        if incident.id not in known:
            since = incident.life.opened_at - INCIDENT_RETENTION_S
            known = {n: i for n, i in known.items() if (i.life.resolved_at or since) >= since}
        return replace(self, incidents={**known, incident.id: incident})


Turns = tuple[tuple[float, str], ...]
"""Instants, and the tenants that need a Tick then; sorted."""
GROUPS = 64
"""Of tenants: a change copies one of them."""


@dataclass(frozen=True, slots=True)
class Agenda:
    """When each tenant needs its next Tick: a step reads the first of each group only."""

    due_at: tuple[dict[str, float], ...] = ({},) * GROUPS
    """By group and tenant."""
    turns_at: tuple[Turns, ...] = ((),) * GROUPS
    """The same, the earliest of each group first."""

    def with_due(self, name: str, due: float | None) -> Agenda:
        """Return it with a tenant's next Tick; None: it needs none."""
        group = crc32(name.encode()) % GROUPS
        before = self.due_at[group].get(name)
        if due == before:
            return self
        turns_at, due_at = [*self.turns_at[group]], {**self.due_at[group]}
        if before is not None:
            del turns_at[bisect_left(turns_at, (before, name))], due_at[name]
        if due is not None:
            insort(turns_at, (due, name))
            due_at[name] = due
        return Agenda(
            (*self.due_at[:group], due_at, *self.due_at[group + 1 :]),
            (*self.turns_at[:group], tuple(turns_at), *self.turns_at[group + 1 :]),
        )

    @property
    def next_due(self) -> float | None:
        """When the first tenant needs a Tick."""
        return min((turns[0][0] for turns in self.turns_at if turns), default=None)

    def due_by(self, now: float) -> list[str]:
        """Return the tenants whose Tick has come."""
        due = (takewhile(lambda turn: turn[0] <= now, turns) for turns in self.turns_at)
        return [name for _, name in sorted(chain.from_iterable(due))]


@dataclass(frozen=True)
class BotState:
    """The whole state of the bot: what a step takes and returns."""

    tenants: Tenants
    desk: DeskState
    agenda: Agenda = field(default_factory=Agenda)
    """When each tenant needs its next Tick; not saved, a start steps every tenant."""
    confirming: dict[tuple[str | None, str], tuple[str, ...]] = field(default_factory=dict)
    """By environment and kind of fault: the tenants that failed first; not saved."""


DATA_SAVED_S = 120.0
"""So often it is saved at least when a tenant last had data: after a time without any that is more
than twice as long, people are told."""


def is_tenant_saved(now: TenantState, saved: TenantState) -> bool:
    """Tell whether a saved state says as much to a start, which makes everything due.

    Of light checks that are well a start needs to know only that there were some lately.
    """
    if not (isinstance(now.data, HasData) and isinstance(saved.data, HasData)):
        return False
    same = replace(now, due=saved.due, data=saved.data, token_endpoint=saved.token_endpoint)
    return (
        now.data.last_at // DATA_SAVED_S == saved.data.last_at // DATA_SAVED_S
        and now.token_endpoint.is_ok is saved.token_endpoint.is_ok
        and same == saved
    )


ROUTINE_FIELDS = DUE_FIELDS | {"shared", "corroborated_at", "evaluated_at"}
"""What changes in the desk's state while all is well."""


def is_routine(before: BotState, after: BotState, names: Iterable[str]) -> bool:
    """Tell whether between two states nothing but healthy results and due times came.

    `names` are the tenants whose states differ. After a crash nobody would miss such a change: the
    next result says the same, and a start makes everything due.
    """
    states = ((before.tenants.states[name], after.tenants.states[name]) for name in names)
    return _is_desk_routine(before.desk, after.desk) and all(
        old.is_well
        and new.is_well
        and old.budgets == new.budgets
        and (old.environment, old.watched_since) == (new.environment, new.watched_since)
        for old, new in states
    )


def _is_desk_routine(before: DeskState, after: DeskState) -> bool:
    if before is after:
        return True
    return (
        before.is_at_rest
        and after.is_at_rest
        and before.incidents is after.incidents
        and before.differs_in(after) <= ROUTINE_FIELDS
        and before.shared.tells_as_much_as(after.shared)
    )


StateAndEffects = tuple[DeskState, list[DeskEffect]]
