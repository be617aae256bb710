"""Everything that Apprise reaches: mail, SMS, Teams, Opsgenie … The only importer of apprise.

Apprise (2.2) works in threads, and a service that trickles its answer can hold one for ever. So
pages go out in threads of our own, which hold up neither the end of the process nor other work.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

from bot.config import ConfigError
from bot.core.model.observation import Severity
from bot.core.state.outbox import PagerAction
from bot.ports import NotifyDoubt, NotifyRefused

if TYPE_CHECKING:
    from bot.core.state.outbox import PagerMessage

TIMEOUT_S = 30.0
"""For one page. Apprise itself allows a mail server 15 s to connect (read 2026-11)."""
MAX_THREADS = 8
"""Threads for one address; more only pile up where it hangs."""
NOISY_LOGGERS = ("apprise", "oauthlib", "requests", "requests_oauthlib", "urllib3")
"""What they log shows hosts, paths and users, and on these services a path is often the secret."""
NOTIFY_TYPES = {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}
END_NOTIFY_TYPES = {PagerAction.ACKNOWLEDGE: "info", PagerAction.RESOLVE: "success"}


class AppriseNotifier:
    """A `Notifier` for one address as Apprise writes it, such as `mailtos://…`: a secret."""

    def __init__(self, name: str, url: str, timeout_s: float = TIMEOUT_S) -> None:
        """Read the address. Raises ConfigError, naming the section `name`, if it is unknown."""
        import apprise  # noqa: PLC0415 - an optional extra

        for library in NOISY_LOGGERS:
            logging.getLogger(library).setLevel(logging.CRITICAL + 1)
        # Without a limit of its own it begins no threads of its own, which nobody could end.
        asset = apprise.AppriseAsset(service_timeout=0)
        self._apprise = apprise.Apprise(asset=asset)
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None or not self._apprise.add(service):
            raise ConfigError([f"notify {name}: apprise cannot use this address"])
        self._timeout_s = timeout_s
        self._slots = threading.BoundedSemaphore(MAX_THREADS)

    async def notify(self, page: PagerMessage) -> None:
        """Send one message; see the port. Apprise says yes or no, so that each no is a doubt."""
        done = self._start(page)
        try:
            async with asyncio.timeout(self._timeout_s):
                was_taken = await asyncio.wrap_future(done)
        except TimeoutError:
            raise NotifyDoubt(f"not done within {self._timeout_s:.0f} s") from None
        if not was_taken:
            raise NotifyDoubt("Apprise could not send it")

    def _start(self, page: PagerMessage) -> Future[bool]:
        if not self._slots.acquire(blocking=False):
            raise NotifyRefused(f"the last {MAX_THREADS} still hang")
        done: Future[bool] = Future()
        done.set_running_or_notify_cancel()  # from here a cancelled caller changes nothing

        def run() -> None:
            try:
                done.set_result(self._send(page))
            except Exception:  # noqa: BLE001 - its text may show the address
                done.set_result(False)
            finally:
                self._slots.release()

        try:
            threading.Thread(target=run, name="apprise", daemon=True).start()
        except RuntimeError:
            self._slots.release()
            raise NotifyRefused("no thread to send it") from None
        return done

    def _send(self, page: PagerMessage) -> bool:
        return bool(
            self._apprise.notify(
                title=page.title,
                body="\n\n".join(filter(None, (page.body, page.link))),
                notify_type=END_NOTIFY_TYPES.get(page.action) or NOTIFY_TYPES[page.severity],
                body_format="text",
            )
        )
