"""When a tenant's probes run: each in a slot of its own, on a grid."""

from __future__ import annotations

from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING

from bot.core.model.observation import WELLKNOWN, SignalState
from bot.core.signals.probe_threshold import FIRING_INTERVAL_FACTOR, probe_interval_s
from bot.core.tenant import sources

if TYPE_CHECKING:
    from bot.core.state.rules import TenantRules
    from bot.core.state.tenant import TenantState

LATE_S = 0.5
"""A slot that passed so shortly ago is still used."""


def schedule(
    state: TenantState, name: str, now: float, rules: TenantRules, *, is_after_slot: bool = False
) -> TenantState:
    """Set when a signal is probed next, on its grid."""
    signal = state.probes[name]
    pace_s = probe_interval_s(signal, now, rules.limits_of(name))
    quick = (rules.limits.confirm_every_s, FIRING_INTERVAL_FACTOR * rules.limits.confirm_every_s)
    if pace_s is None:
        due = None
    elif signal.state is SignalState.OK:
        offset_s = rules.probes.index(name) / len(rules.probes) * pace_s
        light_s = rules.light_every_s
        if name == WELLKNOWN and light_s:  # in the middle between two checks of the token endpoint
            offset_s = (floor(offset_s / light_s) + 0.5) * light_s
        due = _next_on_grid(now, state.phase * pace_s + offset_s, pace_s)
        if rules.limits_of(name).is_login and sources.is_in_doubt(state, now):
            due = min(due, now + sources.doubt_interval_s(state, rules))
    elif pace_s in quick and signal.since is not None:
        after = now if is_after_slot else max(now - LATE_S, signal.last_at or signal.since)
        due = _next_on_grid(after, signal.since, pace_s)
    else:
        due = now + pace_s
    return replace(state, due={**state.due, name: due})


def next_light_check_at(state: TenantState, now: float, rules: TenantRules) -> float | None:
    """Return when the token endpoint is checked next; the login's slot is left to the login."""
    pace_s, every_s = rules.light_every_s, rules.limits.every_s
    if pace_s is None:
        return None
    login_origin = state.phase * every_s
    due = _next_on_grid(now, login_origin, pace_s)
    after_login_s = (due - login_origin) % every_s
    is_taken = min(after_login_s, every_s - after_login_s) < pace_s / 2
    return due + pace_s if is_taken else due


def _next_on_grid(now: float, origin: float, pace_s: float) -> float:
    """Return the first instant after `now` on the grid of `pace_s` through `origin`."""
    return origin + pace_s * (floor((now - origin) / pace_s + 1e-6) + 1)
