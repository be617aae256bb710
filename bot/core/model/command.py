"""What people ask of the bot, each with all that it means: text is parsed before."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from bot.core.model.access import AuditEntry, CommandOutcome, Person, Verb
from bot.core.model.observation import Target
from bot.core.model.wall_clock import WEEK_S

ALL_SIGNALS = Target("", "")
"""What a silence of everything is about: an empty part stands for any tenant, or any signal."""


class SilenceRefusal(StrEnum):
    """Why a silence cannot be set as requested."""

    NO_SUCH = "no_such"
    NO_TIME = "no_time"
    PAST = "past"
    TOO_LONG = "too_long"
    NO_REASON = "no_reason"


class AlertFilter(StrEnum):
    """Which incidents are listed."""

    OPEN = "open"
    ACKNOWLEDGED = "acked"
    ALL = "all"


# Each has its verb as the last field: by that the store tells them apart.


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Take an incident: nobody else is called. Whoever has it says that they are still on it."""

    incident: int
    note: str = ""
    take_over_from: str = ""
    """The id of the user who has it, if it is to be taken from them. Of two people who take it over
    at once the second does not take it from the first."""
    verb: Literal[Verb.ACK] = Verb.ACK


@dataclass(frozen=True, slots=True)
class Resolve:
    """End an incident by hand."""

    incident: int
    note: str = ""
    is_confirmed: bool = False
    """Also if it still fails."""
    verb: Literal[Verb.RESOLVE] = Verb.RESOLVE


@dataclass(frozen=True, slots=True)
class HandOver:
    """Give back what one has acknowledged: others are called."""

    incident: int
    verb: Literal[Verb.HAND_OVER] = Verb.HAND_OVER


@dataclass(frozen=True, slots=True)
class AddNote:
    """Write something down at an incident."""

    incident: int
    text: str
    verb: Literal[Verb.NOTE] = Verb.NOTE


@dataclass(frozen=True, slots=True)
class MarkFalseAlarm:
    """Mark an incident as a false alarm, for the report."""

    incident: int
    reason: str
    verb: Literal[Verb.FALSE_ALARM] = Verb.FALSE_ALARM


@dataclass(frozen=True, slots=True)
class Escalate:
    """Call the next person about an incident now."""

    incident: int
    verb: Literal[Verb.ESCALATE] = Verb.ESCALATE


@dataclass(frozen=True, slots=True)
class AddSilence:
    """Mute alerts for a while."""

    about: Target | int
    """Signals, where an empty part stands for any tenant or any signal; or an incident."""
    until: float
    reason: str
    verb: Literal[Verb.SILENCE] = Verb.SILENCE


@dataclass(frozen=True, slots=True)
class EndSilence:
    """End a silence before its time."""

    silence: int
    verb: Literal[Verb.UNSILENCE] = Verb.UNSILENCE


@dataclass(frozen=True, slots=True)
class AddOverride:
    """Put somebody on call for a while."""

    person: str
    until: float
    verb: Literal[Verb.ONCALL] = Verb.ONCALL


@dataclass(frozen=True, slots=True)
class RunCheck:
    """Probe now, and query the sources."""

    tenant: str = ""
    """Empty: all."""
    signal: str = ""
    """Empty: all, and the control endpoints."""
    verb: Literal[Verb.RUN] = Verb.RUN


@dataclass(frozen=True, slots=True)
class UnclearCommand:
    """A command that lacks something, or names something unknown. It is audited, too."""

    verb: Verb
    outcome: CommandOutcome
    incident: int | None = None
    """The incident that it is about, if it is clear which."""
    silence_refusal: SilenceRefusal | None = None
    is_global: bool = False
    """It was to silence everything."""


@dataclass(frozen=True, slots=True)
class ShowStatus:
    """How is every tenant now?"""

    verb: Literal[Verb.STATUS] = Verb.STATUS


@dataclass(frozen=True, slots=True)
class ShowAlerts:
    """Which incidents were there?"""

    only: AlertFilter | None = None
    span_s: float | None = None
    verb: Literal[Verb.ALERTS] = Verb.ALERTS


@dataclass(frozen=True, slots=True)
class ExplainVerdict:
    """Why this verdict?"""

    incident: int | None = None
    """None: of the newest incident, an open one first."""
    has_details: bool = False
    """Whether the ids and weights of the evidence rules are asked for, too."""
    verb: Literal[Verb.WHY] = Verb.WHY


