"""The player reads right what pytest says."""

from __future__ import annotations

import pytest

from tests.mutants.play import FAILED, Run

SUMMARY = "=========================== short test summary info ==========================="


@pytest.mark.parametrize(
    ("line", "test"),
    [
        ("FAILED tests/a.py::test_b - AssertionError: assert 1 == 2", "tests/a.py::test_b"),
        ("FAILED tests/a.py::test_b[two words-ok] - As...", "tests/a.py::test_b[two words-ok]"),
        (
            "FAILED tests/a.py::test_b[a:\\n - b[0]-c] - a[0] - b",
            "tests/a.py::test_b[a:\\n - b[0]-c]",
        ),
        ("FAILED tests/a.py::test_a_name_that_leaves_no_room", None),
        ("ERROR tests/a.py::test_b - OSError: no space", "tests/a.py::test_b"),
        ("ERROR tests/a.py", None),
    ],
)
def test_the_test_that_failed_is_found(line: str, test: str | None) -> None:
    """Also by a parameter with spaces; a line of a log is no test."""
    log = "ERROR    bot.slack:web_api.py:4 Failed to connect\nERROR tests - is no summary"
    run = Run(FAILED, f"{log}\n{SUMMARY}\n{line}\n1 failed in 2.03s\n", 2.0)

    assert run.failed_test == (test or line.partition(" ")[2])
