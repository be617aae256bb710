"""The verdict and its evidence: in the incident's message, and as the answer to "why". Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.model.measurement import MetricKind
from bot.core.model.observation import Cause, Fault, MissingEvidence, Verdict
from bot.core.state.incident import MESSAGE, MONITOR, PROBE, STATUS_INCIDENT, Incident
from bot.slack.render.text import (
    CAUSES,
    SCOPES,
    duration,
    escape,
    fault_name,
    join_names,
    time_of_day,
)

if TYPE_CHECKING:
    from bot.core.model.observation import Evidence, EvidenceValue, Verdict
    from bot.core.state.incident import Incident

MAX_FACTS = 3
"""Facts in an incident's message."""
STRONG = -0.5
"""From this weight on evidence against a verdict is named in the message."""
SENTENCES = {
    "login-5xx": "logins to {tenant} fail with {fault} ({failed} of {tries} tries)",
    "login-server-error": "logins to {tenant} fail with 500 server_error ({failed} of {tries} "
    "tries), as they do without a default directory",
    "login-code": "code of your own in {tenant} fails: {fault} ({failed} of {tries} tries)",
    "login-hangs": "{tenant} does not answer logins in time: {fault} ({failed} of {tries} tries)",
    "login-unreachable": "no connection to {tenant}: {fault} ({failed} of {tries} tries)",
    "login-no-names": "neither {tenant} nor any other name is found: {fault}",
    "login-name-lost": "the name of {tenant} is not found, while others are: {fault}",
    "login-intercepted": "somebody between us and {tenant} answers in its place: {fault}",
    "login-untrusted": "nobody trusts who signed the certificate shown for {tenant}: {fault}",
    "login-certificate": "the certificate of {tenant} is wrong: {fault}",
    "login-refused": "{tenant} refuses the test user: {fault}",
    "login-bad-request": "{tenant} calls the test login's request wrong: {fault}",
    "login-not-allowed": "{tenant} refuses the test login's application: {fault}",
    "login-denied": "code or settings in {tenant} deny the login: {fault}",
    "login-429": "{tenant} limits logins: {fault} ({failed} of {tries} tries)",
    "login-wrong-token": "{tenant} answers with a wrong token: {fault}",
    "login-no-proof": "the post-login Action of {tenant} did not run: {fault}",
    "login-ok": "the test login at {tenant} works",
    "name-never-found": "the domain of {tenant} was never found: check its spelling",
    "login-user-limit": "{tenant} limits only the test user: {fault} ({failed} of {tries} tries)",
    "login-gone": "{tenant} answers as if it did not exist: {fault} ({failed} of {tries} tries)",
    "login-blocked": "a page that is not Auth0's refuses our requests to {tenant}: {fault} "
    "({failed} of {tries} tries)",
    "sudden": "the test login at {tenant} worked a moment before",
    "quota-low": "{tenant} says that {remaining} requests of its rate limit are left",
    "login-slow": "logins to {tenant} take {recent_s:.1f} s, usually {usual_s:.1f} s",
    "wellknown-slow": "the signing keys of {tenant} are slow: {recent_s:.1f} s, usually "
    "{usual_s:.1f} s",
    "same-environment-slow": "logins to other tenants in the same environment are slow, too: "
    "{names}",
    "elsewhere-slow": "logins to tenants in other environments are slow, too: {names}",
    "controls-slow": "other internet sites are slow, too ({names})",
    "same-environment-refused": "logins to other tenants in the same environment fail since the "
    "same minute: {names}",
    "own-restart": "{tenant} fails since I was restarted or updated",
    "never-ok": "this test login at {tenant} has never worked yet",
    "wellknown-gone": "the signing keys of {tenant} are not there: {fault}",
    "wellknown-blocked": "the signing keys of {tenant} are refused: {fault}",
    "wellknown-name-lost": "the name of the signing keys of {tenant} is not found: {fault}",
    "wellknown-fails": "the signing keys of {tenant} fail: {fault}",
    "wellknown-unreachable": "no connection to the signing keys of {tenant}: {fault}",
    "wellknown-ok": "the signing keys of {tenant} are served (from a cache: that proves only the "
    "path)",
    "custom-only": "only the custom domain of {tenant} fails: {fault}",
    "canonical-only": "logins to the custom domain of {tenant} work",
    "token-endpoint-ok": "the token endpoint of {tenant} answers, so what fails lies behind it",
    "m2m-ok": "{tenant} gives machine tokens, without the user database and login Actions",
    "m2m-fails": "requests for machine tokens of {tenant} fail: {fault}",
    "m2m-only": "only machine tokens of {tenant} fail: {fault}",
    "m2m-refused": "{tenant} refuses only the application that asks for machine tokens: {fault}",
    "m2m-denied": "code or settings in {tenant} deny machine tokens: {fault}",
    "keys-only": "only the signing keys of {tenant} fail, and the test login works",
    "m2m-429": "{tenant} limits only machine tokens: {fault}",
    "same-environment-fails": "other tenants in the same environment fail, too: {names}",
    "same-environment-ok": "other tenants in the same environment work: {names}",
    "elsewhere-fails": "tenants in other environments fail, too: {names}",
    "elsewhere-ok": "tenants in other environments work: {names}",
    "nothing-reached": "I reach no tenant and no other internet site",
    "controls-fail": "other internet sites fail, too ({names})",
    "controls-ok": "other internet sites answer ({names})",
    "notice-fits": "Auth0's status page has a post about this environment",
    "notice-silent": "Auth0's status page shows nothing (proves nothing: posts came 5 to 121 "
    "minutes late)",
    "feed-unreachable": "Auth0's status page cannot be reached from here",
    "blind": "no check of {tenant} has got through for over {minutes} minutes{reason}",
    "users-fail": "logins of real users fail ({names})",
    "users-fail-alone": "logins of real users fail, and the test login works (seen in {names})",
    "users-ok": "logins of real users work (seen in {names})",
    "users-pass": "real users get through to the tenant, and we do not (seen in {names})",
    "users-ok-beside": "logins of real users work, and do not need what fails (seen in {names})",
    "users-away": "hardly any of the usual logins arrives, and none fails (seen in {names})",
    "users-unknown": "it is not known yet how real users do: {names}",
    "one-application": "only some applications fail; {names} works",
    "several-applications": "several applications fail together: {names}",
    "users-fail-elsewhere": "real users of other tenants in the same environment fail, too: "
    "{names}",
    "traffic-surge": "{metric} calls Auth0 {times:.1f} times as often as usual",
    "log-app": "the tenant's log blames our application in {rows} of {failures} failures{pattern}",
    "log-upstream": "the tenant's log blames an identity provider in {rows} of {failures} "
    "failures{pattern}",
    "log-one-connection": "only logins through the connection {connection} fail",
    "log-provider": "e-mails or text messages of logins are not delivered in {rows} of "
    "{failures} failures{pattern}",
    "log-push": "push messages of the second factor are not delivered in {rows} of {failures} "
    "failures",
    "log-tenant": "the tenant's log blames the tenant's code or settings in {rows} of {failures} "
    "failures{pattern}",
    "log-platform": "the tenant's log has failures of Auth0's own parts: {rows} rows",
    "log-quota": "the tenant's log has requests refused for a rate limit: {rows} rows",
    "log-no-success": "the tenant's log has {successes} successful logins, usually {usual}",
    "log-no-success-alone": "the tenant's log has {successes} successful logins, usually {usual}, "
    "and nothing else fails",
    "log-several-connections": "several connections fail since the same time: {names}",
    "log-elsewhere": "the log of {names} refuses an application that it does not know",
    "log-as-ever": "the tenant's log has as many successful logins as usual: {successes}, usually "
    "{usual}",
    "log-attack": "the tenant's log shows an attack: {rows} wrong passwords and blocked tries, "
    "{successes} successes",
    "log-database": "logins through the test login's own connection {connection} fail",
    "other-login-ok": "another test login at {tenant} works: {names}",
    "client-before": "an application in {tenant} was changed {minutes} min before: {change}{app}",
    "notice-nearby": "Auth0's status page has a post about {names}, which users need and the test "
    "login does not",
    "feed-reached": "Auth0's status page can be reached from here",
    "errors-app": "the error tracker blames our application in {events} events{pattern}",
    "errors-upstream": "the error tracker blames an identity provider in {events} events{pattern}",
    "errors-tenant": "the error tracker says in {events} events that access is denied{pattern}",
    "errors-unreachable": "the error tracker reports failed connections in {events} "
    "events{pattern}",
    "errors-unreachable-alone": "the error tracker reports failed connections in {events} "
    "events{pattern}, and we get through",
    "monitor-says": "another monitor has an alert: {names}",
    "deploy-before": "we changed something {minutes} min before: {change}{app}",
    "setting-before": "a setting of {tenant} was changed {minutes} min before: {change}{app}",
}
"""By the rule's id in `core/triage/evidence_table.py`, with the names of its values."""
MISSING_EVIDENCE = {
    None: "",
    MissingEvidence.CONTROL: "whether another internet site answers. Name one in `controls`",
    MissingEvidence.PEER: "whether another tenant in the same environment works: add a test login "
    "there",
    MissingEvidence.USERS: "whether real users get in: look at your applications, or connect the "
    "tenant's log",
}
DETECTION_SOURCES = {
    PROBE: "our probes",
    MetricKind.METRICS.value: "applications' metrics",
    MetricKind.ERRORS.value: "error tracker",
    MetricKind.LOGS.value: "tenant log",
    MONITOR: "outside monitor",
    STATUS_INCIDENT: "status page",
    MESSAGE: "our message",
}


