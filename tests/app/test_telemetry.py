from __future__ import annotations

import base64
import html
import io
import json
import logging
import subprocess
import sys
import unicodedata
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus, unquote

import pytest

from bot.core.model.fault import sanitize_text
from bot.telemetry import RedactingFormatter, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "s3cret-canary"


@pytest.mark.parametrize(
    "text",
    [
        f"value {CANARY} and {CANARY}-longer",
        "token xoxb-123-abc, xapp-1-A-2",
        "Authorization: Bearer abc.DEF-123=",
        "POST client_secret=abc&password=def",
        '{"access_token": "abc"}',
        "https://user:abc@feed.test/",
        "got eyJhbGciOi.eyJzdWIiOi.c2ln!",
        "Authorization: Basic YWJjOmRlZg==",
    ],
)
def test_secrets_are_redacted(text: str) -> None:
    """Known values, and whatever looks like a secret."""
    redacted = Redactor([CANARY, f"{CANARY}-longer"])(text)

    leaks = (CANARY, "longer", "abc", "def", "xapp-1", "eyJ", "YWJj")
    assert not [leak for leak in leaks if leak in redacted]
    assert "***" in redacted


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ENCODINGS: dict[str, Callable[[str], str]] = {
    "URL": lambda text: quote(text, safe=""),
    "URL, a form's": quote_plus,
    "URL, in lower case": lambda text: quote(text, safe="").lower(),
    "URL, each byte": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "URL, twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON": json.dumps,
    "JSON, not only ASCII": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON, slashes too": lambda text: json.dumps(text).replace("/", r"\/"),
    "JSON, each character": lambda text: "".join(f"\\u{ord(char):04X}" for char in text),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON in a URL": lambda text: quote(json.dumps(text)),
    "source code": repr,
    "HTML": html.escape,
    "HTML, decimal": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "HTML, hexadecimal": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "JSON in HTML": lambda text: html.escape(json.dumps(text)),
    "base64": in_base64,
    "base64 of more, 1": lambda text: in_base64(f"u:{text} at"),
    "base64 of more, 2": lambda text: in_base64(f"us:{text} at"),
    "base64 of more, 3": lambda text: in_base64(f"use:{text} at"),
    "base64 of URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 in a URL": lambda text: quote(in_base64(text)),
    "hexadecimal": lambda text: text.encode().hex(),
    "upper case": str.upper,
    "lower case": str.lower,
    "a part of it encoded": lambda text: quote(text[:5], safe="") + text[5:],
}
"""How a tenant's code, a library or a proxy may say again what it was sent."""


@pytest.mark.parametrize("password", ["p&ss \"w<rd'/+é=7", "a/b?C#d%e\\f", "hunter22"])
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_known_secrets_in_every_encoding(encoding: str, password: str) -> None:
    """A known secret is removed, however it is encoded; only the words around it may stay."""
    encoded = ENCODINGS[encoding](password)

    redacted = Redactor(["another-secret", password])(f"The user said {encoded} twice")

    assert "***" in redacted
    for start in range(len(encoded) - 8):
        assert encoded[start : start + 9].lower() not in redacted.lower()
    assert password not in unquote(html.unescape(redacted))


DISGUISES: dict[str, Callable[[str], str]] = {
    "a zero-width space after each character": "\u200b".join,
    "a soft hyphen in it": lambda text: f"{text[:5]}\u00ad{text[5:]}",
    "an unseen character for a space": lambda text: text.replace(" ", "\u2060 "),
    "a line break for a space": lambda text: text.replace(" ", "\n"),
    "several spaces": lambda text: text.replace(" ", "   "),
    "a null byte for a space": lambda text: text.replace(" ", "\0"),
    "wide letters": lambda text: "".join(chr(ord(c) + 0xFEE0) if c > " " else c for c in text),
    "a null byte in a URL": lambda text: quote(text.replace(" ", "\0")),
}


@pytest.mark.parametrize("disguise", DISGUISES)
def test_secrets_in_a_disguise_are_redacted(disguise: str) -> None:
    """What is shown has no unseen characters any more: then the secret would be readable."""
    redact = Redactor(["correct horse battery"])

    redacted = redact(f"The password {DISGUISES[disguise]('correct horse battery')} is wrong")

    shown = sanitize_text(unicodedata.normalize("NFKC", unquote(redacted)))
    assert "***" in shown
    assert "horse" not in shown.replace(" ", "")


def test_ordinary_text_stays() -> None:
    """Neither very short values nor the words around a secret are touched."""
    text = "prod.login failed: oauth invalid_grant, the password was refused"

    assert Redactor(["a", ""])(text) == text


def test_a_traceback_is_redacted_too() -> None:
    """The formatter redacts the finished text."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(RedactingFormatter(Redactor([CANARY])))
    log = logging.Logger("bot.test")  # noqa: LOG001 - apart from the process's loggers
    log.addHandler(handler)
    try:
        int(CANARY)
    except ValueError:
        log.exception("argument %s", CANARY)

    assert "Traceback" in written.getvalue()
    assert CANARY not in written.getvalue()


def test_the_process_logs_to_standard_error_redacted() -> None:
    """Whatever was set up before is replaced, and libraries that log too much are quiet."""
    program = f"""
import logging
from bot.core.model.fault import sanitize_text
from bot.telemetry import set_up_logging
logging.basicConfig(format="raw %(message)s")
set_up_logging(["{CANARY}"])
logging.getLogger("bot").info("here is {CANARY}")
logging.getLogger("httpx").info("HTTP Request: GET https://x/?token={CANARY}")
"""
    ran = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert ran.stderr.endswith("Z INFO bot: here is ***\n")
    assert len(ran.stderr.splitlines()) == 1
