"""Fresh probes that a person asked for and waits for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.core.model.measurement import Measurement
from bot.core.model.observation import Observation, Target
from bot.core.model.request import Request, Verb
from bot.core.state.outbox import Answer

if TYPE_CHECKING:
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import CheckStarted

CHECK_LIMIT_S = 15.0
"""A run is answered with what has come by then: one request may take 10 s."""


@dataclass(frozen=True, slots=True)
class OnDemandCheck:
    """Fresh probes that a person waits for."""

    request: Request
    until: float
    tenants: tuple[str, ...]
    """The tenants that were to look."""
    started: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    skipped: tuple[Target, ...] = ()
    observations: tuple[Observation, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    signal: str = ""
    """The only signal that is wanted; empty: all."""

    @property
    def unanswered(self) -> tuple[Target, ...]:
        """What has not come back yet."""
        back = {one.target for one in self.observations} | {one.target for one in self.measurements}
        return tuple(target for target in self.targets if target not in back)

    def with_started(self, running: CheckStarted) -> OnDemandCheck:
        """Return it with one tenant's looks begun."""
        return replace(
            self,
            started=(*self.started, running.tenant),
            targets=(*self.targets, *running.targets),
            skipped=(*self.skipped, *running.skipped),
        )

    def with_result(self, seen: Observation | Measurement) -> OnDemandCheck:
        """Return it with one look back."""
        if isinstance(seen, Measurement):
            return replace(self, measurements=(*self.measurements, seen))
        return replace(self, observations=(*self.observations, seen))

    def to_answer(self) -> Answer:
        """Return what is told of it, as far as it came."""
        return Answer(
            self.request,
            is_first=False,
            observations=self.observations,
            measurements=self.measurements,
            skipped=self.skipped,
            unanswered=self.unanswered,
        )

    @property
    def is_complete(self) -> bool:
        """All tenants have started and all looks are back."""
        return set(self.started) == set(self.tenants) and not self.unanswered


def start_check(request: Request, now: float, rules: Rules) -> OnDemandCheck | None:
    """Return the run that a request asks for; None: it is no run, or names nothing of ours."""
    if request.verb is not Verb.RUN:
        return None
    wanted = resolve_check_scope(request, rules)
    if wanted is None:
        return None
    tenants, signal = wanted
    controls = () if signal else rules.controls
    return OnDemandCheck(request, now + CHECK_LIMIT_S, tenants, targets=controls, signal=signal)


def resolve_check_scope(request: Request, rules: Rules) -> tuple[tuple[str, ...], str] | None:
    """Return the tenants that a run is for, and the one signal of theirs, or empty for all.

    It names a tenant, a signal of any tenant, or `TENANT.SIGNAL`. None: there is no such thing.
    """
    named = request.argument.lower()
    if not named:
        return tuple(rules.tenants), ""
    for name, tenant in rules.tenants.items():
        if name.lower() == named:
            return (name,), ""
        for signal in tenant.all_signals:
            if f"{name}.{signal}".lower() == named:
                return (name,), signal
    having = [
        (name, signal)
        for name, tenant in rules.tenants.items()
        for signal in tenant.all_signals
        if signal.lower() == named
    ]
    return (tuple(name for name, _ in having), having[0][1]) if having else None