def evidence_text(evidence: Evidence) -> str:
    """Return the sentence of a rule that matches, with its values."""
    # Schema 0002 had the sentence in place of its values.
    sentence = "{text}" if "text" in evidence.values else SENTENCES[evidence.rule_id]
    values = {name: _value_text(name, value) for name, value in evidence.values.items()}
    return sentence.format(**{"reason": "", **values})  # 0.1.0 stored none with "blind"


def _value_text(name: str, value: EvidenceValue) -> str | float:
    if isinstance(value, tuple):
        return join_names(value)
    if isinstance(value, Fault):
        return fault_name(value)
    if name == "pattern":
        return f" ({str(value).replace('_', ' ')})" if value else ""
    return f" ({value})" if name in {"app", "reason"} and value else value


def name_facts(verdict: Verdict) -> str:
    """Name the three strongest facts for a verdict, or two and the strongest one against it."""
    found = _strongest(verdict.evidence_for, MAX_FACTS)
    against = [one for one in _strongest(verdict.evidence_against, 1) if one.weight <= STRONG]
    facts = [escape(evidence_text(one)) for one in found[: MAX_FACTS - len(against)]]
    facts += [f"but {escape(evidence_text(one))}" for one in against]
    return " · ".join(facts)


def _strongest(evidence: tuple[Evidence, ...], limit: int) -> list[Evidence]:
    """Return the strongest evidence, of each rule one."""
    by_rule = {one.rule_id: one for one in reversed(evidence)}
    return sorted(by_rule.values(), key=lambda one: -abs(one.weight))[:limit]


