from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.observation import Cause, Fault, MissingEvidence, Scope, Stage
from bot.core.state.tenant import other_component
from bot.core.triage.context import RuleMatch
from bot.core.triage.evidence_table import EVIDENCE_TABLE
from bot.core.triage.from_probes import login_rule_id
from bot.core.triage.verdict import MIN_CONFIDENCE, PRIORS, WEIGHTS, answers, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.core.triage.evidence_table import EvidenceRule

USERS = MissingEvidence.USERS
NO_ANSWER = Fault(Stage.TIMEOUT, "connect")


@pytest.mark.parametrize(
    ("failing", "fault", "cause", "scope"),
    [
        (["prod.login", "staging.login"], None, Cause.AUTH0, Scope.ENVIRONMENT),
        (["prod.login", "eu.login"], None, Cause.AUTH0, Scope.SEVERAL),
        (["prod.login", "eu.login", "control.neutral"], NO_ANSWER, Cause.NETWORK, Scope.SEVERAL),
        (
            ["prod.login"],
            Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant"),
            Cause.PROBE,
            Scope.TENANT,
        ),
        (
            ["prod.login"],
            Fault(Stage.OAUTH, "access_denied", 403, "access_denied"),
            Cause.TENANT,
            Scope.TENANT,
        ),
        (
            ["prod.login"],
            Fault(Stage.OAUTH, "too_many_requests", 429, "too_many_requests"),
            Cause.QUOTA,
            Scope.TENANT,
        ),
        (["prod.login"], Fault(Stage.PROOF, "no_proof", 200), Cause.TENANT, Scope.TENANT),
        (
            ["prod.login"],
            Fault(Stage.OAUTH, "unauthorized_client", 403, "unauthorized_client"),
            Cause.PROBE,
            Scope.TENANT,
        ),
    ],
)
def test_what_fails_together_names_the_cause(
    steps: Any, failing: list[str], fault: Fault | None, cause: Cause, scope: Scope
) -> None:
    """One table of the most frequent situations."""
    for _ in range(5):
        steps.wait(5)
        for where in failing:
            steps.see(where, fault or Fault(Stage.HTTP, "http_503", 503))

    verdict = steps.incidents[0].verdict
    assert (verdict.cause, verdict.scope) == (cause, scope)
    assert verdict.evidence_for


def test_a_matching_status_incident_changes_the_verdict(
    steps: Any, make_notice: Callable[..., Any]
) -> None:
    """The status page is strong evidence if it names this environment's logins."""
    for _ in range(5):
        steps.wait(5)
        steps.see("prod.login", Fault(Stage.HTTP, "http_503", 503))
        steps.see("staging.login")
    before = steps.incidents[0].verdict
    steps.read(steps.rules.tenants["prod"].feed, make_notice())
    after = steps.incidents[0].verdict

    assert before.cause is not Cause.AUTH0
    assert after.cause is Cause.AUTH0
    assert "notice-fits" in {fact.rule_id for fact in after.evidence_for}


@pytest.mark.parametrize(
    ("title", "component"),
    [
        ("Login errors", None),
        ("Increased error rates", None),
        ("Delayed tenant logs", "Tenant Logs"),
        ("Elevated errors in the Management API", "Management API"),
        ("Degraded email delivery", "Email Delivery"),
        ("Errors when logging in to the dashboard", "Management Dashboard"),
        ("Errors with logins and the Management Dashboard", None),
        ("Increased error rates for Multi-factor Authentication", "Multi-factor Authentication"),
        ("Machine to Machine Authentication errors", "Machine to Machine Authentication"),
        ("Delayed login events in tenant logs", "Tenant Logs"),
        ("MFA push notifications late", "Multi-factor Authentication"),
    ],
)
def test_a_title_tells_the_component(
    make_notice: Callable[..., Any], title: str, component: str | None
) -> None:
    """The feed has no field for it; a title that may mean logins counts as logins."""
    assert other_component(make_notice(title)) == component


def test_a_login_that_never_worked_is_a_set_up_problem(new_steps: Any) -> None:
    """A first result ever that fails is no outage."""
    new_steps.fail("prod.login", fault=Fault(Stage.OAUTH, "invalid_client", 401, "invalid_client"))
    verdict = new_steps.incidents[0].verdict

    assert verdict.cause is Cause.PROBE
    assert "never-ok" in {fact.rule_id for fact in verdict.evidence_for}


def test_a_missing_default_directory_is_no_outage(steps: Any) -> None:
    """Without one Auth0 answers 500 server_error to a plain password grant."""
    steps.fail("prod.login", fault=Fault(Stage.OAUTH, "server_error", 500, "server_error"))

    assert "login-server-error" in {
        fact.rule_id
        for v in [steps.incidents[0].verdict]
        for fact in (*v.evidence_for, *v.evidence_against)
    }


