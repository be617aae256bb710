"""`GET /status.json`: the health of each tenant, for applications that show it to their users.

Only enums, numbers, instants and names of the configuration: nothing secret, no foreign text.
"""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import TYPE_CHECKING

from aiohttp import ETag, web

from bot.app.health import iso_utc
from bot.core.model.observation import Health, Severity, SignalState
from bot.core.tenant.sources import NO_DATA_S
from bot.webhooks.auth import BearerAuth, RequestHead

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.app.http_server import Routes
    from bot.core.signals.metric_threshold import MetricState
    from bot.core.signals.probe_threshold import ProbeLimits, ProbeState
    from bot.core.state.incident import Incident
    from bot.core.state.tenant import TenantState
    from bot.ports import View

    Json = dict[str, object]

PATH = "/status.json"
VERSION = 1
"""Changes only if a key goes away or changes its meaning; keys may be added."""
CACHE_CONTROL = "private, max-age=10"
"""Private: a shared cache would give it to clients without the token."""


class TenantHealth(StrEnum):
    """The health of a tenant."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"
    """No data, or not checked yet. Nobody should act on it."""


SIGNAL_WORDS = {SignalState.OK: "ok", SignalState.PENDING: "suspect", SignalState.FIRING: "failing"}
"""A slow signal is ok here: its logins work."""
UNKNOWN = "unknown"
"""The word for a login or another signal without data."""


def status_routes(view: Callable[[], View], token: str) -> Routes:
    """Return the route, for clients that send `Authorization: Bearer TOKEN`.

    An empty token is a ValueError.
    """
    auth = BearerAuth(token)

    async def respond(request: web.Request) -> web.Response:
        current = view()
        if not auth.is_admitted(RequestHead(current.now, request.headers)):
            challenge = {"WWW-Authenticate": "Bearer"}
            return web.Response(status=401, text="wrong token\n", headers=challenge)
        status = status_json(current)
        # Weak, as it stays the same while only the time changes.
        digest = hashlib.sha256(json.dumps(status["tenants"]).encode()).hexdigest()
        tag = ETag(digest[:32], is_weak=True)
        is_known = any(t.value in {tag.value, "*"} for t in request.if_none_match or ())
        response = web.Response(status=304) if is_known else web.json_response(status)
        response.headers["Cache-Control"] = CACHE_CONTROL
        response.etag = tag
        return response

    return {("GET", PATH): respond, ("HEAD", PATH): respond}


def status_json(view: View) -> Json:
    """Return the document that applications get."""
    tenants = {name: _tenant_json(name, view) for name in view.rules.tenants}
    return {"version": VERSION, "at": iso_utc(view.now), "tenants": tenants}


def _tenant_json(name: str, view: View) -> Json:
    state, rules = view.tenants.states[name], view.rules.tenants[name]
    # The incident may have several tenants, of which this one may have recovered.
    mine = (i for i in view.desk.open_login_incidents if name in i.tenants)
    incident = next(mine, None) if state.health & Health.PROBLEM else None
    probes = {
        n: _probe_word(state.probes.get(n), rules.limits_of(n), view.now) for n in rules.probes
    }
    logins = {n: probes.pop(n) for n in rules.logins}
    metrics = {n: _metric_word(state.metrics.get(n)) for n in rules.metrics}
    monitors = {n: SIGNAL_WORDS[m.state] for n, m in state.monitors.items()}
    return {
        "state": _tenant_health(state, incident, logins),
        **_incident_json(incident),
        "logins": logins,
        "signals": probes | metrics | monitors,
    }


def _tenant_health(
    state: TenantState, incident: Incident | None, logins: dict[str, str]
) -> TenantHealth:
    if state.no_data_since is not None or state.has_lost_sight:
        return TenantHealth.UNKNOWN
    if incident is not None:
        return (
            TenantHealth.DOWN if incident.severity is Severity.CRITICAL else TenantHealth.DEGRADED
        )
    return TenantHealth.UNKNOWN if set(logins.values()) == {UNKNOWN} else TenantHealth.OK


def _incident_json(incident: Incident | None) -> Json:
    if incident is None:
        return dict.fromkeys(("cause", "scope", "confidence", "since", "incident"))
    return {
        "cause": incident.verdict.cause,
        "scope": incident.verdict.scope,
        "confidence": round(incident.verdict.confidence, 2),
        "since": iso_utc(incident.failing_since),
        "incident": incident.id,
    }


def _probe_word(signal: ProbeState | None, limits: ProbeLimits, now: float) -> str:
    """Return the word for a probe; `unknown` if its last result is old."""
    if signal is None or signal.last_at is None or signal.is_stopped:
        return UNKNOWN
    is_old = now - signal.last_at > max(NO_DATA_S, 3 * limits.every_s)
    return UNKNOWN if is_old else SIGNAL_WORDS[signal.state]


def _metric_word(metric: MetricState | None) -> str:
    """Return the word for a metric; too few or no data are no sign of health."""
    if metric is None or metric.no_data_reason or metric.read_at is None:
        return UNKNOWN
    is_undecided = metric.state is SignalState.OK and not metric.reading.is_good
    return UNKNOWN if is_undecided else SIGNAL_WORDS[metric.state]
