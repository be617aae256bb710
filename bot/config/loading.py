"""From a file, or the environment alone, to settings that are known to be sound."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from bot.config.document import ConfigError, Document, Loc
from bot.config.expansion import expand, hint
from bot.config.relations import check_relations
from bot.config.settings import Settings
from bot.config.variables import CONFIG_FILE, read_variables
from bot.config.yaml_file import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

_WORDING = {
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


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
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
    return settings_from(document)


def settings_from(document: Document) -> Settings:
    """Check what was read. Raises ConfigError with these problems and those of the reading."""
    settings, faults = _validated(document)
    for fault in faults:
        _report(document, fault)
    check_relations(document)
    if settings is None or document.problems:
        raise ConfigError(problem.text for problem in sorted(document.problems.values()))
    return settings


def _validated(document: Document) -> tuple[Settings | None, list[ErrorDetails]]:
    try:
        context = {"folder": document.folder}
        return Settings.model_validate(document.values, context=context), []
    except ValidationError as error:
        return None, error.errors(include_url=False)


def _report(document: Document, fault: ErrorDetails) -> None:
    loc = tuple(step for step in fault["loc"] if step != "[key]")
    if not _only_follows(document, fault, loc):
        document.report(loc, _text(fault, loc))


def _text(fault: ErrorDetails, loc: Loc) -> str:
    context = fault.get("ctx", {})
    if "error" in context:
        return str(context["error"])
    if fault["input"] is None:
        return "is empty: write a value (in quotes if it begins with #), or leave the key out"
    wording = _WORDING.get(fault["type"])
    return wording.format(hint=hint(loc), **context) if wording else fault["msg"]


def _only_follows(document: Document, fault: ErrorDetails, loc: Loc) -> bool:
    """Whether the problem itself is told elsewhere.

    Pydantic calls a list too short when its entries are wrong; and a tenant may have taken over a
    wrong threshold of all.
    """
    if fault["type"] == "too_short":
        return bool(fault["input"])
    taken_over = loc[2:3] == ("thresholds",) and loc not in document.places
    return taken_over and loc[2:] in document.problems
