"""Tells whether a database of ours, or the log beside it, is damaged."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from bot.ports import StoreError

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID = 0x4130434B
"""Marks our databases in SQLite's header: "A0CK"."""
_MAGIC = b"SQLite format 3\0"
_HEADER_BYTES = 100
_APPLICATION_ID_AT = 68
"""Offsets by https://sqlite.org/fileformat2.html, section 1.3, read 2026-11."""
DAMAGE_CODES = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def is_damaged(path: Path) -> bool:
    """Check the whole file. Raises `StoreError` if it is not a database of ours."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    # A header that was cut off or zeroed counts as ours: it may be damaged.
    is_ours = header != b"" and (header.startswith(_MAGIC) or not header.strip(b"\0"))
    if header.startswith(_MAGIC) and len(header) == _HEADER_BYTES:
        is_ours = header[_APPLICATION_ID_AT:].startswith(APPLICATION_ID.to_bytes(4, "big"))
    if not is_ours:
        what = "belongs to another program" if header else "is empty"
        raise StoreError(
            f"The file {path} {what}: give another `database`, or move it away to begin afresh"
        )
    try:
        with closing(sqlite3.connect(path)) as connection:
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        if error_code(error) not in DAMAGE_CODES:
            raise
        return True
    return bool(verdict != "ok")


_WAL_MAGIC = {0x377F0682: "<", 0x377F0683: ">"}
"""With the byte order of the checksums (https://sqlite.org/fileformat2.html, 4.1, read 2026-11)."""
_WAL_HEADER, _FRAME_HEADER = 32, 24
_MOST_GENERATIONS = 1_000_000
"""How often a log may have begun again since an old part of it was written."""


def is_log_damaged(log: Path) -> bool:
    """Tell whether commits in a database's log were lost. SQLite leaves them out without a word.

    A process that was killed leaves at most its last frame unfinished, and behind it frames of
    earlier generations of the log, which count on.
    """
    content = log.read_bytes() if log.exists() else b""
    if len(content) < _WAL_HEADER:
        return False
    magic, _, page, _, salt, salt_2, *sums = struct.unpack_from(">8I", content)
    order = _WAL_MAGIC.get(magic)
    if order is None or [*_add_checksum(order, content[:24], (0, 0))] != sums:
        return bool(content.strip(b"\0"))
    checksum, has_ended = (sums[0], sums[1]), False
    size = _FRAME_HEADER + page
    for start in range(_WAL_HEADER, len(content) - size + 1, size):
        frame = content[start : start + size]
        _, _, salt_of_frame, second, *sums = struct.unpack_from(">6I", frame)
        if (salt_of_frame, second) != (salt, salt_2):
            age = (salt - salt_of_frame) % 2**32
            if age > _MOST_GENERATIONS and frame.strip(b"\0"):
                return True
            has_ended = True
            continue
        if has_ended:
            return True
        checksum = _add_checksum(order, frame[:8] + frame[_FRAME_HEADER:], checksum)
        has_ended = [*checksum] != sums
    return False


def _add_checksum(order: str, part: bytes, checksum: tuple[int, int]) -> tuple[int, int]:
    first, second = checksum
    words = struct.unpack(f"{order}{len(part) // 4}I", part)
    for even, odd in zip(words[::2], words[1::2], strict=True):
        first = (first + even + second) & 0xFFFFFFFF
        second = (second + odd + first) & 0xFFFFFFFF
    return first, second


def error_code(error: DBAPIError | sqlite3.Error) -> int:
    """Return SQLite's primary result code (https://sqlite.org/rescode.html), 0 without one."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    extended: int = getattr(cause, "sqlite_errorcode", 0)
    return extended & 0xFF
