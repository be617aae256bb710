"""No secret gets out in any test: not in what it logs and prints, and not in a database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pluggy

CANARY = re.compile(
    rb"canary-(?:(?:alert|change|report|stream)-token|(?:client|path|signing)-secret|password)"
    rb"|(?:xoxb|xapp)-canary"
)
"""The secrets with which tests configure the bot."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Let a test fail that passes and has a secret in its log or its output."""
    outcome: pluggy.Result[pytest.TestReport] = yield  # type: ignore[assignment]
    report = outcome.get_result()
    leaks = {name for name, text in report.sections if CANARY.search(text.encode(errors="replace"))}
    if report.passed and leaks:
        report.outcome = "failed"
        report.longrepr = f"a secret of the configuration is in: {', '.join(sorted(leaks))}"


@pytest.fixture(scope="session", autouse=True)
def _no_secret_is_in_a_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Look through all databases, their logs and copies, once all tests are over."""
    yield
    files = tmp_path_factory.getbasetemp().rglob("*.sqlite*")
    leaks = [file for file in files if file.is_file() and CANARY.search(file.read_bytes())]
    assert not leaks
