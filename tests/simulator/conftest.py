from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.simulator.reading import load_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bot.simulator.scenario import Scenario

HEAD = """\
format: 1
name: case
about: A case.
start: 2026-03-02T10:00:00Z
warmup: 30m
duration: 60m
seed: 7
tenants:
  prod: {domain: acme.us.auth0.com, environment: US-1, custom_domain: login.acme.example}
  eu: {domain: acme.eu.auth0.com, environment: EU-1, m2m: true}
controls: [neutral]
"""


@pytest.fixture
def start_at() -> float:
    """t=0 of every `make_scenario`."""
    return 1772445600.0


@pytest.fixture
def make_scenario(tmp_path: Path) -> Callable[..., Scenario]:
    """Read a scenario from its lines after the usual first eleven: the first one is line 12."""

    def make(*lines: str, head: str = HEAD) -> Scenario:
        file = tmp_path / "case.yml"
        file.write_text(head + "\n".join(lines) + "\n")
        return load_file(file)

    return make
