"""Reads a YAML file with the line of every value, and fills in what the values refer to.

Of YAML only mappings, lists and text are accepted: no tags, which construct objects, and no
aliases, with which ten lines grow to gigabytes. `no`, `0123` and `1:30` stay the text they are.
`${ENV}` inside a text, and `KEY_file: path` in place of `KEY`, are filled in here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin

import yaml
from yaml.events import CollectionEndEvent, CollectionStartEvent, DocumentStartEvent

from bot.config.settings import Settings
from bot.config.value_types import FILE_SUFFIX, Section, name_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

Loc = tuple[str | int, ...]
"""The path of a value: `("tenants", 0, "domain")`."""
FILE_LIMIT = 10_000_000
"""Bytes of a file: 10,000 tenants take 3 MB."""
TENANTS: Loc = ("tenants",)
"""The list that may have a file of its own: `tenants_file`."""
MAX_DEPTH = 20
_FAST_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML has it: 500 tenants take 0.1 s instead of 1 s, and nothing is checked
before. It refuses a little more than PyYAML's own loader, which therefore has the last word."""
_NULL_TAG = "tag:yaml.org,2002:null"
_QUOTED = re.compile(r"""(['"]).{2,}\1""")
_REFERENCE = re.compile(r"\$(?:\$|\{([A-Za-z_][A-Za-z0-9_]*)\}|\{)")
_ADVICE = "a value that begins with one of @ ` % & * ! | > { [ or holds ': ' belongs in quotes"


class ConfigError(Exception):
    """The configuration cannot be used. Its text has one line per problem and never a value."""

    def __init__(self, problems: Iterable[str]) -> None:
        """Store the problems, in the order in which they should be read."""
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class Place(NamedTuple):
    """Where a value was written: a line of a file, or an environment variable."""

    order: int
    name: str


class ConfigProblem(NamedTuple):
    """One line for the person who has to fix it."""

    place: Place
    text: str


@dataclass
class Document:
    """Every scalar is text or None; only the settings know what should be a number."""

    folder: Path
    """Where relative paths begin."""
    places: dict[Loc, Place]
    values: Any = None
    problems: dict[Loc, ConfigProblem] = field(default_factory=dict)
    variables: frozenset[str] = frozenset()
    """The names of all variables, if they alone are the configuration."""

    def place_of(self, loc: Loc) -> Place:
        """Return the place of a value; of a missing one, the place of its parent."""
        while loc not in self.places:
            loc = loc[:-1]
        return self.places[loc]

    def at(self, *path: str) -> Iterator[tuple[Loc, Any]]:
        """Yield each value at a path, in lists or not, that is not left empty."""
        return _walk(self.values, path, ())

    def sections(self, *path: str) -> Iterator[tuple[Loc, dict[str, Any]]]:
        """Yield each section at a path, with the keys that are not left empty."""
        for loc, value in self.at(*path):
            if isinstance(value, dict):
                yield loc, {key: child for key, child in value.items() if child is not None}

    def report(self, loc: Loc, text: str) -> None:
        """Add a problem. Only the first one of a value counts: others follow from it."""
        place = self.place_of(loc)
        self.problems.setdefault(
            loc, ConfigProblem(place, f"{place.name}: {format_loc(loc)}: {text}")
        )


def _walk(value: object, path: tuple[str, ...], loc: Loc) -> Iterator[tuple[Loc, Any]]:
    if isinstance(value, list):
        for index, child in enumerate(value):
            yield from _walk(child, path, (*loc, index))
    elif path and isinstance(value, dict):
        yield from _walk(value.get(path[0]), path[1:], (*loc, path[0]))
    elif not path and value is not None:
        yield loc, value


def format_loc(loc: Loc) -> str:
    """Write a path as people do: `tenants[0].domain`. Always one short, printable line."""
    steps = (
        f"[{step}]"
        if isinstance(step, int)
        else f".{(step if step.isprintable() else ascii(step))[:60]}"
        for step in loc
    )
    return "".join(steps).removeprefix(".") or "the whole file"


