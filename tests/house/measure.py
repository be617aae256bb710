"""What the layout of `bot/` must reach, beside what it was and what it is: `make house`.

`make house ARGS=--names` draws file names of the core for somebody who has never seen them,
`ARGS=--one-caller` lists the functions that one place calls, `ARGS=--diagram` writes the diagrams
of docs/dev/architecture.md anew.
"""

from __future__ import annotations

import ast
import asyncio
import random
import statistics
import sys
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import grimp
from rich.console import Console
from rich.table import Table

from tests.house.callers import (
    SHORT_LINES,
    Callers,
    Definition,
    Function,
    Module,
    find_one_caller,
    find_used_in_tests_only,
)
from tests.house.diagram import PAGE, with_diagrams
from tests.house.failed_login import fail_login
from tests.house.question import ask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
BEFORE = "b963e83"
"""The last commit before the move. Its figures are counted as today's are, without what was its
demo, simulation and score, which lay outside the simulator."""
WIDTH = 140
NAMES_DRAWN = 20
NAMES_SEED = 11


@dataclass(frozen=True)
class House:
    """The product's source in a clone."""

    root: Path = ROOT

    @cached_property
    def modules(self) -> list[Module]:
        """All of `bot/`."""
        return [self._read(path) for path in sorted((self.root / "bot").rglob("*.py"))]

    @cached_property
    def product(self) -> list[Module]:
        """What users run: all but the simulator, the score and the demo."""
        return [each for each in self.modules if not each.name.startswith("bot.simulator")]

    @cached_property
    def callers(self) -> Callers:
        """Who calls what within `bot/`."""
        return Callers(self.modules)

    @cached_property
    def with_tests(self) -> Callers:
        """The same, and what tests call."""
        tests = [self._read(path) for path in sorted((self.root / "tests").rglob("*.py"))]
        return Callers([*self.modules, *tests])

    def _read(self, path: Path) -> Module:
        parts = path.relative_to(self.root).with_suffix("").parts
        is_package = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_package else parts)
        return Module(name, ast.parse(path.read_text()), is_package)

    def path_of(self, module: Module) -> Path:
        """Return a module's file."""
        place = self.root.joinpath(*module.name.split("."))
        return place / "__init__.py" if module.is_package else place.with_suffix(".py")

    def lines_of(self, module: Module) -> int:
        """Return how many lines a module's file has."""
        return len(self.path_of(module).read_text().splitlines())


@dataclass(frozen=True)
class Measure:
    """One row of the table."""

    name: str
    before: str
    """At `BEFORE`, by the same rule."""
    goal: str
    now: Callable[[House], object]


def files(house: House) -> int:
    """Return how many files the product has."""
    return len(house.product)


def lines(house: House) -> int:
    """Return how many lines they have, blank ones and comments included."""
    return sum(house.lines_of(module) for module in house.product)


def modules_in_core(house: House) -> list[str]:
    """Return the modules that lie directly in the core."""
    return [
        module.name
        for module in house.modules
        if module.name.startswith("bot.core.")
        and module.name.count(".") == len(("core", "module"))
        and not module.is_package
    ]


def import_cycles(root_package: str = "bot") -> list[tuple[str, ...]]:
    """Return the groups of siblings that import one another in a circle, types included."""
    graph = grimp.build_graph(root_package, cache_dir=None, exclude_type_checking_imports=False)
    parents = [name for name in sorted(graph.modules) if graph.find_children(name)]
    return [cycle for parent in parents for cycle in _cycles_of_siblings(graph, parent)]


def _cycles_of_siblings(graph: grimp.ImportGraph, parent: str) -> Iterator[tuple[str, ...]]:
    """Yield the cycles among the children of a package, each with all that is below it."""
    siblings = sorted(graph.find_children(parent))
    sibling_of = {
        module: child for child in siblings for module in (child, *graph.find_descendants(child))
    }
    uses: dict[str, set[str]] = {child: set() for child in siblings}
    for module, child in sibling_of.items():
        imported = graph.find_modules_directly_imported_by(module)
        uses[child] |= {sibling_of[name] for name in imported if name in sibling_of} - {child}
    reach = {child: _reachable(child, uses) for child in siblings}
    groups = {
        tuple(other for other in siblings if other in reach[child] and child in reach[other])
        for child in siblings
    }
    yield from sorted(group for group in groups if len(group) > 1)


