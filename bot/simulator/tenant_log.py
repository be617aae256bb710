"""A tenant's log in the virtual world: rows as Auth0's API returns them, personal data included.

Fields and event type codes as in Auth0's log schema (auth0-log-schemas, read 2026-11).
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from bot.simulator.scenario import Row
from bot.simulator.signals import SLICE_S, Signals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.simulator.scenario import Tenant
    from bot.simulator.world import World

LOGIN_ROW = Row("sepft", 0.0)
"""Success exchange of a password for a token: the row of a synthetic login."""
PROBE_CLIENT = "probe"
"""The client id of synthetic logins, where it does not matter."""
HISTORY_S = 300.0
"""Seconds of rows in the log before the simulation begins."""
LogRow = dict[str, Any]
_ERROR_CLASSES = ("action_error", "action_timeout", "rate_limited", "platform_error")
_METHODS = {"created": "post", "updated": "patch", "deleted": "delete"}
_PATHS = {
    "action deployed": ("post", "actions/actions/0/deploy"),
    "client secret rotated": ("post", "clients/0/rotate-secret"),
    "tenant settings updated": ("patch", "tenants/settings"),
}


def log_document(row: Row, tenant: Tenant) -> LogRow:
    """Return the part of a row that is equal in all rows of its kind."""
    document: LogRow = {"type": row.type, "description": row.description}
    document["client_id"] = PROBE_CLIENT if row is LOGIN_ROW else "application"
    if tenant.environment:
        document["environment_name"] = f"prod-{tenant.environment.lower()}"
    if row.connection:
        document["connection"] = row.connection
    if row.description in _ERROR_CLASSES:
        document["details"] = {"error_class": row.description}
    return document


class TenantLog:
    """The rows of one tenant so far, in the order of their ids."""

    def __init__(self, world: World, tenant: Tenant) -> None:
        """Begin before the warm-up: a real log is rarely empty."""
        self.tenant = tenant
        self._scenario = world.scenario
        self._signals = Signals(world.scenario, world.seed)
        self._drawn_until = -world.scenario.warmup_s // SLICE_S * SLICE_S - HISTORY_S
        self._coming: deque[tuple[float, LogRow]] = deque()
        self._rows: list[LogRow] = []

    def record_login(self, at: float, client_id: str) -> None:
        """Record a synthetic login."""
        self.rows(at)
        self._add(at, log_document(LOGIN_ROW, self.tenant) | {"client_id": client_id})

    def rows(self, at: float) -> list[LogRow]:
        """Return all rows at an instant."""
        while self._drawn_until <= at - self._scenario.start_at:
            self._coming.extend(sorted(self._draw(self._drawn_until), key=itemgetter(0)))
            self._drawn_until += SLICE_S
        while self._coming and self._coming[0][0] <= at:
            self._add(*self._coming.popleft())
        return self._rows

    def _draw(self, since: float) -> Iterator[tuple[float, LogRow]]:
        """Draw the rows of a slice, with their times."""
        start_at, until = self._scenario.start_at, since + SLICE_S
        drawn = self._signals.log_rows(self.tenant.name, since, until)
        for number, (row, count) in enumerate(drawn.items()):
            for place in range(count):
                at = start_at + since + SLICE_S * (place + number / len(drawn)) / count
                yield at, log_document(row, self.tenant)
        for change in self._scenario.changes:
            if change.tenant == self.tenant.name and since <= change.at_s < until:
                yield start_at + change.at_s, _change_row(change.what)

    def _add(self, at: float, row: LogRow) -> None:
        """Give a row its id, its date and its user."""
        number = len(self._rows)
        moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
        person = {
            "log_id": f"900{number:053d}",
            "_id": f"900{number:053d}",
            "date": moment.replace("+00:00", "Z"),
            "ip": f"203.0.113.{number % 256}",
            "user_agent": "Chrome 148.0.0 / Mac OS X 15.6.0",
            "user_id": f"auth0|{number:024x}",
            "user_name": f"jane.doe{number}@acme.example",
        }
        self._rows.append(row | person)


def _change_row(what: str) -> LogRow:
    """Return the row of a change by the Management API, such as `client updated`."""
    thing, _, done = what.rpartition(" ")
    usual = _METHODS.get(done, ""), f"{thing.replace(' ', '-')}s/0"
    method, path = _PATHS.get(what, usual)
    request = {"method": method, "path": f"/api/v2/{path}"}
    return {"type": "sapi", "description": what, "details": {"request": request}}