def read_yaml(path: Path) -> Document:
    """Read a file. Raises ConfigError with one problem if it is not plain YAML."""
    document = Document(path.parent, {(): Place(1, f"{path}:1")})
    try:
        text = read_text(path)
    except ValueError as error:
        raise ConfigError([f"{path}: {error}"]) from None
    try:
        try:
            root = _compose(text, path, _FAST_LOADER)
        except yaml.YAMLError:
            root = _compose(text, path, yaml.SafeLoader)
    except yaml.YAMLError as error:
        # Without what YAML quotes from the file.
        at, what = text.count("\n", 0, getattr(error, "position", 0)), "control characters"
        if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
            at, what = error.problem_mark.line, _QUOTED.sub("…", error.problem or "")
        advice = f"indent with blanks only; {_ADVICE}"
        problem = f"{at + 1}: is not readable as YAML ({what}): {advice}"
    except (ValueError, OverflowError):
        problem = "1: has an escape or a version that no YAML has"
    else:
        if root is None:
            raise ConfigError([f"{path}:1: is empty"])
        document.values = _read_node(root, (), path, document)
        return document
    # Outside of the handlers: YAML's own errors carry the text, and with it the secrets.
    raise ConfigError([f"{path}:{problem}"])


def _compose(text: str, path: Path, loader: Any) -> yaml.Node | None:
    """Compose a document of mappings, lists and text; all else is refused before it is built."""
    depth = documents = 0
    for event in yaml.parse(text, Loader=loader):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        documents += isinstance(event, DocumentStartEvent)
        if getattr(event, "anchor", None):  # an alias has one, too
            problem = f"has an anchor (&) or alias (*): write it out; {_ADVICE}"
        elif getattr(event, "tag", None):
            problem = f"has a tag (!): leave it out; {_ADVICE}"
        elif depth > MAX_DEPTH:
            problem = "is nested deeper than any setting"
        elif documents > 1:
            problem = "begins a second document: write only one"
        else:
            continue
        line = event.start_mark.line + 1 if event.start_mark else 1
        raise ConfigError([f"{path}:{line}: {problem}"])
    return yaml.compose(text, Loader=loader)


def _read_node(node: yaml.Node, loc: Loc, path: Path, document: Document) -> object:
    """Return a node's value, and store the places of all that is in it."""

    def record_place(loc: Loc, node: yaml.Node) -> Loc:
        line = node.start_mark.line + 1
        document.places[loc] = Place(line, f"{path}:{line}")
        return loc

    if isinstance(node, yaml.SequenceNode):
        return [
            _read_node(child, record_place((*loc, index), child), path, document)
            for index, child in enumerate(node.value)
        ]
    if not isinstance(node, yaml.MappingNode):
        return None if node.tag == _NULL_TAG else node.value
    result: dict[str, object] = {}
    for key, child in node.value:
        if not isinstance(key, yaml.ScalarNode):
            line = key.start_mark.line + 1
            raise ConfigError([f"{path}:{line}: has a list or mapping as a key; {_ADVICE}"])
        first = document.places[(*loc, key.value)].order if key.value in result else None
        here = record_place((*loc, key.value), key)
        if first:
            document.report(here, f"is written twice, in line {first} too: remove one")
        result[key.value] = _read_node(child, here, path, document)
    return result


def read_text(path: Path) -> str:
    """Read a small text file. Raises ValueError with a reason that names neither path nor content.

    People write a secret by mistake where the path of its file belongs.
    """
    try:
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT + 1)
        if len(content) <= FILE_LIMIT:
            return content.decode("utf-8-sig")
        reason = "is larger than 10 MB"
    except UnicodeDecodeError:
        reason = "is not UTF-8: save it in that encoding"
    except OSError as error:
        reason = f"cannot be read ({error.strerror})"
    except ValueError:
        reason = "is no path"
    # Outside of the handlers: a UnicodeDecodeError carries the content.
    raise ValueError(reason)


def read_secret(path: Path) -> str:
    """Read the content of a `KEY_file`, without its last line break. Raises like `read_text`."""
    text = read_text(path).removesuffix("\n").removesuffix("\r")
    if not text:
        raise ValueError("is an empty file")
    return text


