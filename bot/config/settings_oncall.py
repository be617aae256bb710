"""Settings for people: on-call, escalation, maintenance, contact points and access rights."""

from __future__ import annotations

from datetime import date, datetime, time
from importlib.util import find_spec
from operator import attrgetter
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from bot.config import value_types as types
from bot.core.model.access import EVERYONE
from bot.core.model.wall_clock import (
    DAY_S,
    CronTime,
    RecurringTime,
    is_zone,
    parse_cron,
    parse_recurring_time,
)

PERSONAL_STEPS = ("dm", "next")
"""Steps that need one person; a user group names none."""
BUILTIN_STEPS = ("mention", *PERSONAL_STEPS)
FIRST_YEAR, LAST_YEAR = 2000, 2999
"""Calendar arithmetic also needs the days around these years."""


def _check_zone(name: str) -> str:
    if not is_zone(name):
        raise ValueError("is no time zone: write a name such as Europe/Berlin, or UTC")
    return name


def _must_recur(longest_days: int, forms: str) -> BeforeValidator:
    """Parse a time that comes back within so many days."""

    def parse(value: object) -> RecurringTime:
        parsed = parse_recurring_time(str(value))
        if parsed is None or parsed.period_days > longest_days:
            raise ValueError(f"must be {forms}, in quotes")
        return parsed

    return BeforeValidator(parse)


def _parse_cron(value: object) -> object:
    parsed = parse_cron(str(value))
    if parsed is None:
        raise ValueError(
            "must be a cron expression of five fields, in quotes: '0 2 * * sun' is every Sunday at"
            " 02:00"
        )
    if parsed.next(0.0, "UTC") is None:
        raise ValueError("names a day that never comes")
    return parsed


def _parse_wall_time(value: object) -> object:
    try:
        parsed = datetime.strptime(str(value), "%Y-%m-%d %H:%M")  # noqa: DTZ007 - `zone` says which
    except ValueError:
        raise ValueError("must be a day and a time such as '2026-12-01 02:00'") from None
    if not FIRST_YEAR <= parsed.year <= LAST_YEAR:
        raise ValueError(f"must be in the years {FIRST_YEAR} to {LAST_YEAR}")
    return parsed


def _parse_day(value: object) -> object:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("must be a day such as 2026-11-23") from None


def _parse_off(value: object) -> object:
    return None if value == "off" else value


def _check_order(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    if list(steps) != sorted(steps, key=lambda step: step.after):
        raise ValueError("has a step after a later one: write them in the order of their time")
    return steps


AS_TEXT = WithJsonSchema({"type": "string"})
"""As they are written in a file, for editors."""
Zone = Annotated[str, AfterValidator(_check_zone)]
Recurrence = Annotated[
    RecurringTime, _must_recur(7, "'09:00' (every day) or 'Mon 09:00' (every week)"), AS_TEXT
]
"""Of shifts and reports: they come every week at the least."""
MaintenanceRecurrence = Annotated[
    RecurringTime,
    _must_recur(
        28,
        "'02:00' (every day), 'Sun 02:00' (every week), 'first Sun 02:00' or '15th 02:00' (every"
        " month)",
    ),
    AS_TEXT,
]
Clock = Annotated[
    time,
    BeforeValidator(attrgetter("at")),
    _must_recur(1, "a time of the day such as '09:00'"),  # pydantic begins with the last one
    AS_TEXT,
]
Cron = Annotated[CronTime, BeforeValidator(_parse_cron), AS_TEXT]
WallTime = Annotated[datetime, BeforeValidator(_parse_wall_time), AS_TEXT]
Day = Annotated[date, BeforeValidator(_parse_day), AS_TEXT]
User = Annotated[
    str,
    types.must_match(
        r"[UW][A-Z0-9]+", "must be a member's id (U…): their profile > ⋮ > Copy member ID"
    ),
]
UserGroup = Annotated[
    str,
    types.must_match(r"S[A-Z0-9]+", "must be a user group's id (S…): at the end of its address"),
]


class Rotation(types.Section):
    """People who take turns."""

    people: tuple[User, ...] = Field(min_length=1)
    """A list of members' ids (U…), in the order of their turns."""
    hand_over: Recurrence
    """'Mon 09:00' for weekly shifts, '09:00' for daily ones."""
    start: Day
    """The first hand-over on or after this day starts the first person's shift."""


class Calendar(types.Section):
    """Shifts from another system: an iCalendar feed."""

    url: types.SecretAddress
    """What PagerDuty, Opsgenie or Google Calendar export; https:// instead of webcal://."""
    every: types.Interval = 300.0
    """Time between two polls."""
    people: dict[types.Text, User] = Field(default_factory=dict)
    """Mail address or name, as in the calendar -> a member's id (U…)."""


class Hours(types.Section):
    """The hours in which tenants with `calls: hours` may call people."""

    days: tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...] = Field(
        default=("mon", "tue", "wed", "thu", "fri"), min_length=1
    )
    """A list of days."""
    begins: Clock = time(9)
    """'09:00', by the clocks of oncall.zone."""
    ends: Clock = time(18)
    """'18:00', later than begins."""

    @field_validator("ends")
    @classmethod
    def _check_ends(cls, ends: time, info: ValidationInfo) -> time:
        if ends <= info.data.get("begins", time.min):
            raise ValueError("must be later than begins, on the same day")
        return ends


