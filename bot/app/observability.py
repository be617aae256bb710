"""What a running bot reports about itself: log lines and metrics."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from bot.core.model.access import AuditEntry
from bot.core.model.fault import describe_fault
from bot.core.model.observation import CALENDAR, CONTROL, Outcome, Severity, SignalState, Target
from bot.core.oncall import MENTION
from bot.core.state.incident import IncidentState
from bot.core.state.outbox import Answer, AnswerResult, Reply, SilenceAnnouncement
from bot.core.state.silence import Silence
from bot.core.state.stimulus import Effect, IncidentChanged, Send, SignalChanged, VerdictChanged
from bot.core.state.timeline import PagedEntry
from bot.ports import CallFailed, Refused
from bot.slack.render.text import remedy_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.model.measurement import Measurement
    from bot.core.model.observation import FeedReading, Observation
    from bot.core.oncall import Shifts
    from bot.core.state.outbox import Body, PagerMessage
    from bot.ports import Notifier, Prober, View
    from bot.telemetry import Metrics

log = logging.getLogger(__name__)


SENT, REFUSED, DOUBT = "sent", "refused", "doubt"
"""The outcomes of a pager message."""


class EffectLogger:
    """The `EffectListener` port: a log line a change, with constant keys.

    No line holds what people wrote.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def listen(self, at: float, effect: Effect) -> None:  # noqa: ARG002 - log lines have their time
        """Log an effect."""
        match effect:
            case SignalChanged():
                line = "signal=%s.%s state=%s reason=%s"
                log.info(line, effect.tenant, effect.signal, effect.state, effect.reason)
            case IncidentChanged(incident=incident):
                line = "incident=%d state=%s severity=%s tenants=%s by=%s"
                names = ",".join(incident.tenants)
                by = {
                    IncidentState.ACKNOWLEDGED: incident.life.acknowledged_by,
                    IncidentState.RESOLVED: incident.life.resolved_by,
                }.get(incident.state, "")
                log.warning(line, incident.id, incident.state, incident.severity, names, by)
            case VerdictChanged(verdict=verdict):
                line = "incident=%d cause=%s scope=%s confidence=%.2f evidence=%s"
                evidence = (*verdict.evidence_for, *verdict.evidence_against)
                rules = ",".join(each.rule_id for each in evidence)
                cause, scope, confidence = verdict.cause, verdict.scope, verdict.confidence
                log.info(line, effect.incident, cause, scope, confidence, rules)
            case AuditEntry():
                line = "user=%s verb=%s incident=%s outcome=%s"
                log.info(line, effect.user, effect.verb, effect.incident or "", effect.outcome)
            case Send():
                self._log_send(effect.body)

    def _log_send(self, body: Body) -> None:
        match body:
            case Reply(incident=number, entry=PagedEntry(contact_points=points) as entry):
                notified = ",".join(entry.mentioned)
                for point in points or (MENTION,):
                    self._metrics.escalations.labels(point).inc()
                    line = "incident=%d step=%s notified=%s by=%s"
                    log.info(line, number, point, notified, entry.by)
            case Answer(result=AnswerResult(silence=Silence(ended_at=None) as silence)):
                until = datetime.fromtimestamp(silence.until, UTC).isoformat(timespec="seconds")
                line = "silence=%d state=active scope=%s name=%s by=%s until=%s"
                log.info(line, silence.id, _scope_of(silence), silence.words, silence.by, until)
            case SilenceAnnouncement(silence=silence) if silence.ended_at is not None:
                line = "silence=%d state=ended scope=%s name=%s by=%s suppressed=%d"
                scope, by = _scope_of(silence), silence.ended_by
                log.info(line, silence.id, scope, silence.words, by, silence.suppressed)


def _scope_of(silence: Silence) -> str:
    match silence.about:
        case int():
            return "incident"
        case Target(owner="", name=""):
            return "all"
        case Target(name=""):
            return "tenant"
        case _:
            return "signal"


