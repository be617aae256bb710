"""The evidence table, to be read and extended by whoever is on call.

Each rule says in a sentence what was seen, and how strongly that speaks for (above 0) or against
(below 0) each cause. The rules that apply are added up, cause by cause, on top of `PRIORS`. First
come the rules about our own probes, then those about users, monitors and changes.
"""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.model.observation import Cause

AUTH0, TENANT, QUOTA, PROBE, NETWORK, APP, UPSTREAM = (
    Cause.AUTH0,
    Cause.TENANT,
    Cause.QUOTA,
    Cause.PROBE,
    Cause.NETWORK,
    Cause.APP,
    Cause.UPSTREAM,
)
BEFOREHAND = {
    AUTH0: 0.0,
    TENANT: -0.3,
    PROBE: -0.5,
    NETWORK: -0.5,
    QUOTA: -2.0,
    APP: -4.0,
    UPSTREAM: -4.0,
}
"""Most login outages that reach many are the vendor's; a quota is spent only with a 429; and what
the synthetic login does not pass through is blamed only where users fail and it does not."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of evidence."""

    id: str
    sentence: str
    """With {figures} in braces, for people."""
    weights: dict[Cause, float]
    source: str = "own experience"


USER_ROWS = (
    Row(
        "users-fail",
        "users fail as well: {what}",
        {AUTH0: 1.0, TENANT: 0.5, PROBE: -4.0, NETWORK: -1.0},
        "who else fails is no whim of the probe's",
    ),
    Row(
        "users-fail-alone",
        "users fail while the synthetic login works: {what}",
        {APP: 5.5, UPSTREAM: 3.5, QUOTA: 0.3, PROBE: -4.0, NETWORK: -1.0},
        "half of all incidents take a path that a password login does not (section 8)",
    ),
    Row(
        "users-ok",
        "real users' calls go well: {what}",
        {PROBE: 2.5, NETWORK: 1.0, AUTH0: -2.0, TENANT: -0.7, QUOTA: -1.0},
    ),
    Row(
        "one-application",
        "only some applications fail; {names} does well",
        {APP: 1.5, AUTH0: -1.5, TENANT: -0.5, QUOTA: -0.5, UPSTREAM: -0.5},
    ),
    Row(
        "users-fail-elsewhere",
        "users of other tenants of the same environment fail too: {names}",
        {AUTH0: 3.0, APP: -1.5, TENANT: -3.0, UPSTREAM: -0.5, QUOTA: -2.0},
    ),
    Row(
        "traffic-surge",
        "calls of {names} are {times} times as many as usual",
        {QUOTA: 1.5, APP: 0.7},
        "a retry storm of ours uses up a quota; it also follows any outage",
    ),
    Row(
        "log-app",
        "the tenant's log blames our application: {what}",
        {APP: 1.5, TENANT: 1.0, UPSTREAM: -1.0, AUTH0: -1.0},
        "callback addresses are a setting of the tenant's, too",
    ),
    Row(
        "log-upstream",
        "the tenant's log blames an identity provider: {what}",
        {UPSTREAM: 4.5, APP: -1.0, AUTH0: -0.5},
    ),
    Row(
        "log-one-connection",
        "logins fail by the connection {names} only; others succeed",
        {UPSTREAM: 3.0, TENANT: 0.5, APP: -1.5, AUTH0: -1.0},
    ),
    Row(
        "log-provider",
        "messages of logins are not delivered: {what}",
        {UPSTREAM: 5.0, APP: -1.5, AUTH0: -0.5},
    ),
    Row(
        "log-tenant",
        "the tenant's own code or settings fail by its log: {what}",
        {TENANT: 3.5, APP: -1.5, AUTH0: -0.5},
    ),
    Row(
        "log-platform",
        "Auth0's own parts fail by the tenant's log: {what}",
        {AUTH0: 3.5, APP: -1.5, TENANT: -1.0},
        "actions_execution_failed with platform_error (log schema, read 2026-11)",
    ),
    Row(
        "log-quota",
        "the tenant's log has requests refused for a rate limit: {what}",
        {QUOTA: 5.5, APP: -1.5, UPSTREAM: -2.0},
    ),
    Row(
        "log-no-success",
        "successful logins are missing in the tenant's log: {what}",
        {AUTH0: 2.0, APP: -1.0, UPSTREAM: -0.5, PROBE: -2.0},
        "requests that die before they are logged leave gaps (2018-09-14)",
    ),
    Row(
        "log-no-success-alone",
        "successful logins are missing, and nothing else is known to fail: {what}",
        {AUTH0: 1.0, APP: 3.5, UPSTREAM: 2.0, TENANT: -0.5, PROBE: -2.0},
    ),
    Row(
        "log-database",
        "logins fail by our own login's connection {names}",
        {TENANT: 3.0, APP: -1.0, AUTH0: -0.3},
    ),
    Row(
        "other-login-ok",
        "another login of {tenant} works: {names}",
        {TENANT: 1.5, PROBE: 0.8, AUTH0: -2.0, NETWORK: -3.0},
    ),
    Row(
        "client-before",
        "an application's settings at {tenant} were changed {minutes} min before: {what}",
        {PROBE: 1.8, TENANT: 1.0, APP: 0.5, AUTH0: -0.5},
    ),
    Row(
        "notice-nearby",
        "the status page has a post about {names}, which users pass and the login does not",
        {AUTH0: 2.5},
    ),
    Row(
        "feed-reached",
        "the status page is reached by the same way out",
        {NETWORK: -0.7},
    ),
    Row(
        "errors-app",
        "the error tracker tells of a mistake of our application: {what}",
        {APP: 1.0},
    ),
    Row(
        "errors-upstream",
        "the error tracker tells of an identity provider: {what}",
        {UPSTREAM: 1.5, APP: -0.5},
    ),
    Row(
        "errors-unreachable",
        "the error tracker tells of connections that fail: {what}",
        {AUTH0: 0.7, NETWORK: 0.7, APP: -1.0},
    ),
    Row("monitor-says", "an outside monitor has an alert: {names}", {PROBE: -1.5, NETWORK: -0.7}),
    Row("deploy-before", "we changed something {minutes} min before: {what}", {APP: 2.0}),
    Row(
        "setting-before",
        "a setting of {tenant} was changed {minutes} min before: {what}",
        {TENANT: 2.5, PROBE: 0.3, AUTH0: -0.5, APP: -0.3, UPSTREAM: -0.3},
    ),
)


