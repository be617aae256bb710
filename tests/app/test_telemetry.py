from __future__ import annotations

import io
import logging
import subprocess
import sys

import pytest

from bot.telemetry import RedactingFormatter, Redactor

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
    ],
)
def test_secrets_are_redacted(text: str) -> None:
    """Known values, and whatever looks like a secret."""
    redacted = Redactor([CANARY, f"{CANARY}-longer"])(text)

    leaks = (CANARY, "longer", "abc", "def", "xapp-1", "eyJ")
    assert not [leak for leak in leaks if leak in redacted]
    assert "***" in redacted


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