def register_gauges(metrics: Metrics, view: Callable[[], View]) -> None:
    """Let the gauges show the states as they are at each scrape."""

    def count_open(severity: Severity) -> int:
        return sum(incident.severity is severity for incident in view().desk.open_incidents)

    def is_firing(tenant: str, name: str) -> bool:
        state = view().tenants.states[tenant]
        signal = state.probes.get(name) or state.metrics.get(name) or state.monitors.get(name)
        return signal is not None and signal.state is SignalState.FIRING

    metrics.running_silences.set_function(lambda: len(view().desk.active_silences))
    for severity in Severity:
        metrics.open_incidents.labels(severity).set_function(partial(count_open, severity))
    for name, rules in view().rules.tenants.items():
        for signal in (*rules.all_signals, *rules.monitors):
            metrics.firing.labels(name, signal).set_function(partial(is_firing, name, signal))


class MeteredProber:
    """A `Prober` that counts its checks, and logs the first result of each target.

    Args:
        prober: probes.
        metrics: count.
        on_result: gets each result of a probe.
    """

    def __init__(
        self,
        prober: Prober,
        metrics: Metrics,
        on_result: Callable[[Observation], None] | None = None,
    ) -> None:
        self._prober = prober
        self._metrics = metrics
        self._on_result = on_result
        self._known: set[Target] = set()

    async def probe(self, target: Target) -> Observation:
        """Probe a target; see the port."""
        observation = await self._prober.probe(target)
        self._metrics.checks.labels(str(target), observation.outcome).inc()
        if self._on_result:
            self._on_result(observation)
        if observation.latency_s is not None:
            self._metrics.latency.labels(str(target)).set(observation.latency_s)
        if target not in self._known:
            self._known.add(target)
            _log_first_result(observation)
        return observation

    async def measure(self, target: Target) -> Measurement:
        """Query a source; see the port."""
        measurement = await self._prober.measure(target)
        reason = measurement.no_data_reason
        outcome = Outcome.NO_DATA if reason else Outcome.OK
        self._metrics.checks.labels(str(target), outcome).inc()
        if target not in self._known and reason:
            log.warning("first check of %s: no data: %s", target, reason)
        self._known.add(target)
        return measurement

    async def poll_feed(self, target: Target) -> FeedReading:
        """Poll a status feed; see the port."""
        reading = await self._prober.poll_feed(target)
        self._metrics.checks.labels(str(target), reading.state).inc()
        return reading

    async def poll_shifts(self) -> Shifts:
        """Read the on-call calendar; see the port."""
        shifts = await self._prober.poll_shifts()
        outcome = Outcome.NO_DATA if shifts.fault else Outcome.OK
        self._metrics.checks.labels(CALENDAR, outcome).inc()
        if shifts.fault:
            log.warning("cannot read the on-call calendar: %s", shifts.fault)
        return shifts


class MeteredNotifier:
    """A `Notifier` that counts and logs the outcome of each pager message."""

    def __init__(self, contact_point: str, notifier: Notifier, metrics: Metrics) -> None:
        self._contact_point = contact_point
        self._notifier = notifier
        self._counters = {
            outcome: metrics.pager_messages.labels(contact_point, outcome)
            for outcome in (SENT, REFUSED, DOUBT)
        }

    async def notify(self, message: PagerMessage) -> None:
        """Send it; see the port."""
        try:
            await self._notifier.notify(message)
        except CallFailed as error:
            self._record(message, REFUSED if isinstance(error, Refused) else DOUBT, error.code)
            raise
        self._record(message, SENT)

    def _record(self, message: PagerMessage, outcome: str, error: str = "") -> None:
        self._counters[outcome].inc()
        level = logging.WARNING if error else logging.INFO
        line = "incident=%d page=%s contact_point=%s outcome=%s error=%s"
        log.log(level, line, message.incident, message.action, self._contact_point, outcome, error)


def _log_first_result(observation: Observation) -> None:
    """Log a set-up problem at once, in one line, with the remedy where we know one."""
    target, fault = observation.target, observation.fault
    if fault is None:
        log.info(
            "first check of %s: %s %s", target, observation.outcome, observation.no_data_reason
        )
        return
    remedy = remedy_of(fault, "controls" if target.owner == CONTROL else "domain")
    log.error("first check of %s failed: %s. %s", target, describe_fault(fault), remedy)
