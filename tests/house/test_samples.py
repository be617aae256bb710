"""Shell, JSON, Python and YAML of the pages can be read, and the pages are short.

What is ours in them is run: tests/house/test_shown.py.
"""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
from itertools import pairwise
from textwrap import dedent

import pytest
import yaml

from bot.core.model.measurement import Measurement, MetricKind
from bot.core.model.observation import Target
from bot.core.signals.metric_threshold import MetricLimits, MetricState
from bot.slack.render.signals import measurement_line
from tests.config.test_listing import PlainLoader
from tests.house.test_docs import PAGES, blocks

MADE = re.compile(r"<!-- (?:[a-z]+: )?made by .*?<!-- end of .*?-->", re.DOTALL)
MOST_PROSE, MOST_TABLES = 11_000, 3_000
"""Words in `docs/` without `docs/dev` and without the tags of pictures; of tables those that people
write."""


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
            r"<!--.*?-->|</?(?:img|picture|source)\b.*?>|^ *```.*?^ *```",
            "",
            MADE.sub("", page),
            flags=re.MULTILINE | re.DOTALL,
        )
        for line in written.splitlines():
            count = len([word for word in line.split() if not re.fullmatch(r"[|-]+", word)])
            tables, prose = (tables + count, prose) if line[:1] == "|" else (tables, prose + count)

    assert prose <= MOST_PROSE, prose
    assert tables <= MOST_TABLES, tables
