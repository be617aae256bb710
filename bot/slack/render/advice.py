"""What to do about an incident, in words and by buttons: its cause and its state decide. Pure.

The alert, the direct message and the page say the same. `docs/alerts.md` has a section a cause.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.incidents.recurrence import STICKY_RESOLVE_S
from bot.core.model.access import Verb
from bot.core.model.observation import Cause, Stage
from bot.core.state.incident import Incident, IncidentKind, IncidentState
from bot.core.state.problem import MetricProblem, ProbeProblem, SlowProblem
from bot.slack import actions
from bot.slack.render.first_line import release_of, worst_problem
from bot.slack.render.text import (
    COMMAND,
    LOGIN_STOPPED,
    REMEDIES,
    button,
    clock_utc,
    duration,
    escape,
    fault_name,
    hour_and_minute,
    plain_text,
)
from bot.slack.render.verdict import find_connection, find_value

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.ports import View
    from bot.slack.render.text import Block

STATUS_PAGE_WAIT_S = 900.0
"""If Auth0 posts nothing for so long, a ticket helps: first posts came 5 to 121 minutes late."""
LOG_IN_YOURSELF = "Log in once from your phone, off the company network."
TENANT_REMEDIES = {
    "server_error": "Set the tenant's Default Directory, or `realm` of the test login",
    "access_denied": "Check what the tenant's newest Action denies",
    "unauthorized_client": "Switch the grant on again in the application → Settings → Advanced "
    "Settings → Grant Types",
    "no_proof": "Deploy the post-login Action again",
    "stale_proof": "Deploy the post-login Action again",
}
"""What to do if the tenant is at fault, by the fault's reason."""
LOG_REMEDIES = {
    "callback_mismatch": "Compare the callback URL that the application sends with Allowed "
    "Callback URLs",
    "invalid_client": "Compare the client secret that the application sends with Auth0's",
    "invalid_state": "Check the application's session cookies and its domain",
}
"""What to check in an application, by the pattern that the tenant's log has most of."""


def advise(  # noqa: C901, PLR0911, PLR0912 - one case a cause
    incident: Incident, view: View
) -> str:
    """Say what to do now, in one or two sentences; empty once it is over."""
    if not incident.is_open or incident.own_fault is not None:
        return ""
    if incident.kind is IncidentKind.NO_DATA:
        tenant = incident.tenants[0] if incident.tenants else "TENANT"
        return (
            f"{LOG_IN_YOURSELF} It works? Run `auth0-check probe {tenant}` on my machine: it "
            "says what is in the way. It fails? Treat it as an outage."
        )
    match incident.verdict.stated_cause:
        case Cause.AUTH0:
            return _advise_auth0(incident, view)
        case Cause.TENANT:
            return _advise_tenant(incident)
        case Cause.QUOTA:
            return (
                "Find what uses up the limit: Monitoring → Logs, filter `type:api_limit`. Stop "
                "its retries. Not better in 10 min? Ask Auth0's support to raise the limit."
            )
        case Cause.PROBE:
            return _advise_probe(incident)
        case Cause.NETWORK:
            worst, evidence = worst_problem(incident), incident.verdict.evidence_for
            stage = worst.fault.stage if isinstance(worst, ProbeProblem) and worst.fault else None
            part = "DNS" if stage is Stage.DNS else "DNS, proxy or firewall"
            if any(one.rule_id.startswith("clock") for one in evidence):
                part = "clock (`timedatectl`)"
            return (
                f"{LOG_IN_YOURSELF} It works? Fix my machine's {part}. It "
                "fails? Treat it as an outage."
            )
        case Cause.APP:
            return _advise_app(incident)
        case Cause.UPSTREAM:
            connection = find_connection(incident.verdict)
            named = f" of `{escape(connection, 40)}`" if connection else ""
            return (
                f"Check the status page of the provider{named} and tell those who run it. Change "
                "nothing at Auth0. Offer users another way to log in, if you have one."
            )
        case _:
            return (
                f"{LOG_IN_YOURSELF} It fails? Treat it as an outage and check Auth0's status page. "
                "It works? Fix my machine's network; if others fail, read Monitoring → Logs, "
                "filter `type:f*`."
            )


