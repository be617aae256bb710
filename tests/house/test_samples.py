"""Every command and every sample of the pages is parsed or run; another test holds their words."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import Any

import click
import pytest
import yaml
from jsonschema import Draft202012Validator

from bot.config.listing import build_schema
from bot.core.model.measurement import Measurement, MetricKind
from bot.core.model.observation import Target
from bot.core.signals.metric_threshold import MetricLimits, MetricState
from bot.slack.render.signals import measurement_line
from tests.config.test_listing import PlainLoader
from tests.house.test_docs import COMMANDS, PAGES, blocks, calls

ROOT = Path(__file__).parents[2]
SCHEMA = build_schema()
MADE = re.compile(r"<!-- (?:[a-z]+: )?made by .*?<!-- end of .*?-->", re.DOTALL)
MOST_PROSE, MOST_TABLES = 11_000, 3_000
"""Words in `docs/` without `docs/dev`; of tables those that people write."""


@pytest.mark.parametrize(
    ("name", "words"), [*calls()], ids=lambda value: value if isinstance(value, str) else ""
)
def test_our_commands_can_be_called(name: str, words: list[str]) -> None:
    """The command line of each shown command is accepted, values of options included."""
    written = [word for word in words if word not in {"|", ">"}]
    if ">" in words:
        written = words[: words.index(">")]
    command = COMMANDS[name]
    context = click.Context(command, resilient_parsing=True)
    values, left, _ = command.make_parser(context).parse_args(list(written))

    assert left == []
    for param in command.params:
        given = values.get(param.name or "")
        if isinstance(given, str) and not isinstance(param.type, click.Path):
            param.type.convert(given, param, context)


@pytest.mark.parametrize("name", PAGES)
def test_shell_blocks_can_be_run(name: str) -> None:
    """Each block of shell code is correct shell, and the JSON in it is JSON."""
    for block in map(dedent, blocks(PAGES[name], "sh")):
        subprocess.run(["bash", "-n", "-c", block], check=True)  # noqa: S603, S607 - read, not run
        words = shlex.split(block, comments=True)
        for option, value in pairwise(words):
            if option in {"--json", "--data", "--filters"} and value[:1] in "[{":
                json.loads(value)


@pytest.mark.parametrize("name", PAGES)
def test_samples_can_be_read(name: str) -> None:
    """JSON is JSON, Python is Python, and YAML is YAML."""
    page = PAGES[name]
    for text in map(dedent, blocks(page, "json")):
        json.loads(text)
    for text in map(dedent, blocks(page, "python")):
        ast.parse(text)
    for text in map(dedent, blocks(page, "yaml")):
        yaml.load(text, PlainLoader)  # noqa: S506 - a safe loader


def _settings() -> list[Any]:
    """Return each piece of our own configuration that the pages show."""
    texts = [
        dedent(text)
        for name, page in PAGES.items()
        for text in blocks(page, "yaml")
        if name != "docs/dev/simulate.md"  # scenarios
    ]
    read = [yaml.load(text, PlainLoader) for text in texts]  # noqa: S506 - a safe loader
    return [each for each in read if isinstance(each, dict) and {*each} <= {*SCHEMA["properties"]}]


def test_settings_of_the_pages_are_settings() -> None:
    """Each shown piece of a configuration has keys and values that the bot accepts."""
    shown = _settings()
    errors = [
        f"{error.json_path}: {error.message}"
        for each in shown
        for error in _deep_errors(each)
        if error.validator != "required"  # pieces leave out what another page shows
    ]

    assert len(shown) > 10
    assert errors == []


def _deep_errors(piece: Any) -> list[Any]:
    """Return the errors of a piece, those within `anyOf` included."""
    found = []
    waiting = [*Draft202012Validator(SCHEMA).iter_errors(piece)]
    while waiting:
        error = waiting.pop()
        waiting += error.context or []
        found += [] if error.context else [error]
    return found


def test_the_shown_reading_is_real() -> None:
    """The line that `probe --signal` prints is as the page shows it."""
    target = Target("prod", "checkout")
    measured = Measurement(target, 0.0, span_s=120.0, failed=0.0, total=220.0)
    line = measurement_line(measured, MetricState(), MetricLimits(MetricKind.METRICS))

    assert f"{target}: {line}\n" in PAGES["docs/real-users.md"]


def test_the_pages_are_short() -> None:
    """People read at most 11,000 words of prose and 3,000 in tables that were not made."""
    prose = tables = 0
    for name, page in PAGES.items():
        if not re.fullmatch(r"docs/[\w-]+\.md", name):
            continue
        written = re.sub(
            r"<!--.*?-->|^ *```.*?^ *```", "", MADE.sub("", page), flags=re.MULTILINE | re.DOTALL
        )
        for line in written.splitlines():
            count = len([word for word in line.split() if not re.fullmatch(r"[|-]+", word)])
            tables, prose = (tables + count, prose) if line[:1] == "|" else (tables, prose + count)

    assert prose <= MOST_PROSE
    assert tables <= MOST_TABLES
