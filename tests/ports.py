"""A port at which nothing listens."""

from __future__ import annotations

import random
import socket
from contextlib import suppress

BELOW_EPHEMERAL = range(20_000, 32_000)
"""Linux takes ports for whoever asks for any from 32768 on: a test beside this one gets none of
these."""


def find_free_port() -> int:
    """Return a port at which nothing listens, and at which nothing will that asks for any port."""
    draw = random.SystemRandom()
    while True:
        with socket.socket() as tried, suppress(OSError):
            tried.bind(("127.0.0.1", port := draw.choice(BELOW_EPHEMERAL)))
            return port
