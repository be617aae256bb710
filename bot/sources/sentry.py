"""Counts events in Sentry: they show that users get errors, but not what share of users.

https://docs.sentry.io/api/explore/query-explore-events-in-table-format/ (read 2026-11).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from bot.config.value_types import host_of
from bot.core.auth0_logs.text_patterns import match_pattern
from bot.core.model.measurement import Group, Measurement
from bot.http import HttpRequest
from bot.sources.answer import UNEXPECTED, NoUsableAnswer, require_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.config.settings_sources import Errors, Sentry
    from bot.core.model.observation import Target
    from bot.http import Fetcher, HttpResult

TIMEOUT_S = 10.0
REMEDIES = {
    400: "bad query",
    401: "check the token",
    403: "check the scopes and the project",
    404: "check the organization and the environment",
    429: "too many requests",
}
"""An unknown project is 403, an unknown environment 404 (getsentry/sentry, read 2026-11:
`_validate_fetched_projects`, `get_environments`)."""
CLOUD_HOST = "sentry.io"
COUNT = "count()"
ALL_EVENTS = {"field": [COUNT]}
BY_TITLE = {"field": ["title", COUNT], "sort": f"-{COUNT}", "per_page": 100}
"""100 rows are the API's limit, and there may be more titles: so all events are counted apart."""
MAX_COUNT = 10**12
"""No real count is as high; a number with thousands of digits is not worth a sum."""
LINK_PERIOD = "1h"
"""The period that the linked page shows, so that the beginning of the problem is on it."""


class SentryEvents:
    """Queries how many events match in the window that ends now."""

    def __init__(self, target: Target, server: Sentry, errors: Errors, fetcher: Fetcher) -> None:
        """Query `server`; without an environment, all of them."""
        scope = {"project": errors.project, "query": errors.query}
        if errors.environment:
            scope["environment"] = errors.environment
        # A relative period is by Sentry's own clock, and up to an hour it is not rounded.
        self._base_query = {**scope, "dataset": "errors", "statsPeriod": f"{round(errors.window)}s"}
        self._target = target
        self._request = HttpRequest(
            url=f"{server.url}/api/0/organizations/{server.organization}/events/",
            headers={"Authorization": f"Bearer {server.token.get_secret_value()}"},
            timeout_s=TIMEOUT_S,
            ca_file=server.ca_file,
        )
        self._link = _issues_link(server, {**scope, "statsPeriod": LINK_PERIOD})
        self._window_s = errors.window
        self._fetcher = fetcher

    async def measure(self) -> Measurement:
        """Count all events, and the most frequent titles. Never raises, except when cancelled."""
        now = self._fetcher.clock.now()
        replies = await asyncio.gather(self._query(ALL_EVENTS), self._query(BY_TITLE))
        try:
            counts, by_pattern = (count_by_pattern(reply) for reply in replies)
        except NoUsableAnswer as error:
            return Measurement(self._target, now, no_data_reason=str(error))
        groups = (Group("", count, pattern) for pattern, count in by_pattern.most_common())
        return Measurement(
            self._target,
            now,
            span_s=self._window_s,
            failed=float(counts.total()),
            groups=tuple(groups),
            link=self._link,
        )

    async def _query(self, parameters: Mapping[str, Any]) -> HttpResult:
        url = f"{self._request.url}?{_encode({**self._base_query, **parameters})}"
        return await self._fetcher.fetch(replace(self._request, url=url))


def count_by_pattern(reply: HttpResult) -> Counter[str]:
    """Count an answer's events by the pattern of their titles, if it has titles.

    Raises `NoUsableAnswer`, also if the token sees no project: the API answers 200 without rows,
    which does not mean "no events". A query that did run names its fields.
    """
    match require_json(reply, REMEDIES):
        case {"data": list(rows), "meta": {"fields": dict()}}:
            counts = Counter[str]()
            for row in rows:
                match row:
                    case {"count()": int(count)} if 0 <= count < MAX_COUNT:
                        title = row.get("title")
                        counts[match_pattern(title) if isinstance(title, str) else ""] += count
                    case _:
                        raise NoUsableAnswer(UNEXPECTED)
            return +counts
        case {"data": [], "meta": dict()}:
            raise NoUsableAnswer("no project is visible to the token")
    raise NoUsableAnswer(UNEXPECTED)


def _issues_link(server: Sentry, shown: Mapping[str, str]) -> str:
    """Return the URL of the page for people; empty if it is not https.

    The API of sentry.io is at another host (de.sentry.io, us.sentry.io) than its pages.
    """
    host = host_of(server.url)
    if host == CLOUD_HOST or host.endswith(f".{CLOUD_HOST}"):
        return f"https://{server.organization}.{CLOUD_HOST}/issues/?{_encode(shown)}"
    page = f"{server.url}/organizations/{server.organization}/issues/?{_encode(shown)}"
    return page if page.startswith("https://") else ""


def _encode(parameters: Mapping[str, Any]) -> str:
    return urlencode(parameters, doseq=True, quote_via=quote)
