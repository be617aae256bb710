"""Notifies with Apprise: mail, SMS, Teams, Opsgenie … The only importer of apprise.

Apprise (2.2) works in threads, and a service that sends its answer slowly can block one for ever.
So messages are sent in our own threads, which delay neither the end of the process nor other work.

One address may have several recipients, and Apprise only says whether all of them took a message.
It notes who did, so that its own retries leave them out: we keep that note from try to try.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.config import ConfigError
from bot.core.model.observation import Severity
from bot.core.state.outbox import PagerAction
from bot.ports import Doubt, Reason, Refused

if TYPE_CHECKING:
    from bot.core.state.outbox import PagerMessage

TIMEOUT_S = 30.0
"""For one message. Apprise itself allows a mail server 15 s to connect (read 2026-11)."""
MAX_THREADS = 8
"""Threads for one URL; if it hangs, more would only wait too."""
MAX_TRIES = 14
"""If only a part of the recipients takes a message, the others are tried so often: ten minutes."""
REMEMBERED = 1000
"""Messages of which we know who has them; of an older one somebody may get a second copy."""
NOISY_LOGGERS = ("apprise", "oauthlib", "requests", "requests_oauthlib", "urllib3")
"""Their logs contain hosts, paths and users, and with these services a path is often the secret."""
NOTIFY_TYPES = {Severity.CRITICAL: "failure", Severity.WARNING: "warning", Severity.INFO: "info"}
END_NOTIFY_TYPES = {PagerAction.ACKNOWLEDGE: "info", PagerAction.RESOLVE: "success"}


@dataclass(slots=True)
class _Progress:
    tries: int = 0
    accepted: set[Any] = field(default_factory=set)
    """Apprise's note of the recipients that took it; empty: nobody did."""


class AppriseNotifier:
    """A `Notifier` for one Apprise URL, such as `mailtos://…`: a secret."""

    def __init__(self, name: str, url: str, timeout_s: float = TIMEOUT_S) -> None:
        """Parse the URL. Raises ConfigError, which names the section `name`, if it is unknown."""
        import apprise  # noqa: PLC0415 - an optional extra
        from apprise.plugins.base import _delivery_tracker  # noqa: PLC0415 - the same

        for library in NOISY_LOGGERS:
            logging.getLogger(library).setLevel(logging.CRITICAL + 1)
        # Without its own timeout it starts no threads of its own, which nobody could end.
        asset = apprise.AppriseAsset(service_timeout=0)
        self._apprise = apprise.Apprise(asset=asset)
        service = apprise.Apprise.instantiate(url, asset=asset)
        if service is None or not self._apprise.add(service):
            raise ConfigError([f"notify {name}: apprise cannot use this address"])
        service.retry = 0  # the outbox tries again; Apprise would begin a note of its own
        # Mostly 5.5 s between two requests, by the wall clock: set back, it would wait for hours.
        service.request_rate_per_sec = 0.0
        self._accepted = _delivery_tracker
        self._progress: dict[str, _Progress] = {}
        """By the keys of messages."""
        self._name = name
        self._timeout_s = timeout_s
        self._slots = threading.BoundedSemaphore(MAX_THREADS)

    async def notify(self, message: PagerMessage) -> None:
        """Send one message to whoever has not got it yet; see the port.

        Apprise gives no reason, so each failure is a doubt, until some recipients have it and the
        others were tried often enough.
        """
        progress = self._progress.setdefault(message.key, _Progress())
        if len(self._progress) > REMEMBERED:
            del self._progress[next(iter(self._progress))]
        done = self._start(message, progress)
        progress.tries += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                is_sent = await asyncio.wrap_future(done)
        except TimeoutError:
            error = f"not done within {self._timeout_s:.0f} s"
        else:
            error = "Apprise could not send it"
            if is_sent:
                self._progress.pop(message.key, None)
                return
        if not progress.accepted:
            raise Doubt(self._name, error)
        if progress.tries < MAX_TRIES:
            error = f"{error} to all recipients; some have it"
            raise Doubt(self._name, error, has_reached=True)
        self._progress.pop(message.key, None)
        error = f"some recipients did not take it, in {MAX_TRIES} tries"
        raise Refused(self._name, Reason.REJECTED, error)

    def _start(self, message: PagerMessage, progress: _Progress) -> Future[bool]:
        if not self._slots.acquire(blocking=False):
            raise Refused(self._name, Reason.UNAVAILABLE, f"the last {MAX_THREADS} still hang")
        done: Future[bool] = Future()
        done.set_running_or_notify_cancel()  # from here a cancelled caller changes nothing

        def run() -> None:
            self._accepted.set(progress.accepted)  # in the context of this thread
            try:
                done.set_result(self._send(message))
            except Exception:  # noqa: BLE001 - its text may contain the URL
                done.set_result(False)
            finally:
                self._slots.release()

        try:
            threading.Thread(target=run, name="apprise", daemon=True).start()
        except RuntimeError:
            self._slots.release()
            raise Refused(self._name, Reason.UNAVAILABLE, "no thread to send it") from None
        return done

    def _send(self, message: PagerMessage) -> bool:
        return bool(
            self._apprise.notify(
                title=message.title,
                body="\n\n".join(filter(None, (message.body, message.link))),
                notify_type=END_NOTIFY_TYPES.get(message.action) or NOTIFY_TYPES[message.severity],
                body_format="text",
            )
        )
