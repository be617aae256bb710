"""Who refers to which function of the product, read from the source without running it.

A name is followed through imports and re-exports, `self.name` through the bases of its class.
Whatever else is said of an object (`x.name`) counts for each method of that name: so a function
may have fewer callers than are found here, never more.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Function = ast.FunctionDef | ast.AsyncFunctionDef
SHORT_LINES = 8


class Reference(NamedTuple):
    """One place that names a function."""

    module: str
    within: str
    """The function or method that it stands in; empty: the module itself."""
    is_call: bool


@dataclass(frozen=True)
class Definition:
    """A function of a module, or a method of one of its classes."""

    module: str
    name: str
    """`function` or `Class.method`."""
    node: Function
    is_free: bool
    """Its name is ours: no protocol, library or decorator wants it."""

    @property
    def lines(self) -> int:
        """How long it is, its docstring included."""
        return (self.node.end_lineno or 0) - self.node.lineno + 1


@dataclass
class Module:
    """What a module defines and imports."""

    name: str
    tree: ast.Module
    is_package: bool = False
    definitions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The local name of what is imported: its module, and its name there (empty: the module)."""

    def __post_init__(self) -> None:
        for node in self.tree.body:
            if isinstance(node, Function):
                self.definitions[node.name] = node
            elif isinstance(node, ast.ClassDef):
                self.classes[node.name] = node
                methods = [each for each in node.body if isinstance(each, Function)]
                self.definitions |= {f"{node.name}.{each.name}": each for each in methods}
        self.imports = dict(_imports(self.tree))


