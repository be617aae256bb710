"""Three simple rules, played beside the bot in the same world: what it has to be better than.

Each decides by what the bot knows at that moment; none sees the scenario.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.core.model.observation import CUSTOM, Cause, SignalState
from bot.core.state.shared import fitting
from bot.core.state.stimulus import ReadFeed, SignalChanged
from bot.core.triage.context import usual_fault
from bot.simulator.story import Judged, judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.core.signals.probe_threshold import Signal
    from bot.core.state.stimulus import Effect
    from bot.ports import View
    from bot.simulator.scenario import Answer

    Rule = Callable[[View], Cause | None]

BY_STATUS = {400: Cause.PROBE, 401: Cause.PROBE, 403: Cause.PROBE, 429: Cause.QUOTA}
BY_CLASS = {4: Cause.TENANT, 5: Cause.AUTH0}
"""By the status' first digit, where the status itself says nothing."""


def status_page(view: View) -> Cause | None:
    """Blame Auth0 while the status page of one of our environments speaks of logins."""
    posts = fitting(view.desk.outside.feeds.values(), view.now)
    return Cause.AUTH0 if posts else None


def red_probe(view: View) -> Cause | None:
    """Blame Auth0 while a login of ours fires."""
    return Cause.AUTH0 if any(_red(view)) else None


def status_code(view: View) -> Cause | None:
    """Blame by the answer of that login that fires for longest."""
    longest = min(_red(view), key=lambda signal: signal.since or 0.0, default=None)
    return _blamed(longest) if longest else None


def _red(view: View) -> Iterator[Signal]:
    """Return the synthetic logins that fire, by whichever domain."""
    for name, rules in view.rules.tenants.items():
        signals = view.world.tenants[name].signals
        for login in (*rules.logins, CUSTOM):
            signal = signals.get(login)
            if signal and signal.state is SignalState.FIRING:
                yield signal


def _blamed(signal: Signal) -> Cause:
    fault = usual_fault(signal)
    if fault is None or fault.status is None:  # no answer came
        return Cause.AUTH0
    return BY_STATUS.get(fault.status, BY_CLASS.get(fault.status // 100, Cause.UNCLEAR))


RULES: dict[str, Rule] = {
    "status page only": status_page,
    "a red probe means Auth0": red_probe,
    "decision by status code alone": status_code,
}


@dataclass(slots=True)
class Rival:
    """One of the rules, followed through a run. It alerts whenever it blames somebody."""

    rule: Rule
    is_alerted: bool = False
    """It blamed somebody at any time."""
    scored: Cause | None = None
    """Whom it blamed at the moment of the score; None: nobody."""

    def note(self, view: View) -> None:
        """Take note of what is known now."""
        self.is_alerted |= self.rule(view) is not None

    def score(self, view: View) -> None:
        """Read whom it blames, at the moment of the score."""
        self.note(view)
        self.scored = self.rule(view)

    def judged(self, answer: Answer) -> Judged:
        """Hold it against the truth, like the bot. It is always sure."""
        return judge(
            answer,
            self.scored or Cause.NONE,
            1.0,
            is_alerted=self.is_alerted,
            has_incident=self.scored is not None,
        )


@dataclass(frozen=True, slots=True)
class Rivals:
    """All of them, told what the bot is told.

    Args:
        view: returns what the bot knows now.
    """

    view: Callable[[], View]
    _all: dict[str, Rival] = field(
        init=False, default_factory=lambda: {name: Rival(rule) for name, rule in RULES.items()}
    )

    def note(self, effect: Effect) -> None:
        """Look again when a signal changed, or before a feed is read anew."""
        if isinstance(effect, SignalChanged | ReadFeed):
            for rival in self._all.values():
                rival.note(self.view())

    def score(self) -> None:
        """Read whom each blames, at the moment of the score."""
        for rival in self._all.values():
            rival.score(self.view())

    def judged(self, answer: Answer) -> dict[str, Judged]:
        """Hold each against the truth, by its name."""
        return {name: rival.judged(answer) for name, rival in self._all.items()}
