"""Logging that redacts secrets and cannot be flooded, and metrics."""

from __future__ import annotations

import html
import logging
import re
import time
import unicodedata
from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING
from urllib.parse import unquote

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
    (re.compile(r"\b([Bb]asic\s+)(?=\S*[0-9=+/])[\w+/-]{8,}=*"), rf"\1{HIDDEN}"),
    (re.compile(r'(?i)((?:secret|password|token)(?:=|"\s*:\s*"))[^&\s"]+'), rf"\1{HIDDEN}"),
    (re.compile(r"(://)[^/\s:@]*:[^/\s@]*@"), rf"\1{HIDDEN}@"),
)
QUIET_LOGGERS = ("alembic", "apscheduler", "httpx", "slack_bolt", "slack_sdk")
"""Libraries that log each step at INFO, or whole URLs with the secrets in them."""


_SHORTEST_ENCODED = 6
"""Characters of base64 or hex. Fewer are found in ordinary text by chance."""
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))", re.DOTALL)
_UNSEEN = re.compile(
    r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    r"\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
_MOST_LAYERS = 3
"""Of encodings around each other, such as a URL in JSON in HTML."""


class Redactor:
    """Removes secrets from text: the known values, and all that looks like a secret.

    A known value is found in any case and in every usual encoding: of URLs, JSON, HTML and source
    code, in base64 (also as a part of what was encoded) and in hex. It is found as well with
    characters in it that are not seen, which are removed where text is made safe to show.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longer ones first, as one may be a part of another.
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        self._encodings = {
            secret: (secret.lower(), *_fold(secret), *_encode_whole(secret))
            for secret in sorted(known, key=len, reverse=True)
        }

    def __call__(self, text: str) -> str:
        """Return `text` without secrets."""
        for _ in range(_MOST_LAYERS):
            if not (found := self._find_known(text)):
                break
            for secret in found:
                each_character = "".join(map(_spellings_of, secret))
                forms = "|".join((each_character, *map(re.escape, self._encodings[secret])))
                text = re.sub(forms, HIDDEN, text, flags=re.IGNORECASE)
        else:  # more than once encoded, or in a disguise
            text = HIDDEN if self._find_known(text) else text
        for pattern, replacement in SECRET_PATTERNS:
            text = pattern.sub(replacement, text)
        return text

    def _find_known(self, text: str) -> list[str]:
        """Return the known secrets in a text. That is quick: most texts have none."""
        views = " ".join(
            folded for view in _decode(text) for folded in (view, *_fold(view))
        ).lower()
        return [
            secret
            for secret, encodings in self._encodings.items()
            if any(each in views for each in encodings)
        ]


def _encode_whole(secret: str) -> tuple[str, ...]:
    """Return the secret in base64 and hex, in lower case.

    What stands before it shifts its bits in base64; so only what does not depend on that is left.
    """
    raw, found = secret.encode(), {secret.encode().hex()}
    for shift in range(3):
        for encode in (b64encode, urlsafe_b64encode):
            code = encode(b"\0" * shift + raw).decode().rstrip("=")
            bits = 8 * (shift + len(raw))
            found.add(code[-(-8 * shift // 6) : bits // 6].lower())
    return tuple(each for each in found if len(each) >= _SHORTEST_ENCODED)


def _decode(text: str) -> set[str]:
    """Return a text as it is, and without the encodings of URLs, JSON, HTML and source code."""
    views = {text}
    for _ in range(_MOST_LAYERS):
        decoded = {
            view
            for known in views
            for view in (
                unquote(known),
                unquote(known.replace("+", " ")),
                html.unescape(known),
                _ESCAPE.sub(_unescape, known),
            )
        }
        if decoded <= views:
            break
        views |= decoded
    return views


def _fold(text: str) -> set[str]:
    """Return a text in lower case and plain letters, without or with a space for what is not seen.

    Nothing where that is the text itself.
    """
    plain = text if text.isascii() else unicodedata.normalize("NFKC", text)
    found = {" ".join(_UNSEEN.sub(seen, plain).split()).lower() for seen in ("", " ")}
    return found - {text.lower(), ""}


def _unescape(found: re.Match[str]) -> str:
    code = found[1] or found[2]
    return chr(int(code, 16)) if code else found[3]


def _spellings_of(char: str) -> str:
    code = ord(char)
    named = html.escape(char, quote=True)
    spellings = {
        re.escape(char),
        rf"\\{re.escape(char)}",
        "".join(f"%{byte:02x}" for byte in char.encode()),
        rf"\\u{code:04x}",
        rf"\\x{code:02x}",
        f"&#0*{code};?",
        f"&#x0*{code:x};?",
        re.escape(named),
        *(r"\+",) * (char == " "),
    }
    return f"(?:{'|'.join(sorted(spellings, key=len, reverse=True))})"


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
        self.probe_delay = self._gauge("probe_delay_seconds", "Longest wait of a routine probe")
        self.probes_dropped = self._counter("probes_dropped", "Routine probes left out as too late")
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
        self._export_old_names()

    def _export_old_names(self) -> None:
        """Show what was renamed under the name of 0.1.0 as well, for one more release."""
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
