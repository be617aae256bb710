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
    Expansion,
    Loc,
    Place,
    describe_setting,
    read_secret,
    read_text,
    read_yaml,
)
from bot.config.settings import Settings
from bot.config.value_types import name_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

CONFIG_FILE = "AUTH0_CHECK_CONFIG"
"""Names the configuration file if the command line does not."""
SLACK: Loc = ("slack",)
TENANT: Loc = ("tenants", 0)
LOGIN: Loc = (*TENANT, "logins", 0)
VARIABLES: dict[str, Loc] = {
    f"{prefix}_{key.upper()}": (*loc, key)
    for prefix, loc, keys in (
        ("SLACK", SLACK, ("bot_token", "app_token", "signing_secret", "channel")),
        ("AUTH0", TENANT, ("domain", "name", "custom_domain", "environment")),
        ("AUTH0", LOGIN, ("client_id", "client_secret", "username", "password")),
        ("AUTH0", LOGIN, ("realm", "audience")),
    )
    for key in keys
}
"""Each also as `…_FILE`, the path of a file that holds the value. Empty counts as unset."""
NO_SLACK = {"bot_token": "xoxb-unused", "app_token": "xapp-unused", "channel": "#unused"}
"""For commands that need no Slack workspace."""
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
"""By pydantic's type of error."""


def environment() -> Mapping[str, str]:
    """Return the process's environment, as it is now. Nothing else reads it."""
    return dict(os.environ)


def load_document(
    path: Path | None, environ: Mapping[str, str], *, with_slack: bool = True
) -> Document:
    """Read the file, else the one that `AUTH0_CHECK_CONFIG` names, else the variables alone.

    All that values refer to is read as well, and nothing is validated: `build_settings` does that.
    Without Slack, its section is not read but replaced by one that fits every rule. Raises
    ConfigError if the file is no YAML.
    """
    named = environ.get(CONFIG_FILE)
    path = path or (Path(named) if named else None)
    if path is None:
        if not with_slack:
            stand_ins = {f"SLACK_{key.upper()}": value for key, value in NO_SLACK.items()}
            environ = {k: v for k, v in environ.items() if not k.startswith("SLACK_")} | stand_ins
        return read_variables(environ)
    document = read_yaml(path)
    env_file = env_file_of(path)
    environ = {**read_env_file(env_file), **environ}
    if not with_slack and isinstance(document.values, dict):
        document.values["slack"] = dict(NO_SLACK)
    document.values = Expansion(document, environ, env_file).expand_value(document.values)
    return document


def env_file_of(path: Path) -> Path:
    """Return the file with the secrets of a configuration file: `bot.env` beside `bot.yml`."""
    return path.with_suffix(".env")


def read_env_file(path: Path) -> dict[str, str]:
    """Read NAME=value, one a line, as Docker and systemd do; nothing if there is no such file.

    Nor if only root may read it: then systemd or Docker has put it into the environment.
    """
    try:
        is_ours = path.is_file() and os.access(path, os.R_OK)
        lines = read_text(path).splitlines() if is_ours else []
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"]) from None
    pairs = (line.partition("=") for line in lines if not line.startswith("#"))
    return {name.strip(): value.strip() for name, is_pair, value in pairs if is_pair}


def read_variables(environ: Mapping[str, str]) -> Document:
    """Build a document as from a file; report variables that are set twice or unreadable."""
    login: dict[str, Any] = {}
    tenant: dict[str, Any] = {"logins": [login]}
    slack: dict[str, Any] = {}
    sections = {SLACK: slack, TENANT: tenant, LOGIN: login}
    document = Document(Path(), {(): Place(0, "environment")}, variables=frozenset(environ))
    document.values = {"slack": slack, "tenants": [tenant]}
    for order, (name, loc) in enumerate(VARIABLES.items()):
        document.places[loc] = Place(order, name)
        value = _read_variable(name, loc, environ, document)
        if value is not None:
            sections[loc[:-1]][str(loc[-1])] = value
    tenant.setdefault("name", derive_name(tenant.get("domain", "")))
    return document


def derive_name(domain: str) -> str:
    """Name a tenant by the first label of its domain."""
    label = re.sub(r"[^A-Za-z0-9_-]", "-", domain.split(".", maxsplit=1)[0])
    return label.strip("-_")[:40].lower() or "tenant"


def _read_variable(
    name: str, loc: Loc, environ: Mapping[str, str], document: Document
) -> str | None:
    value, path = environ.get(name) or None, environ.get(f"{name}_FILE")
    if not path:
        return value
    if value:
        document.report(loc, f"is set, and {name}_FILE too: set one of the two")
        return ""
    try:
        return read_secret(Path(path))
    except ValueError as error:
        document.report(loc, f"{name_file(path, f'{name}_FILE')} {error}")
        return ""


def build_settings(document: Document) -> Settings:
    """Validate a document. Raises ConfigError with its problems, those of the reading included."""
    settings = None
    try:
        context = {"folder": document.folder}
        settings = Settings.model_validate(document.values, context=context)
    except ValidationError as error:
        for details in error.errors(include_url=False):
            _report(document, details)
    check_relations(document)
    if settings is None or document.problems:
        raise ConfigError(problem.text for problem in sorted(document.problems.values()))
    return settings


def _report(document: Document, details: ErrorDetails) -> None:
    """Report an error of pydantic, unless another problem is its cause, and is reported itself.

    Pydantic calls a list too short when its entries are wrong; and a tenant inherits wrong
    thresholds.
    """
    loc = tuple(step for step in details["loc"] if step != "[key]")
    is_inherited = loc[2:3] == ("thresholds",) and loc not in document.places
    if is_inherited and loc[2:] in document.problems:
        return
    kind, context, value = details["type"], details.get("ctx", {}), details["input"]
    if kind == "too_short" and value:
        return
    if "error" in context:
        text = str(context["error"])
    elif value is None:
        text = "is empty: write a value (in quotes if it begins with #), or leave the key out"
    else:
        text = _MESSAGES.get(kind, details["msg"])
        text = text.format(hint=describe_setting(loc), **context) if kind in _MESSAGES else text
    document.report(loc, text)
