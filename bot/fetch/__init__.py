"""The only importer of httpx: one timed, capped, classified request at a time."""

from bot.fetch.body import read_object
from bot.fetch.client import Call, Fetcher, Reply
from bot.fetch.failure import Blind
from bot.fetch.lag import LoopLag
from bot.fetch.path import Path, SystemPath
from bot.fetch.stopwatch import Stopwatch

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