@dataclass(frozen=True, slots=True)
class ShowSilences:
    """What is silenced now?"""

    verb: Literal[Verb.SILENCES] = Verb.SILENCES


@dataclass(frozen=True, slots=True)
class ShowOnCall:
    """Who is on call?"""

    verb: Literal[Verb.ONCALL] = Verb.ONCALL


@dataclass(frozen=True, slots=True)
class ShowReport:
    """How did it go?"""

    span_s: float = WEEK_S
    verb: Literal[Verb.REPORT] = Verb.REPORT


@dataclass(frozen=True, slots=True)
class ShowHealth:
    """How is the bot itself?"""

    verb: Literal[Verb.HEALTH] = Verb.HEALTH


@dataclass(frozen=True, slots=True)
class ShowAudit:
    """What did people do?"""

    verb: Literal[Verb.AUDIT] = Verb.AUDIT


@dataclass(frozen=True, slots=True)
class ShowDoctor:
    """Is the set-up right? Whoever asks sees it alone."""

    verb: Literal[Verb.DOCTOR] = Verb.DOCTOR


@dataclass(frozen=True, slots=True)
class ShowHelp:
    """What can be asked?"""

    topic: str = ""
    """A verb to say all about, or empty."""
    verb: Literal[Verb.HELP] = Verb.HELP


@dataclass(frozen=True, slots=True)
class Unknown:
    """A first word that is no verb."""

    word: str
    nearest: str
    """The most similar verb, or empty."""
    verb: Literal[Verb.UNKNOWN] = Verb.UNKNOWN


@dataclass(frozen=True, slots=True)
class UnclearQuestion:
    """A question, or a check, that names something unknown."""

    verb: Literal[Verb.ALERTS, Verb.WHY, Verb.REPORT, Verb.RUN]
    word: str
    """What is unknown."""


IncidentCommand = Acknowledge | Resolve | HandOver | AddNote | MarkFalseAlarm | Escalate
Change = IncidentCommand | AddSilence | EndSilence | AddOverride | UnclearCommand
"""What is audited."""
Action = Change | RunCheck
"""What is committed before it is acknowledged."""
Question = (
    ShowStatus
    | ShowAlerts
    | ExplainVerdict
    | ShowSilences
    | ShowOnCall
    | ShowReport
    | ShowHealth
    | ShowAudit
    | ShowDoctor
    | ShowHelp
    | Unknown
    | UnclearQuestion
)
"""What is answered from the state as it is: a question changes nothing."""
Command = Action | Question
PLAIN_QUESTIONS: dict[Verb, Question] = {
    Verb.STATUS: ShowStatus(),
    Verb.ALERTS: ShowAlerts(),
    Verb.WHY: ExplainVerdict(),
    Verb.SILENCES: ShowSilences(),
    Verb.ONCALL: ShowOnCall(),
    Verb.REPORT: ShowReport(),
    Verb.HEALTH: ShowHealth(),
    Verb.AUDIT: ShowAudit(),
    Verb.DOCTOR: ShowDoctor(),
    Verb.HELP: ShowHelp(),
}
"""What the verbs of questions mean alone."""
WORDS_LENGTH = 200
"""Characters of a person's words that the audit log keeps."""


@dataclass(frozen=True, slots=True)
class Request:
    """One command of one person, with all that is needed to answer it."""

    id: str
    """Unique; the same for a repeated delivery of the same click or command."""
    at: float
    command: Command = ShowStatus()
    words: str = ""
    """What follows the verb as typed, or as it would be typed: for the audit log and answers."""
    share: bool = False
    """Answer in the channel, visible to everybody."""
    user: str = ""
    channel: str = ""
    response_url: str = ""
    """Slack accepts 5 answers there within 30 minutes. A secret: whoever knows it can post."""
    thread_ts: str = ""
    """The thread of the request. Its incident is meant if the words name none."""
    is_direct: bool = False
    """Sent to the bot in a direct message."""
    person: Person = field(default_factory=Person)
    """What Slack said about the user at the time of this request."""

    def to_audit_entry(self, outcome: CommandOutcome, incident: int | None = None) -> AuditEntry:
        """Return the audit log's entry for it."""
        words = self.words[:WORDS_LENGTH]
        return AuditEntry(self.at, self.user, self.command.verb, words, incident, outcome)
