"""What happens in a scenario's world, in a line for each event."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.observation import CONTROL, CUSTOM, FEED, LOGIN, LOGS, M2M, WELLKNOWN
from bot.simulator.happening import ANY, BOT, NOTIFY
from bot.slack.render.text import duration, join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.simulator.happening import InjectedFault
    from bot.simulator.scenario import FaultEntry, Metric, Scenario, Window


class WorldEvent(NamedTuple):
    """One event of a world."""

    at: float
    text: str


PLACES = {
    LOGIN: "Logins to {names}",
    WELLKNOWN: "The signing keys of {names}",
    CUSTOM: "Logins to the custom domain of {names}",
    M2M: "Machine tokens of {names}",
    LOGS: "The log of {names}",
}
WHOLES = {
    FEED: "Auth0's status page",
    BOT: "The bot's machine",
    "slack": "Slack",
    "prometheus": "Prometheus",
    "sentry": "Sentry",
    CONTROL: "Another internet site",
    NOTIFY: "The pager",
}
FAULTS = {
    "dns": "the name is not found ({word})",
    "connect": "no connection ({word})",
    "tls": "a wrong certificate ({word})",
    "token": "a wrong token ({word})",
    "feed": "what comes is {word}",
    "latency": "each answer takes {span} longer",
    "trickle": "answers trickle in",
    "clock": "its clock is {span} wrong",
    "hang": "no answer at all",
    "paused": "it stands still",
}


def narrate(scenario: Scenario) -> list[WorldEvent]:
    """Return what happens, the earliest first."""
    events = [*_faults(scenario), *_metrics(scenario), *_single_events(scenario)]
    return sorted(events, key=lambda event: event.at)


def _faults(scenario: Scenario) -> Iterator[WorldEvent]:
    for entry in scenario.timeline:
        for what in _places(entry, scenario):
            part = "" if entry.share >= 1 else f"{entry.share:.0%} of the requests: "
            begin = f"{what}: {part}{_describe(entry.fault)}"
            yield from _span(scenario, entry.window, begin, f"{what}: well again")


def _places(entry: FaultEntry, scenario: Scenario) -> list[str]:
    """Name the places of a fault, those of one kind together."""
    names: dict[str, list[str]] = {}
    for target in entry.targets:
        owner, _, place = target.rpartition(".")
        kind = WHOLES.get(target) or WHOLES.get(owner) or PLACES.get(place)
        kind = kind or f"Logins by “{place}” to {{names}}"
        everyone = [tenant.name for tenant in scenario.tenants]
        names.setdefault(kind, []).extend(everyone if owner == ANY else [owner])
    return [kind.format(names=join_names(owners)) for kind, owners in names.items()]


def _describe(fault: InjectedFault) -> str:
    if fault.http is not None:
        return f"HTTP {fault.http.status} {fault.http.error or ''}".strip()
    span = duration(fault.amount) if fault.amount >= 1 else f"{1000 * fault.amount:.0f} ms"
    return FAULTS.get(fault.kind, "well").format(word=fault.word.replace("_", " "), span=span)


def _metrics(scenario: Scenario) -> Iterator[WorldEvent]:
    usual: dict[tuple[str, str], Metric] = {}
    for entry in scenario.metrics:
        key = entry.tenant, entry.signal
        before = usual.setdefault(key, entry)
        who = f"Users of {entry.signal} at {entry.tenant}"
        texts = []
        if entry.errors is not None and entry.errors != before.errors:
            texts.append(f"{entry.errors:.0%} of their logins fail")
        if entry.requests_s is not None and entry.requests_s != before.requests_s:
            texts.append(f"{60 * entry.requests_s:.0f} logins a minute")
        if texts:
            yield from _span(
                scenario, entry.window, f"{who}: {', '.join(texts)}", f"{who}: as usual again"
            )


def _single_events(scenario: Scenario) -> Iterator[WorldEvent]:
    start = scenario.start_at
    for update in scenario.feed:
        text = f"Auth0's status page says “{update.status}: {update.title}”"
        yield WorldEvent(start + update.at_s, text)
    for change in scenario.changes:
        where = change.app or change.tenant or "our side"
        yield WorldEvent(start + change.at_s, f"A change of {where}: {change.what}")
    for one in scenario.people:
        did = f"types “{one.say}”" if one.say else f"clicks {one.click}"
        yield WorldEvent(start + one.at_s, f"{one.user} {did}")


def _span(scenario: Scenario, window: Window, begin: str, end: str) -> Iterable[WorldEvent]:
    """Yield the begin and the end of what lasts for a while."""
    if window.since_s > -math.inf:
        yield WorldEvent(scenario.start_at + window.since_s, begin)
    if window.until_s < math.inf:
        yield WorldEvent(scenario.start_at + window.until_s, end)
