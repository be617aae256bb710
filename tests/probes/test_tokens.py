"""HTTP 200 with a wrong token is not a working login."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.observation import Observation, Outcome, Target
from bot.http import NoData
from bot.probes.result import ProbeFailed
from bot.probes.token import check_proof, read_key_id, verify_token
from tests.steady import pass_time

if TYPE_CHECKING:
    from tests.probes.conftest import Behaviour, Lab, Signer

LOGIN, WELLKNOWN = Target("prod", "login"), Target("prod", "wellknown")
KEYS = "/.well-known/jwks.json"
PROOF = "https://acme.test/ran_at"
AUDIENCE = "https://api.acme.test"


def says(document: dict[str, Any]) -> Behaviour:
    """Answer 200 with a document."""
    body = json.dumps(document).encode()

    async def behave(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()

    return behave


async def look(lab: Lab, id_token: str | None, access: str = "opaque", **login: Any) -> Observation:
    """Log in to a tenant that answers with these tokens."""
    tokens = {"access_token": access, "id_token": id_token}
    lab.server.routes["/oauth/token"] = says({k: v for k, v in tokens.items() if v is not None})
    return await lab.probes(login=login).probe(LOGIN)


def told(seen: Observation) -> str:
    """Name the fault."""
    return f"{seen.fault.stage} {seen.fault.reason}" if seen.fault else seen.outcome


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "ok"),
        ({"exp": -50}, "ok"),
        ({"exp": -100}, "token expired"),
        ({"iat": 50}, "ok"),
        ({"iat": 100}, "token not_yet_valid"),
        ({"nbf": 100}, "token not_yet_valid"),
        ({"exp": "soon"}, "token malformed"),
        ({"exp": True}, "token malformed"),
        ({"iat": None}, "token malformed"),
        ({"iss": "https://other.test/"}, "token wrong_issuer"),
        ({"iss": "https://acme.us.auth0.test"}, "token wrong_issuer"),
        ({"aud": "another-client"}, "token wrong_audience"),
        ({"aud": ["another-client", "probe-client"]}, "ok"),
        ({"sub": 7}, "token malformed"),
    ],
)
async def test_claims(lab: Lab, changed: dict[str, Any], expected: str) -> None:
    """Times (relative to now) have 60 s of leeway; issuer and audience have none."""
    now = int(lab.clock.now())
    times = {k: now + v for k, v in changed.items() if type(v) is int and k != "sub"}
    claims = {k: v for k, v in lab.claims(**{**changed, **times}).items() if v is not None}

    assert told(await look(lab, lab.signer.sign(claims))) == expected


async def test_another_key_of_the_same_name(lab: Lab, other_signer: Signer) -> None:
    """A signature that does not match its key is reported as such."""
    token = other_signer.sign(lab.claims(), kid=lab.signer.kid)

    assert told(await look(lab, token)) == "token bad_signature"


async def test_unsigned_and_confused_algorithms(lab: Lab) -> None:
    """`none`, and HS256 with the public key as its secret, are refused."""
    header = {"kid": lab.signer.kid}
    unsigned = jwt.encode(lab.claims(), "", "none", headers=header)
    secret = base64.b64decode(lab.signer.row()["n"] + "==", altchars="-_")
    confused = jwt.encode(lab.claims(), secret, "HS256", headers=header)

    assert told(await look(lab, unsigned)) == "token bad_algorithm"
    assert told(await look(lab, confused)) == "token bad_algorithm"
    assert told(await look(lab, lab.signer.sign(lab.claims(), "PS256"))) == "ok"


async def test_a_missing_id_token(lab: Lab) -> None:
    """A missing id token is a failure, unless the settings say that none is expected."""
    assert told(await look(lab, None)) == "token missing_id_token"
    assert told(await look(lab, None, expect_id_token=False)) == "ok"


async def test_the_access_token_of_an_api(lab: Lab) -> None:
    """With an audience it is verified like the id token; without one it may be opaque."""
    good = lab.signer.sign(lab.claims())
    access = lab.signer.sign(lab.claims(aud=[AUDIENCE, "https://acme.us.auth0.test/userinfo"]))

    assert told(await look(lab, good, access, audience=AUDIENCE)) == "ok"
    assert told(await look(lab, good, good, audience=AUDIENCE)) == "token wrong_audience"
    assert told(await look(lab, good, "opaque", audience=AUDIENCE)) == "token malformed"


@pytest.mark.parametrize(
    ("proof", "expected"),
    [
        (lambda now: now, "ok"),
        (lambda now: (now - 250) * 1000, "ok"),
        (lambda _: "2026-09-21T14:13:20.000Z", "ok"),
        (lambda now: now - 350, "proof stale_proof"),
        (lambda now: now + 350, "proof stale_proof"),
        (lambda _: float("nan"), "proof stale_proof"),
        (lambda _: 10**400, "proof no_proof"),
        (lambda _: "yes", "proof no_proof"),
        (lambda _: True, "proof no_proof"),
        (lambda _: None, "proof no_proof"),
    ],
)
async def test_the_proof_that_tenant_code_ran(lab: Lab, proof: Any, expected: str) -> None:
    """A recent time in seconds, milliseconds or ISO 8601 passes; an old one may be from a cache."""
    claims = lab.claims(**{PROOF: proof(lab.clock.now())})
    seen = await look(lab, lab.signer.sign(claims), proof_claim=PROOF)

    assert told(seen) == expected
    assert seen.timings[-1].stage == "proof"


async def test_a_rotated_key_is_fetched_once(lab: Lab, other_signer: Signer) -> None:
    """An unknown key id causes one fetch; then the login continues with the new key."""
    probes = lab.probes()
    before = await probes.probe(LOGIN)
    lab.clock.ahead_s += 120
    lab.server.routes[KEYS] = says({"keys": [lab.signer.row(), other_signer.row()]})
    rotated = other_signer.sign(lab.claims())
    lab.server.routes["/oauth/token"] = says({"access_token": "a", "id_token": rotated})
    after = [await probes.probe(LOGIN) for _ in range(3)]

    assert [told(seen) for seen in [before, *after]] == ["ok"] * 4
    assert lab.server.paths().count(KEYS) == 2


async def test_unknown_keys_are_not_asked_for_all_the_time(lab: Lab, other_signer: Signer) -> None:
    """Whatever key ids the tokens name, there is one fetch a minute."""
    token = other_signer.sign(lab.claims())
    lab.server.routes["/oauth/token"] = says({"access_token": "a", "id_token": token})
    probes = lab.probes()
    seen = await asyncio.gather(*(probes.probe(LOGIN) for _ in range(5)))

    assert {told(each) for each in seen} == {"token unknown_kid"}
    assert lab.server.paths().count(KEYS) == 1


async def test_old_keys_serve_while_new_ones_cannot_be_had(lab: Lab) -> None:
    """The login is verified with the known keys; the wellknown probe reports the failed fetch."""
    probes = lab.probes()
    before = await probes.probe(LOGIN)
    lab.clock.ahead_s += 3600
    lab.server.routes[KEYS] = says({"keys": []})

    assert told(before) == "ok"
    assert told(await probes.probe(LOGIN)) == "ok"
    assert told(await probes.probe(WELLKNOWN)) == "token no_keys"
    assert lab.server.paths().count(KEYS) == 3


@pytest.mark.parametrize(
    "rows",
    [
        [],
        None,
        {},
        [None, 7, {}],
        [{"kid": "key-1", "kty": "RSA", "n": "!", "e": 3}],
        [{"kid": "key-1", "kty": "EC"}],
        [{"kid": "key-1", "kty": "oct", "k": "AAAA"}],
    ],
)
async def test_a_key_set_without_usable_keys(lab: Lab, rows: object) -> None:
    """Without any key a login cannot be verified, as the fault says; the next one tries again."""
    lab.server.routes[KEYS] = says({"keys": rows})
    probes = lab.probes()

    assert [told(await probes.probe(LOGIN)) for _ in range(2)] == ["token no_keys"] * 2
    assert lab.server.paths().count(KEYS) == 2


async def test_those_who_wait_for_keys_do_not_queue(lab: Lab) -> None:
    """If the keys hang, checks that began meanwhile share one try: none waits for another's."""

    async def hangs(_writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(1)  # by then all have their tokens
        await pass_time(60)
        await asyncio.sleep(3600)

    lab.server.routes[KEYS] = hangs
    probes = lab.probes()
    seen = await asyncio.gather(*(probes.probe(LOGIN) for _ in range(5)))

    assert {told(each) for each in seen} == {"token no_keys"}
    assert lab.server.paths().count(KEYS) == 1


async def test_keys_for_encryption_are_not_for_signing(lab: Lab) -> None:
    """A key of another use does not count."""
    lab.server.routes[KEYS] = says({"keys": [{**lab.signer.row(), "use": "enc"}]})

    assert told(await lab.probes().probe(LOGIN)) == "token no_keys"


@settings(deadline=None)  # a busy machine is no failure
@given(st.text() | st.text("abc.-_=eyJ", max_size=99))
def test_any_text_for_a_token(text: str) -> None:
    """Any text in place of a token is malformed or of a wrong algorithm, never a crash."""
    with pytest.raises(ProbeFailed):
        read_key_id(text)


@settings(deadline=None)  # a busy machine is no failure
@given(st.binary(max_size=60), st.integers(0, 2), st.integers(0, 500))
def test_a_mutated_token(signer: Signer, noise: bytes, part: int, where: int) -> None:
    """A token with some random bytes in it never passes."""
    claims = {"iss": "i", "aud": "a", "iat": 0, "exp": 1}
    parts = signer.sign(claims).split(".")
    text = base64.urlsafe_b64encode(noise).decode().strip("=")
    mutated = parts[part][:where] + text + parts[part][where:]
    if mutated == parts[part]:
        return
    token = ".".join([*parts[:part], mutated, *parts[part + 1 :]])

    with pytest.raises(ProbeFailed):
        verify_token(token, signer.key.public_key(), issuer="i", audience="a", now=0)


@settings(deadline=None)  # a busy machine is no failure
@given(st.none() | st.booleans() | st.floats() | st.integers() | st.text() | st.lists(st.text()))
def test_any_claim_for_a_proof(value: object) -> None:
    """Only a time close to now passes."""
    if isinstance(value, int | float) and abs(value) < 1e5:
        return
    with pytest.raises(ProbeFailed):
        check_proof({PROOF: value}, PROOF, max_age_s=300, now=0.0)


async def test_keys_that_we_cannot_look_for(lab: Lab) -> None:
    """An error of our own is no_data if no key is known, and harmless if one is."""
    healthy = lab.server.routes["/oauth/token"]

    async def then_blind(writer: asyncio.StreamWriter) -> None:
        lab.path.dns = NoData("no free file")
        await healthy(writer)

    lab.server.routes["/oauth/token"] = then_blind
    probes = lab.probes()
    without = await probes.probe(LOGIN)
    lab.path.dns = None
    await probes.probe(WELLKNOWN)
    lab.clock.ahead_s += 3600
    with_old_ones = await probes.probe(LOGIN)

    assert (without.outcome, without.no_data_reason) == (Outcome.NO_DATA, "no free file")
    assert without.fault is None
    assert told(with_old_ones) == "ok"


async def test_keys_out_of_reach(lab: Lab) -> None:
    """A login that cannot be verified without any key fails with the reason."""
    lab.server.routes.pop(KEYS)
    seen = await lab.probes().probe(LOGIN)

    assert told(seen) == "token no_keys"
    assert seen.fault
    assert seen.fault.description.startswith("signing keys: http ")
