"""Prometheus and Sentry on real sockets, with the requests that the bot makes.

Shapes of answers: Prometheus' HTTP API, and Sentry's "Query Explore Events in Table Format" (both
read 2026-11).
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from aiohttp import web

from bot.simulator.playing import answer_with_fault
from bot.simulator.signals import Signals, window

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bot.core.model.observation import Target
    from bot.ports import Clock
    from bot.simulator.happening import InjectedFault
    from bot.simulator.world import World

    Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
    Answer = Callable[[web.Request], Awaitable[web.Response]]

ORGANIZATION = "demo"
_SUM = 'sum(increase(auth0_calls{part}_total{{tenant="{tenant}",signal="{signal}"}}[$window]))'
_SUM_READ = re.compile(
    r'sum\(increase\(auth0_calls(_failed)?_total\{tenant="([\w-]+)",signal="([\w-]+)"\}'
    r"\[(\d+)s\]\)\)"
)
_TAGS = re.compile(r"tenant:([\w-]+) signal:([\w-]+)")
_PERIOD = re.compile(r"(\d+)s")
_COUNT = "count()"


def metric_expressions(tenant: str, signal: str) -> dict[str, str]:
    """Return a metric's `failed` and `all` as `LocalPrometheus` understands them."""
    parts = {"failed": "_failed", "all": ""}
    return {k: _SUM.format(part=p, tenant=tenant, signal=signal) for k, p in parts.items()}


def sentry_query(tenant: str, signal: str) -> str:
    """Return a query as `LocalSentry` understands it."""
    return f"tenant:{tenant} signal:{signal}"


def faulty_handler(world: World, clock: Clock, place: Target | str, answer: Answer) -> Handler:
    """Return a handler that injects the scenario's faults of a place, and otherwise answers."""

    async def handle(request: web.Request) -> web.StreamResponse:
        async def healthy(_: InjectedFault) -> web.Response:
            return await answer(request)

        return await answer_with_fault(
            request, world.draw_arrived_request(place, clock.now()), clock, healthy
        )

    return handle


class LocalPrometheus:
    """`/api/v1/query`, for the expressions of `metric_expressions`."""

    def __init__(self, world: World, token: str) -> None:
        """Answer whoever bears the `token`."""
        self._scenario = world.scenario
        self._signals = Signals(world.scenario, world.seed)
        self._token = token

    async def answer(self, request: web.Request) -> web.Response:
        """Answer an instant query."""
        if not _has_token(request, self._token):
            return web.Response(status=401, text="Unauthorized\n")
        if request.path != "/api/v1/query":
            return web.Response(status=404, text="404 page not found\n")
        asked = await request.post() or request.query
        match = _SUM_READ.fullmatch(str(asked.get("query")))
        if not match:
            return _bad_data('invalid parameter "query": 1:1: parse error: unexpected expression')
        try:
            at = float(str(asked.get("time")))
        except ValueError:
            return _bad_data('invalid parameter "time": cannot parse it to a valid timestamp')
        found = {"resultType": "vector", "result": self._vector(at, *match.groups())}
        return web.json_response({"status": "success", "data": found})

    def _vector(
        self, at: float, failed: str | None, tenant: str, signal: str, seconds: str
    ) -> list[dict[str, Any]]:
        """Return one sample, or none where no application has the counter."""
        if (tenant, signal) not in {(each.tenant, each.signal) for each in self._scenario.metrics}:
            return []
        span = window(at - self._scenario.start_at, float(seconds))
        counts = self._signals.metric(tenant, signal, *span)
        return [{"metric": {}, "value": [at, str(counts[1 if failed else 0])]}]


class LocalSentry:
    """`/api/0/organizations/ORG/events/`, for the queries of `sentry_query`, in any project."""

    def __init__(self, world: World, clock: Clock, token: str) -> None:
        """Answer whoever bears the `token`."""
        self._start_at = world.scenario.start_at
        self._signals = Signals(world.scenario, world.seed)
        self._clock = clock
        self._token = token

    async def answer(self, request: web.Request) -> web.Response:
        """Answer a query for counts of events, by title or of all."""
        if not _has_token(request, self._token):
            return _detail(401, "Invalid token")
        if request.path != f"/api/0/organizations/{ORGANIZATION}/events/":
            return _detail(404, "The requested resource does not exist")
        fields = request.query.getall("field", [])
        period = _PERIOD.fullmatch(request.query.get("statsPeriod", ""))
        if not period or not {_COUNT} <= {*fields} <= {_COUNT, "title"}:
            return _detail(400, "Invalid query")
        tags = _TAGS.search(request.query.get("query", ""))
        span = window(self._clock.now() - self._start_at, float(period[1]))
        events = self._signals.events(tags[1], tags[2], *span) if tags else Counter[str]()
        rows = _by_title(events) if "title" in fields else [{_COUNT: events.total()}]
        meta = {"fields": {"title": "string", _COUNT: "integer"}, "dataset": "errors"}
        return web.json_response({"data": rows, "meta": meta})


def _by_title(events: Counter[str]) -> list[dict[str, Any]]:
    return [{"title": title, _COUNT: count} for title, count in events.most_common()]


def _has_token(request: web.Request, token: str) -> bool:
    return request.headers.get("authorization") == f"Bearer {token}"


def _bad_data(text: str) -> web.Response:
    document = {"status": "error", "errorType": "bad_data", "error": text}
    return web.json_response(document, status=400)


def _detail(status: int, text: str) -> web.Response:
    return web.json_response({"detail": text}, status=status)
