"""The only importer of httpx: one timed, capped, classified request at a time."""

from bot.http.client import Call, Fetcher, Reply, Stopwatch, read_object
from bot.http.errors import Blind
from bot.http.loop_lag import LoopLag
from bot.http.resolver import Path, SystemPath

__all__ = [
    "Blind",
    "Call",
    "Fetcher",
    "LoopLag",
    "Path",
    "Reply",
    "Stopwatch",
    "SystemPath",
    "read_object",
]
