"""Counts failed and all calls with Prometheus, or anything that has its query API.

https://prometheus.io/docs/prometheus/latest/querying/api/ (read 2026-11).
"""

from __future__ import annotations

import asyncio
import re
from base64 import b64encode
from dataclasses import replace
from math import isfinite
from typing import TYPE_CHECKING, Any

from bot.core.model.measurement import Measurement
from bot.http import HttpRequest
from bot.sources.answer import UNEXPECTED, NoUsableAnswer, require_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bot.config.settings_sources import Metric, Prometheus
    from bot.core.model.observation import Target
    from bot.http import Fetcher, HttpResult

QUERY_PATH = "/api/v1/query"
REMEDIES = {
    400: "bad expression",
    401: "check the credentials",
    403: "check the credentials",
    404: "check the address",
    422: "bad expression",
    429: "too many queries",
}
"""A syntax error is 400 at Prometheus and 422 at VictoriaMetrics."""
INFO_PREFIX = "PromQL "
"""Begins a mere remark, such as on a name without `_total`. It does not mean that data is missing,
but Prometheus 2.49 to 2.53 list it as a warning (thanos-io/thanos#7354)."""
OTEL_METRIC = "http_client_request_duration_seconds_count"
"""OpenTelemetry's `http.client.request.duration` as its exporters for Prometheus name it."""


class PrometheusRate:
    """Queries how many calls failed, and how many there were, in the window that ends now."""

    def __init__(
        self,
        target: Target,
        server: Prometheus,
        metric: Metric,
        hosts: Sequence[str],
        *,
        fetcher: Fetcher,
    ) -> None:
        """Query `server`; a metric without expressions of its own counts the calls to `hosts`."""
        failed, total = metric.failed, metric.all
        if failed is None or total is None:
            failed, total = otel_expressions(hosts, metric.match or "")
        window = f"{round(metric.window)}s"
        self._target = target
        self._request = HttpRequest(
            url=server.url + QUERY_PATH,
            headers=request_headers(server),
            timeout_s=server.timeout,
            ca_file=server.ca_file,
        )
        self._expressions = [each.replace("$window", window) for each in (failed, total)]
        self._window_s = metric.window
        self._fetcher = fetcher

    async def measure(self) -> Measurement:
        """Query both at the same instant. Never raises, except when cancelled.

        No series at all is no data. No series of failures only is 0: a counter of failures has no
        series before the first failure. More failed than all means that all failed: if somebody
        counts only the successes as all, an outage must still be seen.
        """
        now = self._fetcher.clock.now()
        # By POST: an expression may be too long for a URL, and stays out of logs.
        forms = ({"query": each, "time": f"{now:.3f}"} for each in self._expressions)
        requests = (replace(self._request, form=form) for form in forms)
        replies = await asyncio.gather(*map(self._fetcher.fetch, requests))
        try:
            failed, total = (sum_values(reply) for reply in replies)
        except NoUsableAnswer as error:
            return Measurement(self._target, now, no_data_reason=str(error))
        if total is None:
            return Measurement(self._target, now, no_data_reason="empty result")
        failed = max(failed or 0.0, 0.0)  # a difference of two counters may be a bit below 0
        return Measurement(
            self._target, now, span_s=self._window_s, failed=failed, total=max(total, failed)
        )


def sum_values(reply: HttpResult) -> float | None:
    """Add up the values of an instant query; None if it found no series.

    Raises `NoUsableAnswer`, also if the server could not read a part of the data: Thanos and Mimir
    warn then, VictoriaMetrics says `isPartial`.
    """
    document = require_json(reply, REMEDIES)
    try:
        values = [float(text) for _, text in _samples(document)]
        warnings = [str(each) for each in document.get("warnings") or ()]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise NoUsableAnswer(UNEXPECTED) from error
    if document.get("isPartial") or not all(each.startswith(INFO_PREFIX) for each in warnings):
        raise NoUsableAnswer("partial answer")
    unusable = [value for value in values if not isfinite(value)]
    if unusable and len(unusable) < len(values):
        raise NoUsableAnswer("not a number in one of the groups")
    if not isfinite(total := sum(values)):
        raise NoUsableAnswer("not a number")
    return total if values else None


def _samples(document: Mapping[str, Any]) -> list[tuple[float, str]]:
    """Return pairs of time and value. Raises KeyError or TypeError if there are none."""
    match document["data"]:
        case {"resultType": "vector", "result": list(rows)}:
            if any("histogram" in row for row in rows):
                raise NoUsableAnswer("native histogram: count it with histogram_count()")
            return [row["value"] for row in rows]
        case {"resultType": "scalar", "result": [at, text]}:
            return [(at, text)]
        case {"resultType": "matrix" | "string"}:
            raise NoUsableAnswer("not a vector")
    raise TypeError


def request_headers(server: Prometheus) -> dict[str, str]:
    """Return the headers of each query, with the bearer token, or user name and password."""
    headers = {name.lower(): value.get_secret_value() for name, value in server.headers.items()}
    if server.token:
        headers["authorization"] = f"Bearer {server.token.get_secret_value()}"
    elif server.username and server.password:
        pair = f"{server.username}:{server.password.get_secret_value()}"
        headers["authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
    return headers


def otel_expressions(hosts: Sequence[str], match: str) -> tuple[str, str]:
    """Return the expressions for failed and for all of an application's calls to `hosts`.

    5xx, 429 and calls without any answer failed. Other 4xx did not: OpenTelemetry sets
    `error.type` for them as well, but they are users' mistakes, such as a wrong password
    (semantic conventions for HTTP spans, read 2026-08). `match` has more label matchers.
    """
    server = f"server_address=~{_quote('|'.join(map(re.escape, hosts)))}"
    common = ",".join(filter(None, (server, match.strip(" ,"))))
    answered = f'{common},http_response_status_code=~"5..|429"'
    silent = f'{common},http_response_status_code="",error_type!=""'
    failed = f"sum({_increase(answered)} or {_increase(silent)})"
    return failed, f"sum({_increase(common)})"


def _increase(matchers: str) -> str:
    return f"increase({OTEL_METRIC}{{{matchers}}}[$window])"


def _quote(text: str) -> str:
    """Write a PromQL string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
