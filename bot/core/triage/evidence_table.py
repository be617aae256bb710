"""The rules of the evidence table, to be read and extended by whoever is on call.

Each rule says what is found, and which question that answers. Of the rules that answer one
question the first one that matches counts, so that no fact speaks twice. How strongly a rule speaks
for or against each cause is in `core/triage/weights.py`, what people read of it in
`slack/render/verdict.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Question(StrEnum):
    """What a rule answers. One question has one answer, however many rules match."""

    PROBES = "what do the tenant's own probes say?"
    PAST = "had it worked before?"
    KEYS = "what do discovery and keys say?"
    OTHER_WAYS = "do other ways into the tenant work?"
    NEIGHBOURS = "what do tenants of the same environment say?"
    FAR = "what do tenants of other environments say?"
    OUR_LINE = "what do control endpoints and the way to the status page say?"
    PAGE = "what does the status page say?"
    USERS = "how do real users do?"
    MONITOR = "what does an outside monitor say?"
    APPLICATIONS = "do all applications do alike?"
    LOG = "whom does the tenant's log blame?"
    TRACKER = "whom does the error tracker blame?"
    TRAFFIC = "is there more traffic than the limits allow?"
    OUR_CHANGE = "did we change something?"
    THEIR_CHANGE = "did somebody change the tenant?"


@dataclass(frozen=True, slots=True)
class EvidenceRule:
    """One kind of evidence."""

    id: str
    found: str
    """What the rule matches, for engineers; people read a sentence with its values."""
    source: str = "own experience"
    is_health: bool = False
    """It says that something works: it speaks only against what that excludes, for no cause."""


RULES = {
    Question.PROBES: (
        EvidenceRule("blind", "the tenant could not be checked"),
        EvidenceRule(
            "name-never-found",
            "the name of the tenant, or its custom domain, has never been found",
            "a name does not get lost; it is typed wrong",
        ),
        EvidenceRule("login-refused", "the credentials of the synthetic user are refused"),
        EvidenceRule(
            "login-user-limit",
            "the login gets a 429 that is about its user or address only",
            "too_many_logins (Auth0, read 2026-11)",
        ),
        EvidenceRule("login-429", "the login gets a 429 that is about load"),
        EvidenceRule(
            "login-denied",
            "the login gets 403 access_denied",
            "Auth0: access_denied is a denial or an uncaught error in an Action",
        ),
        EvidenceRule(
            "login-not-allowed", "the token endpoint refuses the application of the login"
        ),
        EvidenceRule("login-bad-request", "the login gets invalid_request", "a connection is off"),
        EvidenceRule("login-no-proof", "the token has no fresh proof that the Action ran"),
        EvidenceRule("login-wrong-token", "the login gets a token that is wrong"),
        EvidenceRule(
            "login-code",
            "the login gets a 500 with an error of OAuth's other than server_error",
            "the tenant's own code fails: an Action, a rule or a custom database's script",
        ),
        EvidenceRule("login-server-error", "the login gets 500 server_error"),
        EvidenceRule(
            "login-no-names",
            "the tenant's name is not found, nor is any other one",
            "names that nobody has asked for, so that no cache answers",
        ),
        EvidenceRule(
            "login-name-lost",
            "the tenant's name is not found, or does not exist, while others are found",
            "NXDOMAIN is an answer: the resolver works",
        ),
        EvidenceRule(
            "login-intercepted",
            "somebody in between answers the login: a proxy, a portal, a filter",
            "RFC 9110 and 6585; Auth0's token endpoint answers in JSON and never redirects",
        ),
        EvidenceRule(
            "login-untrusted",
            "the tenant's certificate is of an authority that nobody trusts",
            "what opens TLS on our way signs with its own authority",
        ),
        EvidenceRule(
            "login-gone",
            "the login gets a 404 or 410 that is none of OAuth's",
            "a tenant that was deleted, renamed or suspended; 2018-01-17: also an outage",
        ),
        EvidenceRule(
            "login-blocked",
            "the login gets a 4xx page that is none of OAuth's",
            "an edge, a proxy or a firewall refuses our address",
        ),
        EvidenceRule(
            "login-5xx",
            "the login gets a 5xx, or an answer that is none of OAuth's",
            "Auth0: 5xx suggests a problem on its end (Authentication API, read 2026-11)",
        ),
        EvidenceRule(
            "login-certificate",
            "the tenant's certificate is wrong",
            "2018-01-17: wrong certificates in an outage; a proxy of ours gives them too",
        ),
        EvidenceRule(
            "login-hangs",
            "the login is connected and gets no answer in time",
            "an overloaded service, or tenant code that waits",
        ),
        EvidenceRule("login-unreachable", "the login gets no connection or no answer in time"),
        EvidenceRule(
            "custom-only", "the login fails by the custom domain, and works by the canonical one"
        ),
        EvidenceRule(
            "m2m-refused", "the application for machine tokens is refused, and all logins work"
        ),
        EvidenceRule(
            "m2m-denied",
            "machine tokens get 403 access_denied, and all logins work",
            "Auth0: a denial or an error of an Action for machine tokens, or a grant taken away",
        ),
        EvidenceRule(
            "m2m-429",
            "machine tokens get a 429, and all logins work",
            "machine tokens have a quota of their own (Auth0, read 2026-11)",
        ),
        EvidenceRule(
            "m2m-only",
            "machine tokens fail, and all logins work",
            "a component of its own on the status page; the tenant's code may break it, too",
        ),
        EvidenceRule(
            "login-slow",
            "the login is slow against its own past",
            "slow tenant code looks like this too: an Action may take 20 s",
        ),
        EvidenceRule("keys-only", "only discovery and keys fail", "no setting does that"),
        EvidenceRule("login-ok", "the login works", is_health=True),
    ),
    Question.PAST: (
        EvidenceRule("never-ok", "the login has never worked yet"),
        EvidenceRule(
            "own-restart",
            "it has not worked since the bot was restarted, or its own image was changed",
            "what changed is the bot; an outage that had begun before does not count",
        ),
        EvidenceRule(
            "sudden",
            "a refusal, or a wrong token, came a moment after a success",
            "2018-01-17: 401, 404 and wrong certificates in an outage",
        ),
    ),
    Question.KEYS: (
        EvidenceRule("wellknown-gone", "discovery or keys get a 404 or 410, as the login does"),
        EvidenceRule(
            "wellknown-blocked",
            "discovery or keys get another 4xx",
            "public documents refuse nobody: something in between does",
        ),
        EvidenceRule(
            "wellknown-name-lost", "the name of discovery and keys is lost, while others are found"
        ),
        EvidenceRule("wellknown-fails", "discovery or keys fail with an answer"),
        EvidenceRule(
            "wellknown-unreachable", "discovery or keys get no connection or no answer in time"
        ),
        EvidenceRule("wellknown-slow", "discovery and keys are slow, as the login is"),
        EvidenceRule("wellknown-ok", "discovery and keys work", is_health=True),
    ),
    Question.OTHER_WAYS: (
        EvidenceRule("m2m-fails", "machine tokens fail, as the login does"),
        EvidenceRule(
            "other-login-ok", "one login of the tenant fails, another one works", is_health=True
        ),
        EvidenceRule(
            "m2m-ok", "a machine token came since most logins began to fail", is_health=True
        ),
        EvidenceRule(
            "canonical-only", "the login works by the custom domain alone", is_health=True
        ),
        EvidenceRule("token-endpoint-ok", "the token endpoint refuses as it must", is_health=True),
    ),
    Question.NEIGHBOURS: (
        EvidenceRule(
            "same-environment-refused",
            "another tenant of the environment is suddenly refused, too",
            "two people do not make a mistake in the same minutes",
        ),
        EvidenceRule(
            "same-environment-fails", "other tenants of the environment fail as in an outage"
        ),
        EvidenceRule(
            "users-fail-elsewhere",
            "users of another tenant of the environment fail",
            "two applications do not break in the same minutes",
        ),
        EvidenceRule(
            "same-environment-slow", "logins of other tenants of the environment are slow, too"
        ),
        EvidenceRule(
            "same-environment-ok",
            "other tenants of the environment work since the problem began",
            is_health=True,
        ),
    ),
    Question.FAR: (
        EvidenceRule(
            "nothing-reached", "no tenant is reached, and no control endpoint is known to answer"
        ),
        EvidenceRule("elsewhere-fails", "tenants of other environments fail as in an outage"),
        EvidenceRule("elsewhere-slow", "logins of other environments are slow, too"),
        EvidenceRule(
            "elsewhere-ok",
            "tenants of other environments work since the problem began",
            is_health=True,
        ),
    ),
    Question.OUR_LINE: (
        EvidenceRule("controls-fail", "control endpoints fail"),
        EvidenceRule("controls-slow", "control endpoints are slow"),
        EvidenceRule("controls-ok", "control endpoints answer", is_health=True),
        EvidenceRule("feed-unreachable", "the status page is not reached"),
        EvidenceRule(
            "feed-reached", "the status page was read since the problem began", is_health=True
        ),
    ),
    Question.PAGE: (
        EvidenceRule("notice-fits", "a post fits the time and the environment's logins"),
        EvidenceRule(
            "notice-nearby", "a post is about a component that users pass and our login does not"
        ),
        EvidenceRule(
            "notice-silent",
            "the status page was read, and has no open post that fits",
            "apicontext.com, metrist.io; read 2026-11",
        ),
    ),
    Question.USERS: (
        EvidenceRule(
            "users-fail-alone",
            "users fail while all logins of ours work",
            "half of all incidents take a path that a password login does not",
        ),
        EvidenceRule(
            "users-fail",
            "users fail, and our logins are not all well",
            "if others fail too, the probe is not at fault",
        ),
        EvidenceRule(
            "log-no-success-alone",
            "successful logins are missing in the log, and users fail by no metric",
        ),
        EvidenceRule(
            "users-away",
            "an application has hardly any success of its usual ones, and nothing fails",
            "whoever cannot begin to log in leaves no failure",
        ),
        EvidenceRule(
            "users-pass",
            "users do as well as ever, while nothing of the tenant answers us",
            "what nobody else misses is lost on our own way",
        ),
        EvidenceRule(
            "users-ok",
            "users do as well as ever since the problem began, by their counts",
            is_health=True,
        ),
        EvidenceRule(
            "users-ok-beside",
            "users do as well as ever by logins, which do not need what fails",
            "machine tokens and keys may fail for others",
            is_health=True,
        ),
        EvidenceRule(
            "users-unknown",
            "the counts of users do not reach beyond the first failure yet",
            "what could refute a cause within a minute is waited for",
        ),
    ),
    Question.MONITOR: (EvidenceRule("monitor-says", "an outside monitor has an alert"),),
    Question.APPLICATIONS: (
        EvidenceRule("one-application", "some applications fail, another one does well"),
        EvidenceRule("several-applications", "several applications fail, and none does well"),
    ),
    Question.LOG: (
        EvidenceRule("log-quota", "rows of the log report requests refused for a rate limit"),
        EvidenceRule(
            "log-platform",
            "rows of the log report failures of Auth0's own parts",
            "actions_execution_failed with platform_error (log schema, read 2026-11)",
        ),
        EvidenceRule(
            "log-database", "the failed rows of the log are of our own login's connection"
        ),
        EvidenceRule(
            "log-several-connections",
            "several connections of the log fail since the same time",
            "providers that have nothing to do with one another do not fail together",
        ),
        EvidenceRule("log-push", "most failed rows are push messages", "Auth0 sends them"),
        EvidenceRule(
            "log-provider",
            "the most frequent failed rows of the log are messages that are not delivered",
        ),
        EvidenceRule(
            "log-upstream", "the most frequent failed rows of the log blame an identity provider"
        ),
        EvidenceRule(
            "log-tenant",
            "the most frequent failed rows of the log blame the tenant's code or settings",
        ),
        EvidenceRule(
            "log-app",
            "the most frequent failed rows of the log blame the application",
            "callback addresses are a setting of the tenant's, too",
        ),
        EvidenceRule(
            "log-one-connection", "the failed rows of the log are of one connection, others succeed"
        ),
        EvidenceRule(
            "log-no-success",
            "successful logins are missing in the log, and users fail by a metric",
            "requests that die before they are logged leave gaps (2018-09-14)",
        ),
        EvidenceRule(
            "log-elsewhere",
            "another tenant's log refuses an application that it does not know",
            "what is missing at one tenant arrives at another",
        ),
        EvidenceRule(
            "log-as-ever",
            "the log has as many successes as ever, while users fail by a metric",
            "what fails comes after Auth0; the exchange of codes leaves no row of a login",
        ),
    ),
    Question.TRACKER: (
        EvidenceRule(
            "errors-app", "the error tracker's most frequent pattern is the application's mistake"
        ),
        EvidenceRule(
            "errors-upstream", "the error tracker's most frequent pattern is an identity provider's"
        ),
        EvidenceRule(
            "errors-tenant", "the error tracker's most frequent pattern is a denied access"
        ),
        EvidenceRule(
            "errors-unreachable-alone",
            "calls fail, the tracker's pattern is a failed connection, and we get through",
            "the way out of the application is at fault, not what it calls",
        ),
        EvidenceRule(
            "errors-unreachable", "the error tracker's most frequent pattern is a failed connection"
        ),
    ),
    Question.TRAFFIC: (
        EvidenceRule(
            "log-attack",
            "wrong passwords and attack protection are far more than successes",
            "an attack uses the limits up; nobody's code is at fault",
        ),
        EvidenceRule(
            "quota-low",
            "hardly a request of the rate limit is left",
            "x-ratelimit-remaining of the token endpoint",
        ),
        EvidenceRule(
            "traffic-surge",
            "an application calls Auth0 far more than usual",
            "a retry storm of ours uses up a quota; it also follows any outage",
        ),
    ),
    Question.OUR_CHANGE: (
        EvidenceRule("deploy-before", "we changed something of our own shortly before"),
    ),
    Question.THEIR_CHANGE: (
        EvidenceRule(
            "client-before", "an application's settings at the tenant were changed shortly before"
        ),
        EvidenceRule("setting-before", "a setting of the tenant was changed shortly before"),
    ),
}
"""By the question, the first answer first."""
EVIDENCE_TABLE = {rule.id: rule for rules in RULES.values() for rule in rules}