def _advise_auth0(incident: Incident, view: View) -> str:
    calm = "Tell support and users. Change nothing on our side."
    if any(one.is_open for one in incident.status_incidents):
        return f"{calm} Auth0 works on it: follow the status page."
    deadline = incident.failing_since + STATUS_PAGE_WAIT_S
    when = "" if view.now >= deadline else f" at {hour_and_minute(deadline)}"
    return (
        f"{calm} If the status page is silent{when or ' still'}, open an Auth0 ticket: "
        f"{_ticket_text(incident, view)}."
    )


def _ticket_text(incident: Incident, view: View) -> str:
    """Say what Auth0's support needs to know."""
    worst = worst_problem(incident)
    what = "logins fail"
    if isinstance(worst, ProbeProblem):
        path = {"wellknown": "/.well-known"}.get(worst.signal, "/oauth/token")
        what = f"{fault_name(worst.fault)} on {path}"
    elif isinstance(worst, SlowProblem):
        what = f"/oauth/token takes {worst.latency_s:.1f} s"
    rules = view.rules.tenants
    domains = [rules[name].domain for name in incident.tenants if name in rules]
    more = f" and {len(domains) - 2} more" if len(domains) > 2 else ""  # noqa: PLR2004 - named
    return f"{what} since {clock_utc(incident.failing_since)}, {', '.join(domains[:2])}{more}"


def _advise_tenant(incident: Incident) -> str:
    worst, verdict = worst_problem(incident), incident.verdict
    fault = worst.fault if isinstance(worst, ProbeProblem) else None
    later = "Not better? Read the newest failed logins: Monitoring → Logs, filter `type:f*`."
    if change := find_value(verdict, "setting-before", "change"):
        return f"Undo the last change ({escape(change, 60)}). {later}"
    if fault and fault.reason in TENANT_REMEDIES:
        return f"{TENANT_REMEDIES[fault.reason]}. {later}"
    if isinstance(worst, ProbeProblem) and worst.signal == "custom":
        return (
            "Check the custom domain's DNS record and certificate (Branding → Custom Domains). "
            "Logins to the tenant's own domain work."
        )
    if fault and fault.stage is Stage.TLS:
        return "Check the certificate of the tenant's domain, and who renews it."
    return (
        "Read the newest failed logins in the tenant: Monitoring → Logs, filter `type:f*`. Undo "
        "the last change to its Actions, connections or applications."
    )


def _advise_probe(incident: Incident) -> str:
    worst = worst_problem(incident)
    if not isinstance(worst, ProbeProblem) or worst.fault is None:
        return "Check the test login's user and application in the configuration."
    reason = worst.fault.reason
    cure = REMEDIES.get(reason, "Check the test login's user and application")
    stopped = f" {LOGIN_STOPPED}" if worst.is_stopped else ""
    return (
        f"{cure}, then `{COMMAND} run {worst.tenant}`. Until then I do not see the logins to "
        f"{worst.tenant}.{stopped}"
    )


def _advise_app(incident: Incident) -> str:
    verdict = incident.verdict
    check = LOG_REMEDIES.get(
        find_value(verdict, "log-app", "pattern"),
        "Compare the domain, client ID, secret and callback URL that it sends with Auth0's",
    )
    worst = worst_problem(incident)
    is_named = isinstance(worst, MetricProblem) and worst.source != "logs"
    app = escape(worst.signal, 40) if worst and is_named else ""
    if release := release_of(verdict):
        named = f" ({app})" if app else ""
        return f"Roll back {escape(release)}{named}. Not better after 5 min? {check}."
    return (
        f"Check the last change of {app or 'your application'}, and undo it. Not better? {check}."
    )


STICKY_RESOLVE_NOTE = (
    "I stay quiet about just that until it has worked again, for at most "
    f"{duration(STICKY_RESOLVE_S)}. I call again if it gets worse, or if another tenant fails."
)


