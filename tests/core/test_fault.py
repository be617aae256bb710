from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.core.model.fault import (
    classify_answer,
    is_rate_limited,
    is_refusal,
    parse_quota_remaining,
    sanitize_text,
)
from bot.core.model.observation import Fault, OwnSide, Stage

NOW = 1_790_000_000.0


def classify(status: int, error: str | None = None, **headers: str) -> Fault | None:
    """Classify a response with an OAuth error, or with a body that is no JSON object."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    document = {"error": error} if error else None
    return classify_answer(status, document, headers=named, now=NOW)


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        (403, "invalid_grant", "oauth invalid_grant"),
        (400, "invalid_request", "oauth invalid_request"),
        (401, "access_denied", "oauth access_denied"),
        (403, "mfa_required", "oauth mfa_required"),
        (500, "server_error", "oauth server_error"),
        (501, "unsupported_grant_type", "oauth unsupported_grant_type"),
        (503, "temporarily_unavailable", "http http_503"),
        (502, "server_error", "http http_502"),
        (500, None, "http http_500"),
        (403, None, "http http_403"),
        (204, None, "http not_json"),
        (301, None, "http redirect"),
        (304, "ignored", "http redirect"),
        (100, None, "http http_100"),
        (429, "Too Many Requests", "oauth too_many_requests"),
    ],
)
def test_stage_and_reason(status: int, error: str | None, expected: str) -> None:
    """An `error` decides up to status 501; above it, and without an `error`, the status decides."""
    fault = classify(status, error)

    assert fault
    assert f"{fault.stage} {fault.reason}" == expected
    assert fault.status == status


@pytest.mark.parametrize(
    ("status", "headers", "is_between"),
    [
        (407, {}, True),
        (511, {}, True),
        (302, {"Location": "https://portal.example/login"}, True),
        (200, {"Content-Type": "text/html; charset=utf-8"}, True),
        (200, {}, False),
        (503, {"Via": "1.1 gate (squid/6.6)"}, True),
        (403, {"Server": "Zscaler/6.2"}, True),
        (502, {"X-Squid-Error": "ERR_CONNECT_FAIL 110"}, True),
        (403, {"Server": "cloudflare", "CF-RAY": "8f"}, False),
        (503, {"Via": "1.1 varnish"}, False),
    ],
)
def test_who_is_in_between_says_so_itself(
    status: int, headers: dict[str, str], *, is_between: bool
) -> None:
    """A proxy, a portal or a filter; Auth0's own edge is none of them."""
    fault = classify_answer(status, None, headers=headers, now=NOW)

    assert fault
    assert (fault.own_side is OwnSide.BETWEEN) is is_between


def test_a_2xx_with_a_document_is_no_fault() -> None:
    """Other code checks whether its tokens are correct."""
    assert classify_answer(200, {}, headers={}, now=NOW) is None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (403, "invalid_grant"),
        (400, "invalid_grant"),
        (403, "invalid_user_password"),
        (401, "password_leaked"),
        (401, "requires_verification"),
        (401, "unauthorized"),
        (429, "too_many_attempts"),
    ],
)
def test_refused_credentials(status: int, error: str) -> None:
    """With these responses another login attempt does harm; none of them is about load."""
    fault = classify(status, error)

    assert fault
    assert is_refusal(fault)
    assert not is_rate_limited(fault)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, "access_denied"),
        (403, "unauthorized"),
        (403, "unauthorized_client"),
        (403, "mfa_required"),
        (503, "invalid_grant"),
        (500, "server_error"),
        (403, None),
    ],
)
def test_what_is_no_refusal(status: int, error: str | None) -> None:
    """Other 4xx may be an outage (2018-01-17), and a 503 always is one."""
    fault = classify(status, error)

    assert fault
    assert not is_refusal(fault)
    assert not is_rate_limited(fault)


