"""Settings -> what the steps need of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.core.model.access import Access
from bot.core.model.measurement import MetricKind
from bot.core.model.observation import CONTROL, FEED, LOGS, Severity, Target
from bot.core.oncall.escalation import EscalationPolicy, EscalationStep
from bot.core.oncall.schedule import Rotation, Shifts, UserGroup
from bot.core.signals.metric_threshold import MetricLimits
from bot.core.signals.probe_threshold import ProbeLimits
from bot.core.state.rules import Recurrence, Rules, TenantRules
from bot.core.state.silence import MaintenanceWindow

if TYPE_CHECKING:
    from bot.config import Settings
    from bot.config.settings import Tenant
    from bot.config.settings_oncall import Escalation, Maintenance, OnCall
    from bot.config.settings_sources import Errors, Logs, Metric
    from bot.core.oncall.schedule import OnCallSource

REPORT_EVERY_S = 30.0
"""How often reports of applications are added up."""


def rules_of(settings: Settings, fingerprints: dict[str, tuple[str, ...]]) -> Rules:
    """Return the rules of a configuration.

    Args:
        settings: the configuration.
        fingerprints: of each tenant's logins, by the tenant's name.
    """
    tenants = {
        tenant.name: _tenant_rules(settings, tenant, fingerprints.get(tenant.name, ()))
        for tenant in settings.tenants
    }
    return Rules(
        tenants=tenants,
        controls=tuple(control_target(url) for url in settings.controls),
        feeds=tuple(dict.fromkeys(tenant.feed for tenant in tenants.values())),
        mention=settings.slack.mention or "",
        policies=_policies(settings.escalation),
        contact_points=tuple(way.name for way in settings.notify),
        on_call=_on_call(settings.oncall) if settings.oncall else None,
        calendar_every_s=_calendar_every_s(settings),
        access=Access(**settings.access.model_dump()),
        maintenance_windows=tuple(_window(each) for each in settings.maintenance),
        report=Recurrence(settings.report.every, settings.report.zone) if settings.report else None,
        mention_after_s={t.name: settings.thresholds_of(t).mention_after for t in settings.tenants},
        feed_every_s=settings.feed.every,
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


def _on_call(oncall: OnCall) -> OnCallSource:
    if oncall.rotation is not None:
        turns = oncall.rotation
        return Rotation(turns.people, turns.hand_over, oncall.zone, turns.start)
    return UserGroup(oncall.group) if oncall.group else Shifts(0.0)


def _calendar_every_s(settings: Settings) -> float | None:
    oncall = settings.oncall
    return oncall.calendar.every if oncall and oncall.calendar else None


def _window(each: Maintenance) -> MaintenanceWindow:
    begins = each.every or each.once
    if begins is None:
        raise TypeError("the configuration lets no window through that never begins")
    return MaintenanceWindow(begins, each.lasts, each.zone, each.tenants, each.reason)


def control_target(url: str) -> Target:
    """Return the target of a neutral host, named as its address names it."""
    return Target(CONTROL, urlsplit(url).netloc)


def feed_target(tenant: Tenant) -> Target:
    """Return the feed of a tenant; tenants of one environment share one."""
    return Target(FEED, tenant.environment or tenant.name)


def _shared_users(tenant: Tenant) -> dict[str, str]:
    """Return which logins share a synthetic user with an earlier one."""
    first: dict[tuple[str | None, str], str] = {}
    users = {}
    for login in tenant.logins:
        earlier = first.setdefault((login.realm, login.username.lower()), login.name)
        if earlier != login.name:
            users[login.name] = earlier
    return users


def _tenant_rules(settings: Settings, tenant: Tenant, fingerprints: tuple[str, ...]) -> TenantRules:
    thresholds = settings.thresholds_of(tenant)
    return TenantRules(
        name=tenant.name,
        domain=tenant.domain,
        environment=tenant.environment,
        logins=tuple(login.name for login in tenant.logins),
        custom_domain=tenant.custom_domain,
        has_m2m=tenant.m2m is not None,
        limits=ProbeLimits(
            every_s=tenant.probe.every,
            confirm_every_s=tenant.probe.confirm_every,
            fail_count=thresholds.fail_count,
            window=thresholds.window,
            recover_count=thresholds.recover_count,
            recover_for_s=thresholds.recover_for,
        ),
        runbook=tenant.runbook,
        users=_shared_users(tenant),
        fingerprints=fingerprints,
        feed=feed_target(tenant),
        metrics=_metric_limits(settings, tenant),
        realms=tuple(login.realm for login in tenant.logins if login.realm),
        monitors=_monitors(settings),
    )


def _metric_limits(settings: Settings, tenant: Tenant) -> dict[str, MetricLimits]:
    """Return the limits of all that is measured at a tenant."""
    series = {metric.name: _limits_of_metric(settings, metric) for metric in tenant.metrics}
    series |= {errors.name: _limits_of_errors(settings, errors) for errors in tenant.errors}
    if tenant.logs:
        series[LOGS] = _limits_of_logs(tenant.logs)
    return series


def is_reported(metric: Metric) -> bool:
    """Tell whether an application reports its figures itself."""
    return metric.preset is None and metric.failed is None


def _limits_of_metric(settings: Settings, metric: Metric) -> MetricLimits:
    is_pushed = is_reported(metric)
    polled = settings.prometheus if not is_pushed else None
    return MetricLimits(
        MetricKind.METRICS,
        every_s=polled.every if polled else REPORT_EVERY_S,
        share=metric.share,
        min_total=metric.min_requests,
        is_pushed=is_pushed,
    )


def _limits_of_errors(settings: Settings, errors: Errors) -> MetricLimits:
    every_s = settings.sentry.every if settings.sentry else errors.window
    return MetricLimits(
        MetricKind.ERRORS, every_s=every_s, per_minute=errors.events, times=errors.times
    )


def _limits_of_logs(logs: Logs) -> MetricLimits:
    return MetricLimits(
        MetricKind.LOGS,
        every_s=logs.every,
        share=logs.share,
        min_total=logs.min_rows,
        missing=logs.missing,
    )


def _monitors(settings: Settings) -> tuple[str, ...]:
    hooks = settings.hooks
    told = {"alertmanager": hooks.alertmanager, "pingdom": hooks.pingdom, "sentry": hooks.sentry}
    return tuple(name for name, hook in told.items() if hook)
