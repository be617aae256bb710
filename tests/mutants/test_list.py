"""The lists of mutants fit the source."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.mutants.guards import GUARDS
from tests.mutants.mutants import MUTANTS

if TYPE_CHECKING:
    from tests.mutants.mutant import Mutant

ROOT = Path(__file__).parents[2]
COUNT = 40
ALL = (*MUTANTS, *GUARDS)


def test_the_lists_have_forty_names_each() -> None:
    """Each list has forty mutants, and each mutant a name of its own."""
    assert len(MUTANTS) == len(GUARDS) == COUNT
    assert len({mutant.id for mutant in ALL}) == len(ALL)


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.id)
def test_the_mutant_applies(mutant: Mutant) -> None:
    """Every mutant of the list applies to today's source exactly once and changes it."""
    source = (ROOT / mutant.path).read_text()
    assert mutant.apply(source) != source
    assert all((ROOT / path).exists() for path in mutant.tests)


@pytest.mark.parametrize("mutant", ALL, ids=lambda mutant: mutant.id)
def test_the_promise_is_on_its_page(mutant: Mutant) -> None:
    """What a page is quoted with stands there."""
    for quote, page in re.findall(r'"([^"]+)" \((docs/\S+\.md)\)', mutant.promise):
        assert quote in " ".join((ROOT / page).read_text().replace("**", "").split())