def _imports(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield alias.asname or alias.name, (node.module, alias.name)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name, (alias.name, "")


class Callers:
    """The functions of `product`, and all that refers to them in all modules."""

    def __init__(self, modules: Iterable[Module]) -> None:
        self._modules = {module.name: module for module in modules}
        self.references: dict[tuple[str, str], list[Reference]] = defaultdict(list)
        self._methods: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for module in self._modules.values():
            for name in module.definitions:
                if "." in name:
                    self._methods[name.partition(".")[2]].append((module.name, name))
        self._wanted = _names_of_protocols(self._modules)
        for module in self._modules.values():
            _Visitor(self, module).visit(module.tree)

    def definitions(self, module: Module) -> Iterator[Definition]:
        """Yield the functions and methods of a module."""
        for name, node in module.definitions.items():
            owner, _, method = name.rpartition(".")
            is_wanted = bool(owner) and (method in self._wanted or self._has_bases(module, owner))
            is_dunder = method.startswith("__") and method.endswith("__")
            is_free = not (node.decorator_list or is_dunder or is_wanted)
            yield Definition(module.name, name, node, is_free)

    def outside(self, definition: Definition) -> list[Reference]:
        """Return the references to a function from outside its own body."""
        found = self.references[definition.module, definition.name]
        own = (definition.module, definition.name)
        return [each for each in found if (each.module, each.within) != own]

    def resolve(self, module: str, name: str) -> tuple[str, str] | None:
        """Return where a name of a module is defined; a module has the empty name."""
        known = self._modules.get(module)
        if known is None:
            return None
        if name in known.definitions or name in known.classes:
            return module, name
        if name not in known.imports:
            return None
        source, original = known.imports[name]
        if f"{source}.{original}".rstrip(".") in self._modules:
            return f"{source}.{original}".rstrip("."), ""
        return self.resolve(source, original) if source != module else None

    def find_method(self, module: str, owner: str, method: str) -> tuple[str, str] | None:
        """Return the method of a class of ours, its own or one of a base."""
        found = self.resolve(module, owner)
        if found is None or found[1] not in self._modules[found[0]].classes:
            return None
        place, name = found
        if f"{name}.{method}" in self._modules[place].definitions:
            return place, f"{name}.{method}"
        bases = [b.id for b in self._modules[place].classes[name].bases if isinstance(b, ast.Name)]
        return next(filter(None, (self.find_method(place, b, method) for b in bases)), None)

    def methods_named(self, name: str) -> list[tuple[str, str]]:
        """Return every method of a name."""
        return self._methods[name]

    def _has_bases(self, module: Module, owner: str) -> bool:
        """Tell whether something beyond our classes may call what a class overrides."""
        bases = module.classes[owner].bases
        return any(
            not isinstance(base, ast.Name) or self.resolve(module.name, base.id) is None
            for base in bases
        )


class _Visitor(ast.NodeVisitor):
    """Finds the references in one module."""

    def __init__(self, callers: Callers, module: Module) -> None:
        self._callers = callers
        self._module = module
        self._class = ""
        self._within = ""
        self._locals: set[str] = set()
        self._called: set[int] = set()

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        before = self._class
        self._class = self._class or node.name
        self.generic_visit(node)
        self._class = before

    def visit_FunctionDef(self, node: Function) -> None:
        before = self._within, self._locals
        if not self._within:
            self._within = f"{self._class}.{node.name}" if self._class else node.name
            self._locals = _bound_names(node)
        self.generic_visit(node)
        self._within, self._locals = before

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's own name

    def visit_Call(self, node: ast.Call) -> None:
        self._called.add(id(node.func))
        self.generic_visit(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id not in self._locals:
            self._add(node, self._callers.resolve(self._module.name, node.id))

    def visit_Attribute(self, node: ast.Attribute) -> None:
        for found in self._find_attribute(node):
            self._add(node, found)
        self.generic_visit(node)

    def _find_attribute(self, node: ast.Attribute) -> list[tuple[str, str]]:
        if isinstance(node.value, ast.Name):
            name = node.value.id
            if name in {"self", "cls"} and self._class:
                own = self._callers.find_method(self._module.name, self._class, node.attr)
                return [own] if own else self._callers.methods_named(node.attr)
            if name not in self._locals:
                owner = self._callers.resolve(self._module.name, name)
                if owner and not owner[1]:
                    found = self._callers.resolve(owner[0], node.attr)
                    return [found] if found else []
                if owner:
                    method = self._callers.find_method(*owner, node.attr)
                    return [method] if method else []
        return self._callers.methods_named(node.attr)

    def _add(self, node: ast.expr, found: tuple[str, str] | None) -> None:
        if found:
            reference = Reference(self._module.name, self._within, id(node) in self._called)
            self._callers.references[found].append(reference)


def _bound_names(function: Function) -> set[str]:
    """Return the names that a function binds itself: they hide those of its module."""
    names = {node.arg for node in ast.walk(function) if isinstance(node, ast.arg)}
    return names | {
        node.id
        for node in ast.walk(function)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }


def _names_of_protocols(modules: Mapping[str, Module]) -> set[str]:
    """Return the names of the methods that some protocol wants."""
    return {
        each.name
        for module in modules.values()
        for node in module.classes.values()
        if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases)
        for each in node.body
        if isinstance(each, Function)
    }


def find_one_caller(callers: Callers, modules: Iterable[Module]) -> list[Definition]:
    """Return the short functions that one place calls, and nothing else names.

    A function that is handed on as a value cannot be replaced by its body, and is left out; so is
    one that calls itself.
    """
    return [
        each
        for module in modules
        for each in callers.definitions(module)
        if each.is_free
        and each.lines <= SHORT_LINES
        and [found.is_call for found in callers.references[each.module, each.name]] == [True]
        and callers.outside(each)
    ]


def find_used_in_tests_only(
    callers: Callers, tests: Callers, modules: Iterable[Module]
) -> list[Definition]:
    """Return the functions that nothing in the product names, but a test.

    Args:
        callers: of the product.
        tests: of the product and its tests.
        modules: whose functions are asked about.
    """
    return [
        each
        for module in modules
        for each in callers.definitions(module)
        if each.is_free and not callers.outside(each) and tests.outside(each)
    ]
