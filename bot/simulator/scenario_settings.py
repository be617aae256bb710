"""The configuration of a scenario's tenants, and what each measured signal counts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bot.core.model.measurement import ChangeMade, MetricKind
from bot.core.model.observation import CUSTOM, LOGS, M2M, TOKEN_ENDPOINT, WELLKNOWN, Target
from bot.simulator.measurements import MeasuredSignal
from bot.simulator.observability import metric_expressions, sentry_query
from bot.simulator.scenario import Presence
from bot.simulator.workspace.model import Channel, User
from bot.simulator.workspace.state import default_channels, default_people

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.config import Settings
    from bot.simulator.scenario import Scenario, Tenant

LOGIN_SETTINGS = {"client_id": "probe", "username": "probe", "password": "probe", "realm": "users"}
M2M_SETTINGS = {"client_id": LOGIN_SETTINGS["client_id"], "client_secret": "x"}
RESERVED_NAMES = ("login", WELLKNOWN, CUSTOM, M2M, LOGS, TOKEN_ENDPOINT)


def tenant_settings(scenario: Scenario, tenant: Tenant) -> dict[str, Any]:
    """Return a tenant as in a configuration file, with all that is measured."""
    names = signal_names(scenario, tenant.name)
    values = {
        "name": tenant.name,
        "domain": tenant.domain,
        "environment": tenant.environment,
        "custom_domain": tenant.custom_domain,
        "logins": [LOGIN_SETTINGS],
        "m2m": M2M_SETTINGS if tenant.m2m else None,
        "calls": tenant.calls,
        "metrics": [
            {"name": name, **metric_expressions(tenant.name, signal)}
            for name, (kind, signal) in names.items()
            if kind is MetricKind.METRICS
        ],
        "errors": [
            {"name": name, "project": "1", "query": sentry_query(tenant.name, signal)}
            for name, (kind, signal) in names.items()
            if kind is MetricKind.ERRORS
        ],
        "logs": {"client_id": "log-reader", "client_secret": "x"} if LOGS in names else None,
    }
    return {key: value for key, value in values.items() if value is not None}


_PERSON = re.compile(r"\b[UW][A-Z0-9]+\b")


def people_of(scenario: Scenario) -> list[User]:
    """Return the people of the workspace: whom the file names is there, unless it says otherwise.

    Each is a member of the channel.
    """
    acting = (entry.user for entry in scenario.people)
    said = " ".join(entry.say for entry in scenario.people)
    meant = _PERSON.findall(f"{scenario.bot} {said}")
    named = dict.fromkeys((*acting, *meant, *scenario.users))
    people = {user.id: user for user in default_people()}
    people |= {
        name: replace(people.get(name, User(name, name.lower(), name)), is_guest=False)
        for name in named
    }
    return [
        replace(
            user,
            is_guest=user.is_guest or presence is Presence.GUEST,
            is_in_dnd=presence is Presence.DND,
        )
        for user in people.values()
        if (presence := scenario.users.get(user.id)) is not Presence.MISSING
    ]


def channels_of(scenario: Scenario) -> list[Channel]:
    """Return the channels of the workspace, that of the bot first."""
    others = default_channels()
    name = scenario.bot.get("slack", {}).get("channel", others[0].name).lstrip("#")
    known = [channel for channel in others if name in (channel.id, channel.name)]
    own = known[0] if known else Channel(name if name.isupper() else "C0OWN", name)
    return [own, *(channel for channel in others if channel is not own)]


def signal_names(scenario: Scenario, tenant: str) -> dict[str, tuple[MetricKind, str]]:
    """Name a tenant's measured signals as the scenario does, unless a name occurs twice.

    Returns what each counts, and its name in the scenario.
    """
    names: dict[str, tuple[MetricKind, str]] = {}
    for kind, entries in (
        (MetricKind.METRICS, scenario.metrics),
        (MetricKind.ERRORS, scenario.errors),
    ):
        for signal in dict.fromkeys(e.signal for e in entries if e.tenant == tenant):
            is_taken = signal in names or signal in RESERVED_NAMES
            names[f"{signal}-{kind}" if is_taken else signal] = (kind, signal)
    if any(log.tenant == tenant for log in scenario.logs):
        names[LOGS] = (MetricKind.LOGS, "")
    return names


def measured_signals(scenario: Scenario, settings: Settings) -> dict[Target, MeasuredSignal]:
    """Return what each measured target counts in the scenario."""
    windows: dict[Target, float] = {}
    for tenant in settings.tenants:
        windows |= {Target(tenant.name, metric.name): metric.window for metric in tenant.metrics}
        windows |= {Target(tenant.name, errors.name): errors.window for errors in tenant.errors}
    return {
        target: MeasuredSignal(kind, signal, windows.get(target, 0.0))
        for place in scenario.tenants
        for name, (kind, signal) in signal_names(scenario, place.name).items()
        for target in [Target(place.name, name)]
    }


def changes_of(scenario: Scenario) -> Iterator[tuple[float, ChangeMade]]:
    """Yield the changes that come by webhook, with their times: all but those in a log."""
    logged = {log.tenant for log in scenario.logs}
    for place, change in enumerate(scenario.changes):
        if change.tenant not in logged:
            at = scenario.start_at + change.at_s
            owner, app = change.tenant or "", change.app or ""
            made = ChangeMade(f"change-{place}", at, change.what, tenant=owner, app=app)
            yield at, made
