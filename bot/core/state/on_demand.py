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
    from bot.core.state.stimulus import Running

RUN_LIMIT_S = 15.0
"""A run is answered with what has come by then: one request may take 10 s."""


@dataclass(frozen=True, slots=True)
class RunInProgress:
    """Fresh probes that a person waits for."""

    request: Request
    until: float
    asked: tuple[str, ...]
    """The tenants that were to look."""
    started: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    left_out: tuple[Target, ...] = ()
    seen: tuple[Observation, ...] = ()
    measured: tuple[Measurement, ...] = ()
    signal: str = ""
    """The only signal that is wanted; empty: all."""

    @property
    def missing(self) -> tuple[Target, ...]:
        """What has not come back yet."""
        back = {one.target for one in self.seen} | {one.target for one in self.measured}
        return tuple(target for target in self.targets if target not in back)

    def with_started(self, running: Running) -> RunInProgress:
        """Return it with one tenant's looks begun."""
        return replace(
            self,
            started=(*self.started, running.tenant),
            targets=(*self.targets, *running.targets),
            left_out=(*self.left_out, *running.left_out),
        )

    def with_seen(self, seen: Observation | Measurement) -> RunInProgress:
        """Return it with one look back."""
        if isinstance(seen, Measurement):
            return replace(self, measured=(*self.measured, seen))
        return replace(self, seen=(*self.seen, seen))

    def answer(self) -> Answer:
        """Return what is told of it, as far as it came."""
        return Answer(
            self.request,
            is_first=False,
            seen=self.seen,
            measured=self.measured,
            left_out=self.left_out,
            missing=self.missing,
        )

    @property
    def is_complete(self) -> bool:
        """All tenants have started and all looks are back."""
        return set(self.started) == set(self.asked) and not self.missing


def begun(request: Request, now: float, rules: Rules) -> RunInProgress | None:
    """Return the run that a request asks for; None: it is no run, or names nothing of ours."""
    if request.verb is not Verb.RUN:
        return None
    wanted = wanted_of(request, rules)
    if wanted is None:
        return None
    tenants, signal = wanted
    controls = () if signal else rules.controls
    return RunInProgress(request, now + RUN_LIMIT_S, tenants, targets=controls, signal=signal)


def wanted_of(request: Request, rules: Rules) -> tuple[tuple[str, ...], str] | None:
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
