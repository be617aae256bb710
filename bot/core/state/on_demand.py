"""On-demand checks: fresh probes that a person waits for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.core.model.command import Request, RunCheck
from bot.core.model.measurement import Measurement
from bot.core.model.observation import Observation, Target
from bot.core.state.outbox import Answer

if TYPE_CHECKING:
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import CheckStarted

CHECK_LIMIT_S = 15.0
"""A check is answered with the results so far after this: one request may take 10 s."""


@dataclass(frozen=True, slots=True)
class OnDemandCheck:
    """Fresh probes that a person waits for."""

    request: Request
    until: float
    tenants: tuple[str, ...]
    """The tenants that are checked."""
    started: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()
    skipped: tuple[Target, ...] = ()
    observations: tuple[Observation, ...] = ()
    measurements: tuple[Measurement, ...] = ()
    signal: str = ""
    """The only signal to check; empty: all."""

    @property
    def unanswered(self) -> tuple[Target, ...]:
        """The targets without a result yet."""
        results: tuple[Observation | Measurement, ...] = (*self.observations, *self.measurements)
        answered = {result.target for result in results}
        return tuple(target for target in self.targets if target not in answered)

    def with_news(self, news: CheckStarted | Observation | Measurement) -> OnDemandCheck:
        """Return it with the started probes of one tenant, or with one more result."""
        if isinstance(news, Measurement):
            return replace(self, measurements=(*self.measurements, news))
        if isinstance(news, Observation):
            return replace(self, observations=(*self.observations, news))
        return replace(
            self,
            started=(*self.started, news.tenant),
            targets=(*self.targets, *news.targets),
            skipped=(*self.skipped, *news.skipped),
        )

    def to_answer(self) -> Answer:
        """Return the answer with the results so far."""
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
        """Whether all tenants have started and all results are there."""
        return set(self.started) == set(self.tenants) and not self.unanswered


def start_check(
    request: Request, command: RunCheck, now: float, rules: Rules
) -> OnDemandCheck | None:
    """Return a check; None: what it names is no longer configured."""
    tenants = resolve_check_scope(command, rules)
    if not tenants:
        return None
    controls = () if command.signal else rules.controls
    return OnDemandCheck(
        request, now + CHECK_LIMIT_S, tenants, targets=controls, signal=command.signal
    )


def resolve_check_scope(command: RunCheck, rules: Rules) -> tuple[str, ...]:
    """Return the tenants to check; none if what it names is not configured."""
    signal = command.signal.lower()
    return tuple(
        name
        for name, tenant in rules.tenants.items()
        if command.tenant in {"", name}
        and (not signal or signal in {each.lower() for each in tenant.all_signals})
    )