@pytest.mark.parametrize(
    ("fault", "rule_id"),
    [
        (Fault(Stage.OAUTH, "invalid_request", 400, "invalid_request"), "login-bad-request"),
        (Fault(Stage.OAUTH, "not_found", 404, "not_found"), "login-gone"),
        (Fault(Stage.OAUTH, "unauthorized", 401, "unauthorized"), "login-refused"),
        (
            Fault(Stage.OAUTH, "unauthorized", 401, "unauthorized", "user is blocked"),
            "login-refused",
        ),
        (
            Fault(Stage.OAUTH, "unauthorized", 401, "unauthorized", "directory not reached"),
            "login-code",
        ),
    ],
)
def test_answers_are_told_apart_by_what_they_mean(fault: Fault, rule_id: str) -> None:
    """A connection that is off, a tenant that is not there, a script's own refusal."""
    assert login_rule_id(fault) == rule_id


def test_keys_that_fail_alone_are_an_answer_of_their_own(steps: Any) -> None:
    """The login that works does not speak for Auth0 then."""
    for _ in range(6):
        steps.wait(5)
        steps.see("prod.login")
        steps.see("prod.wellknown", Fault(Stage.HTTP, "http_503", 503))
    verdict = steps.incidents[0].verdict
    found = {fact.rule_id for fact in (*verdict.evidence_for, *verdict.evidence_against)}

    assert "keys-only" in found
    assert "login-ok" not in found


def test_a_page_that_refuses_us_leaves_our_line_well(steps: Any) -> None:
    """Control endpoints that answer prove nothing then."""
    page = Fault(Stage.HTTP, "http_403", 403)
    for _ in range(6):
        steps.wait(5)
        steps.see("prod.login", page)
        steps.see("prod.wellknown", page)
        steps.see("control.neutral")
    verdict = steps.incidents[0].verdict

    assert verdict.cause is Cause.NETWORK
    assert "controls-ok" not in {fact.rule_id for fact in verdict.evidence_against}


def test_a_post_about_what_our_login_does_not_pass_explains_no_failed_login(
    steps: Any, make_notice: Callable[..., Any]
) -> None:
    """It speaks only where users fail and our login works."""
    title = "Increased error rates for Multi-factor Authentication"
    steps.read(steps.rules.tenants["prod"].feed, make_notice(title))
    steps.fail("prod.login", fault=Fault(Stage.OAUTH, "access_denied", 403, "access_denied"))

    assert "notice-nearby" not in {f.rule_id for f in steps.incidents[0].verdict.evidence_for}


def test_every_fault_of_a_login_has_a_rule() -> None:
    """The table covers every stage and status."""
    for stage in Stage:
        for status in (None, 200, 401, 403, 404, 429, 500, 503):
            assert login_rule_id(Fault(stage, "any", status)) in EVIDENCE_TABLE


def test_without_evidence_the_verdict_is_unclear() -> None:
    """Below the limit the verdict is unclear, and names what would settle it."""
    verdict = judge((), {}, USERS)

    assert (verdict.cause, verdict.settled_by) == (Cause.UNCLEAR, USERS)


@pytest.mark.parametrize("rule", EVIDENCE_TABLE.values(), ids=lambda rule: rule.id)
def test_evidence_of_health_speaks_for_no_cause(rule: EvidenceRule) -> None:
    """That all is well on our path is no fact about settings."""
    assert rule.id in WEIGHTS
    assert not rule.is_health or max(WEIGHTS[rule.id].values()) <= 0


def test_a_question_has_one_answer() -> None:
    """A fact that is seen at many places speaks once, and the clearest counts."""
    both = (RuleMatch("users-ok", strength=0.3), RuleMatch("users-ok", strength=0.9))

    assert answers((*both, RuleMatch("users-unknown"))) == {"users-ok": 0.9}


def test_figures_that_have_not_spoken_keep_a_cause_from_being_certain() -> None:
    """What they could refute within a minute is stated as probable at most."""
    found = [RuleMatch("login-denied"), RuleMatch("setting-before"), RuleMatch("login-no-proof")]
    early = judge(found, {}, USERS, refutable=frozenset({Cause.TENANT}))

    assert judge(found, {}, USERS).confidence > 0.7
    assert (early.cause, early.confidence < 0.7) == (Cause.TENANT, True)


clues = st.lists(st.sampled_from(sorted(EVIDENCE_TABLE)).map(RuleMatch), max_size=12)


@given(clues)
def test_a_verdict_is_sure_enough_or_unclear(found: list[RuleMatch]) -> None:
    """A cause is named only if it is above the limit, and at least one fact speaks for it.

    Where people are not told the cause, they are told what would settle it.
    """
    verdict = judge(found, {}, USERS)

    assert 0 < verdict.confidence <= 1
    assert (verdict.stated_cause is Cause.UNCLEAR) == (verdict.settled_by is USERS)
    if verdict.cause is not Cause.UNCLEAR:
        assert any(WEIGHTS[rule_id].get(verdict.cause, 0.0) > 0 for rule_id in answers(found))
        assert verdict.confidence >= round(MIN_CONFIDENCE, 2)
        assert verdict.cause in PRIORS


@given(clues, st.randoms(use_true_random=False))
def test_the_order_of_evidence_does_not_matter(found: list[RuleMatch], random: Any) -> None:
    """The same evidence gives the same verdict."""
    mixed = list(found)
    random.shuffle(mixed)

    assert judge(mixed, {}, USERS).cause is judge(found, {}, USERS).cause
