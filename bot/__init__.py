"""A Slack bot that says why logins break."""

import sys

# httpx loads its own command line with itself, and with that rich and pygments: 90 ms of the start
# and 7 MB (measured 2026-12), for nothing that the bot does. With None, Python knows it as absent,
# and httpx goes on without.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]
