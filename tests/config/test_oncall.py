from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING

import pytest

from bot.app.rules import find_silent_escalation, rules_of
from bot.core.model.wall_clock import RecurringTime, parse_cron

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.config import Settings

    Refused = Callable[..., list[str]]
    LoadText = Callable[[str], Settings]

LEAST = """\
slack: {bot_token: xoxb-1, app_token: xapp-1, channel: C1}
tenants:
  - name: prod
    domain: acme.us.auth0.com
    logins: [{client_id: id, username: u, password: pw}]
"""
ROTATION = "rotation: {people: [U1, W2], hand_over: 'Mon 09:00', start: 2026-11-23}"
CALENDAR = "calendar: {url: 'https://a.b/canary.ics', people: {anna@acme.example: U1}}"


def oncall(written: str) -> str:
    return f"{LEAST}oncall: {{{written}}}\n"


def turns(**changed: str) -> str:
    written = {"people": "[U1]", "hand_over": "'09:00'", "start": "2026-11-23", **changed}
    return oncall(f"rotation: {{{', '.join(f'{key}: {text}' for key, text in written.items())}}}")


def steps(written: str, rest: str = ROTATION) -> str:
    return f"{oncall(rest)}escalation: {{critical: [{written}]}}\n"


def maintenance(written: str) -> str:
    return f"{LEAST}maintenance:\n  - {{{written}}}\n"


def test_rotation(load_text: LoadText) -> None:
    """A rotation is parsed as people write it."""
    read = load_text(oncall(f"zone: Europe/Berlin, {ROTATION}")).oncall

    assert read
    assert read.rotation
    assert (read.zone, read.rotation.people) == ("Europe/Berlin", ("U1", "W2"))
    assert read.rotation.hand_over == RecurringTime(time(9), 0)
    assert read.rotation.start == date(2026, 11, 23)


def test_calendar(load_text: LoadText) -> None:
    """A calendar's address is a secret."""
    settings = load_text(oncall(CALENDAR))

    assert settings.oncall
    assert settings.oncall.calendar
    assert settings.oncall.calendar.people == {"anna@acme.example": "U1"}
    assert "https://a.b/canary.ics" in settings.secrets()
    assert "canary" not in repr(settings)


def test_escalation(load_text: LoadText) -> None:
    """Steps name built-in steps, or a contact point under notify."""
    ways = "{after: 0s, tell: mention}, {after: 5m, tell: dm}, {after: 5m, tell: next}"
    critical = load_text(steps(ways)).escalation.critical

    assert [(step.after, step.tell) for step in critical] == [
        (0, "mention"),
        (300, "dm"),
        (300, "next"),
    ]


def test_maintenance(load_text: LoadText) -> None:
    """Maintenance windows recur, or come once."""
    (weekly,) = load_text(
        maintenance("tenants: [prod], every: 'Sun 02:00', lasts: 2h, reason: import")
    ).maintenance
    (monthly,) = load_text(
        maintenance("every: 'first Sun 02:00', lasts: 2h, reason: import")
    ).maintenance
    (cron,) = load_text(
        maintenance("cron: '0 2 * * mon-fri', lasts: 2h, reason: import")
    ).maintenance
    (once,) = load_text(
        maintenance("once: '2026-12-01 02:00', lasts: 9d, zone: Asia/Tokyo, reason: move")
    ).maintenance

    assert (weekly.every, weekly.once) == (RecurringTime(time(2), 6), None)
    assert monthly.every == RecurringTime(time(2), 6, week=1)
    assert cron.cron == parse_cron("0 2 * * 1-5")
    assert (once.every, once.once) == (None, datetime.fromisoformat("2026-12-01 02:00"))
    assert (weekly.tenants, once.tenants, once.lasts) == (("prod",), (), 9 * 86400)