@pytest.mark.parametrize("error", ["too_many_requests", "too_many_logins", None])
def test_rate_limits(error: str | None) -> None:
    """Every other 429 is about load."""
    fault = classify(429, error)

    assert fault
    assert is_rate_limited(fault)


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({"Retry_After": "30"}, 30),
        ({"retry_after": " 30 "}, 30),
        ({"Retry_After": "30", "X_RateLimit_Reset": f"{NOW + 99:.0f}"}, 30),
        ({"X_RateLimit_Reset": f"{NOW + 99:.0f}"}, 99),
        ({"Retry_After": "0"}, 1),
        ({"Retry_After": "1.5"}, 1.5),
        ({"Retry_After": "1.5s"}, None),
        ({"Retry_After": "1."}, None),
        ({"X_RateLimit_Reset": f"{NOW + 7:.0f}000"}, 7),
        ({"X_RateLimit_Reset": "5"}, 1),
        ({"X_RateLimit_Reset": f"{NOW * 1000 + 99e6:.0f}"}, 3600),
        ({"Retry_After": "999999"}, 3600),
        ({"Retry_After": "Mon, 21 Sep 2026 14:14:00 GMT"}, 40),
        ({"Retry_After": "Mon, 99 Sep 9999999 14:14:00 GMT"}, None),
        ({"Retry_After": "-5"}, None),
        ({"Retry_After": "soon"}, None),
        ({"Retry_After": "٣"}, None),
        ({}, None),
    ],
)
def test_when_we_may_try_again(headers: dict[str, str], expected_s: float | None) -> None:
    """Seconds or a date, else the rate limit's reset; never in the past, at most an hour away."""
    fault = classify(429, "too_many_requests", **headers)

    assert fault
    assert fault.retry_at == (None if expected_s is None else NOW + expected_s)


def test_only_rate_limits_have_a_retry_time() -> None:
    """The quota headers come with every response; with a 403 they are no reason to wait."""
    fault = classify(403, "invalid_grant", X_RateLimit_Reset=f"{NOW + 99:.0f}")

    assert fault
    assert fault.retry_at is None


@pytest.mark.parametrize(
    ("value", "expected"), [("29", 29), ("0", 0), ("many", None), ("", None), ("-1", None)]
)
def test_remaining_quota(value: str, expected: int | None) -> None:
    """A number or nothing."""
    assert parse_quota_remaining({"X-RateLimit-Remaining": value}) == expected


@settings(deadline=None)  # a busy machine is no failure
@given(st.integers(300, 999), st.text() | st.integers() | st.none(), st.text() | st.none())
def test_foreign_text_is_sanitized(status: int, error: object, description: object) -> None:
    """For any input the codes stay codes and the description is short and printable."""
    document = {"error": error, "error_description": description}
    fault = classify_answer(status, document, headers={}, now=NOW)

    assert fault
    assert re.fullmatch("[a-z0-9_]{1,40}", fault.reason)
    assert fault.error is None or re.fullmatch("[a-z0-9_]{1,40}", fault.error)
    assert len(fault.description) <= 200
    fault.description.encode()


def test_invisible_characters_become_spaces() -> None:
    """Control, bidirectional and zero-width characters and lone surrogates."""
    assert sanitize_text("a\x00b\u202ec\u200bd\ud800e\n\n f") == "a b c d e f"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Wrong email or password.", "Wrong email or password."),
        (
            "Grant type 'http://auth0.com/oauth/grant-type/password-realm' not allowed.",
            "Grant type 'http://auth0.com/oauth/grant-type/password-realm' not allowed.",
        ),
        ("AADSTS7000222: the client's secret_key expired", None),
        ("ECONNREFUSED after 5000 ms (user-store, step 2)", None),
        ("cannot find jane.doe@acme.example", "cannot find …"),
        ("no login with 5tnuH!2 of c2VjcmV0cw==", "no login with … of …"),
        ("/reset?ticket=abc123 is 1234567890", "… is …"),
    ],
)
def test_only_words_of_a_description_are_shown(said: str, shown: str | None) -> None:
    """A tenant's own code may say anything: addresses, sessions, a password spelt backwards."""
    document = {"error": "access_denied", "error_description": said}
    fault = classify_answer(403, document, headers={}, now=NOW)

    assert fault
    assert fault.description == (shown or said)


def test_the_description_decides_nothing() -> None:
    """Only its text differs."""
    said = ("Wrong email or password.", "user is blocked")
    faults = [
        classify_answer(
            403, {"error": "access_denied", "error_description": text}, headers={}, now=NOW
        )
        for text in said
    ]

    assert [fault and (fault.stage, fault.reason) for fault in faults] == [
        (Stage.OAUTH, "access_denied")
    ] * 2
