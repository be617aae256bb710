"""Configuration by environment variables alone: one tenant with one login, over Socket Mode."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bot.config.document import Document, Loc, Place, read_secret

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG_FILE = "AUTH0_CHECK_CONFIG"
"""Names the configuration file where the command line does not."""
SLACK: Loc = ("slack",)
TENANT: Loc = ("tenants", 0)
LOGIN: Loc = (*TENANT, "logins", 0)
VARIABLES: dict[str, Loc] = {
    "SLACK_BOT_TOKEN": (*SLACK, "bot_token"),
    "SLACK_APP_TOKEN": (*SLACK, "app_token"),
    "SLACK_SIGNING_SECRET": (*SLACK, "signing_secret"),
    "SLACK_CHANNEL": (*SLACK, "channel"),
    "AUTH0_DOMAIN": (*TENANT, "domain"),
    "AUTH0_CUSTOM_DOMAIN": (*TENANT, "custom_domain"),
    "AUTH0_ENVIRONMENT": (*TENANT, "environment"),
    "AUTH0_CLIENT_ID": (*LOGIN, "client_id"),
    "AUTH0_CLIENT_SECRET": (*LOGIN, "client_secret"),
    "AUTH0_USERNAME": (*LOGIN, "username"),
    "AUTH0_PASSWORD": (*LOGIN, "password"),
    "AUTH0_REALM": (*LOGIN, "realm"),
    "AUTH0_AUDIENCE": (*LOGIN, "audience"),
}
"""Each also as `…_FILE`, the path of a file that holds the value. Empty counts as unset."""


def read_variables(environ: Mapping[str, str]) -> Document:
    """Arrange the variables as a file would; report those that are set twice or unreadable."""
    login: dict[str, Any] = {}
    tenant: dict[str, Any] = {"logins": [login]}
    slack: dict[str, Any] = {}
    sections = {SLACK: slack, TENANT: tenant, LOGIN: login}
    document = Document(Path(), {(): Place(0, "environment")})
    document.values = {"slack": slack, "tenants": [tenant]}
    for order, (name, loc) in enumerate(VARIABLES.items()):
        document.places[loc] = Place(order, name)
        value = _value(name, loc, environ, document)
        if value is not None:
            sections[loc[:-1]][str(loc[-1])] = value
    tenant["name"] = _tenant_name(tenant.get("domain", ""))
    return document


def _value(name: str, loc: Loc, environ: Mapping[str, str], document: Document) -> str | None:
    value, path = environ.get(name) or None, environ.get(f"{name}_FILE")
    if not path:
        return value
    if value:
        document.report(loc, f"is set, and {name}_FILE too: set one of the two")
        return ""
    try:
        return read_secret(Path(path))
    except ValueError as error:
        document.report(loc, f"the file that {name}_FILE names {error}")
        return ""


def _tenant_name(domain: str) -> str:
    """Name a tenant by the first label of its domain."""
    label = re.sub(r"[^A-Za-z0-9_-]", "-", domain.split(".", maxsplit=1)[0])
    return label.strip("-_")[:40].lower() or "tenant"
