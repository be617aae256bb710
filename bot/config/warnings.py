"""Probable mistakes in a configuration that can be used: one line each, with the remedy."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

from bot.config.document import format_loc
from bot.config.loading import CONFIG_FILE, VARIABLES
from bot.config.value_types import FILE_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bot.config.document import Document, Loc
    from bot.config.settings import Settings

ENVIRONMENTS = ("US-1", "US-3", "US-4", "US-5", "EU-1", "EU-2", "AU", "JP-1", "UK-1", "CA-1")
"""The public ones, as https://status.auth0.com names them (read 2026-07)."""
BY_PLAIN_NAME = {
    **{name.replace("-", ""): name for name in ENVIRONMENTS},
    **{f"{name}1": name for name in ENVIRONMENTS if "-" not in name},
    **{name.removesuffix("-1"): name for name in ENVIRONMENTS if name.endswith("-1")},
}
"""What `US1`, `us-1` or `AU-1` stand for."""
AUTH0_DOMAINS = (".auth0.com", ".auth0app.com")
"""Of the public cloud, and of private ones."""
SIMILAR = 0.8
"""From this similarity on an unknown variable is called a misspelt one."""
LABS = ("base_url", "ca_file", "feed_url")
"""A tenant with one of these is no public one: its names are its own."""


def find_warnings(document: Document) -> list[str]:
    """Return a line for each probable mistake, in the order of the file."""
    found = sorted(
        (document.place_of(loc), f"{format_loc(loc)}: {text}")
        for loc, text in (*_find_environments(document), *_find_domains(document))
    )
    lines = [f"{place.name}: {text}" for place, text in found]
    known = {*VARIABLES, *(f"{name}{FILE_SUFFIX.upper()}" for name in VARIABLES), CONFIG_FILE}
    for name in sorted(document.variables - known):
        similar = get_close_matches(name.upper(), known, n=1, cutoff=SIMILAR)
        if similar and name.upper().startswith(("AUTH", "SLACK")):
            near = similar[0].removesuffix(FILE_SUFFIX.upper() * (not name.endswith("_FILE")))
            lines.append(f"{name}: is no variable that the bot reads: did you mean {near}?")
    return lines


def find_unread_proxy(settings: Settings, environ: Mapping[str, str]) -> list[str]:
    """Return a line if this machine goes out by a proxy, as it seems, and the bot does not."""
    named = next((name for name in environ if name.upper() == "HTTPS_PROXY"), "")
    if not named or any(proxy for _, proxy in settings.proxy):
        return []
    where = "docs/deploy.md, Behind a proxy"
    return [f"{named} is set, and the bot does not read it: did you mean to set `proxy` ({where})?"]


def _find_environments(document: Document) -> Iterator[tuple[Loc, str]]:
    for loc, tenant in document.sections("tenants"):
        written = tenant.get("environment")
        if isinstance(written, str) and written not in ENVIRONMENTS and "feed_url" not in tenant:
            near = BY_PLAIN_NAME.get(re.sub(r"[^A-Z0-9]", "", written.upper()))
            advice = f"did you mean {near}?" if near else f"known: {', '.join(ENVIRONMENTS)}."
            text = (
                f"is no environment that Auth0's status page names: {advice} Posts about this "
                "tenant would not be found. (Private Cloud: set feed_url, too.)"
            )
            yield (*loc, "environment"), text


def _find_domains(document: Document) -> Iterator[tuple[Loc, str]]:
    is_lab = any(document.at("resolve"))
    for loc, tenant in document.sections("tenants"):
        domain = str(tenant.get("domain", "")).lower()
        is_known = domain.endswith(AUTH0_DOMAINS) or "." not in domain
        if domain and not (is_known or is_lab or tenant.keys() & {*LABS}):
            text = (
                "looks like a custom domain: write that into custom_domain, and here the tenant's "
                "own one, such as acme.us.auth0.com (Auth0 Dashboard > Applications > your "
                "application > Settings > Domain). Auth0 has no status feed for a custom domain"
            )
            yield (*loc, "domain"), text
