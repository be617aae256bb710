"""The Home tab: what it shows, to whom, and when it is published again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.access import Access
from bot.core.model.observation import Cause, Scope, Severity, Target, Verdict
from bot.core.state.incident import Incident, IncidentKind, IncidentLife
from bot.core.state.problem import ProbeProblem
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.silence import Silence
from bot.core.state.tenant import Tenants, TenantState
from bot.simulator.workspace.blocks import Surface, check, find_elements
from bot.slack.actions import ACKNOWLEDGE, END_SILENCE, REFRESH
from bot.slack.outbound import home_tabs as limits

if TYPE_CHECKING:
    from bot.slack.outbound.home_tabs import HomeTabs


class StillClock:
    """A clock that only the test moves."""

    speed = 2.0

    def __init__(self) -> None:
        self.at = 1_772_445_600.0

    def now(self) -> float:
        return self.at

    async def sleep(self, span_s: float) -> None:
        self.at += span_s
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


def incident(number: int, tenant: str, now: float) -> Incident:
    return Incident(
        id=number,
        kind=IncidentKind.FAILING,
        severity=Severity.CRITICAL,
        tenants=(tenant,),
        since=now - 60,
        life=IncidentLife(now - 10),
        verdict=Verdict(Cause.AUTH0, Scope.TENANT, 0.9),
        problems=(ProbeProblem(tenant, "login", now - 60, 5, 5),),
    )


def published(slack: Any) -> list[dict[str, Any]]:
    return [
        json.loads(sent["view"]) for method, sent, _ in slack.calls if method == "views.publish"
    ]


def buttons(view: dict[str, Any]) -> list[str]:
    return [element["action_id"] for element in find_elements(view["blocks"])]


async def test_all_is_well(slack: Any, home_tabs: HomeTabs) -> None:
    """The tab shows every tenant, and the Refresh button."""
    await home_tabs.open_tab("U1")

    (view,) = published(slack)
    text = json.dumps(view)
    assert view["type"] == "home"
    assert "No open incident" in text
    assert all(f"*{name}*" in text for name in ("prod", "stage"))
    assert buttons(view) == [REFRESH]
    assert check(view["blocks"], Surface.HOME) == []


async def test_what_goes_on(slack: Any, home_tabs: HomeTabs, known: Any, clock: Any) -> None:
    """Open incidents and silences are shown with their buttons."""
    muted = Silence(3, Target("stage", ""), clock.at, clock.at + 60, "U1", "an upgrade")
    open_one = incident(7, "prod", clock.at)
    known.desk = replace(known.desk, incidents={7: open_one}, silences={3: muted})

    await home_tabs.open_tab("U1")

    (view,) = published(slack)
    assert "1 open incident" in json.dumps(view)
    assert {ACKNOWLEDGE, END_SILENCE, REFRESH} <= {*buttons(view)}
    assert check(view["blocks"], Surface.HOME) == []


async def test_500_tenants(slack: Any, home_tabs: HomeTabs, known: Any, clock: Any) -> None:
    """However much there is, the tab is within Slack's limits and counts what it leaves out."""
    names = [f"tenant-with-a-long-name-{n:03}" for n in range(500)]
    known.rules = Rules({name: TenantRules(name, "x.us.auth0.com", "US-1") for name in names})
    known.tenants = Tenants({name: TenantState() for name in names})
    incidents = {n: incident(n, names[n], clock.at) for n in range(1, 400)}
    silences = {
        n: Silence(n, Target(names[n], ""), clock.at, clock.at + 60, "U1", "x" * 200)
        for n in range(1, 300)
    }
    known.desk = replace(known.desk, incidents=incidents, silences=silences)

    await home_tabs.open_tab("U1")

    (view,) = published(slack)
    text = json.dumps(view, ensure_ascii=False)
    assert check(view["blocks"], Surface.HOME) == []
    assert len(text) < 250_000
    assert [f"… and {n} more" in text for n in (389, 400, 289)] == [True] * 3


