"""`probe`: one round of looks at once, without a bot."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from bot.core.case import describe
from bot.core.model import CONTROL, Observation, Outcome, Target
from bot.wiring.rules import control_target

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.ports import Prober

HEALTHY, FAILING, CANNOT_TELL = 0, 1, 2


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
        logins.append(Target(tenant.name, "custom"))
    return [logins, [Target(tenant.name, "wellknown")]]


async def _round(prober: Prober, targets: list[Target]) -> list[Observation]:
    return [await prober.look(target) for target in targets]


def exit_code(seen: list[Observation]) -> int:
    """Return 0 where the tenants are healthy, 1 where one fails, 2 where we could not look."""
    outcomes = {one.outcome for one in seen if one.target.owner != CONTROL}
    if Outcome.FAILED in outcomes:
        return FAILING
    return CANNOT_TELL if Outcome.NO_DATA in outcomes or not outcomes else HEALTHY


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
    """Return a look for people: target, result, time, stages, what was said."""
    stages = "  ".join(f"{t.stage} {t.seconds * 1000:.0f}" for t in one.timings)
    latency = "" if one.latency_s is None else f"{one.latency_s * 1000:.0f} ms"
    result = describe(one.fault) if one.fault else one.blind or "ok"
    return str(one.target), result, latency, stages, one.fault.description if one.fault else ""
