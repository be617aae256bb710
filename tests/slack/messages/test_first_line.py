"""The first line of a message and what to do, by cause, certainty and what fails."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Cause, Evidence, Fault, Scope, Severity, Stage
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import Incident, IncidentKind
from bot.core.state.problem import MetricProblem, ProbeProblem, Problem, SlowProblem
from bot.slack.render.advice import advise
from bot.slack.render.direct_and_pager import render_direct_message
from bot.slack.render.first_line import describe_share, first_line, name_tenants
from bot.slack.render.incident import render_incident
from bot.slack.render.status import render_home_tab

START = 1_772_445_600.0
HTTP_503 = Fault(Stage.HTTP, "http_503", 503)
STATUS = "https://status.auth0.com"
DEPLOY = Evidence("deploy-before", {"minutes": 1, "change": "deploy 4711", "app": "checkout"}, 2.0)
USERS = Evidence("users-fail", {"names": ("checkout",)}, 2.0)
LOGIN = ProbeProblem("prod", "login", START, 5, 5, HTTP_503)
CHECKOUT = MetricProblem(
    "prod", "checkout", START, MetricKind.METRICS, Reason.SHARE, 42, 100, 120.0
)


def probe(failed: int, tries: int, signal: str = "login", tenant: str = "prod") -> ProbeProblem:
    return ProbeProblem(tenant, signal, START, failed, tries, HTTP_503)


def refused(reason: str) -> ProbeProblem:
    return replace(LOGIN, fault=Fault(Stage.OAUTH, reason, 403, reason), is_stopped=True)


def unreachable(stage: Stage) -> ProbeProblem:
    return replace(LOGIN, fault=Fault(stage, "timeout"))


def incident(
    scene: Any, cause: Cause, *problems: Problem, confidence: float = 0.95, **verdict: Any
) -> Incident:
    """An open incident of what fails, with this cause."""
    tenants = tuple(dict.fromkeys(problem.tenant for problem in problems))
    judged = replace(
        scene.verdict,
        cause=cause,
        confidence=confidence,
        scope=verdict.pop("scope", Scope.TENANT),
        evidence_for=verdict.pop("facts", ()),
        evidence_against=(),
    )
    found: Incident = replace(scene.open, tenants=tenants, problems=problems, verdict=judged)
    return found


@pytest.mark.parametrize(
    ("cause", "problems", "changes", "line"),
    [
        (
            Cause.AUTH0,
            [LOGIN, replace(LOGIN, tenant="shop")],
            {"scope": Scope.ENVIRONMENT},
            "Auth0 is down in US-1: all logins to prod and shop fail.",
        ),
        (Cause.AUTH0, [LOGIN], {}, "Auth0 is down: all logins to prod fail."),
        (Cause.AUTH0, [probe(5, 20)], {}, "Auth0 has problems: 25 % of the logins to prod fail."),
        (
            Cause.AUTH0,
            [probe(10, 20, "wellknown")],
            {"confidence": 0.75},
            (
                "About half of the requests for the signing keys of prod fail, "
                "probably because of Auth0."
            ),
        ),
        (
            Cause.AUTH0,
            [SlowProblem("prod", "login", START, 5, 9, latency_s=2.4, usual_s=0.3)],
            {},
            "Auth0 is slow: logins to prod are slow.",
        ),
        (
            Cause.TENANT,
            [probe(20, 20, "custom")],
            {},
            (
                "A setting or code of this tenant breaks logins: "
                "all logins to the custom domain of prod fail."
            ),
        ),
        (
            Cause.QUOTA,
            [probe(9, 20)],
            {},
            "A rate limit of prod is used up: about half of the logins to prod fail.",
        ),
        (
            Cause.PROBE,
            [refused("invalid_grant")],
            {},
            "The test login at prod was refused: wrong password. Users are probably fine.",
        ),
        (
            Cause.PROBE,
            [refused("invalid_grant")],
            {"facts": (USERS,)},
            "The test login at prod was refused: wrong password.",
        ),
        (
            Cause.NETWORK,
            [unreachable(Stage.DNS)],
            {},
            ("I cannot check your logins: my machine's DNS fails. Users are probably fine."),
        ),
        (
            Cause.NETWORK,
            [unreachable(Stage.CONNECT)],
            {"facts": (USERS,)},
            "I cannot check your logins: my machine has lost its internet access.",
        ),
        (
            Cause.APP,
            [CHECKOUT],
            {"facts": (DEPLOY,)},
            "Our release broke logins: 42 % of checkout logins to prod fail since deploy 4711.",
        ),
        (
            Cause.APP,
            [CHECKOUT],
            {"facts": (DEPLOY,), "confidence": 0.8},
            "42 % of checkout logins to prod fail, probably because of our release (deploy 4711).",
        ),
        (
            Cause.UPSTREAM,
            [CHECKOUT],
            {"facts": (Evidence("log-one-connection", {"connection": "saml-corp"}, 3.0),)},
            "A provider behind Auth0 (saml-corp) fails: 42 % of checkout logins to prod fail.",
        ),
        (Cause.UNCLEAR, [LOGIN], {}, "All logins to prod fail. Cause not clear yet."),
        (
            Cause.AUTH0,
            [LOGIN],
            {"confidence": 0.6},
            "All logins to prod fail. Cause not clear yet.",
        ),
        (
            Cause.UNCLEAR,
            [replace(CHECKOUT, reason=Reason.SUCCESSES_MISSING)],
            {},
            "Far fewer checkout logins to prod succeed than usual. Cause not clear yet.",
        ),
    ],
)
def test_the_line_follows_from_cause_certainty_and_effect(
    scene: Any, cause: Cause, problems: list[Problem], changes: dict[str, Any], line: str
) -> None:
    """From 85 % on it is certain, from 70 % on probable, below not clear; all are short."""
    found = incident(scene, cause, *problems, **changes)

    assert first_line(found, scene.view(found)) == line
    assert len(line) <= 100


def test_only_what_fails_as_badly_as_the_worst_is_named(scene: Any) -> None:
    """A tenant whose keys alone fail has no failing logins, and a few failures are not "all"."""
    problems = [probe(20, 20), probe(20, 20, "wellknown", "shop"), probe(2, 20, tenant="eu")]

    found = incident(scene, Cause.UNCLEAR, *problems)
    line = first_line(found, scene.view(found))

    assert line == "All logins to prod fail. Cause not clear yet."


def test_tenants_that_fail_nearly_alike_are_named_together(scene: Any) -> None:
    """A single success must not take a tenant's name away."""
    found = incident(scene, Cause.UNCLEAR, probe(20, 20), probe(17, 20, tenant="shop"))

    assert first_line(found, scene.view(found)).startswith("Most logins to prod and shop fail.")


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (1.0, "all"),
        (0.95, "most"),
        (0.65, "most"),
        (0.5, "about half of the"),
        (0.2, "20 % of the"),
        (0.08, "10 % of the"),
        (0.01, "a few"),
    ],
)
def test_shares_are_words(share: float, words: str) -> None:
    """Only a share of all is called all."""
    assert describe_share(share) == words


