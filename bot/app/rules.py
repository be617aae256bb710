"""Turns the settings into the rules that the core needs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.core.model.access import Access
from bot.core.model.measurement import MONITORS, MetricKind
from bot.core.model.observation import CONTROL, FEED, LOGS, Severity, Target
from bot.core.oncall import (
    DM,
    MENTION,
    NEXT,
    CallHours,
    EscalationPolicy,
    EscalationStep,
    Rotation,
    Shifts,
    UserGroup,
)
from bot.core.signals.metric_threshold import MetricLimits
from bot.core.signals.probe_threshold import ProbeLimits
from bot.core.state.rules import Channels, Recurrence, Rules, TenantRules
from bot.core.state.silence import MaintenanceWindow
from bot.runtime.probe_runner import MOST_PER_S

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.config.settings import Tenant
    from bot.config.settings_oncall import Escalation, OnCall
    from bot.config.settings_sources import Metric
    from bot.core.oncall import OnCallSource

CPU_LIMIT = Path("/sys/fs/cgroup/cpu.max")
"""Microseconds in so many, or "max" (Linux, Documentation/admin-guide/cgroup-v2, read 2026-12)."""
REPORT_EVERY_S = 30.0
"""Seconds. How often the reports of applications are added up."""


def rules_of(settings: Settings) -> Rules:
    """Return the rules of a configuration.

    Where there are more tenants than this machine carries, none has light checks: they would take
    the turns of what confirms a failure.
    """
    rules = _build_rules(settings)
    if count_probes_a_minute(rules) <= find_most_a_minute():
        return rules
    tenants = {name: replace(each, light_every_s=None) for name, each in rules.tenants.items()}
    return replace(rules, tenants=tenants)


def find_most_a_minute(limit: Path = CPU_LIMIT) -> float:
    """Return how many probes a minute this machine carries: a container may use less than a core.

    The pace itself follows from how late the event loop is.
    """
    try:
        allowed, period = limit.read_text().split()
        cores = min(1.0, int(allowed) / int(period))
    except (OSError, ValueError):
        cores = 1.0
    return 60 * MOST_PER_S * cores


def count_probes_a_minute(rules: Rules) -> float:
    """Return how many routine probes of tenants and control endpoints are due in a minute."""
    spans_s = [
        tenant.limits_of(name).every_s
        for tenant in rules.tenants.values()
        for name in tenant.probes
    ]
    spans_s += [rules.control_every_s] * len(rules.controls)
    light = (  # where a login is due, there is none
        60 / each.light_every_s - 60 / each.limits.every_s
        for each in rules.tenants.values()
        if each.light_every_s
    )
    return sum(60 / span_s for span_s in spans_s) + sum(light)


def _build_rules(settings: Settings) -> Rules:
    slack, oncall = settings.slack, settings.oncall
    default, by_severity = slack.channel, slack.channels
    by_tenant = ((tenant.name, tenant.channel) for tenant in settings.tenants)
    tenants = {tenant.name: _tenant_rules(settings, tenant) for tenant in settings.tenants}
    return Rules(
        tenants=tenants,
        controls=tuple(control_target(url) for url in settings.controls),
        feeds=tuple(dict.fromkeys(tenant.feed for tenant in tenants.values())),
        channels=Channels(
            {Severity(key): "" if each == default else each for key, each in by_severity if each},
            {key: "" if each == default else each for key, each in by_tenant if each},
        ),
        mention=slack.mention or "",
        policies=_policies(settings.escalation),
        contact_points=tuple(point.name for point in settings.notify),
        on_call=_on_call(oncall) if oncall else None,
        call_hours=CallHours(oncall.hours.days, oncall.hours.begins, oncall.hours.ends, oncall.zone)
        if oncall
        else CallHours(),
        calendar_every_s=oncall.calendar.every if oncall and oncall.calendar else None,
        access=Access(**settings.access.model_dump()),
        remind_after_s=settings.acknowledge.remind,
        maintenance_windows=tuple(
            MaintenanceWindow(each.begins, each.lasts, each.zone, each.tenants, each.reason)
            for each in settings.maintenance
        ),
        report=Recurrence(settings.report.every, settings.report.zone) if settings.report else None,
        link_hosts=_link_hosts(settings),
        alerts_page=slack.alerts_page or "",
        mention_after_s={t.name: settings.thresholds_of(t).mention_after for t in settings.tenants},
        feed_every_s=settings.feed.every,
    )


STATUS_HOST = "status.auth0.com"
SENTRY_HOSTS = ("sentry.io", ".sentry.io")
"""Its pages: each organization has a host of its own (Sentry's web_url, read 2026-11)."""


def _link_hosts(settings: Settings) -> tuple[str, ...]:
    """Return the hosts that are configured as those of a source, or named by themselves."""
    feeds = (t.feed_url.get_secret_value() for t in settings.tenants if t.feed_url)
    servers = (each.url for each in (settings.prometheus, settings.sentry) if each)
    hosts = [urlsplit(url).netloc for url in (settings.status_link, *feeds, *servers)]
    uses_sentry = settings.sentry or settings.hooks.sentry
    own = (STATUS_HOST, *hosts, *settings.hooks.link_hosts)
    return (*own, *(SENTRY_HOSTS if uses_sentry else ()))


def find_silent_escalation(rules: Rules) -> str:
    """Return a warning if no step of any escalation leads beyond Slack; empty: one does."""
    steps = {step.contact for policy in rules.policies.values() for step in policy.steps}
    if not steps or steps - {MENTION, DM, NEXT}:
        return ""
    return (
        "escalation: no step leads beyond Slack, and a phone in Do Not Disturb makes no sound for "
        "Slack: add a contact point under notify, and a step that names it"
    )


def _policies(escalation: Escalation) -> dict[Severity, EscalationPolicy]:
    by_severity = {Severity.CRITICAL: escalation.critical, Severity.WARNING: escalation.warning}
    return {
        severity: EscalationPolicy(
            tuple(EscalationStep(step.after, step.tell) for step in steps),
            escalation.repeat,
            escalation.every,
        )
        for severity, steps in by_severity.items()
        if steps
    }


def _on_call(oncall: OnCall) -> OnCallSource | None:
    if oncall.rotation is not None:
        rotation = oncall.rotation
        return Rotation(rotation.people, rotation.hand_over, oncall.zone, rotation.start)
    if oncall.group:
        return UserGroup(oncall.group)
    return Shifts(0.0) if oncall.calendar else None


def control_target(url: str) -> Target:
    """Return the target of a control endpoint, which is named by its host."""
    return Target(CONTROL, urlsplit(url).netloc)


def feed_target(tenant: Tenant) -> Target:
    """Return the status feed of a tenant; tenants of one environment share it."""
    return Target(FEED, tenant.environment or tenant.name)


def _shared_users(tenant: Tenant) -> dict[str, str]:
    """Return the earlier login of each login that shares its synthetic user with one."""
    first: dict[tuple[str | None, str], str] = {}
    users = {}
    for login in tenant.logins:
        earlier = first.setdefault((login.realm, login.username.lower()), login.name)
        if earlier != login.name:
            users[login.name] = earlier
    return users


def _tenant_rules(settings: Settings, tenant: Tenant) -> TenantRules:
    thresholds, probe = settings.thresholds_of(tenant), tenant.probe
    # Light checks are of no use where logins come nearly as often.
    has_light = probe.light_every and probe.every >= 2 * probe.light_every
    return TenantRules(
        name=tenant.name,
        domain=tenant.domain,
        environment=tenant.environment,
        logins=tuple(login.name for login in tenant.logins),
        custom_domain=tenant.custom_domain,
        has_m2m=tenant.m2m is not None,
        limits=ProbeLimits(
            every_s=probe.every,
            confirm_every_s=probe.confirm_every,
            fail_count=thresholds.fail_count,
            window=thresholds.window,
            recover_count=thresholds.recover_count,
            recover_for_s=thresholds.recover_for,
        ),
        light_every_s=probe.light_every if has_light else None,
        runbook=tenant.runbook,
        calls=tenant.calls,
        users=_shared_users(tenant),
        fingerprints=tuple(map(settings.fingerprint, tenant.logins)),
        feed=feed_target(tenant),
        metrics=_metric_limits(settings, tenant),
        realms=tuple(login.realm for login in tenant.logins if login.realm),
        monitors=tuple(name for name in MONITORS if getattr(settings.hooks, name)),
    )


def is_reported(metric: Metric) -> bool:
    """Tell whether the application pushes its counts itself, by the webhook `report`."""
    return metric.preset is None and metric.failed is None


def _metric_limits(settings: Settings, tenant: Tenant) -> dict[str, MetricLimits]:
    limits = {metric.name: _limits_of_metric(settings, metric) for metric in tenant.metrics}
    for errors in tenant.errors:
        limits[errors.name] = MetricLimits(
            MetricKind.ERRORS,
            every_s=settings.sentry.every if settings.sentry else errors.window,
            per_minute=errors.events,
            times=errors.times,
        )
    if logs := tenant.logs:
        limits[LOGS] = MetricLimits(
            MetricKind.LOGS,
            every_s=logs.every,
            share=logs.share,
            min_total=logs.min_rows,
            missing=logs.missing,
        )
    return limits


def _limits_of_metric(settings: Settings, metric: Metric) -> MetricLimits:
    is_pushed = is_reported(metric)
    prometheus = None if is_pushed else settings.prometheus
    return MetricLimits(
        MetricKind.METRICS,
        every_s=prometheus.every if prometheus else REPORT_EVERY_S,
        share=metric.share,
        min_total=metric.min_requests,
        is_pushed=is_pushed,
    )
