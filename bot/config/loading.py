"""Loads settings from a file, or from environment variables alone (one tenant, one login)."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from bot.config.cross_checks import check_relations
from bot.config.document import (
    ConfigError,
    Document,
    Loc,
    Place,
    describe_setting,
    expand,
    read_secret,
    read_yaml,
)
from bot.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

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
        value = _read_value(name, loc, environ, document)
        if value is not None:
            sections[loc[:-1]][str(loc[-1])] = value
    tenant["name"] = _tenant_name(tenant.get("domain", ""))
    return document


def _read_value(name: str, loc: Loc, environ: Mapping[str, str], document: Document) -> str | None:
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


_MESSAGES = {
    "missing": "is missing: {hint}",
    "extra_forbidden": "is no setting",
    "model_type": "must be a section: write its keys below it, indented",
    "dict_type": "must be a section: write its keys below it, indented",
    "tuple_type": "must be a list: write each entry below it, indented, after a dash",
    "too_short": "must have at least one entry",
    "string_type": "must be a text",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_type": "must be a whole number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
}


def environment() -> Mapping[str, str]:
    """Return the process's environment, as it is now. Nothing else reads it."""
    return dict(os.environ)


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the file, else the one that `AUTH0_CHECK_CONFIG` names, else the variables alone.

    Raises ConfigError with every problem there is.
    """
    named = environ.get(CONFIG_FILE)
    path = path or (Path(named) if named else None)
    if path is None:
        document = read_variables(environ)
    else:
        document = read_yaml(path)
        expand(document, environ)
    return build_settings(document)


def build_settings(document: Document) -> Settings:
    """Check what was read. Raises ConfigError with these problems and those of the reading."""
    settings, faults = _validate(document)
    for fault in faults:
        _report_fault(document, fault)
    check_relations(document)
    if settings is None or document.problems:
        raise ConfigError(problem.text for problem in sorted(document.problems.values()))
    return settings


def _validate(document: Document) -> tuple[Settings | None, list[ErrorDetails]]:
    try:
        context = {"folder": document.folder}
        return Settings.model_validate(document.values, context=context), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _report_fault(document: Document, fault: ErrorDetails) -> None:
    loc = tuple(step for step in fault["loc"] if step != "[key]")
    if not _is_consequence(document, fault, loc):
        document.report(loc, _fault_text(fault, loc))


def _fault_text(fault: ErrorDetails, loc: Loc) -> str:
    context = fault.get("ctx", {})
    if "error" in context:
        return str(context["error"])
    if fault["input"] is None:
        return "is empty: write a value (in quotes if it begins with #), or leave the key out"
    wording = _MESSAGES.get(fault["type"])
    return wording.format(hint=describe_setting(loc), **context) if wording else fault["msg"]


def _is_consequence(document: Document, fault: ErrorDetails, loc: Loc) -> bool:
    """Whether the problem itself is told elsewhere.

    Pydantic calls a list too short when its entries are wrong; and a tenant may have taken over a
    wrong threshold of all.
    """
    if fault["type"] == "too_short":
        return bool(fault["input"])
    taken_over = loc[2:3] == ("thresholds",) and loc not in document.places
    return taken_over and loc[2:] in document.problems
