"""The first line of an incident's message, cause and effect in one sentence, and its state. Pure.

While an incident is open, the message, its notification, mentions, direct messages, pagers and the
App Home begin with the same sentence. It has no codes, counts or times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.alerting.notification_policy import is_covered
from bot.core.model.observation import Cause, Severity
from bot.core.state.incident import IncidentKind, IncidentState
from bot.slack.render.text import (
    ACKNOWLEDGED_MARK,
    BY_HAND_MARK,
    FALSE_ALARM_MARK,
    MERGED_MARK,
    NO_DATA_MARK,
    RESOLVED_MARK,
    SEVERITY_MARKS,
    SILENCED_MARK,
    duration,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.state.incident import Incident
    from bot.ports import View
from typing import TYPE_CHECKING, NamedTuple, assert_never

from bot.core.model.measurement import MetricKind
from bot.core.model.observation import CUSTOM, M2M, WELLKNOWN, Scope, Stage, Verdict
from bot.core.signals.probe_threshold import Reason
from bot.core.state.incident import Incident, OwnFault, OwnFaultKind
from bot.core.state.problem import (
    AlertProblem,
    MetricProblem,
    NoDataProblem,
    ProbeProblem,
    Problem,
    SlowProblem,
    problem_counts,
)
from bot.slack.render.text import capitalize, clean_text
from bot.slack.render.verdict import do_users_fail, find_connection, find_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.ports import View

MAX_NAMES, NAME_CHARS = 2, 20
ALL, MOST, ABOUT_HALF, SOME = 1.0, 0.65, 0.35, 0.08
"""From these shares on, people read "all", "most", "about half" and a percentage."""
ALIKE = 0.75
"""A tenant that fails at least this much as often as the worst one is named beside it."""
PATHS = {
    WELLKNOWN: "requests for the signing keys of {names}",
    CUSTOM: "logins to the custom domain of {names}",
    M2M: "requests for machine tokens of {names}",
}
"""What fails at these signals; of the others it is logins."""
SEVERITIES = {Severity.CRITICAL: "Outage", Severity.WARNING: "Degraded", Severity.INFO: "Info"}
USERS_ARE_FINE = "Users are probably fine."
REFUSALS = {
    "invalid_grant": "wrong password",
    "invalid_user_password": "wrong password",
    "password_leaked": "its password was leaked",
    "unauthorized": "its user is blocked",
    "too_many_attempts": "its user is blocked",
    "requires_verification": "bot detection",
    "mfa_required": "it needs a second factor",
    "invalid_client": "wrong client secret",
    "unauthorized_client": "its grant is switched off",
    "access_denied": "access denied",
}
"""Why the test login is refused, by the fault's reason."""


def first_line(incident: Incident, view: View) -> str:
    """Say in one sentence what is wrong and why, or that it is over; plain text."""
    if incident.own_fault is not None:
        return own_fault_line(incident.own_fault, is_open=incident.is_open)
    if not incident.is_open:
        line = _last_line(incident)
        return f"False alarm. {line}" if incident.false_alarm else line
    if incident.kind is IncidentKind.NO_DATA:
        return f"I cannot check logins to {name_tenants(incident.tenants)}. No check gets through."
    known = [view.tenants.states.get(name) for name in incident.tenants]
    failing = [state for state in known if state and state.alerting_signals]
    if failing and all(state.has_lost_sight for state in failing):
        return f"There are no metrics any more. The last ones said: {describe_effect(incident)}."
    return _line_by_cause(incident, view)


def own_fault_line(fault: OwnFault, *, is_open: bool) -> str:
    """Say in one sentence what is wrong with the bot itself, or that it is over."""
    span = duration(abs(fault.ahead_s))
    match fault.kind:
        case OwnFaultKind.CLOCK_CORRECTED:
            side = "ahead" if fault.ahead_s > 0 else "behind"
            return f"My time was {span} {side}. It is right now."
        case OwnFaultKind.CLOCK if is_open:
            side = "ahead" if fault.ahead_s > 0 else "behind"
            return f"The clock of my machine is {span} {side}."
        case OwnFaultKind.CLOCK:
            return "The clock of my machine is right again."
        case OwnFaultKind.STORE:
            return "I cannot save my state." if is_open else "I save my state again."
        case OwnFaultKind.CRASH_LOOP:
            return "I crash again and again." if is_open else "I no longer crash."
        case _:
            assert_never(fault.kind)


