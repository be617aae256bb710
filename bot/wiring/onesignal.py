"""`probe --signal`: one signal alone, with its raw figures and how the threshold reads them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from bot.core.measurement import BEGINS, Kind, Measurement
from bot.core.model import Observation, Target
from bot.core.series import Series, SeriesLimits, observe
from bot.slack.figures import measured_line
from bot.wiring import oneshot
from bot.wiring.rules import rules_of

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.core.rules import Rules
    from bot.ports import Prober


async def measure_once(
    settings: Settings, prober: Prober, signal: str, tenant: str = ""
) -> list[Measurement | Observation]:
    """Look at one signal of one tenant, or of each that has it, whatever kind it is.

    A log is read twice: the first time only finds out where it ends now.
    """
    targets = find_signal(settings, signal, tenant)
    return [await _once(prober, target, rules_of(settings, {})) for target in targets]


async def _once(prober: Prober, target: Target, rules: Rules) -> Measurement | Observation:
    limits = rules.tenants[target.owner].series.get(target.name)
    if limits is None:
        return await prober.look(target)
    seen = await prober.measure(target)
    if limits.kind is Kind.LOGS and seen.missing == BEGINS:
        await asyncio.sleep(limits.every_s)
        seen = await prober.measure(target)
    return seen


def find_signal(settings: Settings, signal: str, tenant: str = "") -> list[Target]:
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


def exit_code(settings: Settings, seen: list[Measurement | Observation]) -> int:
    """Return 0 where all is well, 1 where one is bad, 2 where we cannot tell."""
    looks = [one for one in seen if isinstance(one, Observation)]
    if looks:
        return oneshot.exit_code(looks)
    measured = [one for one in seen if isinstance(one, Measurement)]
    if any(_reads_bad(one, _limits(settings, one)) for one in measured):
        return oneshot.FAILING
    return oneshot.CANNOT_TELL if any(one.missing for one in measured) else oneshot.HEALTHY


def in_words(settings: Settings, one: Measurement | Observation) -> str:
    """Say for people what was found."""
    if isinstance(one, Observation):
        return " ".join(filter(None, oneshot.as_row(one)))
    return f"{one.target}: {measured_line(one, Series(), _limits(settings, one))}"


def as_json(settings: Settings, one: Measurement | Observation) -> dict[str, Any]:
    """Return for machines what was found; spans in seconds."""
    if isinstance(one, Observation):
        return oneshot.as_json(one)
    is_bad = _reads_bad(one, _limits(settings, one))
    return {
        "target": str(one.target),
        "outcome": "no_data" if one.missing else "failed" if is_bad else "ok",
        "missing": one.missing or None,
        "span_s": round(one.span_s, 1),
        "failed": one.failed,
        "total": one.total,
        "own": one.own,
        "groups": [asdict(group) for group in one.groups],
        "environment": one.environment or None,
    }


def _limits(settings: Settings, one: Measurement) -> SeriesLimits:
    return rules_of(settings, {}).tenants[one.target.owner].series[one.target.name]


def _reads_bad(one: Measurement, limits: SeriesLimits) -> bool:
    return observe(Series(), one, limits)[0].reading.reason is not None
