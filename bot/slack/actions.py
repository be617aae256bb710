"""The ids of buttons, menus and forms, and the values that they carry.

Old messages keep their buttons, so a value has to stay readable over releases.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bot.config import value_types as types
from bot.core.commands.parse import NOTE_LENGTH
from bot.core.model.access import Verb

OPEN_STATUS = "open_status"
OPEN_RUNBOOK = "open_runbook"
LINKS = (OPEN_STATUS, OPEN_RUNBOOK)
"""Buttons with a `url`. Slack reports their clicks too and wants them acknowledged.

https://docs.slack.dev/reference/block-kit/block-elements/button-element (read 2026-11)
"""

CHECK_AGAIN = "check_again"
ACKNOWLEDGE = "acknowledge"
TAKE_OVER = "take_over"
STILL_ON_IT = "still_on_it"
HAND_OVER = "hand_over"
RESOLVE = "resolve"
CONFIRM = "confirm"
"""Resolves what still fails."""
SILENCE = "silence"
WHAT_HAPPENED = "what_happened"
FALSE_ALARM = "false_alarm"
MORE = "more"
"""The overflow menu of an incident: each option's value is a `MenuValue`."""
END_SILENCE = "end_silence"
BUTTONS = (
    CHECK_AGAIN,
    ACKNOWLEDGE,
    TAKE_OVER,
    STILL_ON_IT,
    HAND_OVER,
    RESOLVE,
    CONFIRM,
    SILENCE,
    WHAT_HAPPENED,
    FALSE_ALARM,
    MORE,
    END_SILENCE,
)
"""Those whose click becomes a request."""
REFRESH = "refresh"
"""The Home tab's button, which has no value."""

ASK = "ask"
"""The global shortcut, and the form that it opens."""
SILENCE_FORM = "silence_form"
WORDS_FORM = "words_form"
"""A note, or the reason of a false alarm."""
WHAT = "what"
"""The only field whose change Slack reports at once: the preview depends on it."""

Id = Annotated[str, Field(pattern=r"^[UW][A-Z0-9]+$")]
Name = Annotated[str, Field(pattern=rf"^{types.NAME_PATTERN}$")]
Number = Annotated[int, Field(ge=1, le=999_999_999)]


class ActionValue(types.Section):
    """The value of a button; `v` is the version of its meaning."""

    v: Literal[1] = 1


class CheckAgainValue(ActionValue):
    """The value of `check_again`."""

    tenant: Name


class IncidentValue(ActionValue):
    """The value of what is about an incident, and says no more."""

    incident: Number


class TakeOverValue(IncidentValue):
    """The value of `take_over`."""

    owner: Id
    """The user from whom it is taken."""


class ConfirmValue(IncidentValue):
    """The value of `confirm`."""

    note: Annotated[str, Field(max_length=NOTE_LENGTH)] = ""


class MenuValue(ActionValue):
    """The value of an option of `more`: a tenant for `run`, else an incident."""

    verb: Literal[
        Verb.RUN, Verb.WHY, Verb.RESOLVE, Verb.ESCALATE, Verb.SILENCE, Verb.NOTE, Verb.FALSE_ALARM
    ]
    incident: Number | None = None
    tenant: Name | None = None


class SilenceValue(ActionValue):
    """The value of `end_silence`."""

    silence: Number