@pytest.mark.parametrize(
    ("access", "facts", "text"),
    [
        (Access(), {"is_restricted": True}, "guests"),
        (Access(view=("U9",)), {}, "<@U9>"),
    ],
)
async def test_who_may_not_see(
    slack: Any, home_tabs: HomeTabs, known: Any, access: Access, facts: dict[str, Any], text: str
) -> None:
    """Guests, and people without the right, see only who may see it."""
    slack.answers["users.info"]["user"] |= facts
    known.rules = replace(known.rules, access=access)

    await home_tabs.open_tab("U1")

    (view,) = published(slack)
    assert text in json.dumps(view)
    assert "prod" not in json.dumps(view)


async def test_it_follows_what_changes(
    slack: Any, home_tabs: HomeTabs, known: Any, clock: Any
) -> None:
    """A change is shown within half a minute; without a change nothing is published."""
    await home_tabs.open_tab("U1")
    for _ in range(3):
        clock.at += limits.REFRESH_S * clock.speed
        await home_tabs.refresh()
    assert len(published(slack)) == 1

    known.desk = replace(known.desk, incidents={7: incident(7, "prod", clock.at)})
    await home_tabs.refresh()
    known.desk = replace(known.desk, incidents={8: incident(8, "prod", clock.at)})
    await home_tabs.refresh()
    assert len(published(slack)) == 2
    clock.at += limits.REFRESH_S * clock.speed
    await home_tabs.refresh()

    assert "#8" in json.dumps(published(slack)[2])


async def test_who_acts_sees_it_soon(
    slack: Any, home_tabs: HomeTabs, known: Any, clock: Any
) -> None:
    """A person who clicks does not wait half a minute."""
    await home_tabs.open_tab("U1")
    await home_tabs.open_tab("U2")
    known.desk = replace(known.desk, incidents={7: incident(7, "prod", clock.at)})
    home_tabs.refresh_soon("U2")
    home_tabs.refresh_soon("U9")

    await home_tabs.refresh()

    users = [sent["user_id"] for method, sent, _ in slack.calls if method == "views.publish"]
    assert users == ["U1", "U2", "U2"]


async def test_it_is_bounded(slack: Any, home_tabs: HomeTabs, known: Any, clock: Any) -> None:
    """Fifty tabs are refreshed, each for half an hour after it was opened."""
    for number in range(limits.MAX_VIEWERS + 5):
        await home_tabs.open_tab(f"U{number}")
    slack.calls.clear()
    known.desk = replace(known.desk, incidents={7: incident(7, "prod", clock.at)})
    clock.at += limits.REFRESH_S * clock.speed
    await home_tabs.refresh()
    users = {sent["user_id"] for method, sent, _ in slack.calls if method == "views.publish"}
    assert users == {f"U{number}" for number in range(5, limits.MAX_VIEWERS + 5)}

    slack.calls.clear()
    known.desk = replace(known.desk, incidents={})
    clock.at += limits.VIEWER_TIMEOUT_S * clock.speed
    await home_tabs.refresh()
    assert published(slack) == []


async def test_a_failure_is_made_good(
    slack: Any, home_tabs: HomeTabs, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """If Slack did not take a tab, it is published again."""
    slack.answers["views.publish"] = [{"ok": False, "error": "fatal_error"}, {"ok": True}]
    await home_tabs.open_tab("U1")
    assert "Could not publish a Home tab" in caplog.text

    clock.at += limits.REFRESH_S * clock.speed
    await home_tabs.refresh()
    await home_tabs.refresh()

    assert len(published(slack)) == 2


async def test_it_goes_on(
    slack: Any, home_tabs: HomeTabs, known: Any, clock: Any, until: Any
) -> None:
    """The loop publishes changes by itself."""
    await home_tabs.open_tab("U1")
    task = asyncio.create_task(home_tabs.run())
    known.desk = replace(known.desk, incidents={7: incident(7, "prod", clock.at)})

    await until(lambda: len(published(slack)) == 2)

    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
