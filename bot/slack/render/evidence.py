"""What people read of the evidence for a verdict. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.observation import MissingEvidence
from bot.slack.render.text import join_names

if TYPE_CHECKING:
    from bot.core.model.observation import Evidence, EvidenceValue

SENTENCES = {
    "login-5xx": "login at {tenant} fails with {fault} ({failed} of {tries})",
    "login-server-error": "login at {tenant} fails with 500 server_error ({failed} of {tries}), "
    "which a missing default directory gives too",
    "login-unreachable": "{tenant} cannot be reached for a login: {fault} ({failed} of {tries})",
    "login-certificate": "the certificate of {tenant} is wrong: {fault}",
    "login-refused": "the synthetic user of {tenant} is refused: {fault}",
    "login-not-allowed": "the application of the synthetic login at {tenant} is refused: {fault}",
    "login-denied": "code or settings of {tenant} deny the login: {fault}",
    "login-429": "{tenant} answers 429 to logins: {fault} ({failed} of {tries})",
    "login-wrong-token": "{tenant} answers 200 with a wrong token: {fault}",
    "login-no-proof": "the Action of {tenant} did not run: {fault}",
    "login-ok": "login at {tenant} works",
    "sudden": "login at {tenant} worked a moment before it was refused",
    "quota-low": "{tenant} says that {remaining} requests of its rate limit are left",
    "login-slow": "login at {tenant} is slow: {recent_s:.1f} s, usually {usual_s:.1f} s",
    "wellknown-slow": "discovery and keys of {tenant} are slow as well: {recent_s:.1f} s, "
    "usually {usual_s:.1f} s",
    "same-environment-slow": "logins of the same environment are slow too: {names}",
    "elsewhere-slow": "logins of other environments are slow too: {names}",
    "controls-slow": "neutral hosts are slow too: {names}",
    "same-environment-refused": "logins of the same environment go wrong since the same minutes: "
    "{names}",
    "never-ok": "this login at {tenant} has never worked yet",
    "wellknown-fails": "discovery and keys of {tenant} fail as well: {fault}",
    "wellknown-unreachable": "discovery and keys of {tenant} cannot be reached either: {fault}",
    "wellknown-ok": "discovery and keys of {tenant} are served (edge-cached, "
    "so this proves the path only)",
    "custom-only": "only the custom domain of {tenant} fails: {fault}",
    "canonical-only": "login by the custom domain of {tenant} works",
    "m2m-ok": "a machine token is given at {tenant}, "
    "which passes neither user store nor login Actions",
    "m2m-fails": "a machine token is refused or fails at {tenant} as well: {fault}",
    "m2m-only": "only machine tokens fail at {tenant}: {fault}",
    "m2m-refused": "only the application that asks for machine tokens is refused at {tenant}: "
    "{fault}",
    "m2m-429": "only machine tokens are limited at {tenant}: {fault}",
    "same-environment-fails": "other tenants of the same environment fail too: {names}",
    "same-environment-ok": "other tenants of the same environment work: {names}",
    "elsewhere-fails": "tenants of other environments fail too: {names}",
    "elsewhere-ok": "tenants of other environments work: {names}",
    "nothing-reached": "none of the tenants can be reached at all, "
    "and no neutral host is known to answer",
    "controls-fail": "neutral hosts fail too: {names}",
    "controls-ok": "neutral hosts answer: {names}",
    "notice-fits": "the status page has an open post for this environment",
    "notice-silent": "the status page shows nothing (proves nothing: "
    "posts came 5 to 121 minutes late)",
    "feed-unreachable": "the status page cannot be reached either",
    "blind": "no usable look at {tenant} for {minutes} minutes: we could not look",
    "users-fail": "users fail as well: {names}",
    "users-fail-alone": "users fail while the synthetic login works: {names}",
    "users-ok": "real users' calls go well: {names}",
    "one-application": "only some applications fail; {names} does well",
    "users-fail-elsewhere": "users of other tenants of the same environment fail too: {names}",
    "traffic-surge": "calls of {metric} are {times:.1f} times as many as usual",
    "log-app": "the tenant's log blames our application: {pattern}, {rows} of {failures} failures",
    "log-upstream": "the tenant's log blames an identity provider: {pattern}, "
    "{rows} of {failures} failures",
    "log-one-connection": "logins fail by the connection {connection} only; others succeed",
    "log-provider": "messages of logins are not delivered: {pattern}, "
    "{rows} of {failures} failures",
    "log-tenant": "the tenant's own code or settings fail by its log: {pattern}, "
    "{rows} of {failures} failures",
    "log-platform": "Auth0's own parts fail by the tenant's log: {rows} rows",
    "log-quota": "the tenant's log has requests refused for a rate limit: {rows} rows",
    "log-no-success": "successful logins are missing in the tenant's log: {successes}, "
    "usually {usual}",
    "log-no-success-alone": "successful logins are missing, and nothing else is known to fail: "
    "{successes}, usually {usual}",
    "log-database": "logins fail by our own login's connection {connection}",
    "other-login-ok": "another login of {tenant} works: {names}",
    "client-before": "an application's settings at {tenant} were changed {minutes} min before: "
    "{change}{app}",
    "notice-nearby": "the status page has a post about {names}, "
    "which users pass and the login does not",
    "feed-reached": "the status page is reached by the same way out",
    "errors-app": "the error tracker tells of a mistake of our application: {pattern}, "
    "{events} events",
    "errors-upstream": "the error tracker tells of an identity provider: {pattern}, "
    "{events} events",
    "errors-unreachable": "the error tracker tells of connections that fail: {pattern}, "
    "{events} events",
    "monitor-says": "an outside monitor has an alert: {names}",
    "deploy-before": "we changed something {minutes} min before: {change}{app}",
    "setting-before": "a setting of {tenant} was changed {minutes} min before: {change}{app}",
}
"""By the rule's id in `core/triage/evidence_table.py`, with the names of its values."""
MISSING_EVIDENCE = {
    None: "",
    MissingEvidence.CONTROL: "a neutral host (`controls`): it tells our network from Auth0",
    MissingEvidence.PEER: "a login at another tenant of the same environment: does it fail too?",
    MissingEvidence.USERS: "whether logins of real users fail, in the tenant's logs",
}


def evidence_text(evidence: Evidence) -> str:
    """Return the sentence of a rule that matches, with its values."""
    # Schema 0002 had the sentence in place of its values.
    sentence = "{text}" if "text" in evidence.values else SENTENCES[evidence.rule_id]
    values = {name: _value_text(name, value) for name, value in evidence.values.items()}
    return sentence.format(**values)


def _value_text(name: str, value: EvidenceValue) -> str | float:
    if isinstance(value, tuple):
        return join_names(value)
    if name == "pattern":
        return str(value).replace("_", " ") or "by type of row"
    return f" ({value})" if name == "app" and value else value
