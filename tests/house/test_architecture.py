from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "bot").rglob("*.py"))
LONGEST_FILE = 300
LONGEST_FUNCTION = 32  # the first migration and the list of metrics, which only declare


def test_the_rooms_keep_their_imports() -> None:
    """Imports go down only, the core is pure, each library stays in its room."""
    linter = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(  # noqa: S603 - our own tool
        [linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_can_be_read_at_one_sitting(file: Path) -> None:
    """None is longer than 300 lines, none is a drawer for this and that."""
    assert len(file.read_text().splitlines()) <= LONGEST_FILE
    assert file.stem not in {"utils", "helpers", "manager", "misc", "common"}


def test_functions_are_read_at_a_glance() -> None:
    """The median stays below ten lines, and none runs long."""
    lengths = {
        f"{file.relative_to(ROOT)}:{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }

    assert statistics.median(lengths.values()) < 10
    assert {name for name, length in lengths.items() if length > LONGEST_FUNCTION} == set()


@pytest.mark.parametrize("file", sorted((ROOT / "tests").rglob("*.py")), ids=lambda file: file.name)
def test_doubles_are_classes_and_claims_are_stated(file: Path) -> None:
    """Nothing is patched, and every test says in a line what it claims."""
    tree = ast.parse(file.read_text())
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    silent = [n.name for n in functions if n.name.startswith("test_") and not ast.get_docstring(n)]

    assert "unittest.mock" not in file.read_text() or file == Path(__file__)
    assert silent == []
