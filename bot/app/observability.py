"""What a running bot tells of itself: log lines and metrics."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from bot.core.model.access import AuditEntry
from bot.core.model.fault import describe_fault
from bot.core.model.observation import CALENDAR, Outcome, Severity, SignalState
from bot.core.oncall.escalation import MENTION
from bot.core.state.incident import IncidentState, TimelineEntry, TimelineKind
from bot.core.state.outbox import Answer, AnswerResult, Reply, SilenceAnnouncement
from bot.core.state.silence import Silence
from bot.core.state.stimulus import Effect, IncidentChanged, Send, SignalChanged, VerdictChanged
from bot.ports import NotifyDoubt, NotifyRefused
from bot.slack.render.text import REMEDIES

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.model.measurement import Measurement
    from bot.core.model.observation import FeedReading, Observation, Target
    from bot.core.oncall.schedule import Shifts
    from bot.core.state.incident import Incident
    from bot.core.state.outbox import Body, PagerMessage
    from bot.ports import Notifier, Prober, View
    from bot.telemetry import Metrics

log = logging.getLogger(__name__)


SENT, REFUSED, DOUBT = "sent", "refused", "doubt"
"""What comes of a page."""


class EffectLogger:
    """The `Journal` port: a line a change, with constant keys. What people wrote is in none."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def listen(self, at: float, effect: Effect) -> None:  # noqa: ARG002 - log lines have their time
        """Take note of an effect."""
        match effect:
            case SignalChanged():
                line = "signal=%s.%s state=%s reason=%s"
                log.info(line, effect.tenant, effect.signal, effect.state, effect.reason)
            case IncidentChanged(incident=incident):
                line = "incident=%d state=%s severity=%s tenants=%s by=%s"
                names, by = ",".join(incident.tenants), _changed_by(incident)
                log.warning(line, incident.id, incident.state, incident.severity, names, by)
            case VerdictChanged(verdict=verdict):
                line = "incident=%d cause=%s scope=%s confidence=%.2f rows=%s"
                rows = ",".join(
                    fact.rule_id for fact in (*verdict.evidence_for, *verdict.evidence_against)
                )
                log.info(
                    line, effect.incident, verdict.cause, verdict.scope, verdict.confidence, rows
                )
            case AuditEntry():
                line = "user=%s verb=%s incident=%s outcome=%s"
                log.info(line, effect.user, effect.verb, effect.incident or "", effect.outcome)
            case Send():
                self._log_send(effect.body)

    def _log_send(self, body: Body) -> None:
        match body:
            case Reply(
                incident=number,
                entry=TimelineEntry(kind=TimelineKind.PAGED, contact_points=ways) as entry,
            ):
                tell = ways[0] if ways else MENTION
                self._metrics.escalation_steps.labels(tell).inc()
                whom = ",".join(entry.mentioned)
                log.info("incident=%d step=%s whom=%s by=%s", number, tell, whom, entry.by)
            case Answer(result=AnswerResult(silence=Silence(ended_at=None) as silence)):
                until = datetime.fromtimestamp(silence.until, UTC).isoformat(timespec="seconds")
                line = "silence=%d state=running over=%s name=%s by=%s until=%s"
                log.info(line, silence.id, silence.scope, silence.name, silence.by, until)
            case SilenceAnnouncement(silence=silence) if silence.ended_at is not None:
                line = "silence=%d state=ended over=%s name=%s by=%s suppressed=%d"
                over, by = silence.scope, silence.ended_by
                log.info(line, silence.id, over, silence.name, by, silence.suppressed)


def _changed_by(incident: Incident) -> str:
    """Return whose doing an incident's state is; empty: nobody's."""
    return {
        IncidentState.ACKNOWLEDGED: incident.acknowledged_by,
        IncidentState.RESOLVED: incident.resolved_by,
    }.get(incident.state, "")


