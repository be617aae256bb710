"""How long the pure steps of one look and a report take: part of `make bench`."""

from __future__ import annotations

import statistics
import time

from bot.core.model.observation import (
    CONTROL,
    FEED,
    Cause,
    Fault,
    Observation,
    Outcome,
    Scope,
    Severity,
    Stage,
    Target,
    Verdict,
)
from bot.core.model.wall_clock import WEEK_S
from bot.core.reports import build_report
from bot.core.state.desk import BotState, DeskState
from bot.core.state.incident import Incident, IncidentKind, IncidentLife, Resolution
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.stimulus import Observed, Started
from bot.core.state.tenant import Tenants, TenantState
from bot.core.step import step

TURNS = 200
BROKEN = ("a", "b", "c")
GONE = Fault(Stage.HTTP, "http_503", 503)


def triaged() -> tuple[str, str, str]:
    """Step through an outage of three out of five tenants, with four signals each."""
    rules = _five_tenants()
    state = BotState(Tenants({name: TenantState() for name in rules.tenants}), DeskState())
    state, _ = step(state, Started(0.0), rules)
    signals = [Target(t.name, signal) for t in rules.tenants.values() for signal in t.probes]
    times = []
    for turn in range(TURNS):
        for target in rules.controls:
            state, _ = step(state, _seen(target, turn, None), rules)
        for target in signals:
            fault = GONE if turn and target.owner in BROKEN else None
            begun_at = time.perf_counter()
            state, _ = step(state, _seen(target, turn, fault), rules)
            if state.desk.open_incidents:
                times.append((time.perf_counter() - begun_at) * 1000)
    p95 = statistics.quantiles(times, n=20)[-1]
    measured = f"median {statistics.median(times):.2f} ms, 95 % {p95:.2f} ms"
    return "one step with triage at 20 signals", "1 ms", measured


def reported() -> tuple[str, str, str]:
    """Report on a week in which each of 100 incidents was about all of 1,000 tenants."""
    names = tuple(f"t{number}" for number in range(1000))
    incidents = {n: _incident_of(n, names) for n in range(1, 101)}
    tenants = Tenants({name: TenantState(watched_since=0.0) for name in names})
    rules = Rules({name: TenantRules(name, name) for name in names})
    begun_at = time.perf_counter()
    build_report(DeskState(incidents), tenants, rules, 0.0, WEEK_S)
    measured = f"{(time.perf_counter() - begun_at) * 1000:.0f} ms"
    return "report: 1,000 tenants, 100 incidents of all", "50 ms", measured


def _incident_of(number: int, names: tuple[str, ...]) -> Incident:
    since = number * 6000.0
    return Incident(
        number,
        IncidentKind.FAILING,
        Severity.CRITICAL,
        names,
        since,
        Verdict(Cause.AUTH0, Scope.UNKNOWN, 1.0),
        IncidentLife(since + 30.0, resolved=Resolution(since + 600.0)),
    )


def _five_tenants() -> Rules:
    feeds = {name: Target(FEED, name) for name in ("US-1", "EU-1")}
    tenants = {
        name: TenantRules(
            name, name, where, custom_domain=f"login.{name}", has_m2m=True, feed=feeds[where]
        )
        for name, where in {**dict.fromkeys(BROKEN, "US-1"), "d": "US-1", "e": "EU-1"}.items()
    }
    hosts = (Target(CONTROL, "one"), Target(CONTROL, "other"))
    return Rules(tenants, hosts, tuple(feeds.values()))


def _seen(target: Target, turn: int, fault: Fault | None) -> Observed:
    at = turn * 5.0
    outcome = Outcome.FAILED if fault else Outcome.OK
    return Observed(at, Observation(target, at, outcome, 0.2, fault))
