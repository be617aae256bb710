"""What our own applications and deployments say: reports and changes."""

from __future__ import annotations

from typing import Any

import pytest

from bot.core.model.measurement import ChangeMade, Measurement
from bot.core.model.observation import Target

CHECKOUT = Target("prod", "checkout")


async def test_reports_add_up(door: Any) -> None:
    """All reports since the last drain are one measurement."""
    report = {"tenant": "prod", "app": "checkout"}
    await door.push("report", report | {"failed": 12, "total": 200})
    await door.push("report", report | {"failed": 3, "total": 100})
    door.clock.at += 30

    assert door.drain(CHECKOUT) == Measurement(
        CHECKOUT, door.clock.at, span_s=30.0, failed=15, total=300
    )
    assert door.drain(Target("prod", "shop")).no_data_reason == "no report"


async def test_a_report_without_total(door: Any) -> None:
    """Then the share of all calls is unknown."""
    report = {"tenant": "prod", "app": "checkout", "failed": 3}
    await door.push("report", report | {"total": 100})
    await door.push("report", report)

    counted = door.drain(CHECKOUT)
    assert (counted.failed, counted.total) == (6, None)


@pytest.mark.parametrize(
    ("report", "told"),
    [
        ({}, "tenant"),
        ({"tenant": "acme"}, "prod, eu"),
        ({"tenant": ["prod"]}, "prod, eu"),
        ({"tenant": "eu", "app": "checkout"}, "none in this tenant"),
        ({"tenant": "prod"}, "checkout, shop"),
        ({"tenant": "prod", "app": "chekout", "failed": 1}, "checkout, shop"),
        ({"tenant": "prod", "app": "shop"}, '"failed"'),
        ({"tenant": "prod", "app": "shop", "failed": -1}, '"failed"'),
        ({"tenant": "prod", "app": "shop", "failed": 1.5}, '"failed"'),
        ({"tenant": "prod", "app": "shop", "failed": True}, '"failed"'),
        ({"tenant": "prod", "app": "shop", "failed": "1"}, '"failed"'),
        ({"tenant": "prod", "app": "shop", "failed": 10**12}, '"failed"'),
        ({"tenant": "prod", "app": "shop", "failed": 2, "total": 1}, '"total"'),
        ({"tenant": "prod", "app": "shop", "failed": 2, "total": 1e999}, None),
        ({"tenant": "prod", "app": "shop", "failed": 2, "total": [3]}, '"total"'),
    ],
)
async def test_insane_reports(door: Any, report: dict[str, Any], told: str | None) -> None:
    """The answer says what is wrong, and nothing is counted."""
    status, text = await door.push("report", report)

    assert status == (422 if told else 400)
    assert (told or "") in text
    assert door.drain(CHECKOUT).no_data_reason == door.drain(Target("prod", "shop")).no_data_reason


async def test_only_tenant(only_door: Any) -> None:
    """A single tenant need not be named."""
    assert (await only_door.push("report", {"app": "shop", "failed": 0}))[0] == 202
    assert (await only_door.push("change", {"what": "callback added"}))[0] == 202
    assert only_door.inbox.items[0].tenant == "prod"


async def test_change(door: Any) -> None:
    """A deploy of an application, or a change of a tenant's settings."""
    await door.push("change", {"what": "deploy 4711", "app": "checkout", "id": 4711, "at": 1e9})
    await door.push("change", {"what": "x" * 200, "tenant": "eu", "at": "2026-11-23T10:30+02:00"})

    deploy, setting = door.inbox.items
    assert deploy == ChangeMade("/checkout/4711", at=1e9, what="deploy 4711", app="checkout")
    assert (setting.tenant, setting.app, len(setting.what)) == ("eu", "", 80)
    assert setting.at == door.clock.at - 1800


async def test_the_same_deploy_again(door: Any) -> None:
    """Without an id the same text is a new change after a while; with an id it is not."""
    for more in ({}, {"id": "4711"}):
        await door.push("change", {"what": "deploy", "app": "shop"} | more)
    door.clock.at += 700
    for more in ({}, {"id": "4711"}):
        await door.push("change", {"what": "deploy", "app": "shop"} | more)

    assert len({change.id for change in door.inbox.items}) == 3


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, '"what"'),
        ({"what": "\u200b\n", "app": "shop"}, '"what"'),
        ({"what": ["deploy"], "app": "shop"}, '"what"'),
        ({"what": "deploy"}, "prod, eu"),
        ({"what": "deploy", "tenant": "acme"}, "prod, eu"),
        ({"what": "deploy", "app": "shop", "tenant": 5}, "prod, eu"),
        ({"what": "deploy", "app": "shop", "at": "yesterday"}, '"at"'),
        ({"what": "deploy", "app": "shop", "at": True}, '"at"'),
        ({"what": "deploy", "app": "shop", "at": -1}, '"at"'),
    ],
)
async def test_insane_changes(door: Any, change: dict[str, Any], told: str) -> None:
    """The answer says what is wrong, and nothing is stored."""
    status, text = await door.push("change", change)

    assert (status, told in text) == (422, True)
    assert door.inbox.pushes == {}


async def test_a_change_to_come(door: Any) -> None:
    """A time in the future becomes now."""
    await door.push("change", {"what": "deploy", "app": "shop", "at": 4e9})

    assert door.inbox.items[0].at == door.clock.at
