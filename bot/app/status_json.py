"""`GET /status.json`: how each tenant does, for applications that tell it to their users.

Only enums, figures, instants and names of the configuration: nothing secret, nothing foreign.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

from aiohttp import ETag, web

from bot.core.incidents.lifecycle import has_problem
from bot.core.model.observation import Severity, SignalState
from bot.core.tenant.step import NO_DATA_S
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
"""Another one only if what is there goes away or changes its meaning; keys may be added."""
CACHE_CONTROL = "private, max-age=10"
"""Private: a shared cache would hand it to those who do not know the token."""


class TenantHealth(StrEnum):
    """How a tenant does."""

    OK = "ok"
    DEGRADED = "degraded"
    DOWN = "down"
    UNKNOWN = "unknown"
    """We see nothing, or have not looked yet. Nobody should act on it."""


SIGNAL_WORDS = {SignalState.OK: "ok", SignalState.PENDING: "suspect", SignalState.FIRING: "failing"}
UNKNOWN = "unknown"
"""How a login or another signal does that is not in sight."""


def status_routes(view: Callable[[], View], token: str) -> Routes:
    """Return the route for those who send `Authorization: Bearer TOKEN`.

    An empty token is a ValueError.
    """
    key = BearerAuth(token)

    async def tell(request: web.Request) -> web.Response:
        known = view()
        if not key.is_admitted(RequestHead(known.now, request.headers)):
            asked = {"WWW-Authenticate": "Bearer"}
            return web.Response(status=401, text="wrong token\n", headers=asked)
        told = status_json(known)
        tag = _etag(told)
        is_known = any(t.value in {tag.value, "*"} for t in request.if_none_match or ())
        answer = web.Response(status=304) if is_known else web.json_response(told)
        answer.headers["Cache-Control"] = CACHE_CONTROL
        answer.etag = tag
        return answer

    return {("GET", PATH): tell, ("HEAD", PATH): tell}


def _etag(told: Json) -> ETag:
    """Return what stays the same until something but the time changes; hence a weak one."""
    digest = hashlib.sha256(json.dumps(told["tenants"]).encode()).hexdigest()
    return ETag(digest[:32], is_weak=True)


def status_json(view: View) -> Json:
    """Return what applications are told."""
    tenants = {name: _tenant_json(name, view) for name in view.rules.tenants}
    return {"version": VERSION, "at": _utc(view.now), "tenants": tenants}


def _tenant_json(name: str, view: View) -> Json:
    state, rules = view.tenants.states[name], view.rules.tenants[name]
    # Of several tenants in one incident this one may work again.
    mine = (i for i in view.desk.open_login_incidents if name in i.tenants)
    incident = next(mine, None) if has_problem(view.tenants, name) else None
    probes = {
        n: _probe_word(state.probes.get(n), rules.limits_of(n), view.now) for n in rules.probes
    }
    logins = {n: probes.pop(n) for n in rules.logins}
    others = {n: _metric_word(state.metrics.get(n)) for n in rules.metrics}
    told = {n: SIGNAL_WORDS[m.state] for n, m in state.monitors.items()}
    return {
        "state": _tenant_health(state, incident, logins),
        **_incident_json(incident),
        "logins": logins,
        "signals": probes | others | told,
    }


def _tenant_health(
    state: TenantState, incident: Incident | None, logins: dict[str, str]
) -> TenantHealth:
    if state.no_data_since is not None:
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
        "since": _utc(incident.since),
        "incident": incident.id,
    }


def _probe_word(signal: ProbeState | None, limits: ProbeLimits, now: float) -> str:
    """Return what is known of a probe; what was seen long ago is not."""
    if signal is None or signal.last_at is None or signal.is_stopped:
        return UNKNOWN
    is_old = now - signal.last_at > max(NO_DATA_S, 3 * limits.every_s)
    return UNKNOWN if is_old else SIGNAL_WORDS[signal.state]


def _metric_word(series: MetricState | None) -> str:
    """Return what figures say; too few or none are no sign of health."""
    if series is None or series.no_data_reason or series.read_at is None:
        return UNKNOWN
    is_undecided = series.state is SignalState.OK and not series.reading.is_good
    return UNKNOWN if is_undecided else SIGNAL_WORDS[series.state]


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