def _reachable(start: str, uses: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        for name in uses[waiting.pop()] - found:
            found.add(name)
            waiting.append(name)
    return found


def functions(modules: list[Module]) -> Iterator[tuple[str, int]]:
    """Yield each function of modules, nested ones as well, with its length."""
    for module in modules:
        for node in ast.walk(module.tree):
            if isinstance(node, Function):
                yield f"{module.name}:{node.name}", (node.end_lineno or 0) - node.lineno + 1


def modules_of_a_failed_login(_: House) -> int:
    """Return how many modules a login passes that fails, from the timer to the accepted message."""
    return len(asyncio.run(fail_login()))


def modules_of_a_question(_: House) -> int:
    """Return how many modules `/auth0-check status` passes from Slack to the accepted answer."""
    return len(asyncio.run(ask("status")).modules)


def commits_of_a_question(_: House) -> int:
    """Return how many durable commits it costs."""
    asked = asyncio.run(ask("status"))
    return asked.commits + asked.later_commits


def longest_file(house: House) -> str:
    """Name the product's longest file."""
    found = max(house.product, key=house.lines_of)
    return f"{house.lines_of(found)} ({_short(found.name)})"


def longest_function(house: House) -> str:
    """Name the product's longest function."""
    name, length = max(functions(house.product), key=lambda each: each[1])
    return f"{length} ({_short(name)})"


def median_function(house: House) -> float:
    """Return how long the middle one of the product's functions is."""
    return statistics.median(length for _, length in functions(house.product))


def one_caller(house: House) -> list[Definition]:
    """Return the product's short functions that one place calls."""
    return find_one_caller(house.callers, house.product)


def used_in_tests_only(house: House) -> list[Definition]:
    """Return the product's functions that nothing but a test calls."""
    return find_used_in_tests_only(house.callers, house.with_tests, house.product)


def public_names(house: House) -> int:
    """Return how many names modules and classes offer: constants, classes, functions, methods."""
    return sum(
        not name.startswith("_") for module in house.product for name in defined_names(module)
    )


def defined_names(module: Module) -> Iterator[str]:
    """Yield the functions, methods, classes and constants of a module, without their owner."""
    yield from (name.rpartition(".")[2] for name in module.definitions)
    yield from module.classes
    for node in module.tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
        for target in targets:
            yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))


def classes(house: House) -> int:
    """Return how many classes the product has."""
    return sum(len(module.classes) for module in house.product)


def _short(name: str) -> str:
    return name.removeprefix("bot.")


MEASURES = (
    Measure("files of bot/, without the simulator", "197", "<= 175", files),
    Measure("raw lines of these", "21,736", "<= 21,000, later 19,000", lines),
    Measure("modules directly in bot/core", "63", "<= 6", lambda h: len(modules_in_core(h))),
    Measure("import cycles, type-only imports included", "2", "0", lambda _: len(import_cycles())),
    Measure("longest file", "300 (core.series)", "<= 400", longest_file),
    Measure("longest function", "32", "<= 50", longest_function),
    Measure("median function", "6.0", "", median_function),
    Measure(
        f"functions with one caller, of at most {SHORT_LINES} lines",
        "304",
        "<= 80 (issue 12)",
        lambda h: len(one_caller(h)),
    ),
    Measure(
        "modules that a failed login passes", "68", "<= 45 (issue 12)", modules_of_a_failed_login
    ),
    Measure(
        "modules that `/auth0-check status` passes", "not traced", "traced", modules_of_a_question
    ),
    Measure("durable commits of `/auth0-check status`", "4", "0", commits_of_a_question),
    Measure("functions that only tests call", "1", "0", lambda h: len(used_in_tests_only(h))),
    Measure("public names", "1,493", "", public_names),
    Measure("classes", "280", "", classes),
)
"""The rows of the table. A later measure is one more line here, with a function that counts it."""


def draw_names(house: House, seed: int = NAMES_SEED) -> list[str]:
    """Draw file names of the core, as a newcomer sees them: folder and name, nothing else."""
    names = [
        house.path_of(module).relative_to(house.root / "bot" / "core").as_posix()
        for module in house.modules
        if module.name.startswith("bot.core.") and not module.is_package
    ]
    return random.Random(seed).sample(names, NAMES_DRAWN)  # noqa: S311 - not a secret


def render(house: House, measures: tuple[Measure, ...] = MEASURES) -> Table:
    """Return the table."""
    table = Table("measure", f"before ({BEFORE})", "now", "goal")
    for measure in measures:
        now = measure.now(house)
        said = f"{now:,}" if isinstance(now, int) else str(now)
        table.add_row(measure.name, measure.before, said, measure.goal)
    return table


def main(arguments: list[str]) -> None:
    """Print the table, or what is asked for."""
    house = House()
    console = Console(width=WIDTH, highlight=False)
    if "--names" in arguments:
        numbers = [int(b) for a, b in pairwise(arguments) if a == "--seed"]
        drawn = draw_names(house, *numbers)
        console.print(*(f"{place:2} {name}" for place, name in enumerate(drawn, 1)), sep="\n")
    elif "--one-caller" in arguments:
        for each in one_caller(house):
            path = each.module.replace(".", "/")
            console.print(f"{path}.py:{each.node.lineno} {each.name} ({each.lines})")
    elif "--diagram" in arguments:
        page = ROOT / PAGE
        page.write_text(with_diagrams(page.read_text()))
    else:
        console.print(render(house))


if __name__ == "__main__":
    main(sys.argv[1:])
