"""One mutant: a copy of the source with one guard removed or broken."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(r"\w+|[^\w\s]")


class MutantError(Exception):
    """The list no longer fits the source: say which mutant, and what to correct."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of one function, and what people lose by it."""

    id: str
    path: str
    function: str
    """The qualified name within the module: `step` or `Outbox.recover`."""
    old: str
    """Occurs exactly once in the function, whatever its line breaks and indentation."""
    new: str
    promise: str
    """The sentence that promises the guard, and where it stands."""
    harm: str
    """What people would get without it."""
    tests: tuple[str, ...]
    """The nearest tests that should fail."""

    @property
    def module(self) -> str:
        """Return the name by which the mutated file is imported."""
        return self.path.removesuffix(".py").replace("/", ".")

    def apply(self, source: str) -> str:
        """Return the mutated source. Raises `MutantError`."""
        found = list(_find_functions(ast.parse(source).body, self.function))
        if len(found) != 1:
            raise MutantError(
                f"{self.id}: {self.path} has {len(found)} functions named {self.function}, not 1"
            )
        lines = source.splitlines(keepends=True)
        first, last = found[0].lineno - 1, found[0].end_lineno
        segment = "".join(lines[first:last])
        matches = list(_to_pattern(self.old).finditer(segment))
        if len(matches) != 1:
            raise MutantError(
                f"{self.id}: {self.function} in {self.path} has {len(matches)} times {self.old!r},"
                " not once"
            )
        begin, end = matches[0].span()
        changed = segment[:begin] + self.new + segment[end:]
        mutated = "".join([*lines[:first], changed, *lines[last:]])
        try:
            compile(mutated, self.path, "exec")
        except SyntaxError as error:
            raise MutantError(f"{self.id}: the mutant is no Python: {error.msg}") from error
        if ast.dump(ast.parse(mutated)) == ast.dump(ast.parse(source)):
            raise MutantError(f"{self.id}: the mutant does the same as the source")
        return mutated


def _find_functions(
    body: list[ast.stmt], name: str
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    first, _, rest = name.partition(".")
    for node in body:
        if isinstance(node, ast.ClassDef) and rest and node.name == first:
            yield from _find_functions(node.body, rest)
        elif (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and not rest
            and node.name == first
        ):
            yield node


def _to_pattern(snippet: str) -> re.Pattern[str]:
    """Match the snippet's words and signs in their order, with any white space in between."""
    tokens = _TOKEN.findall(snippet)
    parts = [r"(?<!\w)" if _is_word(tokens[0]) else "", re.escape(tokens[0])]
    for before, token in pairwise(tokens):
        has_two_words = _is_word(before) and _is_word(token)
        parts += [r"\s+" if has_two_words else r"\s*", re.escape(token)]
    parts.append(r"(?!\w)" if _is_word(tokens[-1]) else "")
    return re.compile("".join(parts))


def _is_word(token: str) -> bool:
    return re.fullmatch(r"\w+", token) is not None