def incident_buttons(incident: Incident, view: View, status_link: str) -> Block:
    """Return the buttons of an incident; over, they ask what it was, or say that it was none."""
    value = _incident_value(incident)
    # A new block_id for each version: Slack keeps a button's state by it (@slack/types 3.2).
    block_id = f"incident-{incident.id}-{incident.message.edits}"
    if not incident.is_open:
        elements = [button("What happened", actions.WHAT_HAPPENED, value=value)]
        if not incident.false_alarm:
            elements.append(button("False alarm…", actions.FALSE_ALARM, value=value))
        return {"type": "actions", "block_id": block_id, "elements": elements}
    is_acknowledged = incident.state is IncidentState.ACKNOWLEDGED
    if is_acknowledged:
        main = [button("Resolve", actions.RESOLVE, value=value), take_over_button(incident)]
    else:
        main = [acknowledge_button(incident)]
    elements = [
        *main,
        button("Check Auth0 Status", actions.OPEN_STATUS, url=status_link),
        button("Silence…", actions.SILENCE, value=value),
        *runbook_buttons(incident, view),
        _more_menu(incident, is_acknowledged=is_acknowledged),
    ]
    return {"type": "actions", "block_id": block_id, "elements": elements}


def acknowledge_button(incident: Incident) -> Block:
    """Return the Acknowledge button."""
    value = _incident_value(incident)
    return button("Acknowledge", actions.ACKNOWLEDGE, value=value, style="primary")


def take_over_button(incident: Incident) -> Block:
    """Return the button that takes an incident over from whoever has it."""
    owner = incident.life.acknowledged_by
    value = actions.TakeOverValue(incident=incident.id, owner=owner).model_dump_json()
    return button("Take over", actions.TAKE_OVER, value=value)


def still_on_it_buttons(incident: Incident) -> Block:
    """Return the buttons that answer the question whether somebody is still on it."""
    value = _incident_value(incident)
    elements = [
        button("Still on it", actions.STILL_ON_IT, value=value, style="primary"),
        button("Hand over", actions.HAND_OVER, value=value),
    ]
    return {"type": "actions", "elements": elements}


def runbook_buttons(incident: Incident, view: View) -> list[Block]:
    """Return the button that opens the runbook, if there is one."""
    url = runbook_url(incident, view)
    return [button("Runbook", actions.OPEN_RUNBOOK, url=url)] if url else []


def runbook_url(incident: Incident, view: View) -> str:
    """Return the address of the first runbook of an incident's tenants, or an empty text."""
    tenants = [view.rules.tenants[name] for name in incident.tenants if name in view.rules.tenants]
    return next((tenant.runbook for tenant in tenants if tenant.runbook), "")


def _more_menu(incident: Incident, *, is_acknowledged: bool) -> Block:
    """Return the overflow menu. Slack takes five options."""
    only = incident.tenants[0] if len(incident.tenants) == 1 else None  # of several, all
    left_out = {Verb.RESOLVE} if is_acknowledged else set()
    left_out |= set() if incident.tenants else {Verb.RUN}  # it is about the bot itself
    choices = {
        "Check again": actions.MenuValue(verb=Verb.RUN, tenant=only),
        "Escalate": actions.MenuValue(verb=Verb.ESCALATE, incident=incident.id),
        "Resolve": actions.MenuValue(verb=Verb.RESOLVE, incident=incident.id),
        "Note…": actions.MenuValue(verb=Verb.NOTE, incident=incident.id),
        "False alarm…": actions.MenuValue(verb=Verb.FALSE_ALARM, incident=incident.id),
    }
    options = [
        {"text": plain_text(label), "value": choice.model_dump_json(exclude_none=True)}
        for label, choice in choices.items()
        if choice.verb not in left_out
    ]
    return {"type": "overflow", "action_id": actions.MORE, "options": options}


def _incident_value(incident: Incident) -> str:
    return actions.IncidentValue(incident=incident.id).model_dump_json()
