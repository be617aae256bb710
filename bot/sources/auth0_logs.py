"""Reads a tenant's log with the Management API, from a checkpoint on. No row is stored.

https://auth0.com/docs/deploy-monitor/logs/retrieve-log-events-using-mgmt-api (read 2026-11).
Rows come in the order of their ids, late rows too, so a checkpoint skips nothing.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from bot.core.auth0_logs.events import LATE_S, LINK, Json, get_text, parse_instant, tally_rows
from bot.core.model.fault import classify_answer, parse_quota_remaining
from bot.core.model.measurement import FIRST_READ, Measurement
from bot.core.model.observation import LOGS, Target
from bot.http import HttpRequest
from bot.sources.answer import UNEXPECTED, NoUsableAnswer, require_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.config.settings import Tenant
    from bot.http import Fetcher, HttpResult

LOGS_PATH = "/api/v2/logs"
PAGE_SIZE = 100
"""Rows on a page: Auth0's maximum."""
MAX_PAGES = 10
"""In one poll; the next poll continues."""
BODY_CAP = 10_000_000
"""Bytes. The row of a changed setting contains the whole request and response."""
RENEW_BEFORE_S = 60.0
UNKNOWN_WAIT_S = 60.0
"""After a 429 that does not say when to retry."""
REFUSED_WAIT_S = 300.0
"""After refused credentials: each further try adds a failed row to the tenant's own log."""
UNAUTHORIZED, FORBIDDEN, TOO_MANY = 401, 403, 429
CHECKPOINT_GONE = frozenset({400, 404})
TOKEN_REMEDIES = {
    UNAUTHORIZED: "check client_id and client_secret",
    FORBIDDEN: "authorize the application for the Auth0 Management API",
    TOO_MANY: "rate limit",
}
LOG_REMEDIES = {
    UNAUTHORIZED: "the token is refused",
    FORBIDDEN: "the application needs the permission read:logs",
    TOO_MANY: "rate limit",
}
NEXT_LINK = re.compile(r'<([^<>]{1,2000})>;\s*rel="?next\b')


class TenantLog:
    """Counts the rows that are new since the last poll.

    A restart loses the checkpoint: then the bot reads on from the newest row.
    """

    def __init__(
        self, tenant: Tenant, *, client_id: str, client_secret: str, fetcher: Fetcher
    ) -> None:
        """Read the log of `tenant` as the application `client_id`."""
        base_url = tenant.base_url or f"https://{tenant.domain}"
        token_request = HttpRequest(
            url=f"{base_url}/oauth/token",
            form={
                "grant_type": "client_credentials",
                "client_id": client_id,
                "client_secret": client_secret,
                "audience": f"https://{tenant.domain}/api/v2/",
            },
            timeout_s=tenant.probe.timeout,
            ca_file=tenant.ca_file,
        )
        self._api = _ManagementApi(token_request, fetcher)
        self._url = base_url + LOGS_PATH
        self._target = Target(tenant.name, LOGS)
        self._own_clients = tenant.own_clients
        # The reader's own requests for tokens are nobody's logins.
        self._ignored_clients = {client_id} - self._own_clients
        self._clock = fetcher.clock
        self._next_url = ""
        """Where the next poll starts; empty: not known yet."""
        self._since = 0.0
        self._seen_ids: frozenset[str] = frozenset()
        """Ids of the rows of the last poll that had any."""
        self._lock = asyncio.Lock()

    async def measure(self) -> Measurement:
        """Count the new rows. Never raises, except when cancelled, which loses no row.

        The measurement's time span begins where the last one ended. It ends now or, if there are
        more rows than one poll reads, with the last row that was read.
        """
        async with self._lock:
            try:
                if not self._next_url:
                    await self._restart(FIRST_READ)
                return await self._count_new()
            except NoUsableAnswer as error:
                return Measurement(
                    self._target, self._clock.now(), no_data_reason=str(error), link=LINK
                )

    async def _restart(self, reason: str) -> NoReturn:
        """Set the checkpoint at the newest row. Raises `NoUsableAnswer`: there is no data yet."""
        self._next_url, self._since = "", self._clock.now()
        newest = await self._api.get_page(f"{self._url}?sort=date:-1&page=0&per_page=1")
        self._next_url = self._url_after(newest.rows)
        raise NoUsableAnswer(reason if self._next_url else "the log is empty")

    async def _count_new(self) -> Measurement:
        try:
            rows, is_all = await self._read_pages()
        except _CheckpointGone:
            await self._restart("the place in the log is lost: reading begins anew")
        now = self._clock.now()
        dates = [at for row in rows.values() if (at := parse_instant(row)) is not None]
        until = now if is_all else max(min(max(dates, default=now), now), self._since)
        if now - until > LATE_S:  # reading them all would use up the tenant's quota
            await self._restart("too many rows to keep up: reading begins anew")
        since = max(self._since, now - LATE_S)  # what is older is not counted
        span_s, self._since = max(until - since, 1.0), until
        ignored = self._ignored_clients
        counted = [row for row in rows.values() if get_text(row, "client_id") not in ignored]
        return tally_rows(
            self._target, counted, own_clients=self._own_clients, at=now, span_s=span_s
        )

    async def _read_pages(self) -> tuple[dict[str, Json], bool]:
        """Return the new rows by id, and whether these are all.

        Rows count even if a later page fails. Raises `NoUsableAnswer` if no row was read.
        """
        rows: dict[str, Json] = {}
        is_all = False
        following = self._next_url
        for _ in range(MAX_PAGES):
            try:
                page = await self._api.get_page(following)
            except NoUsableAnswer:
                if not rows:
                    raise
                break
            known = rows.keys() | self._seen_ids | {""}
            by_id = {get_text(row, "log_id"): row for row in page.rows}
            new = {log_id: row for log_id, row in by_id.items() if log_id not in known}
            rows |= new
            link = NEXT_LINK.search(page.link)
            # Not another host's, since the token is sent.
            linked = link[1] if link and link[1].startswith(f"{self._url}?") else ""
            following = linked or self._url_after(page.rows) or following
            is_all = not new
            if is_all or page.is_last_request:
                break
        self._next_url, self._seen_ids = following, frozenset(rows) or self._seen_ids
        return rows, is_all

    def _url_after(self, page: list[Json]) -> str:
        """Return the URL of what follows a page; empty for an empty page."""
        log_id = get_text(page[-1], "log_id") if page else ""
        return f"{self._url}?from={quote(log_id, safe='')}&take={PAGE_SIZE}" if log_id else ""


