"""Messages and pages: what one person or one dead address does to everybody else's."""

from __future__ import annotations

import asyncio
from functools import partial
from operator import contains
from typing import TYPE_CHECKING

from tests.faults.experiment import Kind, Tier, experiment
from tests.faults.lab import START_S
from tests.faults.outside import MAIL, PAGER, MailServer

if TYPE_CHECKING:
    from tests.faults.lab import Lab

GOOD, DEAD = "good@lab.test", "dead@lab.test"
MAILED = "the good recipient has the mail"
TOLD = "the channel has the alert"
ANNOUNCED = "all silences are announced"
LOOK_ON_S = 120.0
WAIT_S = 5.0
LEFT, ANSWERED, EMPTY = "the page has left", "all is answered", "nothing waits any more"
COMMANDS, PEOPLE, STORM_S = 1000, 250, 60.0
STEP_S = 20.0
TEN = tuple(f"tenant-{number}" for number in range(10))


@experiment(Kind.RECIPIENT, {MAILED: 30}, tier=Tier.QUICK, test_speed=20)
async def one_of_two_recipients_is_dead(lab: Lab) -> None:
    """A step of the policy mails two people by one address of Apprise; one of them is unknown."""
    server = MailServer(lab.outside, frozenset({DEAD}))
    port = await server.open()
    lab.exit_stack.push_async_callback(server.close)
    address = f"mailto://127.0.0.1:{port}/?from=bot@lab.test&to={GOOD},{DEAD}"
    policy = {"critical": [{"after": "1s", "tell": MAIL}], "repeat": 0}
    notify = [{"name": MAIL, "apprise": address}]
    await lab.start_watching(lab.settings(notify=notify, escalation=policy))
    await lab.strike()
    good = f"{MAIL}:{GOOD}"
    await lab.reach(MAILED, lambda: lab.outside.paged(good))
    await lab.hold(lambda: len(lab.outside.paged(good)) == 1, LOOK_ON_S, "one mail comes")
    lab.check(lab.program.find(rf"\b{MAIL}\b.*outcome=(?!sent)"), "the log says that one failed")


@experiment(Kind.FLOOD, {TOLD: 10}, tier=Tier.TEST)
async def one_person_floods_the_channel(lab: Lab) -> None:
    """One person asks for help 120 times at once, for all to see, and logins fail."""
    lab.slack.burst = 5
    await lab.start_watching()
    await lab.idle(0, 3)
    for _ in range(60):
        await lab.slack.socket.type_command("U0FLOOD", "help share")
        await lab.slack.socket.mention("U0FLOOD", "help share")
    await lab.strike()
    await lab.reach(TOLD, lambda: any(" fail" in card.text for card in lab.slack.cards()))


@experiment(Kind.WAITS, {ANNOUNCED: 60}, tier=Tier.TEST, tenants=TEN)
async def ten_silences_while_slack_asks_to_wait(lab: Lab) -> None:
    """Slack answers each post with 429 and asks to wait for 5 s, and ten silences are set."""
    await lab.start_watching()
    await lab.idle(0, 3)
    lab.slack.waits["chat.postMessage"] = WAIT_S
    for number, name in enumerate(TEN):
        envelope = await lab.slack.socket.type_command(f"U{number}", f"silence {name} 2h a drill")
        await lab.until(
            partial(contains, lab.slack.socket.acknowledged, envelope), START_S, "it is taken"
        )
    await lab.idle(2 * WAIT_S, 3 * WAIT_S)
    accepted = sum("state=active" in line for _, line in lab.program.lines)
    lab.check(accepted, "some silences are set, even on a busy machine")
    lab.slack.waits.clear()
    await lab.reach(ANNOUNCED, lambda: len(lab.slack.cards()) >= accepted)
    inside = [call.method for call in lab.slack.calls_inside_a_wait()]
    lab.check(not inside, f"no call comes inside a wait: {inside}")


@experiment(Kind.WAITS, {LEFT: 30, ANSWERED: 180, EMPTY: 900}, tier=Tier.FULL, tenants=TEN)
async def a_thousand_commands_in_a_minute(lab: Lab) -> None:
    """1,000 commands come in a minute, Slack limits the channel, and a step of a policy pages."""
    lab.slack.burst = 5
    policy = {"critical": [{"after": f"{STEP_S:.0f}s", "tell": PAGER}], "repeat": 0}
    admin = await lab.start_watching(lab.settings(escalation=policy))
    await lab.strike(TEN[0])
    due_at = lab.now() + STEP_S
    texts = ("note 1 seen", f"silence {TEN[1]} 2h a drill", "status", "why 1")
    storm = asyncio.create_task(_type_all(lab, texts))
    await lab.reach(LEFT, lambda: lab.outside.paged(PAGER), due_at)
    await storm
    await lab.reach(ANSWERED, lambda: len(lab.slack.private_answers) >= COMMANDS)

    async def is_empty() -> bool:
        return "auth0_check_outbox_waiting 0.0" in (await admin.get("/metrics"))[1]

    await lab.reach(EMPTY, is_empty)
    inside = lab.slack.calls_inside_a_wait()
    lab.check(not inside, f"no call comes inside a wait: {len(inside)}")


async def _type_all(lab: Lab, texts: tuple[str, ...]) -> None:
    for number in range(COMMANDS):
        text = texts[number // PEOPLE % len(texts)]
        await lab.slack.socket.type_command(f"U{number % PEOPLE}", text)
        await asyncio.sleep(STORM_S / COMMANDS)
