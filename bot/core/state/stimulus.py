"""All that can happen to the bot (Stimulus) and all that it can do (Effect)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.model.access import AuditEntry

if TYPE_CHECKING:
    from bot.core.model.measurement import Measurement, Push
    from bot.core.model.observation import FeedReading, Observation, SignalState, Target, Verdict
    from bot.core.model.request import Request
    from bot.core.oncall.schedule import Shifts
    from bot.core.signals.probe_threshold import Reason
    from bot.core.state.incident import Incident
    from bot.core.state.outbox import Body
    from bot.core.state.rules import Rules
    from bot.core.state.tenant import TenantState


@dataclass(frozen=True, slots=True)
class Started:
    """The process began to run, or runs again after a stop."""

    at: float


@dataclass(frozen=True, slots=True)
class Tick:
    """Something may be due."""

    at: float


@dataclass(frozen=True, slots=True)
class Observed:
    """A probe came back."""

    at: float
    observation: Observation
    request_id: str = ""
    """The id of the request that wanted this look, if one did."""


@dataclass(frozen=True, slots=True)
class FeedPolled:
    """A status feed was polled."""

    at: float
    reading: FeedReading


@dataclass(frozen=True, slots=True)
class Measured:
    """A source was asked for its figures."""

    at: float
    measurement: Measurement
    request_id: str = ""
    """The id of the request that wanted them, if one did."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """Somebody told us something at a hook."""

    at: float
    push: Push


@dataclass(frozen=True, slots=True)
class CheckRequested:
    """Fresh probes of a tenant are wanted."""

    at: float
    request_id: str
    """Of the person's request; empty: the desk wants to know whether others fail, too."""
    signal: str = ""
    """Only this one; empty: all."""


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A person asked for something."""

    at: float
    request: Request


@dataclass(frozen=True, slots=True)
class TenantReport:
    """What a tenant's step came to, told to the desk."""

    at: float
    tenant: str
    changes: tuple[SignalChanged, ...] = ()
    unobserved_s: float = 0.0
    """We could not look for so long, and can again."""


@dataclass(frozen=True, slots=True)
class CheckStarted:
    """A tenant's step answers a `Run`: what is looked at, and what is not."""

    at: float
    request_id: str
    tenant: str
    targets: tuple[Target, ...]
    skipped: tuple[Target, ...] = ()
    """Not looked at: the synthetic user logged in too often, or was refused, a moment ago."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Slack took an incident's first message."""

    at: float
    incident: int
    channel: str
    ts: str
    key: str
    """Of the delivery, which is committed as sent together with the incident."""


@dataclass(frozen=True, slots=True)
class PostOverdue:
    """Slack has not taken an incident's first message for a while."""

    at: float
    incident: int


@dataclass(frozen=True, slots=True)
class ShiftsPolled:
    """The calendar of shifts was read, or could not be."""

    at: float
    shifts: Shifts


@dataclass(frozen=True, slots=True)
class MessageLost:
    """An incident's message is gone or can no longer be edited."""

    at: float
    incident: int


TenantStimulus = Started | Tick | Observed | Measured | Pushed | CheckRequested
DeskStimulus = (
    Started
    | Tick
    | Observed
    | Measured
    | Pushed
    | FeedPolled
    | CommandReceived
    | TenantReport
    | CheckStarted
    | Delivered
    | PostOverdue
    | ShiftsPolled
    | MessageLost
)
Stimulus = TenantStimulus | DeskStimulus


@dataclass(frozen=True, slots=True)
class StartProbe:
    """Probe a target now."""

    target: Target
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class QueryMetrics:
    """Ask a source for its figures now."""

    target: Target
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class PollFeed:
    """Poll a status feed now."""

    target: Target


@dataclass(frozen=True, slots=True)
class PollShifts:
    """Read the calendar of shifts now."""


@dataclass(frozen=True, slots=True)
class RequestCheck:
    """Ask a tenant's step for fresh probes."""

    tenant: str
    request_id: str
    signal: str = ""


@dataclass(frozen=True, slots=True)
class SignalChanged:
    """A signal has a new state."""

    tenant: str
    signal: str
    state: SignalState
    reason: Reason


@dataclass(frozen=True, slots=True)
class IncidentChanged:
    """An incident was opened, or changed its state, severity or tenants."""

    incident: Incident


@dataclass(frozen=True, slots=True)
class VerdictChanged:
    """An incident has a new verdict."""

    incident: int
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Send:
    """Say something in Slack. The key is unique: the same one is never sent twice."""

    key: str
    lane: str
    body: Body
    hold_s: float = 0.0
    """It may wait so long for more of its kind."""


Effect = (
    StartProbe
    | QueryMetrics
    | PollFeed
    | PollShifts
    | AuditEntry
    | RequestCheck
    | SignalChanged
    | TenantReport
    | CheckStarted
    | IncidentChanged
    | VerdictChanged
    | Send
)


@dataclass(frozen=True, slots=True)
class Tenants:
    """What a step of the desk needs to know of the tenants: their states, by name."""

    states: dict[str, TenantState]

    def environment(self, name: str, rules: Rules) -> str | None:
        """Return a tenant's environment: as configured, else as its own log names it."""
        return rules.tenants[name].environment or self.states[name].environment or None