def register_gauges(metrics: Metrics, view: Callable[[], View]) -> None:
    """Let the gauges show the states as they are whenever somebody asks."""
    metrics.running_silences.set_function(lambda: len(view().desk.active_silences))
    for severity in Severity:
        metrics.open_incidents.labels(severity).set_function(partial(_count_open, view, severity))
    for name, rules in view().rules.tenants.items():
        for signal in (*rules.all_signals, *rules.monitors):
            gauge = metrics.firing.labels(name, signal)
            gauge.set_function(partial(_is_firing, view, name, signal))


def _count_open(view: Callable[[], View], severity: Severity) -> int:
    return sum(incident.severity is severity for incident in view().desk.open_incidents)


def _is_firing(view: Callable[[], View], tenant: str, name: str) -> bool:
    state = view().tenants.states[tenant]
    signal = state.probes.get(name) or state.metrics.get(name) or state.monitors.get(name)
    return signal is not None and signal.state is SignalState.FIRING


class MeteredProber:
    """A `Prober` that counts what it sees, and says how the first look at each target went."""

    def __init__(self, prober: Prober, metrics: Metrics) -> None:
        self._prober = prober
        self._metrics = metrics
        self._known: set[Target] = set()

    async def probe(self, target: Target) -> Observation:
        """Look; see the port."""
        seen = await self._prober.probe(target)
        self._metrics.checks.labels(str(target), seen.outcome).inc()
        if seen.latency_s is not None:
            self._metrics.latency.labels(str(target)).set(seen.latency_s)
        if target not in self._known:
            self._known.add(target)
            _log_first_result(seen)
        return seen

    async def measure(self, target: Target) -> Measurement:
        """Ask a source for its figures; see the port."""
        seen = await self._prober.measure(target)
        outcome = Outcome.NO_DATA if seen.no_data_reason else Outcome.OK
        self._metrics.checks.labels(str(target), outcome).inc()
        if target not in self._known and seen.no_data_reason:
            log.warning("first look at %s: no figures: %s", target, seen.no_data_reason)
        self._known.add(target)
        return seen

    async def poll_feed(self, target: Target) -> FeedReading:
        """Poll a status feed; see the port."""
        reading = await self._prober.poll_feed(target)
        self._metrics.checks.labels(str(target), reading.state).inc()
        return reading

    async def poll_shifts(self) -> Shifts:
        """Read the calendar of shifts; see the port."""
        shifts = await self._prober.poll_shifts()
        outcome = Outcome.NO_DATA if shifts.fault else Outcome.OK
        self._metrics.checks.labels(CALENDAR, outcome).inc()
        if shifts.fault:
            log.warning("the calendar of shifts cannot be read: %s", shifts.fault)
        return shifts


class MeteredNotifier:
    """A `Notifier` that counts and logs what came of each page."""

    def __init__(self, contact_point: str, notifier: Notifier, metrics: Metrics) -> None:
        self._contact_point = contact_point
        self._notifier = notifier
        self._counters = {
            outcome: metrics.pages.labels(contact_point, outcome)
            for outcome in (SENT, REFUSED, DOUBT)
        }

    async def notify(self, page: PagerMessage) -> None:
        """Tell it; see the port."""
        try:
            await self._notifier.notify(page)
        except (NotifyRefused, NotifyDoubt) as error:
            self._record(page, REFUSED if isinstance(error, NotifyRefused) else DOUBT, str(error))
            raise
        self._record(page, SENT)

    def _record(self, page: PagerMessage, outcome: str, error: str = "") -> None:
        self._counters[outcome].inc()
        level = logging.WARNING if error else logging.INFO
        line = "incident=%d page=%s way=%s outcome=%s error=%s"
        log.log(level, line, page.incident, page.action, self._contact_point, outcome, error)


def _log_first_result(seen: Observation) -> None:
    """Tell a set-up problem at once, in one line, with the remedy where we know one."""
    if seen.fault is None:
        log.info("first look at %s: %s %s", seen.target, seen.outcome, seen.no_data_reason)
        return
    remedy = REMEDIES.get(seen.fault.reason, "See docs/operation.md")
    log.error("first look at %s failed: %s. %s", seen.target, describe_fault(seen.fault), remedy)