ROWS = (
    Row(
        "login-5xx",
        "login at {tenant} fails with {what} ({failed} of {tries})",
        {AUTH0: 2.0, TENANT: 0.5, NETWORK: -1.5, PROBE: -2.0},
        "Auth0: 5xx suggests a problem on its end (Authentication API, read 2026-11)",
    ),
    Row(
        "login-server-error",
        "login at {tenant} fails with 500 server_error ({failed} of {tries}), "
        "which a missing default directory gives too",
        {AUTH0: 0.8, TENANT: 1.4, PROBE: -0.5, NETWORK: -1.5},
    ),
    Row(
        "login-unreachable",
        "{tenant} cannot be reached for a login: {what} ({failed} of {tries})",
        {AUTH0: 1.0, NETWORK: 1.5, PROBE: -2.0, TENANT: -0.5},
    ),
    Row(
        "login-certificate",
        "the certificate of {tenant} is wrong: {what}",
        {AUTH0: 1.0, TENANT: 0.5, NETWORK: 1.0, PROBE: -2.0},
        "2018-01-17: wrong certificates in an outage; a proxy of ours gives them too",
    ),
    Row(
        "login-refused",
        "the synthetic user of {tenant} is refused: {what}",
        {PROBE: 3.5, TENANT: 1.0, NETWORK: -3.0},
    ),
    Row(
        "login-not-allowed",
        "the application of the synthetic login at {tenant} is refused: {what}",
        {PROBE: 3.5, TENANT: 1.5, NETWORK: -3.0},
    ),
    Row(
        "login-denied",
        "code or settings of {tenant} deny the login: {what}",
        {TENANT: 2.5, PROBE: 0.9, AUTH0: 0.2, NETWORK: -3.0},
        "Auth0: access_denied is a denial or an uncaught error in an Action",
    ),
    Row(
        "login-429",
        "{tenant} answers 429 to logins: {what} ({failed} of {tries})",
        {QUOTA: 5.0, NETWORK: -3.0, PROBE: -1.0},
    ),
    Row(
        "login-wrong-token",
        "{tenant} answers 200 with a wrong token: {what}",
        {AUTH0: 0.8, TENANT: 0.8, NETWORK: 0.3, PROBE: 0.8},
    ),
    Row(
        "login-no-proof",
        "the Action of {tenant} did not run: {what}",
        {TENANT: 3.0, AUTH0: 1.0, NETWORK: -3.0},
    ),
    Row(
        "login-ok",
        "login at {tenant} works",
        {AUTH0: -1.0, TENANT: 0.5, NETWORK: -1.0, PROBE: -0.5},
    ),
    Row(
        "sudden",
        "login at {tenant} worked a moment before it was refused",
        {AUTH0: 0.6},
        "2018-01-17: 401, 404 and wrong certificates in an outage",
    ),
    Row(
        "quota-low",
        "{tenant} says that {what} requests of its rate limit are left",
        {QUOTA: 1.5},
        "x-ratelimit-remaining of the token endpoint",
    ),
    Row(
        "login-slow",
        "login at {tenant} is slow: {what}",
        {AUTH0: 1.0, TENANT: 0.8, NETWORK: 0.3, PROBE: -3.0, QUOTA: -1.0},
        "slow tenant code looks like this too: an Action may take 20 s",
    ),
    Row(
        "wellknown-slow",
        "discovery and keys of {tenant} are slow as well: {what}",
        {AUTH0: 0.5, NETWORK: 1.2, TENANT: -2.0},
    ),
    Row(
        "same-environment-slow",
        "logins of the same environment are slow too: {names}",
        {AUTH0: 2.5, TENANT: -4.0},
    ),
    Row(
        "elsewhere-slow",
        "logins of other environments are slow too: {names}",
        {AUTH0: 0.5, NETWORK: 1.5, TENANT: -4.0},
    ),
    Row("controls-slow", "neutral hosts are slow too: {names}", {NETWORK: 4.0, TENANT: -2.0}),
    Row(
        "same-environment-refused",
        "logins of the same environment go wrong since the same minutes: {names}",
        {AUTH0: 5.0, PROBE: -4.0, TENANT: -5.0},
        "two people do not make a mistake in the same minutes",
    ),
    Row("never-ok", "this login at {tenant} has never worked yet", {PROBE: 2.5, AUTH0: -1.0}),
    Row(
        "wellknown-fails",
        "discovery and keys of {tenant} fail as well: {what}",
        {AUTH0: 1.5, NETWORK: 0.7, TENANT: -1.5, PROBE: -3.0, QUOTA: -2.0},
    ),
    Row(
        "wellknown-unreachable",
        "discovery and keys of {tenant} cannot be reached either: {what}",
        {AUTH0: 0.7, NETWORK: 1.5, TENANT: -1.5, PROBE: -3.0, QUOTA: -2.0},
    ),
    Row(
        "wellknown-ok",
        "discovery and keys of {tenant} are served (edge-cached, so this proves the path only)",
        {NETWORK: -2.5, PROBE: 0.3, TENANT: 0.5},
    ),
    Row(
        "custom-only",
        "only the custom domain of {tenant} fails: {what}",
        {TENANT: 3.0, NETWORK: -1.5, AUTH0: -0.5},
    ),
    Row(
        "canonical-only",
        "login by the custom domain of {tenant} works",
        {NETWORK: -1.0, AUTH0: -0.5, TENANT: 0.3},
    ),
    Row(
        "m2m-ok",
        "a machine token is given at {tenant}, which passes neither user store nor login Actions",
        {AUTH0: -1.0, TENANT: 1.2, PROBE: 0.5, NETWORK: -2.0, QUOTA: -0.3},
    ),
    Row(
        "m2m-fails",
        "a machine token is refused or fails at {tenant} as well: {what}",
        {AUTH0: 1.2, TENANT: -0.8, PROBE: -1.5},
    ),
    Row(
        "m2m-only",
        "only machine tokens fail at {tenant}: {what}",
        {AUTH0: 2.3, TENANT: 0.7, PROBE: 0.3, NETWORK: -1.0},
        "a component of its own on the status page; the tenant's code may break it, too",
    ),
    Row(
        "m2m-refused",
        "only the application that asks for machine tokens is refused at {tenant}: {what}",
        {PROBE: 3.5, TENANT: 1.0, NETWORK: -3.0},
    ),
    Row(
        "m2m-429",
        "only machine tokens are limited at {tenant}: {what}",
        {QUOTA: 5.5, NETWORK: -3.0, PROBE: -1.0},
        "machine tokens have a quota of their own (Auth0, read 2026-11)",
    ),
    Row(
        "same-environment-fails",
        "other tenants of the same environment fail too: {names}",
        {AUTH0: 3.0, TENANT: -4.0, PROBE: -4.0, QUOTA: -3.0},
    ),
    Row(
        "same-environment-ok",
        "other tenants of the same environment work: {names}",
        {AUTH0: -2.5, NETWORK: -2.0, TENANT: 1.0, PROBE: 0.8, QUOTA: 0.5},
    ),
    Row(
        "elsewhere-fails",
        "tenants of other environments fail too: {names}",
        {AUTH0: 1.5, NETWORK: 1.5, TENANT: -4.0, PROBE: -4.0, QUOTA: -3.0},
    ),
    Row("elsewhere-ok", "tenants of other environments work: {names}", {NETWORK: -2.5}),
    Row(
        "nothing-reached",
        "none of the tenants can be reached at all, and no neutral host is known to answer",
        {NETWORK: 3.0},
    ),
    Row(
        "controls-fail",
        "neutral hosts fail too: {names}",
        {NETWORK: 4.5, AUTH0: -2.0, TENANT: -2.0, QUOTA: -1.0},
    ),
    Row("controls-ok", "neutral hosts answer: {names}", {NETWORK: -3.5}),
    Row(
        "notice-fits",
        "the status page has an open post for this environment",
        {AUTH0: 3.0, NETWORK: -1.0},
    ),
    Row(
        "notice-silent",
        "the status page shows nothing (proves nothing: posts came 5 to 121 minutes late)",
        {AUTH0: -0.2},
        "apicontext.com, metrist.io; read 2026-11",
    ),
    Row("feed-unreachable", "the status page cannot be reached either", {NETWORK: 0.7}),
    Row("blind", "no usable look at {tenant} for {minutes} minutes: {what}", {NETWORK: 5.0}),
)
TABLE: dict[str, Row] = {row.id: row for row in (*ROWS, *USER_ROWS)}