def test_hours_of_calls_need_nobody_on_call(load_text: LoadText) -> None:
    """Who is called stands in `slack.mention` as well."""
    rules = rules_of(load_text(oncall("zone: Asia/Tokyo, hours: {begins: '08:00'}")))

    assert rules.on_call is None
    assert (rules.call_hours.zone, rules.call_hours.begins) == ("Asia/Tokyo", time(8))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (oncall("zone: UTC"), "6: oncall.rotation: is missing, and oncall needs it: A section"),
        (oncall(f"{ROTATION}, group: S1"), "6: oncall.group: stands beside rotation: give one or"),
        (oncall("group: U1"), "6: oncall.group: must be a user group's id (S…)"),
        (oncall("group: S1, zone: Mars/Olympus"), "6: oncall.zone: is no time zone: write a name"),
        (turns(people="[]"), "6: oncall.rotation.people: must have at least one entry"),
        (turns(people="[anna]"), "6: oncall.rotation.people[0]: must be a member's id (U…)"),
        (turns(hand_over="9"), "6: oncall.rotation.hand_over: must be '09:00' (every day) or"),
        (turns(start="Monday"), "6: oncall.rotation.start: must be a day such as 2026-11-23"),
        (oncall("calendar: {url: 'webcal://a.b/c'}"), "6: oncall.calendar.url: must begin with ht"),
        (oncall("calendar: {}"), "6: oncall.calendar.url: is missing: What PagerDuty, Opsgenie or"),
        (steps("{after: 0s, tell: shout}"), "7: escalation.critical[0].tell: must be one of dm, m"),
        (steps("{after: 0s, tell: dm}", "group: S1"), "7: escalation.critical[0].tell: needs a pe"),
        (steps("{after: 0s}"), "7: escalation.critical[0].tell: is missing: `mention`, `dm`, `ne"),
        (
            steps("{after: 5m, tell: dm}, {after: 1m, tell: next}"),
            "7: escalation.critical: has a step after a later one: write them in the order",
        ),
        (maintenance("lasts: 1h, reason: r"), "7: maintenance[0].every: is missing, and maintena"),
        (
            maintenance("every: '02:00', once: '2026-12-01 02:00', lasts: 1h, reason: r"),
            "7: maintenance[0].once: stands beside every: give one or the other",
        ),
        (
            maintenance("every: '02:00', lasts: 24h, reason: r"),
            "7: maintenance[0].lasts: is not over when the next one begins",
        ),
        (
            maintenance("once: '9999-12-31 23:59', lasts: 1h, reason: r"),
            "7: maintenance[0].once: must be in the years 2000 to 2999",
        ),
        (
            maintenance("once: tomorrow, lasts: 1h, reason: r"),
            "7: maintenance[0].once: must be a day and a time such as '2026-12-01 02:00'",
        ),
        (
            maintenance("every: '02:00', lasts: 1h, reason: r, tenants: [prod, prd]"),
            "7: maintenance[0].tenants[1]: is no tenant's name",
        ),
    ],
)
def test_mistakes(text: str, problem: str, refused: Refused) -> None:
    """A mistake is reported with its line, and nothing else is."""
    (told,) = refused(text)
    assert told.startswith(f"bot.yml:{problem}")


def test_all_at_once(refused: Refused) -> None:
    """Mistakes of all three sections are reported together."""
    text = steps("{after: 0s, tell: shout}", "group: U1") + maintenance("reason: r")[len(LEAST) :]
    assert len(refused(text)) == 4


NONSENSE = """\
oncall:
  zone: Mars/Olympus
  rotation: {people: [anna, S1], hand_over: "Mon 25:00", start: 2026-02-30}
  group: U1
escalation:
  critical: [{after: -5m, tell: pager}, {after: 1, tell: ""}, {after: 2s, tell: [dm]}]
  warning: dm
  repeat: -1
  every: 0s
notify:
  - {name: dm, pagerduty: {routing_key: short}}
  - {name: DM, apprise: "mailto://x", pagerduty: {}}
  - {}
maintenance:
  - {every: "Sun 02:00", once: "9999-12-31 23:59", lasts: 400d, reason: ""}
  - {once: "2026-02-30 02:00", lasts: 1h, reason: r, tenants: [x], zone: "../../etc"}
access: {view: [], silence: [ann], administer: U1, audit: [U1]}
report: {every: daily, zone: [], to: C1}
"""
PLACES = {
    7: "zone",
    8: "hand_over people[0] people[1] start",
    9: "group",
    11: "critical[0].after critical[0].tell critical[1].after critical[1].tell critical[2].tell",
    12: "warning",
    13: "repeat",
    14: "every",
    16: "name routing_key",
    17: "apprise name routing_key",
    18: "name pagerduty",
    20: "lasts once reason",
    21: "once tenants[0] zone",
    22: "administer audit silence[0] view",
    23: "every to zone",
}
"""By line: the ends of the names of what is wrong there."""


def test_nonsense_everywhere(refused: Refused) -> None:
    """All mistakes are reported at once, each with its line."""
    told = [line.split(": ")[:2] for line in refused(LEAST + NONSENSE)]
    wanted = [(f"bot.yml:{line}", end) for line, ends in PLACES.items() for end in ends.split()]

    assert [place for place, _ in told] == [place for place, _ in wanted]
    assert all(name.endswith(end) for (_, name), (_, end) in zip(told, wanted, strict=True))


@pytest.mark.parametrize("tell", ["[dm]", "{dm: dm}", "[]"])
def test_a_step_that_tells_no_name(tell: str, refused: Refused) -> None:
    """A list or a section is refused like any other mistake."""
    (told,) = refused(steps(f"{{after: 0s, tell: {tell}}}"))
    assert told.startswith("bot.yml:7: escalation.critical[0].tell: must be ")


@pytest.mark.parametrize(
    ("steps", "is_warned"),
    [([], False), (["mention"], True), (["dm", "next"], True), (["dm", "pager"], False)],
)
def test_an_escalation_that_stays_in_slack_is_warned_of(
    load_text: LoadText, steps: list[str], *, is_warned: bool
) -> None:
    """A phone in Do Not Disturb makes no sound for Slack. No escalation at all is a choice."""
    contacts = ", ".join(f"{{after: 1m, tell: {each}}}" for each in steps)
    settings = load_text(
        oncall(ROTATION)
        + f"notify: [{{name: pager, pagerduty: {{routing_key: {'k' * 32}}}}}]\n"
        + f"escalation: {{critical: [{contacts}]}}\n"
    )

    assert bool(find_silent_escalation(rules_of(settings))) is is_warned
