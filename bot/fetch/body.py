"""Reading a body without letting it grow: a capped stream, and JSON that may be hostile."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

GZIP_OR_ZLIB = 47
"""`wbits` for zlib: 15, plus 32 to detect either header."""
INFLATED = frozenset({"gzip", "x-gzip", "deflate"})


class BadBody(Exception):  # noqa: N818 - says what it is
    """The body is not fit to be read: `too_large` or `bad_encoding`."""


async def read_body(response: httpx.Response, cap: int) -> bytes:
    """Read at most `cap` bytes, counted after inflating.

    We ask for `identity`, yet some servers compress all the same. httpx would inflate 64 KB of a
    gzip bomb to 64 MB before we see a byte. Raises `BadBody` or `zlib.error`.
    """
    inflate = _inflater(response.headers.get("content-encoding", "identity"))
    body, is_empty = bytearray(), True
    async for chunk in response.aiter_raw():
        is_empty = False
        body += inflate.decompress(chunk, cap + 1 - len(body)) if inflate else chunk
        if len(body) > cap:
            raise BadBody("too_large")
    if inflate and not inflate.eof and not is_empty:
        raise BadBody("bad_encoding")
    return bytes(body)


def read_object(body: bytes) -> dict[str, Any] | None:
    """Read a JSON object in UTF-8; None for anything else, however deep, long or broken."""
    try:
        document = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):  # the former also for integers beyond 4,300 digits
        return None
    return document if isinstance(document, dict) else None


def _inflater(encoding: str) -> zlib._Decompress | None:
    name = encoding.strip().lower()
    if name in {"identity", ""}:
        return None
    if name not in INFLATED:
        raise BadBody("bad_encoding")
    return zlib.decompressobj(GZIP_OR_ZLIB)