@dataclass(frozen=True, slots=True)
class _Page:
    """Some rows of the log, the oldest first."""

    rows: list[Json]
    link: str
    """The header with the next page's URL."""
    is_last_request: bool
    """The tenant's rate limit is used up: one more request would fail, or take somebody else's."""


class _CheckpointGone(NoUsableAnswer):
    """Auth0 does not know (any more) the row after which the bot wants to read."""


class _ManagementApi:
    """Sends requests with a token that it renews in time; after a refusal it waits."""

    def __init__(self, token_request: HttpRequest, fetcher: Fetcher) -> None:
        self._token_request = token_request
        self._fetcher = fetcher
        self._clock = fetcher.clock
        self._token = ""
        self._token_until = 0.0
        self._backoff_until = 0.0
        self._backoff_reason = ""

    async def get_page(self, url: str) -> _Page:
        """Return the page at this URL of the log. Raises `NoUsableAnswer`."""
        if self._clock.now() < self._backoff_until:
            raise NoUsableAnswer(self._backoff_reason)
        reply = await self._get(url)
        if reply.status == UNAUTHORIZED:  # revoked early, or signed by a key that was rotated out
            self._token = ""
            reply = await self._get(url)
        if reply.status in CHECKPOINT_GONE and "from=" in url:
            raise _CheckpointGone
        # `require_json` takes only objects: the array becomes its one field.
        wrapped = replace(reply, body=b'{"rows": %b}' % reply.body)
        rows = self._require_json(wrapped, LOG_REMEDIES).get("rows")
        if not isinstance(rows, list):
            raise NoUsableAnswer(UNEXPECTED)
        return _Page(
            rows=[row for row in rows if isinstance(row, dict)],
            link=reply.headers.get("link", ""),
            is_last_request=parse_quota_remaining(reply.headers) == 0,
        )

    async def _get(self, url: str) -> HttpResult:
        if not self._token or self._clock.now() >= self._token_until:
            began_at = self._clock.now()
            reply = await self._fetcher.fetch(self._token_request)
            document = self._require_json(reply, TOKEN_REMEDIES)
            token, lasts_s = get_text(document, "access_token"), document.get("expires_in")
            if not re.fullmatch(r"[!-~]+", token) or not isinstance(lasts_s, int):
                raise NoUsableAnswer(UNEXPECTED)
            self._token, self._token_until = token, began_at + lasts_s - RENEW_BEFORE_S
        request = replace(
            self._token_request,
            url=url,
            form=None,
            headers={"Authorization": f"Bearer {self._token}"},
            cap=BODY_CAP,
        )
        return await self._fetcher.fetch(request)

    def _require_json(self, reply: HttpResult, remedies: Mapping[int, str]) -> Mapping[str, Any]:
        try:
            return require_json(reply, remedies)
        except NoUsableAnswer as error:
            self._back_off(reply, str(error))
            raise

    def _back_off(self, reply: HttpResult, reason: str) -> None:
        """After a refusal, send nothing for as long as it asks for."""
        now = self._clock.now()
        if reply.status == TOO_MANY:
            fault = classify_answer(reply.status, None, headers=reply.headers, now=now)
            retry_at = fault.retry_at if fault else None
            self._backoff_until, self._backoff_reason = retry_at or now + UNKNOWN_WAIT_S, reason
        elif reply.status in {UNAUTHORIZED, FORBIDDEN}:
            self._token = ""  # a permission that is granted later is in later tokens only
            self._backoff_until, self._backoff_reason = now + REFUSED_WAIT_S, reason
