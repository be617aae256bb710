"""Slack is away: the bot watches and pages all the same, and catches up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, Tier, experiment
from tests.faults.lab import CRITICAL, SLACK_DOWN, START_S
from tests.faults.outside import PAGER, WEBHOOK
from tests.faults.site import hang
from tests.faults.slack import CHANNEL

if TYPE_CHECKING:
    from tests.faults.lab import Lab

PAGED, TOLD = "every contact point is paged", "the channel has the alert, once"
PAGE_S, CATCH_UP_S = 65.0, 120.0
DAY_S = 86_400.0
QUIET_S = 20.0
"""How long a run looks on after a page: nobody is paged twice for one call."""
MINUTES_AWAY_S = 720.0
ON_THEIR_WAY_S = 125.0
"""For two minutes after a call nobody is called again: people are on their way."""


@experiment(Kind.SLACK, {PAGED: PAGE_S, TOLD: CATCH_UP_S}, tier=Tier.QUICK, test_speed=20)
async def slack_refuses_from_the_start(lab: Lab) -> None:
    """Slack refuses connections when the bot starts, logins fail, and then Slack is back."""
    await lab.slack.site.shut()
    await start_without_slack(lab)
    await lab.strike()
    await expect_page(lab)
    await lab.slack.site.open()
    await catch_up(lab)


@experiment(Kind.SLACK, {PAGED: PAGE_S, TOLD: CATCH_UP_S})
async def slack_is_broken_from_the_start(lab: Lab) -> None:
    """Slack hangs or answers 503 when the bot starts, logins fail, and then Slack is back."""
    lab.slack.site.faults["*"] = lab.dice.choice((hang, SLACK_DOWN))
    await start_without_slack(lab)
    await lab.strike()
    await expect_page(lab)
    lab.slack.site.faults.clear()
    await catch_up(lab)


@experiment(Kind.SLACK, {PAGED: PAGE_S, TOLD: CATCH_UP_S})
async def token_is_refused_from_the_start(lab: Lab) -> None:
    """Slack refuses the token when the bot starts, logins fail, and then Slack accepts it."""
    lab.slack.token_error = lab.dice.choice(("invalid_auth", "token_revoked", "account_inactive"))
    await start_without_slack(lab)
    await lab.until(
        lambda: lab.program.find(lab.slack.token_error), START_S, "the log says what Slack said"
    )
    await lab.strike()
    await expect_page(lab)
    lab.slack.token_error = ""
    await catch_up(lab)


@experiment(Kind.SLACK, {"it says what is wrong and ends": 10}, tier=Tier.TEST)
async def wrong_configuration_ends_the_start(lab: Lab) -> None:
    """The configuration is wrong: a bot that watched nothing of it would look well."""
    lab.may_end = True
    settings = lab.settings()
    settings["slack"]["bot_token"] = "xapp-wrong-kind-of-token"
    await lab.start(settings)
    await lab.reach(
        "it says what is wrong and ends",
        lambda: lab.program.status == 3 and lab.program.find("slack.bot_token"),
        lab.program.started_at,
    )


@experiment(Kind.SLACK, {PAGED: PAGE_S, TOLD: CATCH_UP_S}, tier=Tier.FULL)
async def slack_away_for_twelve_minutes(lab: Lab) -> None:
    """Slack refuses connections for 12 minutes, after the start or from it, and logins fail."""
    if lab.dice.random() < 1 / 2:
        await lab.start_watching()
    began = lab.now()
    await lab.slack.site.shut()
    if not lab.programs:
        await start_without_slack(lab)
    await lab.idle(0, MINUTES_AWAY_S - 2 * PAGE_S)
    await lab.strike()
    await expect_page(lab)
    await lab.hold(
        lambda: lab.program.status is None, began + MINUTES_AWAY_S - lab.now(), "the bot runs"
    )
    await lab.slack.site.open()
    await catch_up(lab)


@experiment(Kind.CALLS, {PAGED: PAGE_S, TOLD: CATCH_UP_S})
async def slack_refuses_connections(lab: Lab) -> None:
    """Slack refuses connections, logins fail, and then Slack is back."""
    await lab.start_watching()
    await lab.idle()
    await lab.slack.site.shut()
    await lab.idle()
    await lab.strike()
    await expect_page(lab)
    await lab.slack.site.open()
    await catch_up(lab)


@experiment(Kind.CALLS, {PAGED: PAGE_S, TOLD: CATCH_UP_S})
async def slack_hangs(lab: Lab) -> None:
    """Slack takes each request and never answers, logins fail, and then Slack is back."""
    await lab.start_watching()
    await lab.idle()
    lab.slack.site.faults["*"] = hang
    lab.slack.site.reset()
    await lab.strike()
    await expect_page(lab)
    lab.slack.site.faults.clear()
    await catch_up(lab)


@experiment(Kind.CALLS, {PAGED: PAGE_S}, tier=Tier.QUICK, test_speed=20)
async def slack_asks_to_wait_for_long(lab: Lab) -> None:
    """Slack answers each post with 429 and asks to wait for 5 minutes, or for a day."""
    await lab.start_watching()
    lab.slack.waits["chat.postMessage"] = lab.dice.choice((300.0, DAY_S))
    await lab.idle()
    await lab.strike()
    await expect_page(lab)
    lab.check(not lab.slack.calls_inside_a_wait(), "the bot keeps to what Slack asked")


@experiment(Kind.CALLS, {PAGED: PAGE_S})
async def token_is_revoked(lab: Lab) -> None:
    """Slack revokes the token, and logins fail."""
    await lab.start_watching()
    await lab.idle()
    lab.slack.token_error = "token_revoked"
    await lab.strike()
    await expect_page(lab)


@experiment(Kind.CALLS, {PAGED: PAGE_S})
async def slack_dies_before_people_are_mentioned(lab: Lab) -> None:
    """The alert is posted without a mention, Slack dies, and 20 s later people are mentioned."""
    settings = lab.settings()
    settings["thresholds"]["mention_after"] = "20s"
    await lab.start_watching(settings)
    await lab.strike()
    decided_at = lab.now() + 20.0 / lab.speed
    await lab.until(lab.slack.cards, START_S, "the alert is posted")
    lab.slack.site.faults["*"] = lab.dice.choice((hang, SLACK_DOWN))
    await expect_page(lab, decided_at)


@experiment(Kind.CALLS, {PAGED: PAGE_S}, tier=Tier.QUICK, test_speed=20)
async def slack_dies_before_a_step(lab: Lab) -> None:
    """The alert is posted, Slack refuses all, and 20 s later a step mentions people or writes."""
    tell = lab.dice.choice(("mention", "dm"))
    rotation = {"people": ["U1", "U2"], "hand_over": "09:00", "start": "2026-11-23"}
    step = {"after": "20s", "tell": tell}
    await lab.start_watching(
        lab.settings(oncall={"rotation": rotation}, escalation={"critical": [step], "repeat": 0})
    )
    await lab.strike()
    decided_at = lab.now() + 20.0 / lab.speed
    await lab.until(lab.slack.cards, START_S, "the alert is posted")
    await lab.slack.site.shut()
    await expect_page(lab, decided_at)


@experiment(Kind.CALLS, {PAGED: PAGE_S}, tenants=("prod", "other"))
async def tenant_joins_in_an_archived_channel(lab: Lab) -> None:
    """The channel is archived while an incident is open, and another tenant's logins fail, too."""
    await lab.start_watching()
    await lab.strike("prod")
    await lab.until(lab.slack.cards, START_S, "the alert is posted")
    await lab.idle(ON_THEIR_WAY_S, ON_THEIR_WAY_S + 5)
    lab.slack.archived.add(CHANNEL)
    await lab.idle()
    lab.outside.pages.clear()
    joined = CRITICAL + r" tenants=\S*\bother\b"
    await lab.strike("other", wait_for=joined)
    await expect_page(lab)


async def start_without_slack(lab: Lab) -> None:
    """Start the bot, and wait until it watches."""
    await lab.start()
    await lab.until(lambda: any(lab.tenants.succeeded()), START_S, "the bot watches")
    await lab.idle(0, 20)


async def expect_page(lab: Lab, since: float | None = None) -> None:
    """Wait for a page at every contact point, one for this call."""
    await lab.reach(PAGED, lab.is_paged_everywhere, since)
    await lab.hold(
        lambda: all(len(lab.outside.paged(point)) == 1 for point in (PAGER, WEBHOOK)),
        QUIET_S,
        "each contact point is paged once for one call",
    )


async def catch_up(lab: Lab) -> None:
    """Wait until the channel has one message, which says what is true now."""

    def is_told() -> bool:
        cards = lab.slack.cards()
        return len(cards) == 1 and " fail" in cards[0].text

    await lab.reach(TOLD, is_told)
    await lab.hold(is_told, QUIET_S, "the channel has one message")
