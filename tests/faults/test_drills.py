"""The drills and their table."""

from __future__ import annotations

import re
from pathlib import Path

from tests.faults.page import PAGE, Drilled, with_drills

TESTS = Path(__file__).parents[1]


def test_every_drill_is_in_the_table() -> None:
    """`make faults-full` played each of them."""
    drill = re.compile(r"@pytest\.mark\.drill\(.*?\n(?:async )?def test_(\w+)", re.DOTALL)
    found = [name for file in TESTS.rglob("test_*.py") for name in drill.findall(file.read_text())]
    names = {name.replace("_", "-") for name in found}

    table = PAGE.read_text().partition("<!-- drills")[2]
    assert {*re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE)} == names


def test_a_drill_that_was_not_played_keeps_its_row() -> None:
    """What is played again gets a new one."""
    page = with_drills(PAGE.read_text(), {"a-drill": Drilled("It holds.", 1200, 0)})
    page = with_drills(page, {"b-drill": Drilled("It holds, too.", 7, 1)})
    page = with_drills(page, {"b-drill": Drilled("It holds, too.", 8, 0)})

    assert "| `a-drill` | It holds. | 1,200 | 0 |" in page
    assert page.count("b-drill") == 1
    assert "| `b-drill` | It holds, too. | 8 | 0 |" in page
