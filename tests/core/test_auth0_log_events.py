from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.auth0_logs.events import (
    FAILED_KINDS,
    KIND_OF,
    SETTINGS,
    LogRow,
    RowKind,
    classify_row,
    environment_of,
    parse_change,
    tally_rows,
)
from bot.core.model.measurement import MAX_GROUPS, ChangeMade, Group, Measurement
from bot.core.model.observation import Target

LOGS = Target("prod", "logs")
AT = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()
DATE = "2026-11-20T11:59:50.250Z"
OWN = "probe-client"
PERSON = {
    "user_name": "ada@example.com",
    "user_id": "auth0|5f7c8ec7c33c6c004bbafe82",
    "ip": "198.51.100.77",
    "client_ip": "198.51.100.78",
    "user_agent": "Chrome 120.0.0 / Mac OS X 10.15.7",
    "hostname": "login.acme.example",
}
SAML = {"connection": "saml-corp", "strategy_type": "enterprise"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
ROWS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from([*KIND_OF, "sapi"]) | JSON,
            "description": st.text() | JSON,
            "connection": st.text() | JSON,
            "strategy_type": st.sampled_from(["database", "enterprise"]) | JSON,
            "client_id": st.just(OWN) | JSON,
            "environment_name": st.just("prod-us-1") | JSON,
            "date": st.just(DATE) | st.text() | JSON,
            "log_id": st.text() | JSON,
            "details": st.fixed_dictionaries({"error": JSON, "request": JSON}) | JSON,
        },
    )
)


def row(type_: str, description: str = "", **rest: Any) -> dict[str, Any]:
    return {"type": type_, "description": description, "date": DATE, **PERSON, **rest}


def count(*rows: dict[str, Any]) -> Measurement:
    return tally_rows(LOGS, rows, own_clients=frozenset({OWN}), at=AT, span_s=30.0)


def api_call(method: str, path: str, log_id: str = "90020261120") -> dict[str, Any]:
    request = {"method": method, "path": path, "ip": PERSON["ip"], "body": {"name": "Ada"}}
    return row("sapi", "Update a thing", log_id=log_id, details={"request": request})


@pytest.mark.parametrize(
    ("log_row", "kind"),
    [
        (row("s"), RowKind.SUCCESS),
        (row("sepft"), RowKind.SUCCESS),
        (row("seccft"), RowKind.SUCCESS),
        (row("fp"), RowKind.USER),
        (row("fs"), RowKind.USER),
        (row("fcp"), RowKind.USER),
        (row("fsa", "Login required"), RowKind.USER),
        (row("f", "Callback URL mismatch"), RowKind.APP),
        (row("f", "Unknown client: abc"), RowKind.APP),
        (row("f", "invalid state"), RowKind.APP),
        (row("f", "invalid state", connection="saml-corp"), RowKind.UPSTREAM),
        (row("f", "Wrong email or password."), RowKind.USER),
        (row("f", "user is blocked"), RowKind.USER),
        (row("f", "Denied by the Action: access denied"), RowKind.TENANT),
        (row("f", "Something that nobody knows"), RowKind.FAILURE),
        (row("f", "failed to obtain access token", **SAML), RowKind.UPSTREAM),
        (row("f", "failed to obtain access token"), RowKind.FAILURE),
        (row("f", "connect ECONNREFUSED", connection="google-oauth2"), RowKind.UPSTREAM),
        (row("f", "", **SAML, details={"error": {"message": "SAML"}}), RowKind.UPSTREAM),
        (row("f", "Something else", **SAML), RowKind.FAILURE),
        (row("fc", "LDAP timeout", connection="ad", strategy_type="enterprise"), RowKind.UPSTREAM),
        (
            row("f", "connect ECONNREFUSED", connection="legacy", strategy_type="database"),
            RowKind.TENANT,
        ),
        (
            row("f", "timeout", connection="Username-Password-Authentication"),
            RowKind.FAILURE,
        ),
        (row("fepft", "Wrong email or password."), RowKind.USER),
        (row("fepft", "Something that nobody knows"), RowKind.FAILURE),
        (row("feacft", "Invalid authorization code"), RowKind.APP),
        (row("feacft", "Unauthorized"), RowKind.APP),
        (row("feccft", "", details={"client_authentoication_error": "x"}), RowKind.APP),
        (row("fertft", "Unknown or invalid refresh token."), RowKind.USER),
        (row("ferrt", "Reused rotating refresh token detected"), RowKind.APP),
        (row("feotpft", "Invalid otp_code"), RowKind.USER),
        (row("fn"), RowKind.PROVIDER),
        (row("gd_send_sms_failure"), RowKind.PROVIDER),
        (row("limit_wc"), RowKind.PROTECTION),
        (row("api_limit"), RowKind.QUOTA),
        (row("api_limit", details={"request": {"path": "/api/v2/users"}}), RowKind.OTHER),
        (row("api_limit_warning"), RowKind.QUOTA_WARNING),
        (row("kms_key_management_failure"), RowKind.PLATFORM),
        (row("depnote"), RowKind.OTHER),
        (row("sapi"), RowKind.OTHER),
        (row("fapi"), RowKind.OTHER),
        (row("a code of next year"), RowKind.OTHER),
        ({}, RowKind.OTHER),
        ({"type": ["s"]}, RowKind.OTHER),
    ],
    ids=lambda value: value.get("type") if isinstance(value, dict) else None,
)
def test_kind_of_a_row(log_row: dict[str, Any], kind: RowKind) -> None:
    """The type decides; if it leaves the kind open, the pattern and the connection decide."""
    assert classify_row(log_row).kind is kind


