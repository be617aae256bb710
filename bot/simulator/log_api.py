"""The part of a tenant's Management API that reads the log ("Get log events", read 2026-11)."""

from __future__ import annotations

import secrets
from bisect import bisect
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.simulator.tenant import Signer
    from bot.simulator.tenant_log import TenantLog

LOG_READER = "log-reader"
"""The client id that may read tenants' logs."""
PATH = "/api/v2/logs"
_PAGE_SIZE = 50
_MAX_PAGE_SIZE = 100
"""Rows on one page."""
_MAX_FOUND = 1000
"""A search returns no more rows in all."""
_TOKEN_S = 86400
"""Lifetime of a token for the Management API (Auth0's default)."""


class LocalLogApi:
    """The part of a tenant's Management API that reads the log."""

    def __init__(self, log: TenantLog, signer: Signer, secret: str) -> None:
        """Accept the application `LOG_READER` with this `secret`."""
        self.log = log
        self._signer = signer
        self._secret = secret
        self._audience = f"https://{log.tenant.domain}/api/v2/"
        self._tokens: dict[str, float] = {}

    def is_log_request(self, path: str, form: Mapping[str, str]) -> bool:
        """Tell whether a request is for the log, or for a token to read it."""
        return path == PATH or form.get("client_id") == LOG_READER

    def answer(self, request: web.Request, form: Mapping[str, str], now: float) -> web.Response:
        """Answer a request for the log or for a token."""
        if request.path != PATH:
            return self._issue_token(form, now)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or self._tokens.get(token, 0.0) <= now:
            return _error_response(401, "Unauthorized", "Invalid token")
        try:
            return self._search_page(request, self.log.rows(now))
        except ValueError as error:
            return _error_response(400, "Bad Request", f"Query validation error: '{error}'")

    def _issue_token(self, form: Mapping[str, str], now: float) -> web.Response:
        given = (form.get("client_id"), form.get("client_secret"))
        if given != (LOG_READER, self._secret):
            refused = {"error": "access_denied", "error_description": "Unauthorized"}
            return web.json_response(refused, status=401)
        claims = {"aud": self._audience, "iat": int(now), "exp": int(now) + _TOKEN_S}
        token = self._signer.sign({**claims, "jti": secrets.token_hex(8), "scope": "read:logs"})
        self._tokens[token] = now + _TOKEN_S
        granted = {"access_token": token, "expires_in": _TOKEN_S, "token_type": "Bearer"}
        return web.json_response({**granted, "scope": "read:logs"})

    def _search_page(self, request: web.Request, rows: list[dict[str, Any]]) -> web.Response:
        asked = request.query
        if "from" in asked:
            return _checkpoint_page(request, rows, _read_int(asked, "take", _PAGE_SIZE))
        page, size = _read_int(asked, "page", 0), _read_int(asked, "per_page", _PAGE_SIZE)
        is_newest_first = asked.get("sort", "date:-1") == "date:-1"
        found = sorted(rows, key=itemgetter("date"), reverse=is_newest_first)[:_MAX_FOUND]
        return web.json_response(found[page * size : (page + 1) * size])


def _checkpoint_page(request: web.Request, rows: list[dict[str, Any]], take: int) -> web.Response:
    """Answer in checkpoint mode, which ignores all other parameters and always has a next page."""
    begin = request.query["from"]
    place = bisect(rows, begin, key=itemgetter("log_id"))
    found = rows[place : place + take]
    following = found[-1]["log_id"] if found else begin
    url = f"https://{request.host}{PATH}?from={following}&take={take}"
    return web.json_response(found, headers={"link": f'<{url}>; rel="next"'})


def _read_int(asked: Mapping[str, str], name: str, default: int) -> int:
    number = int(asked.get(name, default))
    if not 0 <= number <= _MAX_PAGE_SIZE:
        raise ValueError(f"{name} must be 0 to {_MAX_PAGE_SIZE}")
    return number


def _error_response(status: int, error: str, message: str) -> web.Response:
    document = {"statusCode": status, "error": error, "message": message}
    return web.json_response(document, status=status)
