"""Fresh probes that a person asked for and waits for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bot.core.model import Observation, Target
from bot.core.outbox import Answer
from bot.core.request import Request, Verb

if TYPE_CHECKING:
    from bot.core.rules import Rules
    from bot.core.stimulus import Running

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

    @property
    def missing(self) -> tuple[Target, ...]:
        """What has not come back yet."""
        back = {seen.target for seen in self.seen}
        return tuple(target for target in self.targets if target not in back)

    def with_started(self, running: Running) -> RunInProgress:
        """Return it with one tenant's looks begun."""
        return replace(
            self,
            started=(*self.started, running.tenant),
            targets=(*self.targets, *running.targets),
            left_out=(*self.left_out, *running.left_out),
        )

    def with_seen(self, seen: Observation) -> RunInProgress:
        """Return it with one look back."""
        return replace(self, seen=(*self.seen, seen))

    def answer(self) -> Answer:
        """Return what is told of it, as far as it came."""
        return Answer(
            self.request,
            is_first=False,
            seen=self.seen,
            left_out=self.left_out,
            missing=self.missing,
        )

    @property
    def is_complete(self) -> bool:
        """All tenants have started and all looks are back."""
        return set(self.started) == set(self.asked) and not self.missing


def begun(request: Request, now: float, rules: Rules) -> RunInProgress | None:
    """Return the run that a request asks for; None: it is no run, or names no tenant of ours."""
    if request.verb is not Verb.RUN:
        return None
    tenants = wanted(request, rules)
    if not tenants:
        return None
    return RunInProgress(request, now + RUN_LIMIT_S, tenants, targets=rules.controls)


def wanted(request: Request, rules: Rules) -> tuple[str, ...]:
    """Return the tenants that a run is for: all, the one named, or none that exists."""
    if not request.argument:
        return tuple(rules.tenants)
    return tuple(name for name in rules.tenants if name.lower() == request.argument.lower())