@pytest.mark.parametrize(
    ("error_class", "kind"),
    [
        ("platform_error", RowKind.PLATFORM),
        ("rate_limited", RowKind.QUOTA),
        ("action_error", RowKind.TENANT),
        ("action_timeout", RowKind.TENANT),
        (None, RowKind.TENANT),
    ],
)
def test_failed_actions(error_class: str | None, kind: RowKind) -> None:
    """A failed Action is the tenant's, unless Auth0 reports an error of its own or a rate limit."""
    log_row = row("actions_execution_failed", details={"error_class": error_class})
    assert classify_row(log_row).kind is kind


def test_what_we_keep_of_a_row() -> None:
    """The kind, the name of a pattern, the connection and the type."""
    log_row = row("f", "SAML error for ada@example.com", **SAML)
    assert classify_row(log_row) == LogRow(RowKind.UPSTREAM, "provider_error", "saml-corp", "f")


@pytest.mark.parametrize("name", ["ada@example.com", "a b", "<!here>", "\x07", "käse"])
def test_not_a_connection_name(name: str) -> None:
    """Text that cannot be a connection's name is dropped."""
    assert classify_row(row("s", connection=name)).connection == ""


def test_a_login_counts_once() -> None:
    """Of the rows that one login writes, one counts."""
    by_code = count(row("s"), row("seacft"), row("gd_auth_succeed"))
    cross_origin = count(row("scoa"), row("s"), row("ss"))
    by_password = count(row("sepft"))
    device = count(row("s"), row("sede"))

    assert [seen.total for seen in (by_code, cross_origin, by_password, device)] == [1, 1, 1, 1]


def test_renewals_do_not_count() -> None:
    """Renewals would hide the share of failed logins."""
    seen = count(*[row("ssa"), row("sertft"), row("fsa"), row("fertft", "refresh token")] * 9)
    assert (seen.failed, seen.total) == (0, 0)


def test_a_login_that_an_action_breaks_counts_once() -> None:
    """The Action's row counts, not the login's; other failures count too."""
    action = row("actions_execution_failed", client_id="a", details={"error_class": "action_error"})
    seen = count(
        row("f", "Internal error", client_id="a"),
        action,
        row("f", "Callback URL mismatch", client_id="a"),
        row("f", "Internal error", client_id="b"),
    )
    assert seen.failed == 3
    assert {(group.kind, group.count) for group in seen.groups} == {
        (RowKind.TENANT, 1),
        (RowKind.APP, 1),
        (RowKind.FAILURE, 1),
    }


def test_counts() -> None:
    """Failed and all logins are counted, similar rows form a group, user mistakes are separate."""
    seen = count(
        *[row("s", connection="db", environment_name="prod-eu-2")] * 6,
        *[row("f", "failed to obtain access token", **SAML)] * 3,
        *[row("fp", connection="db")] * 2,
        row("fn"),
        row("api_limit"),
        row("pla"),
    )
    assert (seen.failed, seen.total, seen.own_rows) == (5, 11, 0)
    assert (seen.at, seen.span_s, seen.no_data_reason, seen.environment) == (AT, 30, "", "EU-2")
    assert seen.groups == (
        Group("success", 6, "", "db"),
        Group("upstream", 3, "provider_error", "saml-corp"),
        Group("user", 2, "", "db"),
        Group("provider", 1),
        Group("quota", 1),
    )


def test_own_logins_are_separate() -> None:
    """Rows of our synthetic login are in no count but `own_rows`, successful or not."""
    seen = count(row("sepft", client_id=OWN), row("fepft", client_id=OWN), row("s"))
    assert (seen.failed, seen.total, seen.own_rows) == (0, 1, 2)
    assert seen.groups == (Group("success", 1),)


def test_many_groups_are_folded() -> None:
    """At most 30 groups remain, and each kind's total stays what it was."""
    rows = [row("s", connection=f"c{n}") for n in range(90) for _ in range(90 - n)]
    rows += [row("f", "SAML", connection=f"c{n}") for n in range(50)]
    seen = count(*rows)

    assert len(seen.groups) <= MAX_GROUPS
    assert seen.groups[0] == Group("success", sum(range(63)), "", "")
    totals = {kind: sum(g.count for g in seen.groups if g.kind == kind) for kind in RowKind}
    assert totals[RowKind.SUCCESS] == sum(range(91))
    assert totals[RowKind.UPSTREAM] == seen.failed == 50


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("prod-us-1", "US-1"),
        ("prod-eu-12", "EU-12"),
        ("preview-us-1", ""),
        ("prod-us-1\n", ""),
        (None, ""),
    ],
)
def test_environment(name: str | None, environment: str) -> None:
    """The environment gets the status page's name for it."""
    assert environment_of({"environment_name": name}) == environment


