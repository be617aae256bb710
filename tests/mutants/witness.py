"""A pytest plugin for the player.

It makes sure that the mutated file is what the tests import, and runs the tests that are nearest
to it first: most mutants are noticed there, and the first failure ends the run.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path

import pytest

CANNOT_IMPORT = 70
WRONG_FILE = 71
"""Exit statuses that pytest itself does not use."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the name of the mutated module."""
    parser.addoption("--mutated", help="the module that must be imported from this tree")


def pytest_configure(config: pytest.Config) -> None:
    """Import the mutated module before any test does."""
    name = str(config.getoption("--mutated"))
    try:
        file = importlib.import_module(name).__file__
    except Exception as error:  # noqa: BLE001 - whatever it raises, the mutant is at fault
        pytest.exit(f"{name} cannot be imported: {error!r}", CANNOT_IMPORT)
    if file is None or not Path(file).resolve().is_relative_to(config.rootpath.resolve()):
        pytest.exit(f"{name} was imported from another tree", WRONG_FILE)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the tests first that are named after the mutated module, then those that import it.

    Among equals, those that draw examples come last: they take longest.
    """
    module = str(config.getoption("--mutated"))
    names = {f"test_{part}" for part in module.split(".")}

    @cache
    def rank(file: Path) -> tuple[bool, bool, bool]:
        text = file.read_text()
        return file.stem not in names, f"from {module} import " not in text, "hypothesis" in text

    items.sort(key=lambda item: rank(item.path))
