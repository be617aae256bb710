"""The evidence table, to be read and extended by whoever is on call.

Each rule says in a sentence what was found, and how strongly that speaks for (above 0) or against
(below 0) each cause. The weights of the rules that match are added up, cause by cause, on top of
`PRIORS`. First come the rules about our own probes, then those about users, monitors and changes.
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
    sentence: str
    """With {values} in braces; people read it in Slack."""
    weights: dict[Cause, float]
    source: str = "own experience"


USER_RULES = (
    EvidenceRule(
        "users-fail",
        "users fail as well: {what}",
        {AUTH0: 1.0, TENANT: 0.5, PROBE: -4.0, NETWORK: -1.0},
        "if others fail too, the probe is not at fault",
    ),
    EvidenceRule(
        "users-fail-alone",
        "users fail while the synthetic login works: {what}",
        {APP: 5.5, UPSTREAM: 3.5, QUOTA: 0.3, PROBE: -4.0, NETWORK: -1.0},
        "half of all incidents take a path that a password login does not",
    ),
    EvidenceRule(
        "users-ok",
        "real users' calls go well: {what}",
        {PROBE: 2.5, NETWORK: 1.0, AUTH0: -2.0, TENANT: -0.7, QUOTA: -1.0},
    ),
    EvidenceRule(
        "one-application",
        "only some applications fail; {names} does well",
        {APP: 1.5, AUTH0: -1.5, TENANT: -0.5, QUOTA: -0.5, UPSTREAM: -0.5},
    ),
    EvidenceRule(
        "users-fail-elsewhere",
        "users of other tenants of the same environment fail too: {names}",
        {AUTH0: 3.0, APP: -1.5, TENANT: -3.0, UPSTREAM: -0.5, QUOTA: -2.0},
    ),
    EvidenceRule(
        "traffic-surge",
        "calls of {names} are {times} times as many as usual",
        {QUOTA: 1.5, APP: 0.7},
        "a retry storm of ours uses up a quota; it also follows any outage",
    ),
    EvidenceRule(
        "log-app",
        "the tenant's log blames our application: {what}",
        {APP: 1.5, TENANT: 1.0, UPSTREAM: -1.0, AUTH0: -1.0},
        "callback addresses are a setting of the tenant's, too",
    ),
    EvidenceRule(
        "log-upstream",
        "the tenant's log blames an identity provider: {what}",
        {UPSTREAM: 4.5, APP: -1.0, AUTH0: -0.5},
    ),
    EvidenceRule(
        "log-one-connection",
        "logins fail by the connection {names} only; others succeed",
        {UPSTREAM: 3.0, TENANT: 0.5, APP: -1.5, AUTH0: -1.0},
    ),
    EvidenceRule(
        "log-provider",
        "messages of logins are not delivered: {what}",
        {UPSTREAM: 5.0, APP: -1.5, AUTH0: -0.5},
    ),
    EvidenceRule(
        "log-tenant",
        "the tenant's own code or settings fail by its log: {what}",
        {TENANT: 3.5, APP: -1.5, AUTH0: -0.5},
    ),
    EvidenceRule(
        "log-platform",
        "Auth0's own parts fail by the tenant's log: {what}",
        {AUTH0: 3.5, APP: -1.5, TENANT: -1.0},
        "actions_execution_failed with platform_error (log schema, read 2026-11)",
    ),
    EvidenceRule(
        "log-quota",
        "the tenant's log has requests refused for a rate limit: {what}",
        {QUOTA: 5.5, APP: -1.5, UPSTREAM: -2.0},
    ),
    EvidenceRule(
        "log-no-success",
        "successful logins are missing in the tenant's log: {what}",
        {AUTH0: 2.0, APP: -1.0, UPSTREAM: -0.5, PROBE: -2.0},
        "requests that die before they are logged leave gaps (2018-09-14)",
    ),
    EvidenceRule(
        "log-no-success-alone",
        "successful logins are missing, and nothing else is known to fail: {what}",
        {AUTH0: 1.0, APP: 3.5, UPSTREAM: 2.0, TENANT: -0.5, PROBE: -2.0},
    ),
    EvidenceRule(
        "log-database",
        "logins fail by our own login's connection {names}",
        {TENANT: 3.0, APP: -1.0, AUTH0: -0.3},
    ),
    EvidenceRule(
        "other-login-ok",
        "another login of {tenant} works: {names}",
        {TENANT: 1.5, PROBE: 0.8, AUTH0: -2.0, NETWORK: -3.0},
    ),
    EvidenceRule(
        "client-before",
        "an application's settings at {tenant} were changed {minutes} min before: {what}",
        {PROBE: 1.8, TENANT: 1.0, APP: 0.5, AUTH0: -0.5},
    ),
    EvidenceRule(
        "notice-nearby",
        "the status page has a post about {names}, which users pass and the login does not",
        {AUTH0: 2.5},
    ),
    EvidenceRule(
        "feed-reached",
        "the status page is reached by the same way out",
        {NETWORK: -0.7},
    ),
    EvidenceRule(
        "errors-app",
        "the error tracker tells of a mistake of our application: {what}",
        {APP: 1.0},
    ),
    EvidenceRule(
        "errors-upstream",
        "the error tracker tells of an identity provider: {what}",
        {UPSTREAM: 1.5, APP: -0.5},
    ),
    EvidenceRule(
        "errors-unreachable",
        "the error tracker tells of connections that fail: {what}",
        {AUTH0: 0.7, NETWORK: 0.7, APP: -1.0},
    ),
    EvidenceRule(
        "monitor-says", "an outside monitor has an alert: {names}", {PROBE: -1.5, NETWORK: -0.7}
    ),
    EvidenceRule("deploy-before", "we changed something {minutes} min before: {what}", {APP: 2.0}),
    EvidenceRule(
        "setting-before",
        "a setting of {tenant} was changed {minutes} min before: {what}",
        {TENANT: 2.5, PROBE: 0.3, AUTH0: -0.5, APP: -0.3, UPSTREAM: -0.3},
    ),
)
PROBE_RULES = (
    EvidenceRule(
        "login-5xx",
        "login at {tenant} fails with {what} ({failed} of {tries})",
        {AUTH0: 2.0, TENANT: 0.5, NETWORK: -1.5, PROBE: -2.0},
        "Auth0: 5xx suggests a problem on its end (Authentication API, read 2026-11)",
    ),
    EvidenceRule(
        "login-server-error",
        "login at {tenant} fails with 500 server_error ({failed} of {tries}), "
        "which a missing default directory gives too",
        {AUTH0: 0.8, TENANT: 1.4, PROBE: -0.5, NETWORK: -1.5},
    ),
    EvidenceRule(
        "login-unreachable",
        "{tenant} cannot be reached for a login: {what} ({failed} of {tries})",
        {AUTH0: 1.0, NETWORK: 1.5, PROBE: -2.0, TENANT: -0.5},
    ),
    EvidenceRule(
        "login-certificate",
        "the certificate of {tenant} is wrong: {what}",
        {AUTH0: 1.0, TENANT: 0.5, NETWORK: 1.0, PROBE: -2.0},
        "2018-01-17: wrong certificates in an outage; a proxy of ours gives them too",
    ),
    EvidenceRule(
        "login-refused",
        "the synthetic user of {tenant} is refused: {what}",
        {PROBE: 3.5, TENANT: 1.0, NETWORK: -3.0},
    ),
    EvidenceRule(
        "login-not-allowed",
        "the application of the synthetic login at {tenant} is refused: {what}",
        {PROBE: 3.5, TENANT: 1.5, NETWORK: -3.0},
    ),
    EvidenceRule(
        "login-denied",
        "code or settings of {tenant} deny the login: {what}",
        {TENANT: 2.5, PROBE: 0.9, AUTH0: 0.2, NETWORK: -3.0},
        "Auth0: access_denied is a denial or an uncaught error in an Action",
    ),
    EvidenceRule(
        "login-429",
        "{tenant} answers 429 to logins: {what} ({failed} of {tries})",
        {QUOTA: 5.0, NETWORK: -3.0, PROBE: -1.0},
    ),
    EvidenceRule(
        "login-wrong-token",
        "{tenant} answers 200 with a wrong token: {what}",
        {AUTH0: 0.8, TENANT: 0.8, NETWORK: 0.3, PROBE: 0.8},
    ),
    EvidenceRule(
        "login-no-proof",
        "the Action of {tenant} did not run: {what}",
        {TENANT: 3.0, AUTH0: 1.0, NETWORK: -3.0},
    ),
    EvidenceRule(
        "login-ok",
        "login at {tenant} works",
        {AUTH0: -1.0, TENANT: 0.5, NETWORK: -1.0, PROBE: -0.5},
    ),
    EvidenceRule(
        "sudden",
        "login at {tenant} worked a moment before it was refused",
        {AUTH0: 0.6},
        "2018-01-17: 401, 404 and wrong certificates in an outage",
    ),
    EvidenceRule(
        "quota-low",
        "{tenant} says that {what} requests of its rate limit are left",
        {QUOTA: 1.5},
        "x-ratelimit-remaining of the token endpoint",
    ),
    EvidenceRule(
        "login-slow",
        "login at {tenant} is slow: {what}",
        {AUTH0: 1.0, TENANT: 0.8, NETWORK: 0.3, PROBE: -3.0, QUOTA: -1.0},
        "slow tenant code looks like this too: an Action may take 20 s",
    ),
    EvidenceRule(
        "wellknown-slow",
        "discovery and keys of {tenant} are slow as well: {what}",
        {AUTH0: 0.5, NETWORK: 1.2, TENANT: -2.0},
    ),
    EvidenceRule(
        "same-environment-slow",
        "logins of the same environment are slow too: {names}",
        {AUTH0: 2.5, TENANT: -4.0},
    ),
    EvidenceRule(
        "elsewhere-slow",
        "logins of other environments are slow too: {names}",
        {AUTH0: 0.5, NETWORK: 1.5, TENANT: -4.0},
    ),
    EvidenceRule(
        "controls-slow", "neutral hosts are slow too: {names}", {NETWORK: 4.0, TENANT: -2.0}
    ),
    EvidenceRule(
        "same-environment-refused",
        "logins of the same environment go wrong since the same minutes: {names}",
        {AUTH0: 5.0, PROBE: -4.0, TENANT: -5.0},
        "two people do not make a mistake in the same minutes",
    ),
    EvidenceRule(
        "never-ok", "this login at {tenant} has never worked yet", {PROBE: 2.5, AUTH0: -1.0}
    ),
    EvidenceRule(
        "wellknown-fails",
        "discovery and keys of {tenant} fail as well: {what}",
        {AUTH0: 1.5, NETWORK: 0.7, TENANT: -1.5, PROBE: -3.0, QUOTA: -2.0},
    ),
    EvidenceRule(
        "wellknown-unreachable",
        "discovery and keys of {tenant} cannot be reached either: {what}",
        {AUTH0: 0.7, NETWORK: 1.5, TENANT: -1.5, PROBE: -3.0, QUOTA: -2.0},
    ),
    EvidenceRule(
        "wellknown-ok",
        "discovery and keys of {tenant} are served (edge-cached, so this proves the path only)",
        {NETWORK: -2.5, PROBE: 0.3, TENANT: 0.5},
    ),
    EvidenceRule(
        "custom-only",
        "only the custom domain of {tenant} fails: {what}",
        {TENANT: 3.0, NETWORK: -1.5, AUTH0: -0.5},
    ),
    EvidenceRule(
        "canonical-only",
        "login by the custom domain of {tenant} works",
        {NETWORK: -1.0, AUTH0: -0.5, TENANT: 0.3},
    ),
    EvidenceRule(
        "m2m-ok",
        "a machine token is given at {tenant}, which passes neither user store nor login Actions",
        {AUTH0: -1.0, TENANT: 1.2, PROBE: 0.5, NETWORK: -2.0, QUOTA: -0.3},
    ),
    EvidenceRule(
        "m2m-fails",
        "a machine token is refused or fails at {tenant} as well: {what}",
        {AUTH0: 1.2, TENANT: -0.8, PROBE: -1.5},
    ),
    EvidenceRule(
        "m2m-only",
        "only machine tokens fail at {tenant}: {what}",
        {AUTH0: 2.3, TENANT: 0.7, PROBE: 0.3, NETWORK: -1.0},
        "a component of its own on the status page; the tenant's code may break it, too",
    ),
    EvidenceRule(
        "m2m-refused",
        "only the application that asks for machine tokens is refused at {tenant}: {what}",
        {PROBE: 3.5, TENANT: 1.0, NETWORK: -3.0},
    ),
    EvidenceRule(
        "m2m-429",
        "only machine tokens are limited at {tenant}: {what}",
        {QUOTA: 5.5, NETWORK: -3.0, PROBE: -1.0},
        "machine tokens have a quota of their own (Auth0, read 2026-11)",
    ),
    EvidenceRule(
        "same-environment-fails",
        "other tenants of the same environment fail too: {names}",
        {AUTH0: 3.0, TENANT: -4.0, PROBE: -4.0, QUOTA: -3.0},
    ),
    EvidenceRule(
        "same-environment-ok",
        "other tenants of the same environment work: {names}",
        {AUTH0: -2.5, NETWORK: -2.0, TENANT: 1.0, PROBE: 0.8, QUOTA: 0.5},
    ),
    EvidenceRule(
        "elsewhere-fails",
        "tenants of other environments fail too: {names}",
        {AUTH0: 1.5, NETWORK: 1.5, TENANT: -4.0, PROBE: -4.0, QUOTA: -3.0},
    ),
    EvidenceRule("elsewhere-ok", "tenants of other environments work: {names}", {NETWORK: -2.5}),
    EvidenceRule(
        "nothing-reached",
        "none of the tenants can be reached at all, and no neutral host is known to answer",
        {NETWORK: 3.0},
    ),
    EvidenceRule(
        "controls-fail",
        "neutral hosts fail too: {names}",
        {NETWORK: 4.5, AUTH0: -2.0, TENANT: -2.0, QUOTA: -1.0},
    ),
    EvidenceRule("controls-ok", "neutral hosts answer: {names}", {NETWORK: -3.5}),
    EvidenceRule(
        "notice-fits",
        "the status page has an open post for this environment",
        {AUTH0: 3.0, NETWORK: -1.0},
    ),
    EvidenceRule(
        "notice-silent",
        "the status page shows nothing (proves nothing: posts came 5 to 121 minutes late)",
        {AUTH0: -0.2},
        "apicontext.com, metrist.io; read 2026-11",
    ),
    EvidenceRule("feed-unreachable", "the status page cannot be reached either", {NETWORK: 0.7}),
    EvidenceRule(
        "blind", "no usable look at {tenant} for {minutes} minutes: {what}", {NETWORK: 5.0}
    ),
)
EVIDENCE_TABLE = {rule.id: rule for rule in (*PROBE_RULES, *USER_RULES)}
