"""What triage sees of an incident: the answers that the verdict is a function of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.triage.verdict import Triage, answers, collect_evidence

if TYPE_CHECKING:
    from bot.ports import View


def read_features(view: View) -> tuple[tuple[str, float], ...] | None:
    """Return the answers for the gravest open incident, by rule; None: none is open."""
    incidents = [each for each in view.desk.incidents.values() if each.is_open and each.tenants]
    if not incidents:
        return None
    incident = min(incidents, key=lambda i: (i.severity.rank, i.life.opened_at))
    triage = Triage(view.now, view.tenants, view.desk, view.rules)
    context = triage.context(incident.tenants, incident.since)
    return tuple(sorted(answers(collect_evidence(context)).items()))
