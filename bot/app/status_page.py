"""`GET /status` on the admin listener: a page for people. Read-only, and without outside assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from aiohttp import web

from bot.app.status_json import status_json
from bot.core.model.wall_clock import DAY_S
from bot.core.reports import (
    Availability,
    Interval,
    combine_availability,
    list_intervals,
    measure_availability,
)
from bot.core.signals.history import MINUTE_S, MINUTES
from bot.core.state.incident import IncidentKind
from bot.ports import StoreError
from bot.slack.render.first_line import first_line
from bot.slack.render.text import CAUSES, SIGNALS, duration, strip_markup

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.app.http_server import Handler
    from bot.core.signals.history import Minute
    from bot.core.state.incident import Incident
    from bot.ports import Store, View

DAYS = 90
"""A bar each, as long as resolved incidents are stored."""
REFRESH_S = 30
WIDTH, HEIGHT = 600, 60
"""Of a chart, in its own units."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}
STYLE = """
:root { color-scheme: light dark; --back: #fff; --text: #1d1c1d; --soft: #666; --line: #ddd;
  --ok: #2e8b57; --degraded: #c77700; --down: #c0392b; --unknown: #8a8a8a; }
@media (prefers-color-scheme: dark) { :root { --back: #16181c; --text: #e8e8e8; --soft: #a5a5a5;
  --line: #34373d; --ok: #4cc38a; --degraded: #f0a53a; --down: #ff6b5e; --unknown: #8a8a8a; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; background: var(--back);
  color: var(--text); font: 1rem/1.45 system-ui, sans-serif; }
h1 { font-size: 1.3rem; } h2 { font-size: 1.1rem; margin: 0; }
section { border: 1px solid var(--line); border-radius: .5rem; padding: .8rem; margin: .8rem 0; }
.head { display: flex; flex-wrap: wrap; gap: .2rem .8rem; align-items: baseline; }
.soft, figcaption, time { color: var(--soft); font-size: .85rem; }
.ok { color: var(--ok); } .degraded, .suspect { color: var(--degraded); }
.down, .failing { color: var(--down); } .unknown { color: var(--unknown); }
.state { font-weight: 600; }
ul { padding-left: 1.1rem; margin: .4rem 0; overflow-wrap: anywhere; }
figure { margin: .6rem 0 0; } svg { width: 100%; height: 3rem; display: block; }
svg .ok { fill: var(--ok); } svg .degraded { fill: var(--degraded); }
svg .down { fill: var(--down); }
svg .unknown { fill: var(--line); } svg polyline { fill: none; stroke: var(--ok); stroke-width: 2; }
svg .failed { fill: var(--down); }
"""
MARKS = {"ok": "✓", "degraded": "▲", "down": "✗", "unknown": "?", "suspect": "…", "failing": "✗"}
"""Signs differ in shape, not only in colour."""


Past = Mapping[str, Sequence[Interval]]
"""By tenant: when it was not up, in incidents that the running bot has forgotten."""


def page_handler(view: Callable[[], View], store: Store) -> Handler:
    """Return what answers with the page as things stand. The store is read once."""
    past: Past | None = None

    async def show(_: web.Request) -> web.StreamResponse:
        nonlocal past
        if past is None:
            with suppress(StoreError):  # the next time, then
                past = await read_past(store, view())
        page = render_page(view(), past or {})
        return web.Response(text=page, content_type="text/html", headers=HEADERS)

    return show


async def read_past(store: Store, view: View) -> Past:
    """Read from the store what is too old to be in the view. Raises `StoreError`."""
    past: dict[str, list[Interval]] = {name: [] for name in view.rules.tenants}
    last = 0
    while incidents := await store.read_past_incidents(last):
        last = incidents[-1].id
        known = view.desk.incidents
        older = [one for one in incidents if one.id not in known and not one.false_alarm]
        for name, intervals in list_intervals(older, past, view.now).items():
            past[name] += intervals
    return past


def render_page(view: View, past: Past) -> str:
    """Render the page. Pure."""
    tenants = status_json(view)["tenants"]
    assert isinstance(tenants, dict)  # noqa: S101 - it is built so
    count = len(view.desk.open_incidents)
    title = f"{count or 'No'} open incident{'s' * (count > 1)}"
    real = [one for one in view.desk.incidents.values() if not one.false_alarm]
    recent = list_intervals(real, tenants, view.now)
    sections = "".join(
        _render_tenant(name, document, view, (*past.get(name, ()), *recent[name]))
        for name, document in tenants.items()
    )
    incidents = sorted(view.desk.incidents.values(), key=lambda one: one.id, reverse=True)
    alerts = [i for i in incidents if i.kind in {IncidentKind.FAILING, IncidentKind.NO_DATA}]
    rows = "".join(f"<li>{' '.join(_describe(each, view))}</li>" for each in alerts)
    listed = f"<h2>Incidents of seven days</h2><ul>{rows}</ul>"
    none = '<h2>Incidents</h2><p class="soft">None in seven days.</p>'
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="refresh" content="{REFRESH_S}"><title>{title} · auth0-check</title>'
        f"<style>{STYLE}</style></head><body><h1>{title}</h1>"
        f'<p class="soft">As of {_utc(view.now)}. The page is loaded again every {REFRESH_S} s.</p>'
        f"{sections}<section>{listed if alerts else none}</section></body></html>"
    )