def section_at(loc: Loc, root: type[Section] = Settings) -> type[Section] | None:
    """Return the type of the section at a path; None: the settings have none there."""
    found: Any = root
    for key in loc:
        if isinstance(key, int):
            found = get_args(found)[0] if get_origin(found) is tuple else None
        else:
            section = _as_section(found)
            field = section.model_fields.get(key) if section else None
            found = field.annotation if field else None
    return _as_section(found)


def _as_section(annotation: Any) -> type[Section] | None:
    """Return the section that an annotation allows, if it is no list."""
    kinds = () if get_origin(annotation) is tuple else (annotation, *get_args(annotation))
    return next((k for k in kinds if isinstance(k, type) and issubclass(k, Section)), None)


def describe_setting(loc: Loc) -> str:
    """Return the description of the setting at a path; empty if there is none."""
    section = section_at(loc[:-1])
    field = section.model_fields.get(str(loc[-1])) if section and loc else None
    return (field.description or "") if field else ""


@dataclass
class Expansion:
    """Fills in variables and secret files; reports unset, unreadable and unknown ones.

    What cannot be filled in becomes an empty text, and no further problem of it is shown.
    """

    document: Document
    environ: Mapping[str, str]
    env_file: Path
    """Where unset variables were looked for, too."""

    def expand_value(self, value: object, loc: Loc = ()) -> object:
        """Return the value filled in."""
        if isinstance(value, str):
            return self._expand_text(value, loc)
        if isinstance(value, list):
            return [self.expand_value(child, (*loc, i)) for i, child in enumerate(value)]
        return self._expand_mapping(value, loc) if isinstance(value, dict) else value

    def _expand_mapping(self, written: dict[str, object], loc: Loc) -> dict[str, object]:
        section, result = section_at(loc), dict[str, object]()
        for key, child in written.items():
            here, stem = (*loc, key), key.removesuffix(FILE_SUFFIX)
            if section is None or key in section.model_fields:
                result[key] = self.expand_value(child, here)
            elif stem not in section.model_fields:
                near = get_close_matches(key, section.model_fields, n=1)
                known = f"; known here: {', '.join(section.model_fields)}"
                advice = f": did you mean {near[0]}?" if near else known
                self.document.report(here, f"is no setting{advice}")
            elif stem in written:
                self.document.report(here, f"stands beside {stem}: give one of the two")
            else:
                self.document.places[(*loc, stem)] = self.document.places[here]
                result[stem] = self._read_file(child, (*loc, stem))
        return result

    def _read_file(self, path: object, loc: Loc) -> object:
        """Read a secret, or a list in a YAML file of its own."""
        name = self.expand_value(path, loc)
        if not isinstance(name, str):
            self.document.report(loc, f"its {FILE_SUFFIX} key must be a path")
            return ""
        if loc == TENANTS:
            listed, document = read_yaml(self.document.folder / name), self.document
            document.places |= {(*loc, *inner): place for inner, place in listed.places.items()}
            document.problems |= {(*loc, *at): found for at, found in listed.problems.items()}
            return self.expand_value(listed.values, loc)
        try:
            return read_secret(self.document.folder / name)
        except ValueError as error:
            self.document.report(loc, f"{name_file(name)} {error}")
            return ""

    def _expand_text(self, value: str, loc: Loc) -> str:
        for match in _REFERENCE.finditer(value):
            name = match[1]
            if match[0] == "${":
                self.document.report(loc, "has a ${ without a name and }: write $$ for a dollar")
            elif name and name not in self.environ:
                near = get_close_matches(name, self.environ, n=1, cutoff=0.8)
                advice = f": did you mean {near[0]}?" if near else ""
                file = self.env_file
                also = f"not in {file}" if file.is_file() else f"there is no file {file}"
                text = f"needs the environment variable {name}, which is unset, and {also}{advice}"
                self.document.report(loc, text)
        if loc in self.document.problems:
            return ""
        return _REFERENCE.sub(lambda match: self.environ[match[1]] if match[1] else "$", value)
