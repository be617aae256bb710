"""Logging that cannot tell a secret, and metrics."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge

if TYPE_CHECKING:
    from collections.abc import Iterable

HIDDEN = "***"
SHORTEST_SECRET = 4
"""A shorter value would blot out ordinary text."""
SECRET_PATTERNS = (
    (re.compile(r"\b(?:xox[a-z]|xapp)-[\w-]+"), HIDDEN),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),  # a JWT
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]+"), rf"\1{HIDDEN}"),
    (re.compile(r'(?i)((?:secret|password|token)(?:=|"\s*:\s*"))[^&\s"]+'), rf"\1{HIDDEN}"),
    (re.compile(r"(://)[^/\s:@]*:[^/\s@]*@"), rf"\1{HIDDEN}@"),
)
QUIET_LOGGERS = ("alembic", "apscheduler", "httpcore", "httpx", "slack_bolt", "slack_sdk")
"""Libraries that at INFO log every turn, or whole addresses with the secrets in them."""


class Redactor:
    """Blots secrets out of text: the values that we know, and all that looks like one."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Know the values of `secrets`; longer ones first, as one may be a part of another."""
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        ordered = sorted(known, key=len, reverse=True)
        self._known_secrets = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        if self._known_secrets:
            text = self._known_secrets.sub(HIDDEN, text)
        for pattern, replacement in SECRET_PATTERNS:
            text = pattern.sub(replacement, text)
        return text


class RedactingFormatter(logging.Formatter):
    """Redacts what is written in the end, tracebacks included. Times are UTC."""

    converter = staticmethod(time.gmtime)

    def __init__(self, redact: Redactor) -> None:
        """Redact with `redact`."""
        super().__init__("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Format a record, then blot its secrets out."""
        return self._redact(super().format(record))


def set_up_logging(secrets: Iterable[str], level: int = logging.INFO) -> None:
    """Log to standard error, in place of whatever was set up before."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(Redactor(secrets)))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


class Metrics:
    """What `/metrics` shows. Names follow Prometheus' rules; no label holds foreign text."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.checks = self._counter(
            "looks",
            "Looks at a target, by outcome (ok, failed, no_data; for a feed, its state)",
            "target",
            "outcome",
        )
        self.webhook_requests = self._counter(
            "hook_requests", "Requests to a hook, by what came of them", "hook", "outcome"
        )
        self.latency = self._gauge("latency_seconds", "How long the last look took", "target")
        self.firing = self._gauge("signal_firing", "1 while a signal is firing", "tenant", "signal")
        self.open_incidents = self._gauge(
            "incidents_open", "Open incidents, by severity", "severity"
        )
        self.outbox_waiting = self._gauge(
            "outbox_waiting", "Messages that wait to be said in Slack"
        )
        self.escalation_steps = self._counter(
            "escalation_steps", "Steps of escalations, by what they tell", "tell"
        )
        self.pages = self._counter(
            "pages", "Tries to tell people beyond Slack, by what came of them", "way", "outcome"
        )
        self.running_silences = self._gauge("silences_running", "Silences that run")

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"auth0_check_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"auth0_check_{name}", meaning, labels, registry=self.registry)