def name_tenants(names: Sequence[str]) -> str:
    """Name at most two tenants and count the others."""
    shown = [clean_text(name, NAME_CHARS) for name in names[:MAX_NAMES]]
    if len(names) > MAX_NAMES:
        return f"{', '.join(shown)} and {len(names) - MAX_NAMES} more"
    return " and ".join(shown)


def describe_share(share: float) -> str:
    """Say in words how much fails."""
    if share >= ALL:
        return "all"
    if share >= MOST:
        return "most"
    if share >= ABOUT_HALF:
        return "about half of the"
    return f"{max(5, 5 * round(20 * share))} % of the" if share >= SOME else "a few"


def worst_problem(incident: Incident) -> Problem | None:
    """Return the problem that names an incident: the oldest that goes on, probes first."""
    going_on = [p for p in incident.problems if not p.is_over] or list(incident.problems)
    return min(going_on, key=_rank_problem, default=None)


def name_environment(incident: Incident, view: View) -> str:
    """Return the one environment of an incident's tenants; empty: several, or unknown."""
    known = [name for name in incident.tenants if name in view.rules.tenants]
    names = {view.tenants.environment(name, view.rules) for name in known}
    only = names.pop() if len(names) == 1 else None
    return clean_text(only or "", NAME_CHARS)


def release_of(verdict: Verdict) -> str:
    """Return our own change that came before an incident, such as `deploy 4711`; empty: none."""
    return clean_text(find_value(verdict, "deploy-before", "change"), 2 * NAME_CHARS)


def describe_effect(incident: Incident) -> str:
    """Say what fails, at which tenants and how much: those that fail as badly as the worst."""
    worst = worst_problem(incident)
    match worst:
        case None:
            return f"logins to {name_tenants(incident.tenants)} fail"
        case ProbeProblem():
            return _probe_effect(worst, incident)
        case SlowProblem():
            slow = (p.tenant for p in incident.problems if isinstance(p, SlowProblem))
            names = list(dict.fromkeys(slow))
            return f"{_path(worst.signal, names)} are slow"
        case MetricProblem():
            return _metric_effect(worst, incident)
        case AlertProblem():
            monitor = "Sentry" if worst.signal == "sentry" else worst.signal.capitalize()
            return f"{monitor} reports that {worst.tenant} has a problem"
        case NoDataProblem():
            of = f" of {worst.tenant}" if worst.source else ""
            return f"{worst.signal}{of} has no data"
        case _:
            assert_never(worst)


def _line_by_cause(  # noqa: C901, PLR0911, PLR0912 - one case a cause
    incident: Incident, view: View
) -> str:
    verdict, effect = incident.verdict, describe_effect(incident)
    match verdict.stated_cause:
        case Cause.UNCLEAR:
            return f"{capitalize(effect)}. Cause not clear yet."
        case Cause.PROBE:
            return _probe_line(incident)
        case Cause.NETWORK:
            fine = "" if do_users_fail(verdict) else f" {USERS_ARE_FINE}"
            if not verdict.is_certain:
                return f"{capitalize(effect)}, probably because of my machine's network.{fine}"
            return f"I cannot check your logins: {_describe_own_side(incident)}.{fine}"
        case cause if not verdict.is_certain:
            because = _name_cause(cause, incident, view)
            return f"{capitalize(effect)}, probably because of {because}."
        case Cause.AUTH0:
            where = name_environment(incident, view) if verdict.scope is Scope.ENVIRONMENT else ""
            worst = worst_problem(incident)
            failed, tries = problem_counts(worst) if worst else (0, 0)
            is_login = isinstance(worst, ProbeProblem) and worst.signal not in PATHS
            is_down = is_login and tries and failed / tries >= MOST
            does = "is down" if is_down else "has problems"
            does = "is slow" if isinstance(worst, SlowProblem) else does
            return f"Auth0 {does}{where and f' in {where}'}: {effect}."
        case Cause.APP if release := release_of(verdict):
            return f"Our release broke logins: {effect} since {release}."
        case Cause.APP:
            return f"Our application breaks logins: {effect}. Auth0 itself works."
        case Cause.QUOTA:
            return f"A rate limit of {name_tenants(incident.tenants)} is used up: {effect}."
        case Cause.UPSTREAM:
            return f"{capitalize(_name_cause(Cause.UPSTREAM, incident, view))} fails: {effect}."
        case cause:
            return f"{capitalize(_name_cause(cause, incident, view))} breaks logins: {effect}."


