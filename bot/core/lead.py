"""Lead and lag: when each kind of source first knew of an incident."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.detector import Reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.incident import Incident, Trouble

PROBE, MONITOR, NOTICE, MESSAGE = "probe", "monitor", "notice", "message"
"""Beside these there are the values of `measurement.Kind`."""


def first_known(incident: Incident) -> dict[str, float]:
    """Return when each kind of source first knew, in seconds since the Unix epoch.

    A notice counts from when it was posted, whenever we read it.
    """
    knew = dict(incident.knew)
    for source, at in _known(incident):
        knew[source] = min(at, knew.get(source, at))
    return knew


def _known(incident: Incident) -> Iterator[tuple[str, float]]:
    for trouble in incident.troubles:
        yield _source(trouble), trouble.since
    for notice in incident.notices:
        yield NOTICE, notice.posted_at


def _source(trouble: Trouble) -> str:
    if trouble.counted:
        return trouble.counted.value
    return MONITOR if trouble.reason is Reason.CLAIMED else PROBE
