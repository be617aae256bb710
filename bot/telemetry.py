"""Logging that redacts secrets and cannot be flooded, and metrics."""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

HIDDEN = "***"
SHORTEST_SECRET = 4
"""Characters. Redacting a shorter value would hide ordinary text."""
SECRET_PATTERNS = (
    (re.compile(r"\b(?:xox[a-z]|xapp)-[\w-]+"), HIDDEN),
    (re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"), HIDDEN),  # a JWT
    (re.compile(r"(?i)\b(bearer\s+)[\w.~+/=-]+"), rf"\1{HIDDEN}"),
    (re.compile(r'(?i)((?:secret|password|token)(?:=|"\s*:\s*"))[^&\s"]+'), rf"\1{HIDDEN}"),
    (re.compile(r"(://)[^/\s:@]*:[^/\s@]*@"), rf"\1{HIDDEN}@"),
)
QUIET_LOGGERS = ("alembic", "apscheduler", "httpcore", "httpx", "slack_bolt", "slack_sdk")
"""Libraries that log each step at INFO, or whole URLs with the secrets in them."""


class Redactor:
    """Removes secrets from text: the known values, and all that looks like a secret."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longer ones first, as one may be a part of another.
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
    """Redacts the finished line, tracebacks included. Times are UTC."""

    converter = staticmethod(time.gmtime)

    def __init__(self, redact: Redactor) -> None:
        super().__init__("%(asctime)sZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self._redact = redact

    def format(self, record: logging.LogRecord) -> str:
        """Format a record and redact it."""
        return self._redact(super().format(record))


def set_up_logging(secrets: Iterable[str], level: int = logging.INFO) -> None:
    """Log to standard error, and replace whatever was set up before."""
    handler = logging.StreamHandler()
    handler.setFormatter(RedactingFormatter(Redactor(secrets)))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


WARN_EVERY_S = 60.0


class RareWarning:
    """A warning that strangers can cause as often as they like: logged at most once a minute.

    Args:
        logger: where it goes.
        now: returns seconds of any clock.
    """

    def __init__(self, logger: logging.Logger, now: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._now = now
        self._logged_at = float("-inf")
        self._left_out = 0

    def __call__(self, line: str, *args: object) -> None:
        """Log a line, or count it as left out. The next one that is logged says how many were."""
        now = self._now()
        if now - self._logged_at < WARN_EVERY_S:
            self._left_out += 1
            return
        more = f" (and {self._left_out} more since the last such line)" if self._left_out else ""
        self._logged_at, self._left_out = now, 0
        self._logger.warning("%s%s", line % args, more)


class _OldName(Collector):
    """Exports a counter under the name and labels that it had in the release before.

    Args:
        name: the old name.
        counter: the counter under its new name.
        labels: the old labels by the new ones, where they differ.
    """

    def __init__(self, name: str, counter: Counter, **labels: str) -> None:
        self._name = name
        self._counter = counter
        self._labels = labels

    def collect(self) -> Iterator[Metric]:
        """Yield the counter as it was called."""
        for family in self._counter.collect():
            meaning = f"Deprecated, use {family.name}_total. {family.documentation}"
            old = Metric(self._name, meaning, family.type)
            for sample in family.samples:
                labels = {self._labels.get(name, name): v for name, v in sample.labels.items()}
                name = sample.name.replace(family.name, self._name)
                old.add_sample(name, labels, sample.value)
            yield old


class Metrics:
    """What `/metrics` shows. Names follow Prometheus' rules; no label holds foreign text."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.checks = self._counter(
            "checks",
            "Checks of a target, by outcome (ok, failed, no_data; for a feed, its state)",
            "target",
            "outcome",
        )
        self.webhook_requests = self._counter(
            "hook_requests", "Requests to a webhook, by outcome", "hook", "outcome"
        )
        self.latency = self._gauge(
            "latency_seconds", "Duration of the last check of a target", "target"
        )
        self.firing = self._gauge("signal_firing", "1 while a signal is firing", "tenant", "signal")
        self.open_incidents = self._gauge(
            "incidents_open", "Open incidents, by severity", "severity"
        )
        self.slack_connected = self._gauge(
            "slack_connected", "1 while Slack accepts the bot and Socket Mode is connected"
        )
        self.outbox_waiting = self._gauge("outbox_waiting", "Messages not yet delivered to Slack")
        self.escalations = self._counter(
            "escalations", "Escalation steps taken, by contact point", "contact_point"
        )
        self.pager_messages = self._counter(
            "pager_messages",
            "Attempts to notify people beyond Slack, by outcome",
            "contact_point",
            "outcome",
        )
        self.running_silences = self._gauge("silences_running", "Active silences")
        self.part_healthy = self._gauge(
            "part_healthy", "1 while a part works, 0 while /health shows a problem", "part"
        )
        self.part_restarts = self._counter(
            "part_restarts", "Parts of the bot that ended or stalled and were started again", "part"
        )
        self.overdue = self._gauge(
            "overdue", "What the store says should have been done two minutes ago", "kind"
        )
        self.clock_corrections = self._counter(
            "clock_corrections", "How often the bot corrected its own time"
        )
        for old_name in (
            _OldName("auth0_check_looks", self.checks),
            _OldName("auth0_check_escalation_steps", self.escalations, contact_point="tell"),
            _OldName("auth0_check_pages", self.pager_messages, contact_point="way"),
        ):
            self.registry.register(old_name)

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        return Counter(f"auth0_check_{name}", meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        return Gauge(f"auth0_check_{name}", meaning, labels, registry=self.registry)