def _name_cause(  # noqa: PLR0911 - one case a cause
    cause: Cause, incident: Incident, view: View
) -> str:
    verdict = incident.verdict
    match cause:
        case Cause.AUTH0:
            where = name_environment(incident, view) if verdict.scope is Scope.ENVIRONMENT else ""
            return f"Auth0{where and f' in {where}'}"
        case Cause.TENANT:
            if find_value(verdict, "setting-before", "change"):
                return f"a settings change in {name_tenants(incident.tenants)}"
            return "a setting or code of this tenant"
        case Cause.QUOTA:
            return "the tenant's rate limit"
        case Cause.APP:
            return f"our release ({release})" if (release := release_of(verdict)) else "our app"
        case Cause.UPSTREAM:
            connection = find_connection(verdict)
            named = f" ({clean_text(connection, NAME_CHARS)})" if connection else ""
            return f"a provider behind Auth0{named}"
        case _:
            return "single failures"


def _describe_own_side(incident: Incident) -> str:
    """Say what my machine has lost."""
    worst = worst_problem(incident)
    faults = {"clock-wrong", "clock-off"}
    if any(one.rule_id in faults for one in incident.verdict.evidence_for):
        return "the clock of my machine is wrong"
    stage = worst.fault.stage if isinstance(worst, ProbeProblem) and worst.fault else None
    match stage:
        case Stage.DNS:
            return "my machine's DNS fails"
        case Stage.CONNECT | Stage.TIMEOUT:
            return "my machine has lost its internet access"
        case Stage.TLS:
            return "something on our network breaks TLS"
        case _:
            return "something on our network is in the way"


def _probe_line(incident: Incident) -> str:
    """Say that the test login itself is at fault."""
    worst, verdict = worst_problem(incident), incident.verdict
    names = name_tenants(incident.tenants)
    fine = "" if do_users_fail(verdict) else f" {USERS_ARE_FINE}"
    if not isinstance(worst, ProbeProblem) or worst.fault is None:
        return f"The test login at {names} fails because of its own set-up.{fine}"
    reason = REFUSALS.get(worst.fault.reason, "")
    if not verdict.is_certain:
        return f"The test login at {names} fails, probably because of its own set-up.{fine}"
    if reason:
        return f"The test login at {names} was refused: {reason}.{fine}"
    return f"The test login at {names} fails because of its own set-up.{fine}"


def _probe_effect(worst: ProbeProblem, incident: Incident) -> str:
    """Name the tenants that fail as badly as the worst one; what fails less is not named."""
    is_login = worst.signal not in PATHS
    alike = [
        problem
        for problem in incident.problems
        if isinstance(problem, ProbeProblem)
        and not problem.is_over
        and (problem.signal == worst.signal or (is_login and problem.signal not in PATHS))
    ] or [worst]
    shares: dict[str, float] = {}
    for problem in alike:
        share = problem.failed / max(problem.tries, 1)
        shares[problem.tenant] = max(share, shares.get(problem.tenant, 0.0))
    names = [name for name, share in shares.items() if share >= ALIKE * max(shares.values())]
    much = describe_share(min(shares[name] for name in names))
    return f"{much} {_path(worst.signal, names)} fail"


def _path(signal: str, names: Sequence[str]) -> str:
    return PATHS.get(signal, "logins to {names}").format(names=name_tenants(names))