def test_two_tenants_are_named_and_the_others_counted() -> None:
    """A notification has room for two names."""
    assert name_tenants(["prod"]) == "prod"
    assert name_tenants(["prod", "shop"]) == "prod and shop"
    assert name_tenants(["prod", "shop", "eu", "jp"]) == "prod, shop and 2 more"


def test_all_that_is_sent_begins_with_the_same_sentence(scene: Any) -> None:
    """The message, its notification, the direct message and the Home tab."""
    found = incident(scene, Cause.AUTH0, LOGIN)
    view = scene.view(found)
    line = first_line(found, view)
    message, direct = render_incident(found, view, STATUS), render_direct_message(found, view, "")
    home = str(render_home_tab(view, STATUS))

    assert message.text == direct.text == f"{line} [#7]"
    assert f"*{line}*" in message.blocks[0]["text"]["text"]
    assert f"*{line}*" in direct.blocks[0]["text"]["text"]
    assert line in home


@pytest.mark.parametrize(
    ("cause", "problem", "facts", "words"),
    [
        (Cause.AUTH0, LOGIN, (), "Change nothing on our side"),
        (Cause.TENANT, LOGIN, (), "Monitoring → Logs, filter `type:f*`"),
        (Cause.TENANT, probe(5, 5, "custom"), (), "Branding → Custom Domains"),
        (Cause.TENANT, refused("no_proof"), (), "Deploy the post-login Action again"),
        (Cause.QUOTA, LOGIN, (), "type:api_limit"),
        (Cause.PROBE, refused("invalid_grant"), (), "/auth0-check run prod"),
        (Cause.NETWORK, unreachable(Stage.DNS), (), "Fix my machine's DNS."),
        (Cause.APP, CHECKOUT, (DEPLOY,), "Roll back deploy 4711 (checkout)."),
        (Cause.APP, CHECKOUT, (), "Check the last change of checkout"),
        (Cause.UPSTREAM, CHECKOUT, (), "status page of the provider"),
        (Cause.UNCLEAR, LOGIN, (), "Log in once from your phone"),
    ],
)
def test_each_cause_says_what_to_do(
    scene: Any, cause: Cause, problem: Problem, facts: tuple[Evidence, ...], words: str
) -> None:
    """What to do follows from the cause, and names the thing."""
    found = incident(scene, cause, problem, facts=facts)

    assert words in advise(found, scene.view(found))


def test_a_remedy_for_a_code_is_only_given_if_it_agrees_with_the_cause(scene: Any) -> None:
    """An outage of Auth0 is not mended by a setting."""
    found = incident(scene, Cause.AUTH0, refused("server_error"))

    assert "Default Directory" not in advise(found, scene.view(found))


def test_a_tenant_that_cannot_be_checked_is_not_called_down(scene: Any) -> None:
    """No check works: that says nothing about the logins."""
    found = replace(
        incident(scene, Cause.UNCLEAR, LOGIN), kind=IncidentKind.NO_DATA, severity=Severity.WARNING
    )
    message = render_incident(found, scene.view(found), STATUS)

    assert message.text == "I cannot check logins to prod. No check gets through. [#7]"
    assert "Cannot check · since" in message.blocks[0]["text"]["text"]