def _render_tenant(
    name: str, document: dict[str, object], view: View, past: Sequence[Interval]
) -> str:
    state, rules = str(document["state"]), view.rules.tenants[name]
    words = {**_words(document["logins"]), **_words(document["signals"])}
    signals = {SIGNALS.get(signal, signal): word for signal, word in words.items()}
    listed = "".join(
        f'<li><span class="{word}">{MARKS[word]} {escape(signal)}: {word}</span></li>'
        for signal, word in signals.items()
    )
    recent = view.tenants.states[name].recent_logins
    environment = f" · {rules.environment}" if rules.environment else ""
    return (
        f'<section><div class="head"><h2>{escape(name)}</h2>'
        f'<span class="state {state}">{MARKS[state]} {state}</span>'
        f'<span class="soft">{escape(rules.domain + environment)}</span></div>'
        f"<ul>{listed}</ul>{_draw_days(name, view, past)}{_draw_logins(recent, view.now)}</section>"
    )


def _words(document: object) -> dict[str, str]:
    return dict(document) if isinstance(document, dict) else {}


def _draw_days(name: str, view: View, past: Sequence[Interval]) -> str:
    """Draw the last days (UTC), each by the worst that there was in it."""
    watched = view.tenants.states[name].watched_since
    today = int(view.now // DAY_S)
    bars, parts = "", list[Availability]()
    for number in range(today - DAYS + 1, today + 1):
        since, until = number * DAY_S, min((number + 1) * DAY_S, view.now)
        here = [one for one in past if one.since < until and one.until > since]
        part = measure_availability(name, here, watched, since, until)
        kinds = (("down", part.down_s), ("degraded", part.degraded_s), ("ok", part.up_s))
        kind, span_s = next(((word, each) for word, each in kinds if each), ("unknown", 0.0))
        said = {"ok": "up", "unknown": "not watched"}.get(kind) or f"{kind} for {duration(span_s)}"
        x = (number - today + DAYS - 1) * 10
        bars += (
            f'<rect class="{kind}" x="{x}" width="8" height="40">'
            f"<title>{_utc(since):.10}: {said}</title></rect>"
        )
        parts.append(part)
    captions = (_share(parts, DAYS), _share(parts, 7))
    return (
        f'<figure><svg viewBox="0 0 {DAYS * 10} 40" preserveAspectRatio="none" role="img" '
        f'aria-label="{captions[0]}">{bars}</svg>'
        f"<figcaption>{' · '.join(captions)}</figcaption></figure>"
    )


def _share(days: Sequence[Availability], count: int) -> str:
    share = combine_availability(days[-count:]).share
    return f"Last {count} days: {'not watched yet' if share is None else f'{share:.2%} up'}"


def _draw_logins(recent: Sequence[Minute], now: float) -> str:
    """Draw the latency of the last hour, and a mark for each minute with failures."""
    first = int(now // MINUTE_S) - MINUTES
    shown = [minute for minute in recent if minute.number > first and minute.tries]
    if not shown:
        return ""
    worst_s = max(minute.latency_s / minute.tries for minute in shown)
    step = WIDTH / MINUTES
    line, failed = "", ""
    for minute in shown:
        x = (minute.number - first - 0.5) * step
        y = HEIGHT - 2 - (HEIGHT - 8) * minute.latency_s / minute.tries / (worst_s or 1.0)
        line += f"{x:.1f},{y:.1f} "
        if minute.failed:
            height = HEIGHT * minute.failed / minute.tries
            failed += (
                f'<rect class="failed" x="{x - step / 2:.1f}" y="{HEIGHT - height:.1f}" '
                f'width="{step * 0.8:.1f}" height="{height:.1f}" opacity=".45"/>'
            )
    good, tries = sum(minute.ok for minute in shown), sum(minute.tries for minute in shown)
    said = f"Logins of the last hour: {good} of {tries} worked; slowest minute {worst_s:.2f} s"
    return (
        f'<figure><svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="{said}">{failed}<polyline points="{line.strip()}"/></svg>'
        f"<figcaption>{said}</figcaption></figure>"
    )


def _describe(incident: Incident, view: View) -> Iterator[str]:
    until = incident.life.resolved_at
    span = duration((view.now if until is None else until) - incident.since)
    state = "false alarm" if incident.false_alarm else incident.state.value
    yield f"<strong>#{incident.id} {escape(state)}</strong>"
    yield escape(strip_markup(first_line(incident, view)))
    cause = CAUSES[incident.verdict.stated_cause]
    found_s = max(incident.life.opened_at - incident.since, 0.0)
    yield (
        f"<br><time>{_utc(incident.since)}</time> "
        f'<span class="soft">for {span} · cause: {escape(cause)} · '
        f"noticed after {duration(found_s)}</span>"
    )


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
