"""Escalation: who is notified next while nobody acknowledges."""

from __future__ import annotations

from dataclasses import dataclass, replace

MENTION, DM, NEXT = "mention", "dm", "next"
"""The contacts of a step, beside the names of contact points."""


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """One step of an escalation."""

    after_s: float
    """Seconds after the first mention."""
    contact: str
    """`mention`, `dm`, `next`, or the name of a contact point."""


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """The steps while nobody acknowledges; the first mention is not one of them."""

    steps: tuple[EscalationStep, ...] = ()
    repeat: int = 0
    """How often the steps start again after the last one …"""
    every_s: float = 900.0
    """… and how long after it."""

    def due_at(self, state: EscalationState) -> float | None:
        """Return when the next step is due; None: no step is left."""
        if state.step < len(self.steps):
            return state.started_at + self.steps[state.step].after_s
        if not self.steps or state.round >= self.repeat:
            return None
        return state.started_at + self.steps[-1].after_s + self.every_s

    def advance(
        self, state: EscalationState, now: float
    ) -> tuple[EscalationState, tuple[EscalationStep, ...]]:
        """Return the escalation after all steps that are due, and those steps.

        After a long stop of the process, overdue steps are taken once, not once a round.
        """
        due: list[EscalationStep] = []
        while (at := self.due_at(state)) is not None and at <= now:
            if state.step >= len(self.steps):
                if due:  # the pause before the next round starts only now
                    state = replace(state, started_at=now - self.steps[-1].after_s)
                    break
                state = EscalationState(started_at=now, round=state.round + 1)
                continue
            due.append(self.steps[state.step])
            state = replace(state, step=state.step + 1)
        return state, tuple(due)


@dataclass(frozen=True, slots=True)
class EscalationState:
    """How far an escalation has come."""

    started_at: float
    """When this round started."""
    step: int = 0
    """The next step."""
    round: int = 0
    notified: tuple[str, ...] = ()
    """The ids of the people who were notified."""


@dataclass(frozen=True, slots=True)
class AwaitingMention:
    """People are first to be mentioned at an instant; then the escalation starts."""

    at: float
    begun: EscalationState | None = None
    """How far an escalation had come while the incident was less severe."""


def begun_escalation(
    escalation: AwaitingMention | EscalationState | None,
) -> EscalationState | None:
    """Return how far an escalation has come, whether it goes on or waits for the first mention."""
    return escalation.begun if isinstance(escalation, AwaitingMention) else escalation
