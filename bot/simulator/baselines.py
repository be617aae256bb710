"""Three simple rules, played beside the bot in the same world, as baselines for its score.

Each decides by what the bot knows at that moment; none sees the scenario.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.core.model.observation import CUSTOM, Cause, SignalState
from bot.core.state.stimulus import PollFeed, SignalChanged
from bot.core.state.tenant import match_status_incidents
from bot.simulator.story import Score, score_cause

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.core.signals.probe_threshold import ProbeState
    from bot.core.state.stimulus import Effect
    from bot.ports import View
    from bot.simulator.scenario import Answer

    Rule = Callable[[View], Cause | None]

CAUSE_BY_STATUS = {400: Cause.PROBE, 401: Cause.PROBE, 403: Cause.PROBE, 429: Cause.QUOTA}
CAUSE_BY_STATUS_CLASS = {4: Cause.TENANT, 5: Cause.AUTH0}
"""By the first digit of the status, for a status without an entry of its own."""


def blame_by_status_page(view: View) -> Cause | None:
    """Blame Auth0 while the status page of one of our environments has an incident about logins."""
    posts = match_status_incidents(view.desk.shared.feeds.values(), view.now)
    return Cause.AUTH0 if posts else None


def blame_by_red_probe(view: View) -> Cause | None:
    """Blame Auth0 while one of our synthetic logins fires."""
    return Cause.AUTH0 if any(_firing_logins(view)) else None


def blame_by_status_code(view: View) -> Cause | None:
    """Blame by the last answer of the login that has been firing for longest."""
    longest = min(_firing_logins(view), key=lambda signal: signal.since or 0.0, default=None)
    return _blame(longest) if longest else None


def _firing_logins(view: View) -> Iterator[ProbeState]:
    """Return the synthetic logins that fire, those of custom domains included."""
    for name, rules in view.rules.tenants.items():
        signals = view.tenants.states[name].probes
        for login in (*rules.logins, CUSTOM):
            signal = signals.get(login)
            if signal and signal.state is SignalState.FIRING:
                yield signal


def _blame(signal: ProbeState) -> Cause:
    fault = signal.most_frequent_fault
    if fault is None or fault.status is None:  # no answer came
        return Cause.AUTH0
    return CAUSE_BY_STATUS.get(
        fault.status, CAUSE_BY_STATUS_CLASS.get(fault.status // 100, Cause.UNCLEAR)
    )


RULES: dict[str, Rule] = {
    "status page only": blame_by_status_page,
    "a red probe means Auth0": blame_by_red_probe,
    "decision by status code alone": blame_by_status_code,
}


@dataclass(slots=True)
class BaselinePlayer:
    """One rule, followed through a run. It alerts whenever it blames a cause."""

    rule: Rule
    has_alerted: bool = False
    """It blamed a cause at any time."""
    cause_at_score: Cause | None = None
    """The cause that it blamed at the moment of the score, if any."""

    def update(self, view: View) -> None:
        """Apply the rule to what is known now."""
        self.has_alerted |= self.rule(view) is not None

    def score(self, view: View) -> None:
        """Record the cause that it blames, at the moment of the score."""
        self.update(view)
        self.cause_at_score = self.rule(view)

    def score_against(self, answer: Answer) -> Score:
        """Compare it with the truth, like the bot. It is always certain."""
        return score_cause(
            answer,
            self.cause_at_score or Cause.NONE,
            1.0,
            has_alerted=self.has_alerted,
            has_incident=self.cause_at_score is not None,
        )


@dataclass(frozen=True, slots=True)
class BaselinePlayers:
    """All baselines, updated whenever the bot learns something.

    Args:
        view: returns what the bot knows now.
    """

    view: Callable[[], View]
    _players: dict[str, BaselinePlayer] = field(
        init=False,
        default_factory=lambda: {name: BaselinePlayer(rule) for name, rule in RULES.items()},
    )

    def on_effect(self, effect: Effect) -> None:
        """Update the rules when a signal has changed, or before the next poll of a feed."""
        if isinstance(effect, SignalChanged | PollFeed):
            for player in self._players.values():
                player.update(self.view())

    def score(self) -> None:
        """Record the cause that each blames, at the moment of the score."""
        for player in self._players.values():
            player.score(self.view())

    def score_against(self, answer: Answer) -> dict[str, Score]:
        """Compare each with the truth, by its name."""
        return {name: player.score_against(answer) for name, player in self._players.items()}
