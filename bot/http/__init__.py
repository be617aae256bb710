"""The only importer of httpx: one timed, capped, classified request at a time."""

from bot.http.client import Fetch, Fetcher, HttpRequest, HttpResult, Stopwatch, parse_json_object
from bot.http.errors import NoData
from bot.http.inspection import AddressInspection, inspect_host
from bot.http.loop_lag import LoopLag
from bot.http.network import Network, SystemNetwork

__all__ = [
    "AddressInspection",
    "Fetch",
    "Fetcher",
    "HttpRequest",
    "HttpResult",
    "LoopLag",
    "Network",
    "NoData",
    "Stopwatch",
    "SystemNetwork",
    "inspect_host",
    "parse_json_object",
]