def is_cause_stated(verdict: Verdict) -> bool:
    """Tell whether messages name a cause."""
    return verdict.stated_cause is not Cause.UNCLEAR


def certainty_text(verdict: Verdict) -> str:
    """Say in words how sure the cause is; without one, what would settle it."""
    cause = CAUSES[verdict.stated_cause].split(":")[0]
    if not is_cause_stated(verdict):
        missing = MISSING_EVIDENCE[verdict.settled_by]
        return f"to be sure, I would need to know {missing}" if missing else ""
    return f"{'almost certainly' if verdict.is_certain else 'probably'} {cause}"


def explain_verdict(incident: Incident, *, has_details: bool = False) -> list[str]:
    """Return paragraphs: the cause, its evidence and its history, who detected it first.

    Args:
        incident: what is explained.
        has_details: whether the ids and weights of the evidence rules are shown.
    """
    verdict = incident.verdict
    missing = MISSING_EVIDENCE[verdict.settled_by]
    paragraphs = [
        f"*Why #{incident.id}: {cause_name(verdict)}*",
        _evidence_paragraph("For", verdict.evidence_for, incident, has_details=has_details),
        _evidence_paragraph("Against", verdict.evidence_against, incident, has_details=has_details),
        f"To be sure, I would need to know {missing}." if missing else "",
        _verdict_history(incident, has_details=has_details),
        time_to_detect_text(incident),
    ]
    return [paragraph for paragraph in paragraphs if paragraph]


