"""A tenant's log by the Management API: read on from a checkpoint, never stored.

https://auth0.com/docs/deploy-monitor/logs/retrieve-log-events-using-mgmt-api (read 2026-11).
Rows come in the order of their ids, late ones too, so a checkpoint skips nothing.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from bot.core.auth0_logs.events import LINK, Json, get_text, parse_instant, tally_rows
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
"""Rows on a page: the most that Auth0 gives."""
MAX_PAGES = 10
"""In one poll; the next one goes on."""
BODY_CAP = 10_000_000
"""A row of a changed setting holds all that was sent and answered."""
MAX_BEHIND_S = 600.0
"""Rows that are older say nothing about now, and catching up would spend the tenant's quota."""
RENEW_BEFORE_S = 60.0
UNKNOWN_WAIT_S = 60.0
"""After a 429 that does not say when to come again."""
REFUSED_WAIT_S = 300.0
"""After refused credentials: each further try is one more failed row in the tenant's own log."""
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

    The checkpoint is lost with the process: then the reading begins anew.
    """

    def __init__(
        self, tenant: Tenant, *, client_id: str, client_secret: str, fetcher: Fetcher
    ) -> None:
        """Read the log of `tenant` as the application `client_id`."""
        base_url = tenant.base_url or f"https://{tenant.domain}"
        ask_token = HttpRequest(
            url=f"{base_url}/oauth/token",
            form=_token_form(tenant.domain, client_id, client_secret),
            timeout_s=tenant.probe.timeout,
            ca_file=tenant.ca_file,
        )
        self._api = _ManagementApi(ask_token, fetcher)
        self._url = base_url + LOGS_PATH
        self._target = Target(tenant.name, LOGS)
        self._reader_client = client_id
        self._own_clients = tenant.own_clients
        self._clock = fetcher.clock
        self._next_url = ""
        """Where to go on; empty: nowhere yet."""
        self._since = 0.0
        self._seen_ids: frozenset[str] = frozenset()
        """Ids of the rows of the last poll that had any."""
        self._lock = asyncio.Lock()

    async def measure(self) -> Measurement:
        """Count what is new. Never raises but on cancellation, after which nothing is lost.

        The span begins where that of the last figures ended. It ends now, or, where not all could
        be read in one poll, with the last row that was.
        """
        async with self._lock:
            try:
                if not self._next_url:
                    await self._restart(FIRST_READ)
                return await self._count_new()
            except NoUsableAnswer as missing:
                return Measurement(
                    self._target, self._clock.now(), no_data_reason=str(missing), link=LINK
                )

    async def _restart(self, why: str) -> NoReturn:
        """Set the checkpoint at the newest row. Raises `Missing`: there are no figures yet."""
        self._next_url, self._since = "", self._clock.now()
        newest = await self._api.get_page(f"{self._url}?sort=date:-1&page=0&per_page=1")
        self._next_url = self._url_after(newest.rows)
        raise NoUsableAnswer(why if self._next_url else "the log is empty")

    async def _count_new(self) -> Measurement:
        try:
            rows, is_all = await self._read_pages()
        except _CheckpointGone:
            await self._restart("the place in the log is lost: reading begins anew")
        now = self._clock.now()
        until = now if is_all else max(_newest_at(rows, now), self._since)
        if now - until > MAX_BEHIND_S:
            await self._restart("too many rows to keep up: reading begins anew")
        span_s, self._since = max(until - self._since, 1.0), until
        # The reader's own requests for tokens are nobody's logins.
        ours = {self._reader_client} - self._own_clients
        counted = [row for row in rows.values() if get_text(row, "client_id") not in ours]
        return tally_rows(
            self._target, counted, own_clients=self._own_clients, at=now, span_s=span_s
        )

    async def _read_pages(self) -> tuple[dict[str, Json], bool]:
        """Return the new rows by id, and whether these are all.

        What was read counts, whatever comes after it. Raises `Missing` where nothing was read.
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
            told = {get_text(row, "log_id"): row for row in page.rows}
            known = rows.keys() | self._seen_ids | {""}
            fresh = {log_id: row for log_id, row in told.items() if log_id not in known}
            rows |= fresh
            following = self._linked_url(page) or self._url_after(page.rows) or following
            is_all = not fresh
            if is_all or page.is_last_request:
                break
        self._next_url, self._seen_ids = following, frozenset(rows) or self._seen_ids
        return rows, is_all

    def _linked_url(self, page: _Page) -> str:
        """Return the next page's address; empty where it is not ours: a token goes along."""
        found = NEXT_LINK.search(page.link)
        return found[1] if found and found[1].startswith(f"{self._url}?") else ""

    def _url_after(self, page: list[Json]) -> str:
        """Return the address of what comes after a page; empty for an empty one."""
        log_id = get_text(page[-1], "log_id") if page else ""
        return f"{self._url}?from={quote(log_id, safe='')}&take={PAGE_SIZE}" if log_id else ""


