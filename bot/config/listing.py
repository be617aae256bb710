"""The configuration for people and editors: effective values with their origin, and a schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, SecretStr, WithJsonSchema

from bot.config.document import format_loc
from bot.config.settings import Settings
from bot.config.value_types import FILE_SUFFIX, SHARE_SCHEMA, format_setting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.config.document import Document, Loc

SECRET = "***"  # noqa: S105 - stands for one
DEFAULT = "default"
SHARE = SHARE_SCHEMA["pattern"]


class EffectiveValue(NamedTuple):
    """One setting as it is used."""

    key: str
    value: str
    """As in a file; a secret is `***`."""
    origin: str
    """A line of a file, a variable, or `default`."""


def list_values(section: BaseModel, document: Document, loc: Loc = ()) -> Iterator[EffectiveValue]:
    """Yield every setting of a section that has a value, in the order of docs/configuration.md."""
    fields = type(section).model_fields
    for key, value in section:
        yield from _list_value(value, (*loc, key), document, tuple(fields[key].metadata))


def _list_value(
    value: object, loc: Loc, document: Document, metadata: tuple[object, ...] = ()
) -> Iterator[EffectiveValue]:
    if value is None:
        return
    if isinstance(value, BaseModel):
        yield from list_values(value, document, loc)
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for index, child in enumerate(value):
            yield from list_values(child, document, (*loc, index))
    else:
        keys = (step for step in loc if isinstance(step, str))
        written = next((v for place, v in document.at(*keys) if place == loc), None)
        text = written if isinstance(written, str) else format_setting(value, metadata)
        origin = document.places[loc].name if loc in document.places else DEFAULT
        yield EffectiveValue(
            format_loc(loc), SECRET if isinstance(value, SecretStr) else text, origin
        )


def build_schema() -> dict[str, Any]:
    """Build the JSON Schema of the file as people write it, for editors."""
    whole = Settings.model_json_schema()
    for section in (whole, *whole["$defs"].values()):
        _allow_files(section)
    whole["properties"][f"tenants{FILE_SUFFIX}"] = {
        "type": "string",
        "description": "A YAML file with the list of tenants, instead of it.",
    }
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    whole["title"] = "auth0-check"
    return whole


def _allow_files(section: dict[str, Any]) -> None:
    """Describe values as a file has them: `KEY_file` beside each key, `${NAME}` for any value."""
    properties = section.get("properties", {})
    for key, schema in [*properties.items()]:
        schema.pop("title", None)
        forms = (schema, *schema.get("anyOf", ()))
        if isinstance(default := schema.get("default"), float):
            markers = [WithJsonSchema(SHARE_SCHEMA)] if SHARE in map(_pattern, forms) else []
            schema["default"] = format_setting(default, tuple(markers))
        for form in forms:
            if "enum" in form:
                form |= {"anyOf": [{"enum": form.pop("enum")}, {"pattern": r"\$\{"}]}
            elif form.get("type") in {"string", "integer", "boolean"} and not _pattern(form):
                form["type"] = ["string", "number", "boolean"]
        if not schema.keys() & {"$ref", "items", "additionalProperties"}:
            properties[f"{key}{FILE_SUFFIX}"] = {
                "type": "string",
                "description": f"A file that holds `{key}`, instead of it.",
            }
    if required := section.pop("required", None):
        section["allOf"] = [
            {"anyOf": [{"required": [key]}, {"required": [f"{key}{FILE_SUFFIX}"]}]}
            for key in required
        ]


def _pattern(form: dict[str, Any]) -> object:
    return form.get("pattern")
