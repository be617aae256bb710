"""`auth0-check probe`: one check of each target, or of one signal, without a bot."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from bot.app.rules import control_target
from bot.core.model.fault import UNREACHED_STAGES, describe_fault, is_refusal
from bot.core.model.measurement import FIRST_READ, MetricKind
from bot.core.model.observation import (
    CONTROL,
    CUSTOM,
    M2M,
    WELLKNOWN,
    Observation,
    Outcome,
    Target,
)
from bot.core.signals.metric_threshold import MetricState, observe_metric
from bot.slack.render.signals import measurement_line
from bot.slack.render.text import remedy_of

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.core.state.rules import Rules
    from bot.ports import Prober

HEALTHY, FAILING, CANNOT_TELL = 0, 1, 2


async def probe_once(settings: Settings, prober: Prober, tenant: str = "") -> list[Observation]:
    """Probe each target of one tenant, or of all, and the control endpoints.

    Logins of one tenant wait for one another: they may share a synthetic user.
    """
    groups: list[list[Target]] = []
    for t in settings.tenants:
        if tenant in {"", t.name}:
            logins = [*(login.name for login in t.logins), *([CUSTOM] if t.custom_domain else [])]
            groups.append([Target(t.name, name) for name in logins])
            others = [WELLKNOWN, M2M] if t.m2m else [WELLKNOWN]
            groups.extend([Target(t.name, name)] for name in others)
    groups.extend([control_target(url)] for url in settings.controls)
    done = await asyncio.gather(*(_probe_in_turn(prober, targets) for targets in groups))
    return [observation for group in done for observation in group]


async def _probe_in_turn(prober: Prober, targets: list[Target]) -> list[Observation]:
    """Probe one target after the other; stop once credentials are refused."""
    observations: list[Observation] = []
    for target in targets:
        observations.append(await prober.probe(target))
        if (fault := observations[-1].fault) and is_refusal(fault):
            break
    return observations


def exit_code(observations: list[Observation]) -> int:
    """Return 0 where the tenants are healthy, 1 where one fails, 2 where we cannot tell.

    We cannot tell without data, or where the control endpoints fail alike: nothing answers, or
    something between us and all of them gives the same wrong answer.
    """
    controls = [one for one in observations if one.target.owner == CONTROL]
    tenants = [one for one in observations if one.target.owner != CONTROL]
    failed = [one.fault for one in tenants if one.fault]
    is_cut_off = bool(controls) and all(one.fault for one in controls)
    answers = {(one.fault.reason, one.fault.status) for one in controls if one.fault}
    if failed and not (
        is_cut_off
        and all(
            fault.stage in UNREACHED_STAGES or (fault.reason, fault.status) in answers
            for fault in failed
        )
    ):
        return FAILING
    has_no_data = any(one.outcome is Outcome.NO_DATA for one in tenants)
    return CANNOT_TELL if failed or has_no_data else HEALTHY


def as_json(one: Observation) -> dict[str, Any]:
    """Return an observation for machines; times in milliseconds."""
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
    """Return an observation for people: target, result, times, description and remedy."""
    stages = ", ".join(f"{t.stage} {t.seconds * 1000:.0f}" for t in one.timings)
    times = "" if one.latency_s is None else f"{one.latency_s * 1000:.0f} ms: {stages}"
    result = describe_fault(one.fault) if one.fault else one.no_data_reason or "ok"
    description = one.fault.description if one.fault else ""
    setting = "controls" if one.target.owner == CONTROL else "domain"
    remedy = remedy_of(one.fault, setting) if one.fault else ""
    return str(one.target), result, times, description, remedy


class SignalResult(NamedTuple):
    """The result of one check of a signal."""

    exit_code: int
    text: str
    """For people."""
    json: dict[str, Any]
    """For machines; spans in seconds."""


async def check_signal(rules: Rules, prober: Prober, target: Target) -> SignalResult:
    """Check one signal, whatever kind it is.

    A log is read twice: the first time only finds its end.
    """
    limits = rules.tenants[target.owner].metrics.get(target.name)
    if limits is None:
        observation = await prober.probe(target)
        text = " ".join(filter(None, as_row(observation)))
        return SignalResult(exit_code([observation]), text, as_json(observation))
    one = await prober.measure(target)
    if limits.kind is MetricKind.LOGS and one.no_data_reason == FIRST_READ:
        await asyncio.sleep(limits.every_s)
        one = await prober.measure(target)
    is_failing = observe_metric(MetricState(), one, limits)[0].reading.reason is not None
    code = FAILING if is_failing else CANNOT_TELL if one.no_data_reason else HEALTHY
    text = f"{target}: {measurement_line(one, MetricState(), limits)}"
    document = {
        "target": str(target),
        "outcome": "no_data" if one.no_data_reason else "failed" if is_failing else "ok",
        "missing": one.no_data_reason or None,
        "span_s": round(one.span_s, 1),
        "failed": one.failed,
        "total": one.total,
        "own": one.own_rows,
        "groups": [asdict(group) for group in one.groups],
        "environment": one.environment or None,
    }
    return SignalResult(code, text, document)
