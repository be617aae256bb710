"""The probes against a login server that we did not write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.config.settings import Settings
from bot.core.model.fault import is_refusal
from bot.core.model.observation import Outcome, Stage, Target
from bot.http import Fetcher, LoopLag, SystemNetwork
from bot.probes import Probes

if TYPE_CHECKING:
    from tests.conftest import OidcProvider
    from tests.probes.conftest import FastClock

LOGIN, WELLKNOWN = Target("prod", "login"), Target("prod", "wellknown")


def probes_of(server: OidcProvider, clock: FastClock, password: str | None = None) -> Probes:
    tenant = server.tenant
    if password:
        tenant["logins"][0]["password"] = password
    slack = {"bot_token": "xoxb-1", "app_token": "xapp-1", "channel": "C1"}
    settings = Settings.model_validate({"slack": slack, "tenants": [tenant]})
    return Probes(settings, Fetcher(clock, SystemNetwork(server.resolve), LoopLag(limit_s=60)))


async def test_a_login_succeeds(oidc_provider: OidcProvider, real_clock: FastClock) -> None:
    """Its certificate, discovery document, keys and id token are all valid."""
    probes = probes_of(oidc_provider, real_clock)

    seen = [await probes.probe(target) for target in (LOGIN, WELLKNOWN)]

    assert [each.fault for each in seen] == [None, None]
    assert [each.outcome for each in seen] == [Outcome.OK, Outcome.OK]


async def test_a_wrong_password_is_refused(
    oidc_provider: OidcProvider, real_clock: FastClock
) -> None:
    """Its 400 `invalid_grant` is a refusal, not an outage."""
    seen = await probes_of(oidc_provider, real_clock, password="wrong one").probe(LOGIN)

    assert seen.fault
    assert is_refusal(seen.fault)


async def test_a_stopped_server_refuses_connections(
    oidc_provider: OidcProvider, real_clock: FastClock
) -> None:
    """Between two checks the server stops."""
    probes = probes_of(oidc_provider, real_clock)
    before = await probes.probe(LOGIN)
    oidc_provider.stop()
    after = await probes.probe(LOGIN)

    assert before.outcome is Outcome.OK
    assert after.fault
    assert (after.fault.stage, after.fault.reason) == (Stage.CONNECT, "refused")
