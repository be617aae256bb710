from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.callers import Callers, Module, find_one_caller, find_used_in_tests_only
from tests.house.diagram import PAGE, with_diagrams
from tests.house.measure import (
    MEASURES,
    ROOT,
    House,
    draw_names,
    files,
    functions,
    import_cycles,
    modules_in_core,
    render,
)

HOUSE = House()
SOURCES = sorted((ROOT / "bot").rglob("*.py"))
LONGEST_FILE = 400
LONGEST_FUNCTION = 50
MOST_FILES = 201
MOST_MODULES_IN_CORE = 6
DRAWERS = {"utils", "helpers", "manager", "misc", "common"}
PRIVATE_WORDS = {
    *("look", "looks", "looking", "neutral", "tempo", "usual", "series", "blind", "gap", "trouble"),
    *("case", "clue", "clues", "row", "beforehand", "claim", "hint", "telling", "told", "heard"),
    *("reaching", "calling", "ladder", "way", "asked", "handling", "arranging", "swap", "left"),
    *("around", "openings", "review", "lead", "notice", "post", "entry", "graver", "card", "page"),
    *("deliver", "outgoing", "pace", "waker", "journal", "outward", "run", "running"),
    *("standing_for", "apart", "child", "rivals", "comparing", "storm"),
}
"""What the field says otherwise. `page` is wrong alone, and right in `status_page`."""


def test_the_packages_keep_their_imports() -> None:
    """Imports go down only, the core is pure, each library stays in its package."""
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(  # noqa: S603 - our own tool
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def test_no_import_cycle() -> None:
    """Siblings never import one another in a circle, imports for types included."""
    assert import_cycles() == []


def test_the_layout_stays_small() -> None:
    """The core's modules lie in its packages, and the number of files does not creep up."""
    assert len(modules_in_core(HOUSE)) <= MOST_MODULES_IN_CORE
    assert files(HOUSE) <= MOST_FILES


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_can_be_read_at_one_sitting(file: Path) -> None:
    """No file is longer than 400 lines."""
    assert len(file.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_files_have_the_words_of_the_field(file: Path) -> None:
    """No file is a drawer for this and that, and none is named by a word of our own."""
    parts = {file.stem, *(part for part in file.stem.split("_") if part != "page")}

    assert parts.isdisjoint(DRAWERS | PRIVATE_WORDS)


def test_functions_are_read_at_a_glance() -> None:
    """The median function stays below ten lines, and none is longer than 50."""
    lengths = list(functions(HOUSE.modules))

    assert statistics.median(length for _, length in lengths) < 10
    assert {name for name, length in lengths if length > LONGEST_FUNCTION} == set()


@pytest.mark.parametrize("file", sorted((ROOT / "tests").rglob("*.py")), ids=lambda file: file.name)
def test_doubles_are_classes_and_claims_are_stated(file: Path) -> None:
    """Nothing is patched, and every test says in a line what it claims."""
    tree = ast.parse(file.read_text())
    found = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    silent = [n.name for n in found if n.name.startswith("test_") and not ast.get_docstring(n)]

    assert "unittest.mock" not in file.read_text() or file == Path(__file__)
    assert silent == []


def test_the_diagrams_are_those_of_the_contracts() -> None:
    """The architecture shows the layers of pyproject.toml: else `make house ARGS=--diagram`."""
    page = (ROOT / PAGE).read_text()

    assert page.count("flowchart TD") == 2
    assert with_diagrams(page) == page


@pytest.mark.no_cover
def test_each_measure_is_printed() -> None:
    """The table has a row for each measure, with the figure of before."""
    table = render(HOUSE)

    assert table.row_count == len(MEASURES)
    assert all(measure.before and measure.name for measure in MEASURES)


def test_names_are_drawn_by_their_seed() -> None:
    """The same seed draws the same names of the core, another one others."""
    drawn = draw_names(HOUSE)

    assert len({*drawn}) == 20
    assert all((ROOT / "bot" / "core" / name).is_file() for name in drawn)
    assert drawn == draw_names(HOUSE)
    assert drawn != draw_names(HOUSE, seed=12)


def callers_of(**sources: str) -> tuple[Callers, list[Module]]:
    modules = [Module(name, ast.parse(source)) for name, source in sources.items()]
    return Callers(modules), modules


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("def f(): ...\nf()", ["f"]),
        ("def f(): ...\nf()\nf()", []),
        ("def f(): ...\ntable = {1: f}", []),
        ("def f(): ...\nf()\ntable = {1: f}", []),
        ("def f(): f()\nf()", []),
        ("def f(): ...\ndef g(f): f()\ng(1)\ng(2)", []),
        ("@decorated\ndef f(): ...\nf()", []),
        ("def f():\n" + "    x = 1\n" * 8 + "f()", []),
        ("class A:\n def m(self): ...\n def n(self): self.m()", ["A.m"]),
        (
            "class A:\n def m(self): ...\nclass B:\n def m(self): ...\n def n(self): self.m()",
            ["B.m"],
        ),
        ("class A:\n def m(self): ...\nclass B:\n def m(self): ...\nx.m()", ["A.m", "B.m"]),
        ("class P(Protocol):\n def m(self): ...\nclass A:\n def m(self): ...\nx.m()", []),
        ("class A(Foreign):\n def m(self): ...\n def n(self): self.m()", []),
        ("class A:\n def m(self): ...\nclass B(A):\n def n(self): self.m()", ["A.m"]),
    ],
)
def test_one_caller(source: str, found: list[str]) -> None:
    """A short function counts if one call names it and nothing else does."""
    callers, modules = callers_of(one=source)

    assert [each.name for each in find_one_caller(callers, modules)] == found


def test_a_caller_in_another_module() -> None:
    """A name is followed through an import, a re-export and an attribute of a module."""
    callers, modules = callers_of(
        a="def f(): ...\ndef g(): ...\ndef h(): ...",
        b="from a import f as again",
        c="from b import again\nimport a\nagain()\na.g()\na.h()\na.h()",
    )

    assert [each.name for each in find_one_caller(callers, modules)] == ["f", "g"]


def test_a_function_that_only_tests_call() -> None:
    """It counts as such, unless the product names it as well."""
    product = {"a": "def f(): ...\ndef g(): ...\ndef h(): ...\nh()"}
    callers, modules = callers_of(**product)
    tests, _ = callers_of(**product, test="from a import f, h\nf()\nh()")

    assert [each.name for each in find_used_in_tests_only(callers, tests, modules)] == ["f"]
