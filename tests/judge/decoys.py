"""Things that happen in every world and have nothing to do with its fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from tests.judge.fault import Fault
    from tests.judge.setup import Setup, Tenant
    from tests.judge.write import Writer

OTHER_TITLES = (
    "Delayed events in tenant logs",
    "Management API latency",
    "Management Dashboard is slow",
    "Email delivery delays",
    "Support Center is unavailable",
    "User search is delayed",
)


def add_decoys(writer: Writer, random: Random, setup: Setup, fault: Fault) -> None:
    """Add noise, and what might be taken for a cause."""
    if random.random() < 0.8:
        share = random.choice((0.002, 0.003, 0.005))
        writer.add_hit(["*.login"], "{connect: reset}", share=share)
    _add_posts(writer, random, {tenant.environment for tenant in setup.tenants})
    if not fault.begun:
        _add_changes(writer, random, setup)
    for tenant in setup.tenants:
        if tenant.logins and not fault.rows.get(tenant.name) and random.random() < 0.1:
            writer.add_rows(tenant.name, -10, None, [(("fp", "", ""), tenant.logins * 0.15)])
        is_hit = any(name == tenant.name for name, _ in fault.calls)
        if tenant.name not in fault.successes and not is_hit:
            _add_drift(writer, random, tenant)


def _add_posts(writer: Writer, random: Random, environments: set[str]) -> None:
    """Add posts about other components and other environments."""
    if random.random() < 0.15:
        environment = random.choice(sorted(environments))
        writer.add_post(random.uniform(-20, 8), random.choice(OTHER_TITLES), [environment])
    away = random.choice(("AU-1", "JP-1", "CA-1", "EU-3"))
    if random.random() < 0.12 and away not in environments:
        writer.add_post(random.uniform(-20, 8), "Increased error rate for logins", [away])


def _add_changes(writer: Writer, random: Random, setup: Setup) -> None:
    """Add changes that are too old to matter."""
    if random.random() < 0.25:
        writer.add_plain_change(random.uniform(-29, -21), "app: intranet", "deploy 301")
    if random.random() < 0.15:
        owner = f"tenant: {random.choice(setup.tenants).name}"
        writer.add_plain_change(random.uniform(-29, -21), owner, "client updated")


def _add_drift(writer: Writer, random: Random, tenant: Tenant) -> None:
    """Let applications have an evening, or a short peak of failures, before and during it all."""
    for app, rate in tenant.apps.items():
        if random.random() < 0.15:
            for step, left in enumerate((0.93, 0.87, 0.8)):
                writer.add_calls(tenant.name, app, -20 + 12 * step, None, rate * left, None)
        elif random.random() < 0.15:
            spike = min(0.04, 2.5 * tenant.usual_failures)
            writer.add_calls(tenant.name, app, -14, -13.5, None, spike)