@pytest.mark.parametrize(
    ("call", "what"),
    [
        ("patch clients/abc", "client updated"),
        ("POST clients", "client created"),
        ("delete clients/abc", "client deleted"),
        ("delete clients/abc/credentials/c1", "client updated"),
        ("post clients/abc/rotate-secret", "client secret rotated"),
        ("delete connections/con_1", "connection deleted"),
        ("patch connections/con_1/clients", "connection updated"),
        ("post actions/actions", "action created"),
        ("patch actions/actions/a1", "action updated"),
        ("delete actions/actions/a1", "action deleted"),
        ("post actions/actions/a1/deploy", "action deployed"),
        ("post actions/actions/a1/versions/v1/deploy", "action deployed"),
        ("patch actions/triggers/post-login/bindings", "action bindings updated"),
        ("patch tenants/settings", "tenant settings updated"),
        ("put prompts/login/custom-text/en", "login prompt updated"),
        ("patch branding", "branding updated"),
        ("post custom-domains/cd1/verify", "custom domain updated"),
        ("patch attack-protection/brute-force-protection", "attack protection updated"),
        ("delete client-grants/cgr_1", "client grant deleted"),
        ("put rules/r1", "rule updated"),
        ("post keys/signing/rotate", "keys updated"),
        ("get clients/abc", None),
        ("post users", None),
        ("patch users/auth0%7C1", None),
        ("delete grants/1", None),
        ("delete connections/con_1/users", None),
        ("post actions/actions/a1/test", None),
        ("post jobs/users-imports", None),
        ("post tickets/password-change", None),
        ("delete anomaly/blocks/ips/1", None),
    ],
)
def test_changes(call: str, what: str | None) -> None:
    """A changed setting is described in our own words; administration of users is no change."""
    method, path = call.split()
    change = parse_change(api_call(method, f"/api/v2/{path}"), "prod")
    assert change == (what and ChangeMade("90020261120", AT - 9.75, what, "prod"))


@pytest.mark.parametrize(
    "spoilt",
    [{"type": "fapi"}, {"log_id": "a b"}, {"date": "soon"}, {"details": None}, {"date": 7}],
)
def test_no_change(spoilt: dict[str, Any]) -> None:
    """A failed call, or a row without id or time, is no change."""
    assert parse_change(api_call("patch", "/api/v2/clients/a") | spoilt, "prod") is None


def test_changes_of_a_poll() -> None:
    """The newest 20 changes are reported once each, oldest first, none in the future."""
    calls = [
        api_call("patch", "/api/v2/clients/a", log_id=f"9{n}") | {"date": f"2026-11-20T11:{n}:00Z"}
        for n in range(10, 40)
    ]
    future = api_call("patch", "/api/v2/branding") | {"date": "2027-01-01T00:00:00Z"}
    seen = count(future, *reversed(calls), *calls)

    assert [change.id for change in seen.changes[:-1]] == [f"9{n}" for n in range(21, 40)]
    assert seen.changes[-1] == ChangeMade("90020261120", AT, "branding updated", "prod")


@pytest.mark.no_cover
@given(ROWS)
def test_any_json_is_accepted(rows: list[dict[str, Any]]) -> None:
    """Any row is counted or not, and the sums are correct."""
    seen = count(*rows)
    by_kind = {kind: sum(g.count for g in seen.groups if g.kind == kind) for kind in RowKind}

    assert seen.failed == sum(by_kind[kind] for kind in FAILED_KINDS)
    assert seen.total == seen.failed + by_kind[RowKind.SUCCESS]


@given(
    st.sampled_from([*KIND_OF, "sapi", "ada@example.com"]),
    st.sampled_from(["patch", "delete", "ada@example.com"]),
    st.sampled_from([known for known, _ in SETTINGS] + ["users/ada@example.com"]),
)
def test_no_personal_data_is_kept(type_: str, method: str, path: str) -> None:
    """We keep no name, address or number of a person."""
    words = "ada@example.com from 198.51.100.77, auth0|5f7c8ec7c33c6c004bbafe82"
    request = {"method": method, "path": f"/api/v2/{path}/{words}"}
    details = {"request": request, "error": {"message": words}, "error_class": words}
    log_row = row(type_, f"SAML {words}", details=details, log_id="1", client_id=words)
    kept = repr(count(log_row, {**log_row, "connection": words, "environment_name": words}))

    assert all(text not in kept for text in (*PERSON.values(), "ada", "198.51", "5f7c8"))
