"""The entries of an incident's timeline, which are posted in its thread: one record a kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bot.core.model.observation import Cause, Evidence, Severity, StatusIncident, Verdict
from bot.core.oncall import CallReason
from bot.core.state.incident import Acknowledgement


@dataclass(frozen=True, slots=True)
class VerdictEntry:
    """Another cause or scope."""

    at: float
    verdict: Verdict
    new_evidence: tuple[Evidence, ...] = ()
    """The evidence that changed it."""
    kind: Literal["verdict"] = "verdict"


@dataclass(frozen=True, slots=True)
class JoinedEntry:
    """More tenants fail."""

    at: float
    tenants: tuple[str, ...]
    kind: Literal["joined"] = "joined"


@dataclass(frozen=True, slots=True)
class RecoveredEntry:
    """Some of the tenants recovered."""

    at: float
    tenants: tuple[str, ...]
    kind: Literal["recovered"] = "recovered"


@dataclass(frozen=True, slots=True)
class SeverityRaisedEntry:
    """It is more severe now."""

    at: float
    severity: Severity
    kind: Literal["graver"] = "graver"


@dataclass(frozen=True, slots=True)
class StatusUpdateEntry:
    """A status incident matches, or has a new phase."""

    at: float
    status_incident: StatusIncident
    kind: Literal["notice"] = "notice"


@dataclass(frozen=True, slots=True)
class MentionEntry:
    """People are called: for the first time, if the message was posted without it, or again."""

    at: float
    mentioned: tuple[str, ...] = ()
    reason: CallReason = CallReason.BEGUN
    tenants: tuple[str, ...] = ()
    """Those that fail as well, if that is the reason."""
    acknowledged: Acknowledgement | None = None
    """The acknowledgement that the call ends."""
    kind: Literal["mention"] = "mention"


@dataclass(frozen=True, slots=True)
class CorrectedEntry:
    """Another cause than the one that people were called with; shown in the channel."""

    at: float
    verdict: Verdict
    """Without its evidence."""
    told: Cause
    mentioned: tuple[str, ...] = ()
    """Who is called for it; empty: nobody, since nobody has to act otherwise than before."""
    kind: Literal["corrected"] = "corrected"


@dataclass(frozen=True, slots=True)
class PagedEntry:
    """A step of the escalation."""

    at: float
    mentioned: tuple[str, ...] = ()
    contact_points: tuple[str, ...] = ()
    """How they are notified, if not by the mention: `dm`, or the name of a contact point."""
    by: str = ""
    """The user who wanted it; empty: its time had come."""
    kind: Literal["paged"] = "paged"


@dataclass(frozen=True, slots=True)
class UnreachedEntry:
    """A call did not reach anybody: what it was sent to did not take it, or nobody was found."""

    at: float
    contact_point: str
    """The name of a contact point; else the contact of a step. Empty: a mention or message to
    `people`."""
    error: str
    """In our words, or those of the contact point's service; it holds no secret."""
    people: tuple[str, ...] = ()
    """The ids of those who were not reached."""
    kind: Literal["unreached"] = "unreached"


@dataclass(frozen=True, slots=True)
class HandOverEntry:
    """Another person is on call, or nobody."""

    at: float
    mentioned: tuple[str, ...] = ()
    kind: Literal["hand_over"] = "hand_over"


@dataclass(frozen=True, slots=True)
class AcknowledgedEntry:
    """A person acknowledged it."""

    at: float
    by: str
    text: str = ""
    """What they wrote."""
    taken_from: str = ""
    """The user who had it until then."""
    kind: Literal["acknowledged"] = "acknowledged"


@dataclass(frozen=True, slots=True)
class StillOnItEntry:
    """The question whether an acknowledgement still holds."""

    at: float
    acknowledged: Acknowledgement
    until: float
    """Without an answer people are called then."""
    kind: Literal["still_on_it"] = "still_on_it"


@dataclass(frozen=True, slots=True)
class NoteEntry:
    """A person wrote a note."""

    at: float
    by: str
    text: str
    kind: Literal["note"] = "note"


@dataclass(frozen=True, slots=True)
class FalseAlarmEntry:
    """A person marked it as a false alarm."""

    at: float
    by: str
    text: str
    """Their reason."""
    kind: Literal["false_alarm"] = "false_alarm"


@dataclass(frozen=True, slots=True)
class SilencedEntry:
    """A person silenced it."""

    at: float
    by: str
    text: str
    """Their reason."""
    until: float
    kind: Literal["silenced"] = "silenced"


@dataclass(frozen=True, slots=True)
class ResolvedEntry:
    """It is over."""

    at: float
    by: str = ""
    """The user who resolved it; empty: it resolved by itself."""
    kind: Literal["resolved"] = "resolved"


@dataclass(frozen=True, slots=True)
class MergedEntry:
    """It goes on in another incident."""

    at: float
    kind: Literal["merged"] = "merged"


@dataclass(frozen=True, slots=True)
class ReopenedEntry:
    """It fails again."""

    at: float
    kind: Literal["reopened"] = "reopened"


BatchedEntry = JoinedEntry | RecoveredEntry
"""Entries that become one reply while they wait."""
NotifyingEntry = MentionEntry | CorrectedEntry | PagedEntry
"""Entries that notify people."""
CommandEntry = AcknowledgedEntry | NoteEntry | FalseAlarmEntry | SilencedEntry
TimelineEntry = (
    BatchedEntry
    | NotifyingEntry
    | CommandEntry
    | VerdictEntry
    | SeverityRaisedEntry
    | StatusUpdateEntry
    | UnreachedEntry
    | HandOverEntry
    | StillOnItEntry
    | ResolvedEntry
    | MergedEntry
    | ReopenedEntry
)


@dataclass(frozen=True, slots=True)
class DirectEntry:
    """A timeline entry for the person whom it concerns; it is no call."""

    incident: int
    person: str
    entry: TimelineEntry
