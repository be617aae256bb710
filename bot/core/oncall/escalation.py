"""Escalation: who is told next while nobody acknowledges. Due times are in the incident's state."""

from __future__ import annotations

from dataclasses import dataclass, replace

MENTION, DM, NEXT = "mention", "dm", "next"
"""What a step may tell, beside the names of ways beyond Slack."""


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """One step of an escalation."""

    after_s: float
    """After people were first mentioned."""
    contact: str
    """`mention`, `dm`, `next`, or the name of a way beyond Slack."""


@dataclass(frozen=True, slots=True)
class EscalationPolicy:
    """What is done while nobody acknowledges; the first mention is not part of it."""

    steps: tuple[EscalationStep, ...] = ()
    repeat: int = 0
    """How often the steps begin anew after the last one …"""
    every_s: float = 900.0
    """… and how long after it."""

    def due_at(self, ladder: EscalationState) -> float | None:
        """Return when the next step is due; None: there is none left."""
        if ladder.step < len(self.steps):
            return ladder.started_at + self.steps[ladder.step].after_s
        if not self.steps or ladder.round >= self.repeat:
            return None
        return ladder.started_at + self.steps[-1].after_s + self.every_s

    def advance(
        self, ladder: EscalationState, now: float
    ) -> tuple[EscalationState, tuple[EscalationStep, ...]]:
        """Return the ladder after all steps that are due, and those steps.

        After a long stop of the process what is overdue is told once, not round by round.
        """
        due: list[EscalationStep] = []
        while (at := self.due_at(ladder)) is not None and at <= now:
            if ladder.step >= len(self.steps):
                if due:  # the pause before the next round begins only now
                    ladder = replace(ladder, started_at=now - self.steps[-1].after_s)
                    break
                ladder = EscalationState(started_at=now, round=ladder.round + 1)
                continue
            due.append(self.steps[ladder.step])
            ladder = replace(ladder, step=ladder.step + 1)
        return ladder, tuple(due)


@dataclass(frozen=True, slots=True)
class EscalationState:
    """Where an escalation stands: it climbs while nobody acknowledges."""

    started_at: float
    """Of this round."""
    step: int = 0
    """The next one."""
    round: int = 0
    notified: tuple[str, ...] = ()
    """People that were told, by their ids."""
