"""What the bot knows and says of its own work: an audit, a ping, reports of its own faults."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bot.core.alerting.audit import AuditResult, audit
from bot.core.model.observation import Outcome
from bot.core.state.incident import OwnFault
from bot.core.state.stimulus import OwnFaultSeen
from bot.http import HttpRequest
from bot.ports import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bot.core.model.observation import Observation
    from bot.core.state.incident import OwnFaultKind
    from bot.core.state.rules import Rules
    from bot.http import Fetcher
    from bot.ports import Clock, Store

log = logging.getLogger(__name__)

AUDIT_EVERY_S = 60.0
PING_TIMEOUT_S = 10.0


class Auditor:
    """Finds overdue escalation steps and undelivered alerts, from the store alone.

    Args:
        store: is read, and nothing else.
        clock: the time.
        rules: when a step is due.
    """

    def __init__(self, store: Store, clock: Clock, rules: Rules) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self.result = AuditResult()
        """What the last audit found."""
        self.error = ""
        """Why it could not be made; empty: it was."""

    @property
    def problem(self) -> str:
        """Say in one line what is overdue; empty: nothing."""
        found = [f"a step of incident {number} is overdue" for number in self.result.steps]
        found += [f"{key} is not delivered" for key in self.result.undelivered]
        more = f", and {len(found) - 3} more" if len(found) > 3 else ""  # noqa: PLR2004
        return self.error or ", ".join(found[:3]) + more

    async def run(self) -> None:
        """Audit again and again. Never ends."""
        while True:
            await self._clock.sleep(AUDIT_EVERY_S)
            await self.check()

    async def check(self) -> None:
        """Audit once. What is newly overdue is logged."""
        try:
            unfinished = await self._store.read_unfinished()
        except StoreError as error:
            self.error = f"nothing can be audited: {error}"
            return
        before, self.error, now = self.result, "", self._clock.now()
        self.result = audit(unfinished.incidents, unfinished.deliveries, now, self._rules)
        for number in {*self.result.steps} - {*before.steps}:
            log.error("audit: a step of the escalation of incident %d is overdue", number)
        for key in {*self.result.undelivered} - {*before.undelivered}:
            log.error("audit: %s is not delivered", key)


class CyclePing:
    """Pings an address after each cycle in which every tenant was checked (Healthchecks style).

    It is no timer's ping: it stays away if the bot cannot check a tenant, or if a part stalls.

    Args:
        fetcher: sends the ping.
        url: where to.
        tenants: their names.
        is_well: tells whether every part of the bot gets on.
    """

    def __init__(
        self, fetcher: Fetcher, url: str, tenants: Iterable[str], is_well: Callable[[], bool]
    ) -> None:
        self._fetcher = fetcher
        self._request = HttpRequest(url=url, timeout_s=PING_TIMEOUT_S, cap=0)
        self._tenants = frozenset(tenants)
        self._is_well = is_well
        self._unchecked = set(self._tenants)
        self._is_complete = asyncio.Event()
        self._has_failed = False

    def note(self, observation: Observation) -> None:
        """Take the result of a probe."""
        if observation.outcome is not Outcome.NO_DATA:
            self._unchecked.discard(observation.target.owner)
        if not self._unchecked:
            self._unchecked = set(self._tenants)
            self._is_complete.set()

    async def run(self) -> None:
        """Ping after each cycle. Never ends."""
        while True:
            await self._is_complete.wait()
            self._is_complete.clear()
            if self._is_well():
                await self._ping()

    async def _ping(self) -> None:
        result = await self._fetcher.fetch(self._request)
        has_failed = not 200 <= result.status < 300  # noqa: PLR2004 - success
        if has_failed and not self._has_failed:
            fault = result.fault
            reason = f"{fault.stage} {fault.reason}" if fault else f"HTTP {result.status}"
            reason = result.no_data_reason or reason
            log.warning("the ping after a cycle of checks failed: %s", reason)
        self._has_failed = has_failed


class FaultReport:
    """Lets a fault of the bot itself be posted once it lasts, and its end once that lasts.

    Args:
        kind: of the fault.
        after_s: how long it must last to be posted, and to be over, in real seconds.
        now: returns the time.
        submit: takes what is to be posted.
    """

    def __init__(
        self,
        kind: OwnFaultKind,
        after_s: float,
        now: Callable[[], float],
        submit: Callable[[OwnFaultSeen], None],
    ) -> None:
        self._kind = kind
        self._after_s = after_s
        self._now = now
        self._submit = submit
        self._reported: bool | None = None
        """Whether it was there at the last report; None: an earlier process may have posted it."""
        self._differs_since: float | None = None

    def update(self, *, is_there: bool, detail: str = "", ahead_s: float = 0.0) -> None:
        """Take how things stand now."""
        if is_there is self._reported:
            self._differs_since = None
            return
        now = asyncio.get_running_loop().time()
        self._differs_since = now if self._differs_since is None else self._differs_since
        if now - self._differs_since >= self._after_s:
            self._reported, self._differs_since = is_there, None
            fault = OwnFault(self._kind, detail, ahead_s)
            self._submit(OwnFaultSeen(self._now(), fault, is_over=not is_there))
