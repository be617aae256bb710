"""`probe`: one round of looks at once, without a bot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bot.core.fault import describe, is_refusal
from bot.core.model import CONTROL, CUSTOM, M2M, WELLKNOWN, Observation, Outcome, Stage, Target
from bot.slack.wording import REMEDIES
from bot.wiring.rules import control_target

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.ports import Prober

HEALTHY, FAILING, CANNOT_TELL = 0, 1, 2
UNANSWERED = frozenset({Stage.DNS, Stage.TIMEOUT})
"""Faults that our own network gives as well as the other side's."""


async def look_once(settings: Settings, prober: Prober, tenant: str = "") -> list[Observation]:
    """Look at each target of one tenant, or of all, and at the neutral hosts.

    Logins of one tenant wait for one another: they may share a synthetic user.
    """
    names = [t for t in settings.tenants if tenant in {"", t.name}]
    rounds = [_round(prober, targets) for t in names for targets in _targets(t)]
    controls = [_round(prober, [control_target(url)]) for url in settings.controls]
    return [seen for group in await asyncio.gather(*rounds, *controls) for seen in group]


def _targets(tenant: Any) -> list[list[Target]]:
    logins = [Target(tenant.name, login.name) for login in tenant.logins]
    if tenant.custom_domain:
        logins.append(Target(tenant.name, CUSTOM))
    others = [WELLKNOWN, M2M] if tenant.m2m else [WELLKNOWN]
    return [logins, *([Target(tenant.name, name)] for name in others)]


async def _round(prober: Prober, targets: list[Target]) -> list[Observation]:
    """Look at one after the other; credentials that were refused are not tried again."""
    seen: list[Observation] = []
    for target in targets:
        seen.append(await prober.look(target))
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
    if failed and not (is_cut_off and all(fault.stage in UNANSWERED for fault in failed)):
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
        "blind": one.blind or None,
    }


def as_row(one: Observation) -> tuple[str, str, str, str, str]:
    """Return a look for people: target, result, time, stages, what was said and what to do."""
    stages = "  ".join(f"{t.stage} {t.seconds * 1000:.0f}" for t in one.timings)
    latency = "" if one.latency_s is None else f"{one.latency_s * 1000:.0f} ms"
    result = describe(one.fault) if one.fault else one.blind or "ok"
    remedy = REMEDIES.get(one.fault.reason, "") if one.fault else ""
    said = one.fault.description if one.fault else ""
    return str(one.target), result, latency, stages, "\n".join(t for t in (said, remedy) if t)