class OnCall(types.Section):
    """Who is on call: `rotation`, `group` or `calendar`. docs/paging.md shows each."""

    zone: Zone = "UTC"
    """Of the hand-over, and of a calendar's times that have no time zone."""
    rotation: Rotation | None = None
    """A section with people, hand_over and start; or group or calendar instead. With `hours`
    nobody need be named."""
    group: UserGroup | None = None
    """Instead of rotation: a user group, which is mentioned."""
    calendar: Calendar | None = None
    """Instead of rotation: a section with url."""
    hours: Hours = Hours()
    """A section with days, begins and ends: when tenants with `calls: hours` may call people."""


class Step(types.Section):
    """One step of an escalation."""

    after: types.Span
    """How long after people were first mentioned; for a warning, after the alert."""
    tell: types.Name
    """`mention`, `dm`, `next`, or the name of a contact point under notify."""


Steps = Annotated[tuple[Step, ...], AfterValidator(_check_order)]


class Escalation(types.Section):
    """Who is notified while nobody acknowledges, by severity."""

    critical: Steps = ()
    """Steps of an incident in which at least half of the logins fail."""
    warning: Steps = ()
    """Steps of an incident in which a part of them fails."""
    repeat: int = Field(default=2, ge=0, le=10)
    """How often the steps begin again after the last one."""
    every: types.Interval = 900.0
    """How long after the last step they begin again."""


class Acknowledgements(types.Section):
    """How long an acknowledgement of a critical incident holds."""

    remind: Annotated[types.Interval | None, BeforeValidator(_parse_off)] = 1800.0
    """After so long whoever has it is asked whether they are still on it; `off`: never."""


class Maintenance(types.Section):
    """A maintenance window: `every`, `cron` or `once`. During it nobody is called."""

    tenants: tuple[types.Name, ...] = ()
    """Names of tenants; without it, all."""
    every: MaintenanceRecurrence | None = None
    """'02:00' for every day, 'Sun 02:00' for every week, 'first Sun 02:00' (second, third, fourth,
    last) or '15th 02:00' for every month."""
    cron: Cron | None = None
    """Instead of every: a cron expression of five fields, as '0 2 1-7 * *'."""
    once: WallTime | None = None
    """Instead of every: a day and a time such as '2026-12-01 02:00'."""
    lasts: types.Span
    """How long, by the wall clock of the zone."""
    zone: Zone = "UTC"
    """Whose clocks count, such as Europe/Berlin."""
    reason: types.Text
    """What is being done, for people who ask why there are no alerts."""

    @field_validator("lasts")
    @classmethod
    def _check_lasts(cls, lasts: float, info: ValidationInfo) -> float:
        every = info.data.get("every")
        if every and lasts >= every.period_days * DAY_S:
            raise ValueError("is not over when the next one begins")
        return lasts

    @property
    def begins(self) -> RecurringTime | CronTime | datetime:
        """The one of the three that is given."""
        begins = self.every or self.cron or self.once
        assert begins is not None  # noqa: S101 - the configuration refuses a window without one
        return begins


def _require_apprise(address: SecretStr) -> SecretStr:
    if not find_spec("apprise"):
        raise ValueError("needs Apprise, which is not here: pip install 'auth0-check[apprise]'")
    return address


class PagerDuty(types.Section):
    """One service of PagerDuty."""

    routing_key: Annotated[
        SecretStr,
        types.must_match(r"[A-Za-z0-9]{32}", "must be the integration key: 32 letters and digits"),
    ]
    """The integration key: the service > Integrations > Events API V2."""
    url: types.BaseAddress = "https://events.pagerduty.com"
    """An account in the EU has https://events.eu.pagerduty.com."""


class ContactPoint(types.Section):
    """A contact point beyond Slack: `pagerduty` or `apprise`."""

    name: types.Name
    """A short name of your own for it."""
    pagerduty: PagerDuty | None = None
    """A section with routing_key; or apprise instead."""
    apprise: Annotated[types.Secret, AfterValidator(_require_apprise)] | None = None
    """Instead of pagerduty: an Apprise URL, such as mailtos://… It needs the extra `apprise`."""


PrincipalId = Annotated[
    str,
    types.must_match(
        rf"{EVERYONE}|[UWSCG][A-Z0-9]+",
        f"must be {EVERYONE}, or the id of a member (U…), a user group (S…) or a channel (C…)",
    ),
]
PrincipalIds = Annotated[tuple[PrincipalId, ...], Field(min_length=1)]
"""A channel means everyone who asks in it."""


class Access(types.Section):
    """Who may do what: members (`U…`), user groups (`S…`), channels (`C…`) and `everyone`.

    A channel means whoever asks there. No right includes another one. Guests and members of other
    workspaces may do nothing. What people did, and what was refused, is kept for 400 days.
    """

    view: PrincipalIds = (EVERYONE,)
    """Read what the bot knows, and start an on-demand check."""
    acknowledge: PrincipalIds = (EVERYONE,)
    """Acknowledge an incident, add a note, resolve it, mark it as a false alarm."""
    silence: PrincipalIds = (EVERYONE,)
    """Silence a tenant, a signal or an incident for a while, and end the silence."""
    administer: PrincipalIds = (EVERYONE,)
    """Silence everything, override who is on call, read the audit trail, examine the set-up. By
    default any member may: name your on-call user group here."""