def cause_name(verdict: Verdict) -> str:
    """Name the cause of a verdict, with its confidence and scope."""
    if verdict.cause is Cause.UNCLEAR:
        return CAUSES[verdict.cause]
    sure = min(99, round(verdict.confidence * 100))
    return f"{CAUSES[verdict.cause].split(':')[0]} ({sure} %, {SCOPES[verdict.scope]})"


def _evidence_paragraph(
    title: str, evidence: tuple[Evidence, ...], incident: Incident, *, has_details: bool
) -> str:
    since, opened_at = incident.history.evidence_since, incident.life.opened_at
    lines = [
        f"• {time_of_day(since.get(one.rule_id, opened_at))} {escape(evidence_text(one))}"
        + (f" (`{one.rule_id}` {one.weight:+.1f})" if has_details else "")
        for one in evidence
    ]
    return "\n".join([f"*{title}*", *lines]) if lines else ""


def _verdict_history(incident: Incident, *, has_details: bool) -> str:
    if len(incident.history.verdicts) < 2:  # noqa: PLR2004 - one verdict is no history
        return ""
    lines = ["*The cause over time*"]
    for change in incident.history.verdicts:
        rules = ", ".join(f"`{rule_id}`" for rule_id in change.new_rule_ids[:5])
        because = f", for {rules}" if rules and has_details else ""
        lines.append(f"• {time_of_day(change.at)} {cause_name(change.verdict)}{because}")
    return "\n".join(lines)


def noticed_text(incident: Incident) -> str:
    """Say how soon people were told, and how long before the status page."""
    detected_at = incident.history.detected_at
    notified_at, posted_at = detected_at.get(MESSAGE), detected_at.get(STATUS_INCIDENT)
    if notified_at is None:
        return ""
    after_s = notified_at - incident.failing_since
    text = f"noticed after {duration(after_s)}" if after_s >= 1 else "noticed at once"
    if posted_at is not None and posted_at > notified_at:
        text += f", {duration(posted_at - notified_at)} before the status page"
    return text


def time_to_detect_text(incident: Incident) -> str:
    """Say when each source first detected the incident, and our lead over the status page."""
    detected_at = incident.history.detected_at
    if not detected_at:
        return ""
    text = "First known: " + " · ".join(
        f"{DETECTION_SOURCES[source]} {time_of_day(at)}"
        for source, at in sorted(detected_at.items(), key=lambda item: item[1])
    )
    notified_at, posted_at = detected_at.get(MESSAGE), detected_at.get(STATUS_INCIDENT)
    if notified_at is not None and posted_at is not None and posted_at > notified_at:
        text += f". We knew {duration(posted_at - notified_at)} before the status page"
    return text


def find_value(verdict: Verdict, rule_id: str, name: str) -> str:
    """Return a value of the evidence that speaks for a verdict; empty: there is none."""
    found = (one.values.get(name, "") for one in verdict.evidence_for if one.rule_id == rule_id)
    return str(next(found, ""))


def find_connection(verdict: Verdict) -> str:
    """Return the one connection that a log blames; empty: there is none."""
    ids = ("log-upstream", "log-one-connection")
    return next(filter(None, (find_value(verdict, id_, "connection") for id_ in ids)), "")


def do_users_fail(verdict: Verdict) -> bool:
    """Tell whether real users are known to fail."""
    evidence = (*verdict.evidence_for, *verdict.evidence_against)
    return any(one.rule_id.startswith("users-fail") for one in evidence)