def _metric_effect(worst: MetricProblem, incident: Incident) -> str:
    alike = [
        problem
        for problem in incident.problems
        if isinstance(problem, MetricProblem)
        and not problem.is_over
        and (problem.source, problem.reason) == (worst.source, worst.reason)
    ] or [worst]
    gravest = max(alike, key=lambda problem: problem.failed / max(problem.total, 1))
    where, name = gravest.tenant, clean_text(gravest.signal, NAME_CHARS)
    if gravest.reason is Reason.QUOTA:
        return f"requests to {where} are refused because of a rate limit"
    if gravest.source is MetricKind.ERRORS:
        return f"login errors of {name} at {where} are far above usual"
    logins = "user logins" if gravest.source is MetricKind.LOGS else f"{name} logins"
    if gravest.reason is Reason.SUCCESSES_MISSING:
        return f"far fewer {logins} to {where} succeed than usual"
    if not gravest.total:
        return f"{logins} to {where} fail"
    share = gravest.failed / gravest.total
    much = f"{share:.0%}".replace("%", " % of") if SOME <= share < ALL else None
    much = much or describe_share(share)
    return f"{much} {logins} to {where} fail"


def _last_line(incident: Incident) -> str:  # noqa: C901, PLR0911, PLR0912 - one case an end
    """Say how an incident ended."""
    names, worst = name_tenants(incident.tenants), worst_problem(incident)
    if incident.life.merged_into is not None:
        return f"This is part of #{incident.life.merged_into}, which has the same cause."
    spans = incident.failing_spans(incident.since)
    lasted = duration(spans[-1].until - spans[-1].since)
    if len(spans) > 1:
        total = duration(sum(span.until - span.since for span in spans))
        lasted += f" this time, {total} in all"
    what = "logins to {names}"
    if isinstance(worst, ProbeProblem | SlowProblem):
        what = PATHS.get(worst.signal, what)
    elif isinstance(worst, MetricProblem) and worst.source is MetricKind.METRICS:
        what = f"{clean_text(worst.signal, NAME_CHARS)} logins to {{names}}"
    what = capitalize(what.format(names=names))
    if incident.life.still_failing:
        return f"{what} still failed after {lasted}, when a person resolved it."
    if incident.kind is IncidentKind.NO_DATA:
        return f"I can check {names} again. No check got through for {lasted}."
    cause, users_failed = incident.verdict.stated_cause, do_users_fail(incident.verdict)
    if cause is Cause.NETWORK and not users_failed:
        return f"I can check logins to {names} again. I could not for {lasted}."
    if cause is Cause.PROBE and not users_failed:
        return f"The test login at {names} works again. It failed for {lasted}."
    if isinstance(worst, SlowProblem):
        return f"{what} are as fast as usual again. They were slow for {lasted}."
    return f"{what} work again. They were down for {lasted}."


def _rank_problem(problem: Problem) -> tuple[int, bool, float]:
    """Order problems: our own logins first, then rates, counts of events, alerts, slow logins."""
    match problem:
        case ProbeProblem():
            rank = 0
        case NoDataProblem():
            rank = 6
        case MetricProblem():
            sources = [MetricKind.METRICS, MetricKind.LOGS, MetricKind.ERRORS]
            rank = 1 + sources.index(problem.source)
        case AlertProblem():
            rank = 4
        case SlowProblem():
            rank = 5
        case _:
            assert_never(problem)
    return rank, problem.signal in PATHS, problem.since


class State(NamedTuple):
    """An incident's state in words, and its emoji: each has its own shape, not only a colour."""

    mark: str
    text: str


def state_of(incident: Incident, view: View | None = None) -> State:  # noqa: PLR0911 - one a state
    """Return the state of an incident, and who acknowledged or resolved it."""
    life, cause = incident.life, incident.verdict.stated_cause
    if not incident.is_open:
        if life.merged_into is not None:
            return State(MERGED_MARK, "Merged")
        if incident.false_alarm:
            return State(FALSE_ALARM_MARK, "False alarm")
        if life.resolved_by:
            return State(BY_HAND_MARK, f"Resolved by <@{life.resolved_by}>")
        return State(RESOLVED_MARK, "Resolved")
    if incident.state is IncidentState.ACKNOWLEDGED:
        return State(ACKNOWLEDGED_MARK, f"Acknowledged by <@{life.acknowledged_by}>")
    if incident.notification.is_muted or (
        view and is_covered(incident, view.desk.active_silences, view.now, view.rules)
    ):
        return State(SILENCED_MARK, "Silenced")
    if incident.kind is IncidentKind.NO_DATA or cause is Cause.NETWORK:
        return State(NO_DATA_MARK, "Cannot check")
    text = "Test login only" if cause is Cause.PROBE else SEVERITIES[incident.severity]
    return State(SEVERITY_MARKS[incident.severity], text)
