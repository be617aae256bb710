"""The evidence table's second half: what real users' figures, monitors and changes say."""

from __future__ import annotations

from bot.core.row import APP, AUTH0, NETWORK, PROBE, QUOTA, TENANT, UPSTREAM, Row

ROWS = (
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
