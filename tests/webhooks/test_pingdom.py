from __future__ import annotations

from typing import Any

import pytest

from bot.core.model.measurement import ExternalAlert
from bot.core.model.observation import Target


async def test_down_and_up(door: Any, genuine: Any) -> None:
    """An unauthenticated alert for the tenant whose host is checked, and its end."""
    await door.push("pingdom", genuine["pingdom"])
    up = {"current_state": "UP", "state_changed_timestamp": int(door.clock.at) - 5}
    await door.push("pingdom", genuine["pingdom"] | up)

    down, over = door.inbox.items
    assert down == ExternalAlert(
        Target("prod", "pingdom"),
        id="12345",
        at=door.clock.at - 60,
        is_firing=True,
        title="Login page",
        is_unauthenticated=True,
    )
    assert (over.id, over.is_firing, over.at) == ("12345", False, door.clock.at - 5)


@pytest.mark.parametrize(
    ("state", "is_firing"),
    [("FAILING", True), ("SUCCESS", False), ("down", True)],
)
async def test_transaction_checks(
    default_door: Any, genuine: Any, state: str, is_firing: Any
) -> None:
    """A check of several steps, which may log in, has states and parameters of its own."""
    check = {"check_type": "TRANSACTION", "check_params": {}, "current_state": state}
    await default_door.push("pingdom", genuine["pingdom"] | check)

    assert [each.is_firing for each in default_door.inbox.items] == [is_firing]


@pytest.mark.parametrize(
    ("params", "tenant"),
    [
        ({"hostname": "acme.us.auth0.com"}, "prod"),
        ({"hostname": "x", "full_url": "https://ACME.eu.auth0.com:443/authorize?a=b"}, "eu"),
        ({"url": "https://[bad"}, None),
        ({"hostname": "evil-acme.us.auth0.com"}, None),
        ({"hostname": 5}, None),
        (None, None),
    ],
)
async def test_tenant(door: Any, genuine: Any, params: Any, tenant: str | None) -> None:
    """The host must match exactly; for an unknown host the sender gets the remedy."""
    status, text = await door.push("pingdom", genuine["pingdom"] | {"check_params": params})

    assert [claim.target.owner for claim in door.inbox.items] == [tenant] * (tenant is not None)
    assert (status == 422) == ("hooks.pingdom.tenant" in text) == (tenant is None)


async def test_default_tenant(default_door: Any, genuine: Any) -> None:
    """Another host belongs to the tenant that the configuration names."""
    await default_door.push("pingdom", genuine["pingdom"] | {"check_params": {}})

    assert default_door.inbox.items[0].target.owner == "eu"


@pytest.mark.parametrize(
    "other",
    [
        {"current_state": "PAUSED"},
        {"current_state": "UNCONFIRMED_DOWN"},
        {"current_state": []},
        {"check_id": None},
    ],
)
async def test_nothing_told(door: Any, genuine: Any, other: dict[str, Any]) -> None:
    """A message that is neither up nor down, or of no check, is ignored."""
    assert (await door.push("pingdom", genuine["pingdom"] | other))[0] == 200
    assert door.inbox.pushes == {}


@pytest.mark.parametrize(
    "path",
    [
        "canary-path-secret-012",
        "canary-path-secret-01234",
        "Canary-path-secret-0123",
        "%FF%FE",
        "%ED%A0%80",
        "canary-path-secret-0123%00",
    ],
)
async def test_path(door: Any, path: str) -> None:
    """The end of the path must be the whole secret."""
    assert (await door.send(f"/hooks/pingdom/{path}", b"{}"))[0] == 401
