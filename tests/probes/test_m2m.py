"""A token for a machine: what is asked for, and what is taken for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.fault import describe_fault
from bot.core.model.observation import Observation, Outcome, Target

if TYPE_CHECKING:
    from tests.probes.conftest import Lab

M2M = Target("prod", "m2m")
MANAGEMENT = "https://acme.us.auth0.test/api/v2/"
SECRET = "canary-machine"
MACHINE = {"client_id": "machine", "client_secret": SECRET}


async def look(lab: Lab, answer: Any, **machine: str) -> Observation:
    """Check once against a token endpoint with this answer."""
    async with lab.server_with(answer) as server:
        lab.path.port = server.port
        seen = await lab.probes(tenant={"m2m": MACHINE | machine}).probe(M2M)
        lab.server.seen = server.seen
    return seen


def given(lab: Lab, **claims: Any) -> dict[str, Any]:
    """Return an answer with a token that has these claims."""
    token = lab.signer.sign(lab.claims(**{"aud": MANAGEMENT, **claims}))
    return {"access_token": token, "token_type": "Bearer"}


def test_it_is_off_unless_configured(lab: Lab) -> None:
    """Machine tokens may cost money."""
    assert M2M not in lab.probes().targets
    assert M2M in lab.probes(tenant={"m2m": MACHINE}).targets


async def test_a_token_is_asked_for_and_verified(lab: Lab, says: Any) -> None:
    """One request for the Management API, then one for the keys."""
    seen = await look(lab, says(given(lab)))
    path, _, form = lab.server.seen[0]

    assert (seen.outcome, seen.fault) == (Outcome.OK, None)
    assert [timing.stage for timing in seen.timings][-2:] == ["oauth", "token"]
    assert lab.server.paths() == ["/oauth/token", "/.well-known/jwks.json"]
    grant = {"grant_type": "client_credentials", "audience": MANAGEMENT}
    assert (path, form) == ("/oauth/token", MACHINE | grant)


async def test_another_api_may_be_named(lab: Lab, says: Any) -> None:
    """A token must be for the configured audience."""
    audience = "https://api.acme.test/"
    right = await look(lab, says(given(lab, aud=audience)), audience=audience)
    wrong = await look(lab, says(given(lab)), audience=audience)

    assert right.outcome is Outcome.OK
    assert wrong.fault
    assert wrong.fault.reason == "wrong_audience"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"aud": "machine"}, "wrong_audience"),
        ({"iss": "https://other.test/"}, "wrong_issuer"),
        ({"exp": 1}, "expired"),
    ],
)
async def test_a_wrong_token_is_a_failure(
    lab: Lab, says: Any, claims: dict[str, Any], reason: str
) -> None:
    """It is verified by the same rules as a login's."""
    seen = await look(lab, says(given(lab, **claims)))

    assert seen.fault
    assert (seen.fault.stage, seen.fault.reason) == ("token", reason)


@pytest.mark.parametrize("answer", [{}, {"access_token": None}, {"access_token": "opaque"}])
async def test_no_token_is_a_failure(lab: Lab, says: Any, answer: dict[str, Any]) -> None:
    """HTTP 200 alone proves nothing."""
    seen = await look(lab, says(answer))

    assert seen.fault
    assert describe_fault(seen.fault) == "token malformed"


async def test_a_refusal_is_told_without_the_secret(lab: Lab, says: Any) -> None:
    """It is hidden, whatever the answer quotes."""
    refused = {"error": "access_denied", "error_description": f"Unauthorized: {SECRET}"}
    seen = await look(lab, says(refused, 401))

    assert seen.fault
    assert describe_fault(seen.fault) == "HTTP 401 access_denied"
    assert SECRET not in repr(seen)