@dataclass(frozen=True, slots=True)
class _Page:
    """Some rows of the log, the oldest first."""

    rows: list[Json]
    link: str
    """The header that leads on."""
    is_last_request: bool
    """The tenant's bucket is empty: one more request would be refused, or somebody else's."""


class _CheckpointGone(NoUsableAnswer):
    """Auth0 does not know the row (any more) after which we want to read on."""


class _ManagementApi:
    """Asks with a token that is renewed before it ends, and not at all while that is unwelcome."""

    def __init__(self, ask_token: HttpRequest, fetcher: Fetcher) -> None:
        self._token_request = ask_token
        self._fetcher = fetcher
        self._clock = fetcher.clock
        self._token = ""
        self._token_until = 0.0
        self._backoff_until = 0.0
        self._backoff_reason = ""

    async def get_page(self, url: str) -> _Page:
        """Return what is at this address of the log. Raises `Missing`."""
        if self._clock.now() < self._backoff_until:
            raise NoUsableAnswer(self._backoff_reason)
        reply = await self._get(url)
        if reply.status == UNAUTHORIZED:  # revoked early, or signed by a key that was rotated out
            self._token = ""
            reply = await self._get(url)
        if reply.status in CHECKPOINT_GONE and "from=" in url:
            raise _CheckpointGone
        # Only an object is a document: the array becomes its one field.
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
            await self._renew_token()
        call = replace(
            self._token_request,
            url=url,
            form=None,
            headers={"Authorization": f"Bearer {self._token}"},
            cap=BODY_CAP,
        )
        return await self._fetcher.fetch(call)

    async def _renew_token(self) -> None:
        began_at = self._clock.now()
        told = self._require_json(await self._fetcher.fetch(self._token_request), TOKEN_REMEDIES)
        token, lasts_s = get_text(told, "access_token"), told.get("expires_in")
        if not re.fullmatch(r"[!-~]+", token) or not isinstance(lasts_s, int):
            raise NoUsableAnswer(UNEXPECTED)
        self._token, self._token_until = token, began_at + lasts_s - RENEW_BEFORE_S

    def _require_json(self, reply: HttpResult, remedies: Mapping[int, str]) -> Mapping[str, Any]:
        try:
            return require_json(reply, remedies)
        except NoUsableAnswer as missing:
            self._back_off(reply, str(missing))
            raise

    def _back_off(self, reply: HttpResult, why: str) -> None:
        """Be silent for as long as a refusal asks for."""
        now = self._clock.now()
        if reply.status == TOO_MANY:
            fault = classify_answer(reply.status, None, headers=reply.headers, now=now)
            until = fault.retry_at if fault else None
            self._backoff_until = until or now + UNKNOWN_WAIT_S
            self._backoff_reason = why
        elif reply.status in {UNAUTHORIZED, FORBIDDEN}:
            self._token = ""  # a permission that is given later is in later tokens only
            self._backoff_until, self._backoff_reason = now + REFUSED_WAIT_S, why


def _token_form(domain: str, client_id: str, client_secret: str) -> dict[str, str]:
    return {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": client_secret,
        "audience": f"https://{domain}/api/v2/",
    }


def _newest_at(rows: Mapping[str, Json], now: float) -> float:
    """Return when the newest row happened, as far as rows tell; never in the future."""
    told = [at for row in rows.values() if (at := parse_instant(row)) is not None]
    return min(max(told, default=now), now)
