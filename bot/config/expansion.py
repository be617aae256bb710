"""Fills in what a file only refers to: `${ENV}` inside texts, and `KEY_file: path` for `KEY`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, get_args, get_origin

from bot.config.document import Document, Loc, read_secret
from bot.config.settings import Settings
from bot.config.values import Section

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "_file"
_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|\{)")


def expand(document: Document, environ: Mapping[str, str]) -> None:
    """Replace the document's values; report unset variables, unreadable files, unknown keys."""
    document.values = _Expansion(document, environ).value(document.values, (), Settings)


def section_at(section: type[Section], key: str) -> type[Section] | None:
    """Return the kind of section that stands below a key, in a list or not, if one does."""
    field = section.model_fields.get(key)
    return _section_in(field.annotation) if field else None


def hint(loc: Loc) -> str:
    """Return what the settings say about the key that a way ends with."""
    section: type[Section] = Settings
    for step in loc[:-1]:
        section = section_at(section, str(step)) or section
    field = section.model_fields.get(str(loc[-1])) if loc else None
    return (field.description or "") if field else ""


def _section_for(child: object, parent: type[Section] | None, key: str) -> type[Section] | None:
    """Leave out what is a mapping in place of a list, or the other way round: keys mean nothing."""
    if parent is None or key not in parent.model_fields:
        return None
    is_list = get_origin(parent.model_fields[key].annotation) is tuple
    return section_at(parent, key) if isinstance(child, list) == is_list else None


def _section_in(annotation: object) -> type[Section] | None:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)


@dataclass
class _Expansion:
    """What cannot be filled in becomes an empty text, and whatever follows from that is muted."""

    document: Document
    environ: Mapping[str, str]

    def value(self, value: object, loc: Loc, section: type[Section] | None) -> object:
        if isinstance(value, str):
            return self.text(value, loc)
        if isinstance(value, list):
            return [self.value(child, (*loc, i), section) for i, child in enumerate(value)]
        if isinstance(value, dict):
            return self.mapping(value, loc, section)
        return value

    def mapping(
        self, written: dict[str, object], loc: Loc, section: type[Section] | None
    ) -> dict[str, object]:
        result: dict[str, object] = {}
        for key, child in written.items():
            here, stem = (*loc, key), key.removesuffix(FILE)
            if section is None or key in section.model_fields:
                result[key] = self.value(child, here, _section_for(child, section, key))
            elif stem not in section.model_fields:
                self.document.report(here, _unknown(key, section))
            elif stem in written:
                self.document.report(here, f"stands beside {stem}: give one of the two")
            else:
                self.document.places[(*loc, stem)] = self.document.places[here]
                result[stem] = self.content(child, (*loc, stem))
        return result

    def content(self, path: object, loc: Loc) -> str:
        name = self.value(path, loc, None)
        if not isinstance(name, str):
            self.document.report(loc, f"its {FILE} key must be a path")
            return ""
        try:
            return read_secret(self.document.folder / name)
        except ValueError as error:
            self.document.report(loc, f"the file named by its {FILE} key {error}")
            return ""

    def text(self, value: str, loc: Loc) -> str:
        for match in _REFERENCE.finditer(value):
            name = match[1]
            if match[0] == "${":
                self.document.report(loc, "has a ${ without a name and }: write $$ for a dollar")
            elif name and name not in self.environ:
                self.document.report(loc, f"needs the environment variable {name}, which is unset")
        if loc in self.document.problems:
            return ""
        return _REFERENCE.sub(lambda match: self.environ[match[1]] if match[1] else "$", value)


def _unknown(key: str, section: type[Section]) -> str:
    near = get_close_matches(key, section.model_fields, n=1)
    if near:
        return f"is no setting: did you mean {near[0]}?"
    return f"is no setting; known here: {', '.join(section.model_fields)}"
