"""`auth0-check probe`: one check of each target, or of one signal, without a bot."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bot.app.rules import control_target, rules_of
from bot.core.model.fault import describe_fault, is_refusal
from bot.core.model.measurement import FIRST_READ, Measurement, MetricKind
from bot.core.model.observation import (
    CONTROL,
    CUSTOM,
    M2M,
    WELLKNOWN,
    Observation,
    Outcome,
    Stage,
    Target,
)
from bot.core.signals.metric_threshold import MetricLimits, MetricState, observe_metric
from bot.slack.render.signals import measurement_line
from bot.slack.render.text import REMEDIES

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.core.state.rules import Rules
    from bot.ports import Prober

HEALTHY, FAILING, CANNOT_TELL = 0, 1, 2
NO_ANSWER_STAGES = frozenset({Stage.DNS, Stage.TIMEOUT})
"""Faults that our own network gives as well as the other side's."""


async def probe_once(settings: Settings, prober: Prober, tenant: str = "") -> list[Observation]:
    """Look at each target of one tenant, or of all, and at the neutral hosts.

    Logins of one tenant wait for one another: they may share a synthetic user.
    """
    names = [t for t in settings.tenants if tenant in {"", t.name}]
    rounds = [_probe_in_turn(prober, targets) for t in names for targets in _targets(t)]
    controls = [_probe_in_turn(prober, [control_target(url)]) for url in settings.controls]
    return [seen for group in await asyncio.gather(*rounds, *controls) for seen in group]


def _targets(tenant: Any) -> list[list[Target]]:
    logins = [Target(tenant.name, login.name) for login in tenant.logins]
    if tenant.custom_domain:
        logins.append(Target(tenant.name, CUSTOM))
    others = [WELLKNOWN, M2M] if tenant.m2m else [WELLKNOWN]
    return [logins, *([Target(tenant.name, name)] for name in others)]


async def _probe_in_turn(prober: Prober, targets: list[Target]) -> list[Observation]:
    """Look at one after the other; credentials that were refused are not tried again."""
    seen: list[Observation] = []
    for target in targets:
        seen.append(await prober.probe(target))
        if (fault := seen[-1].fault) and is_refusal(fault):
            break
    return seen


def exit_code(seen: list[Observation]) -> int:
    """Return 0 where the tenants are healthy, 1 where one fails, 2 where we cannot tell.

    We cannot where we could not look, or where nothing answers, the neutral hosts included.
    """
    controls = [one for one in seen if one.target.owner == CONTROL]
    tenants = [one for one in seen if one.target.owner != CONTROL]
    failed = [one.fault for one in tenants if one.fault]
    is_cut_off = bool(controls) and all(one.fault for one in controls)
    if failed and not (is_cut_off and all(fault.stage in NO_ANSWER_STAGES for fault in failed)):
        return FAILING
    is_blind = any(one.outcome is Outcome.NO_DATA for one in tenants)
    return CANNOT_TELL if failed or is_blind else HEALTHY


def as_json(one: Observation) -> dict[str, Any]:
    """Return a look for machines; times in milliseconds."""
    fault = one.fault
    return {
        "target": str(one.target),
        "outcome": one.outcome,
        "latency_ms": None if one.latency_s is None else round(one.latency_s * 1000, 1),
        "stages_ms": {t.stage: round(t.seconds * 1000, 1) for t in one.timings},
        "fault": fault
        and {
            "stage": fault.stage,
            "reason": fault.reason,
            "status": fault.status,
            "error": fault.error,
            "description": fault.description,
        },
        "blind": one.no_data_reason or None,
    }


def as_row(one: Observation) -> tuple[str, str, str, str, str]:
    """Return a look for people: target, result, time, stages, what was said and what to do."""
    stages = "  ".join(f"{t.stage} {t.seconds * 1000:.0f}" for t in one.timings)
    latency = "" if one.latency_s is None else f"{one.latency_s * 1000:.0f} ms"
    result = describe_fault(one.fault) if one.fault else one.no_data_reason or "ok"
    remedy = REMEDIES.get(one.fault.reason, "") if one.fault else ""
    said = one.fault.description if one.fault else ""
    return str(one.target), result, latency, stages, "\n".join(t for t in (said, remedy) if t)


async def check_signal(
    settings: Settings, prober: Prober, signal: str, tenant: str = ""
) -> list[Measurement | Observation]:
    """Look at one signal of one tenant, or of each that has it, whatever kind it is.

    A log is read twice: the first time only finds out where it ends now.
    """
    targets = find_targets(settings, signal, tenant)
    return [await _check_target(prober, target, rules_of(settings, {})) for target in targets]


async def _check_target(prober: Prober, target: Target, rules: Rules) -> Measurement | Observation:
    limits = rules.tenants[target.owner].metrics.get(target.name)
    if limits is None:
        return await prober.probe(target)
    seen = await prober.measure(target)
    if limits.kind is MetricKind.LOGS and seen.no_data_reason == FIRST_READ:
        await asyncio.sleep(limits.every_s)
        seen = await prober.measure(target)
    return seen


def find_targets(settings: Settings, signal: str, tenant: str = "") -> list[Target]:
    """Return the targets with a signal's name; none if there is no such signal."""
    tenants = rules_of(settings, {}).tenants
    return [
        Target(name, signal)
        for name, rules in tenants.items()
        if tenant in {"", name} and signal in rules.all_signals
    ]


def known_signals(settings: Settings, tenant: str = "") -> list[str]:
    """Name all signals of a tenant, or of all."""
    tenants = rules_of(settings, {}).tenants.items()
    names = (s for name, rules in tenants if tenant in {"", name} for s in rules.all_signals)
    return list(dict.fromkeys(names))


def signal_exit_code(settings: Settings, seen: list[Measurement | Observation]) -> int:
    """Return 0 where all is well, 1 where one is bad, 2 where we cannot tell."""
    looks = [one for one in seen if isinstance(one, Observation)]
    if looks:
        return exit_code(looks)
    measured = [one for one in seen if isinstance(one, Measurement)]
    if any(_is_failing(one, _limits(settings, one)) for one in measured):
        return FAILING
    return CANNOT_TELL if any(one.no_data_reason for one in measured) else HEALTHY


def render_text(settings: Settings, one: Measurement | Observation) -> str:
    """Say for people what was found."""
    if isinstance(one, Observation):
        return " ".join(filter(None, as_row(one)))
    return f"{one.target}: {measurement_line(one, MetricState(), _limits(settings, one))}"


def signal_as_json(settings: Settings, one: Measurement | Observation) -> dict[str, Any]:
    """Return for machines what was found; spans in seconds."""
    if isinstance(one, Observation):
        return as_json(one)
    is_bad = _is_failing(one, _limits(settings, one))
    return {
        "target": str(one.target),
        "outcome": "no_data" if one.no_data_reason else "failed" if is_bad else "ok",
        "missing": one.no_data_reason or None,
        "span_s": round(one.span_s, 1),
        "failed": one.failed,
        "total": one.total,
        "own": one.own_rows,
        "groups": [asdict(group) for group in one.groups],
        "environment": one.environment or None,
    }


def _limits(settings: Settings, one: Measurement) -> MetricLimits:
    return rules_of(settings, {}).tenants[one.target.owner].metrics[one.target.name]


def _is_failing(one: Measurement, limits: MetricLimits) -> bool:
    return observe_metric(MetricState(), one, limits)[0].reading.reason is not None
