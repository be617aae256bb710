"""The evidence table, to be read and extended by whoever is on call.

Each rule says what is found, and how strongly that speaks for (above 0) or against (below 0) each
cause. The weights of the rules that match are added up, cause by cause, on top of `PRIORS`. What
people read of a rule that matches is in `slack/render/verdict.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.model.observation import Cause

AUTH0, TENANT, QUOTA, PROBE = Cause.AUTH0, Cause.TENANT, Cause.QUOTA, Cause.PROBE
NETWORK, APP, UPSTREAM = Cause.NETWORK, Cause.APP, Cause.UPSTREAM
PRIORS = {
    AUTH0: 0.0,
    TENANT: -0.3,
    PROBE: -0.5,
    NETWORK: -0.5,
    QUOTA: -2.0,
    APP: -4.0,
    UPSTREAM: -4.0,
}
"""Most login outages that reach many are the vendor's. A quota is blamed only with a 429; and what
the synthetic login does not pass through only where users fail and the synthetic login does not."""


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """One kind of evidence."""

    id: str
    found: str
    """What the rule matches, for engineers; people read a sentence with its values."""
    weights: dict[Cause, float]
    source: str = "own experience"


USER_RULES = (
    EvidenceRule(
        "users-fail",
        "users fail, and our logins are not all well",
        {AUTH0: 1.0, TENANT: 0.5, PROBE: -4.0, NETWORK: -1.0},
        "if others fail too, the probe is not at fault",
    ),
    EvidenceRule(
        "users-fail-alone",
        "users fail while all logins of ours work",
        {APP: 5.5, UPSTREAM: 3.5, QUOTA: 0.3, PROBE: -4.0, NETWORK: -1.0},
        "half of all incidents take a path that a password login does not",
    ),
    EvidenceRule(
        "users-ok",
        "users' calls go well since the problem began",
        {PROBE: 2.5, NETWORK: 1.0, AUTH0: -2.0, TENANT: -0.7, QUOTA: -1.0},
    ),
    EvidenceRule(
        "one-application",
        "some applications fail, another one does well",
        {APP: 1.5, AUTH0: -1.5, TENANT: -0.5, QUOTA: -0.5, UPSTREAM: -0.5},
    ),
    EvidenceRule(
        "users-fail-elsewhere",
        "users of another tenant of the environment fail",
        {AUTH0: 3.0, APP: -1.5, TENANT: -3.0, UPSTREAM: -0.5, QUOTA: -2.0},
    ),
    EvidenceRule(
        "traffic-surge",
        "an application calls Auth0 far more than usual",
        {QUOTA: 1.5, APP: 0.7},
        "a retry storm of ours uses up a quota; it also follows any outage",
    ),
    EvidenceRule(
        "log-app",
        "the most frequent failed rows of the log blame the application",
        {APP: 1.5, TENANT: 1.0, UPSTREAM: -1.0, AUTH0: -1.0},
        "callback addresses are a setting of the tenant's, too",
    ),
    EvidenceRule(
        "log-upstream",
        "the most frequent failed rows of the log blame an identity provider",
        {UPSTREAM: 4.5, APP: -1.0, AUTH0: -0.5},
    ),
    EvidenceRule(
        "log-one-connection",
        "the failed rows of the log are of one connection, others succeed",
        {UPSTREAM: 3.0, TENANT: 0.5, APP: -1.5, AUTH0: -1.0},
    ),
    EvidenceRule(
        "log-provider",
        "the most frequent failed rows of the log are messages that are not delivered",
        {UPSTREAM: 5.0, APP: -1.5, AUTH0: -0.5},
    ),
    EvidenceRule(
        "log-tenant",
        "the most frequent failed rows of the log blame the tenant's code or settings",
        {TENANT: 3.5, APP: -1.5, AUTH0: -0.5},
    ),
    EvidenceRule(
        "log-platform",
        "rows of the log report failures of Auth0's own parts",
        {AUTH0: 3.5, APP: -1.5, TENANT: -1.0},
        "actions_execution_failed with platform_error (log schema, read 2026-11)",
    ),
    EvidenceRule(
        "log-quota",
        "rows of the log report requests refused for a rate limit",
        {QUOTA: 5.5, APP: -1.5, UPSTREAM: -2.0},
    ),
    EvidenceRule(
        "log-no-success",
        "successful logins are missing in the log, and users fail by a metric",
        {AUTH0: 2.0, APP: -1.0, UPSTREAM: -0.5, PROBE: -2.0},
        "requests that die before they are logged leave gaps (2018-09-14)",
    ),
    EvidenceRule(
        "log-no-success-alone",
        "successful logins are missing in the log, and users fail by no metric",
        {AUTH0: 1.0, APP: 3.5, UPSTREAM: 2.0, TENANT: -0.5, PROBE: -2.0},
    ),
    EvidenceRule(
        "log-database",
        "the failed rows of the log are of our own login's connection",
        {TENANT: 3.0, APP: -1.0, AUTH0: -0.3},
    ),
    EvidenceRule(
        "other-login-ok",
        "one login of the tenant fails, another one works",
        {TENANT: 1.5, PROBE: 0.8, AUTH0: -2.0, NETWORK: -3.0},
    ),
    EvidenceRule(
        "client-before",
        "an application's settings at the tenant were changed shortly before",
        {PROBE: 1.8, TENANT: 1.0, APP: 0.5, AUTH0: -0.5},
    ),
    EvidenceRule(
        "notice-nearby",
        "a post is about a component that users pass and our login does not",
        {AUTH0: 2.5},
    ),
    EvidenceRule(
        "feed-reached", "the status page was read since the problem began", {NETWORK: -0.7}
    ),
    EvidenceRule(
        "errors-app",
        "the error tracker's most frequent pattern is the application's mistake",
        {APP: 1.0},
    ),
    EvidenceRule(
        "errors-upstream",
        "the error tracker's most frequent pattern is an identity provider's",
        {UPSTREAM: 1.5, APP: -0.5},
    ),
    EvidenceRule(
        "errors-unreachable",
        "the error tracker's most frequent pattern is a failed connection",
        {AUTH0: 0.7, NETWORK: 0.7, APP: -1.0},
    ),
    EvidenceRule("monitor-says", "an outside monitor has an alert", {PROBE: -1.5, NETWORK: -0.7}),
    EvidenceRule("deploy-before", "we changed something of our own shortly before", {APP: 2.0}),
    EvidenceRule(
        "setting-before",
        "a setting of the tenant was changed shortly before",
        {TENANT: 2.5, PROBE: 0.3, AUTH0: -0.5, APP: -0.3, UPSTREAM: -0.3},
    ),
)
PROBE_RULES = (
    EvidenceRule(
        "login-5xx",
        "the login gets a 5xx, or an answer that is none of OAuth's",
        {AUTH0: 2.0, TENANT: 0.5, NETWORK: -1.5, PROBE: -2.0},
        "Auth0: 5xx suggests a problem on its end (Authentication API, read 2026-11)",
    ),
    EvidenceRule(
        "login-server-error",
        "the login gets 500 server_error",
        {AUTH0: 0.8, TENANT: 1.4, PROBE: -0.5, NETWORK: -1.5},
    ),
    EvidenceRule(
        "login-unreachable",
        "the login gets no connection or no answer in time",
        {AUTH0: 1.0, NETWORK: 1.5, PROBE: -2.0, TENANT: -0.5},
    ),
    EvidenceRule(
        "login-certificate",
        "the tenant's certificate is wrong",
        {AUTH0: 1.0, TENANT: 0.5, NETWORK: 1.0, PROBE: -2.0},
        "2018-01-17: wrong certificates in an outage; a proxy of ours gives them too",
    ),
    EvidenceRule(
        "login-refused",
        "the credentials of the synthetic user are refused",
        {PROBE: 3.5, TENANT: 1.0, NETWORK: -3.0},
    ),
    EvidenceRule(
        "login-not-allowed",
        "the token endpoint refuses the application of the login",
        {PROBE: 3.5, TENANT: 1.5, NETWORK: -3.0},
    ),
    EvidenceRule(
        "login-denied",
        "the login gets 403 access_denied",
        {TENANT: 2.5, PROBE: 0.9, AUTH0: 0.2, NETWORK: -3.0},
        "Auth0: access_denied is a denial or an uncaught error in an Action",
    ),
    EvidenceRule(
        "login-429",
        "the login gets a 429 that is about load",
        {QUOTA: 5.0, NETWORK: -3.0, PROBE: -1.0},
    ),
    EvidenceRule(
        "login-wrong-token",
        "the login gets a token that is wrong",
        {AUTH0: 0.8, TENANT: 0.8, NETWORK: 0.3, PROBE: 0.8},
    ),
    EvidenceRule(
        "login-no-proof",
        "the token has no fresh proof that the Action ran",
        {TENANT: 3.0, AUTH0: 1.0, NETWORK: -3.0},
    ),
    EvidenceRule(
        "login-ok", "the login works", {AUTH0: -1.0, TENANT: 0.5, NETWORK: -1.0, PROBE: -0.5}
    ),
    EvidenceRule(
        "sudden",
        "a refusal, or a wrong token, came a moment after a success",
        {AUTH0: 0.6},
        "2018-01-17: 401, 404 and wrong certificates in an outage",
    ),
    EvidenceRule(
        "quota-low",
        "hardly a request of the rate limit is left",
        {QUOTA: 1.5},
        "x-ratelimit-remaining of the token endpoint",
    ),
    EvidenceRule(
        "login-slow",
        "the login is slow against its own past",
        {AUTH0: 1.0, TENANT: 0.8, NETWORK: 0.3, PROBE: -3.0, QUOTA: -1.0},
        "slow tenant code looks like this too: an Action may take 20 s",
    ),
    EvidenceRule(
        "wellknown-slow",
        "discovery and keys are slow, as the login is",
        {AUTH0: 0.5, NETWORK: 1.2, TENANT: -2.0},
    ),
    EvidenceRule(
        "same-environment-slow",
        "logins of other tenants of the environment are slow, too",
        {AUTH0: 2.5, TENANT: -4.0},
    ),
    EvidenceRule(
        "elsewhere-slow",
        "logins of other environments are slow, too",
        {AUTH0: 0.5, NETWORK: 1.5, TENANT: -4.0},
    ),
    EvidenceRule("controls-slow", "control endpoints are slow", {NETWORK: 4.0, TENANT: -2.0}),
    EvidenceRule(
        "same-environment-refused",
        "another tenant of the environment is suddenly refused, too",
        {AUTH0: 5.0, PROBE: -4.0, TENANT: -5.0},
        "two people do not make a mistake in the same minutes",
    ),
    EvidenceRule("never-ok", "the login has never worked yet", {PROBE: 2.5, AUTH0: -1.0}),
    EvidenceRule(
        "wellknown-fails",
        "discovery or keys fail with an answer",
        {AUTH0: 1.5, NETWORK: 0.7, TENANT: -1.5, PROBE: -3.0, QUOTA: -2.0},
    ),
    EvidenceRule(
        "wellknown-unreachable",
        "discovery or keys get no connection or no answer in time",
        {AUTH0: 0.7, NETWORK: 1.5, TENANT: -1.5, PROBE: -3.0, QUOTA: -2.0},
    ),
    EvidenceRule(
        "wellknown-ok", "discovery and keys work", {NETWORK: -2.5, PROBE: 0.3, TENANT: 0.5}
    ),
    EvidenceRule(
        "custom-only",
        "the login fails by the custom domain, and works by the canonical one",
        {TENANT: 3.0, NETWORK: -1.5, AUTH0: -0.5},
    ),
    EvidenceRule(
        "canonical-only",
        "the login works by the custom domain, and fails by the canonical one",
        {NETWORK: -1.0, AUTH0: -0.5, TENANT: 0.3},
    ),
    EvidenceRule(
        "m2m-ok",
        "a machine token came since most logins began to fail",
        {AUTH0: -1.0, TENANT: 1.2, PROBE: 0.5, NETWORK: -2.0, QUOTA: -0.3},
    ),
    EvidenceRule(
        "m2m-fails",
        "machine tokens fail, as the login does",
        {AUTH0: 1.2, TENANT: -0.8, PROBE: -1.5},
    ),
    EvidenceRule(
        "m2m-only",
        "machine tokens fail, and all logins work",
        {AUTH0: 2.3, TENANT: 0.7, PROBE: 0.3, NETWORK: -1.0},
        "a component of its own on the status page; the tenant's code may break it, too",
    ),
    EvidenceRule(
        "m2m-refused",
        "the application for machine tokens is refused, and all logins work",
        {PROBE: 3.5, TENANT: 1.0, NETWORK: -3.0},
    ),
    EvidenceRule(
        "m2m-429",
        "machine tokens get a 429, and all logins work",
        {QUOTA: 5.5, NETWORK: -3.0, PROBE: -1.0},
        "machine tokens have a quota of their own (Auth0, read 2026-11)",
    ),
    EvidenceRule(
        "same-environment-fails",
        "other tenants of the environment fail as in an outage",
        {AUTH0: 3.0, TENANT: -4.0, PROBE: -4.0, QUOTA: -3.0},
    ),
    EvidenceRule(
        "same-environment-ok",
        "other tenants of the environment work since the problem began",
        {AUTH0: -2.5, NETWORK: -2.0, TENANT: 1.0, PROBE: 0.8, QUOTA: 0.5},
    ),
    EvidenceRule(
        "elsewhere-fails",
        "tenants of other environments fail as in an outage",
        {AUTH0: 1.5, NETWORK: 1.5, TENANT: -4.0, PROBE: -4.0, QUOTA: -3.0},
    ),
    EvidenceRule(
        "elsewhere-ok",
        "tenants of other environments work since the problem began",
        {NETWORK: -2.5},
    ),
    EvidenceRule(
        "nothing-reached",
        "no tenant is reached, and no control endpoint is known to answer",
        {NETWORK: 3.0},
    ),
    EvidenceRule(
        "controls-fail",
        "control endpoints fail",
        {NETWORK: 4.5, AUTH0: -2.0, TENANT: -2.0, QUOTA: -1.0},
    ),
    EvidenceRule("controls-ok", "control endpoints answer", {NETWORK: -3.5}),
    EvidenceRule(
        "notice-fits",
        "an open post fits the time and the environment's logins",
        {AUTH0: 3.0, NETWORK: -1.0},
    ),
    EvidenceRule(
        "notice-silent",
        "the status page was read, and has no open post that fits",
        {AUTH0: -0.2},
        "apicontext.com, metrist.io; read 2026-11",
    ),
    EvidenceRule("feed-unreachable", "the status page is not reached", {NETWORK: 0.7}),
    EvidenceRule("blind", "the tenant could not be checked", {NETWORK: 5.0}),
)
EVIDENCE_TABLE = {rule.id: rule for rule in (*PROBE_RULES, *USER_RULES)}
