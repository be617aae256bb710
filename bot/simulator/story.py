"""The events of a simulation: a dictionary for each thing that the bot does, and a summary."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.core.model.observation import PROBABLE, Cause, Severity
from bot.core.reports import current_cause
from bot.core.state.incident import Incident
from bot.core.state.stimulus import Effect, IncidentChanged, SignalChanged, VerdictChanged
from bot.simulator.calls import are_calls_right
from bot.slack.render.verdict import evidence_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.model.observation import Verdict
    from bot.simulator.calls import Call, CallWatch
    from bot.simulator.contact_points import AcceptedPage
    from bot.simulator.scenario import Answer, Scenario, UserInput
    from bot.simulator.workspace.model import Channel, Message, MessageKind

EQUAL_WITHOUT_ALERT = {Cause.NONE, Cause.BLIP}
"""Where no alert is due, these two count as equal."""
GREETING = "greeting:"
"""How the key of a greeting begins. It is about no incident, so it is no message of a story."""
MENTION = re.compile(r"<!(?:here|channel|everyone)>|<!subteam\^\w+>|<@\w+>")
Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Score:
    """The result of one world, compared with the truth."""

    truth: Cause
    cause: Cause
    confidence: float
    is_right: bool


def score_cause(
    answer: Answer, cause: Cause, confidence: float, *, has_alerted: bool, has_incident: bool
) -> Score:
    """Compare a result with the truth. Right: an alert just where one is due, and the cause.

    Args:
        answer: the truth.
        cause: the current cause at the moment of the score.
        confidence: that of this cause.
        has_alerted: whether there was an alert in the whole run.
        has_incident: whether one was open at the moment of the score.
    """
    good = {answer.cause, *answer.accept}
    if not answer.alert and good & EQUAL_WITHOUT_ALERT:
        good |= EQUAL_WITHOUT_ALERT
    is_alert_right = has_alerted == answer.alert and (has_incident or not answer.alert)
    return Score(answer.cause, cause, confidence, is_right=is_alert_right and cause in good)


@dataclass(slots=True)
class Story:
    """Records effects, messages and requests: the `EffectListener` of a simulation.

    Args:
        scenario: gives t=0 and the truth.
        emit: gets each event at once.
        incidents: returns the desk's incidents, by number.
        call_watch: finds the calls among the messages and pages.
        ahead_s: returns by how many seconds the bot's time is ahead of the true one.
    """

    scenario: Scenario
    emit: Callable[[Event], None]
    incidents: Callable[[], dict[int, Incident]]
    call_watch: CallWatch
    ahead_s: Callable[[], float] = lambda: 0.0
    alerts: list[float] = field(default_factory=list)
    """When each was posted, in seconds from t=0."""
    causes: list[tuple[float, Cause, float]] = field(default_factory=list)
    """The current cause after each change, with its confidence."""
    first_cause: Cause | None = None
    cause_at_score: Cause | None = None
    confidence_at_score: float = 1.0
    has_incident_at_score: bool = False
    _has_failed: bool = False

    def listen(self, at: float, effect: Effect) -> None:
        """Record an effect, which has the bot's time."""
        at -= self.ahead_s()
        match effect:
            case SignalChanged():
                shown = {"tenant": effect.tenant, "signal": effect.signal, "state": effect.state}
                self._emit_event(at, "signal", **shown, reason=effect.reason)
            case IncidentChanged():
                self._emit_event(at, "incident", **_incident_fields(effect.incident))
                self._record_cause(at)
            case VerdictChanged():
                self._record_verdict(at, effect.incident, effect.verdict)
            case _:
                pass

    def record_request(self, at: float, result: str) -> None:
        """Record how a request ended that began at `at`."""
        if result != "ok" and at >= self.scenario.start_at and not self._has_failed:
            self._has_failed = True
            self._record_cause(at)

    def emit_request(self, at: float, place: str, result: str, latency_ms: float) -> None:
        """Emit a request as an event."""
        self._emit_event(at, "request", target=place, result=result, latency_ms=round(latency_ms))

    def record_message(
        self, at: float, channel: Channel, kind: MessageKind, message: Message
    ) -> None:
        """Record a message at the moment when Slack accepted it, and the call that it is."""
        payload = (message.metadata or {}).get("event_payload", {})
        key = str(payload.get("k", ""))
        if key.startswith(GREETING):
            self._emit_event(at, "greeting", channel=channel.name, text=message.text)
            return
        incident = self.incidents().get(_incident_number(key))
        severity = incident.severity if incident else None
        is_first = key.endswith(":post:1")
        if is_first and severity in {Severity.CRITICAL, Severity.WARNING}:
            self.alerts.append(at - self.scenario.start_at)
        mentions = MENTION.findall(message.text) if kind != "update" else []
        self._emit_event(
            at,
            "message",
            channel=channel.name,
            kind=str(kind),
            broadcast=message.broadcast,
            severity=severity,
            mentions=mentions,
            key=key,
            text=message.text,
        )
        self._record_call(at, self.call_watch.watch_message(self._t(at), channel, kind, message))

    def record_page(self, at: float, page: AcceptedPage) -> None:
        """Record a page at the moment when its contact point accepted it."""
        self._emit_event(
            at,
            "page",
            incident=page.incident,
            step=page.step,
            who=page.contact_point,
            contact_point=page.contact_point,
            action=page.action,
        )
        self._record_call(at, self.call_watch.watch_page(self._t(at), page))

    def record_click(self, at: float, clicked: UserInput, result: str) -> None:
        """Record that somebody pressed a button, or why they could not."""
        fields = {"user": clicked.user, "click": clicked.click, "incident": clicked.incident}
        self._emit_event(at, "click", **fields, result=result)

    def _record_call(self, at: float, call: Call | None) -> None:
        if call is not None:
            fields = {"incident": call.incident, "how": call.how, "who": list(call.who)}
            tenants = list(call.tenants)
            self._emit_event(at, "call", **fields, reason=call.reason, tenants=tenants)

    def score(self) -> None:
        """Record the current cause, at the moment that the scenario names."""
        self.cause_at_score, self.confidence_at_score = self._current_cause()
        self.has_incident_at_score = any(i.is_open for i in self.incidents().values())

    def summary(self, seed: int, requests: dict[str, int], wall_s: float) -> Event:
        """Return the last line of a scenario."""
        scenario = self.scenario
        return {
            "t": scenario.duration_s,
            "at": _iso(scenario.start_at + scenario.duration_s),
            "event": "summary",
            "scenario": scenario.name,
            "seed": seed,
            "alerts": len(self.alerts),
            "first_alert_s": round(self.alerts[0], 3) if self.alerts else None,
            "cause_first": self.first_cause or self._current_cause()[0],
            "cause_final": self._current_cause()[0],
            "causes": [[round(t, 3), cause, sure] for t, cause, sure in self.causes],
            "calls": [
                [call.t, call.how, call.reason, list(call.tenants)]
                for call in self.call_watch.calls
            ],
            "requests": requests,
            "virtual_s": scenario.warmup_s + scenario.duration_s,
            "wall_s": round(wall_s, 3),
        }

    @property
    def bot_score(self) -> Score | None:
        """The bot's score; None where the scenario has no `answer`."""
        answer = self.scenario.answer
        if answer is None or self.cause_at_score is None:
            return None
        return score_cause(
            answer,
            self.cause_at_score,
            self.confidence_at_score,
            has_alerted=bool(self.alerts),
            has_incident=self.has_incident_at_score,
        )

    @property
    def are_calls_right(self) -> bool | None:
        """Whether people were called as the scenario's `answer` says; None: it does not say."""
        answer = self.scenario.answer
        return are_calls_right(answer, self.call_watch.calls) if answer else None

    def _record_verdict(self, at: float, number: int, verdict: Verdict) -> None:
        self.first_cause = self.first_cause or verdict.stated_cause
        self._emit_event(
            at,
            "verdict",
            incident=number,
            cause=verdict.cause,
            scope=verdict.scope,
            confidence=verdict.confidence,
            because=[evidence_text(fact) for fact in verdict.evidence_for],
            against=[evidence_text(fact) for fact in verdict.evidence_against],
        )
        self._record_cause(at)

    def _current_cause(self) -> tuple[Cause, float]:
        known = tuple(self.incidents().values())
        start = self.scenario.start_at + self.ahead_s()
        cause = current_cause(known, start, has_failed=self._has_failed)
        judged = [i.verdict for i in known if i.verdict.cause is cause]
        return cause, judged[-1].confidence if judged else 1.0

    def _record_cause(self, at: float) -> None:
        cause, confidence = self._current_cause()
        cause = cause if confidence >= PROBABLE else Cause.UNCLEAR
        if not self.causes or self.causes[-1][1:] != (cause, confidence):
            self.causes.append((at - self.scenario.start_at, cause, confidence))

    def _emit_event(self, at: float, event: str, **fields: Any) -> None:
        self.emit({"t": self._t(at), "at": _iso(at), "event": event, **fields})

    def _t(self, at: float) -> float:
        return round(at - self.scenario.start_at, 3)


def _incident_fields(incident: Incident) -> Event:
    return {
        "incident": incident.id,
        "tenants": list(incident.tenants),
        "state": incident.state,
        "severity": incident.severity,
    }


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _incident_number(key: str) -> int:
    """Return the number of the incident that a message is about, or 0."""
    number = key.split(":", maxsplit=1)[0]
    return int(number) if number.isdecimal() else 0
