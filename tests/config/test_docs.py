from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bot.config import build_settings, load_document
from bot.config.document import section_at
from bot.config.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.config.value_types import Section

PAGE = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
CHAPTERS = dict(re.findall(r"^## (.+)\n((?s:.+?))(?=^## |\Z)", PAGE, re.MULTILINE))


def sections(root: type[Section]) -> Iterator[type[Section]]:
    yield root
    for key in root.model_fields:
        if child := section_at((key,), root) or section_at((key, 0), root):
            yield from sections(child)


def test_every_setting_is_described() -> None:
    """Each key has a line of its own on the page, and no line is without a meaning."""
    for section in {*sections(Settings)}:
        for key, field in section.model_fields.items():
            assert field.description, (section, key)
            assert f"| `{key}` |" in PAGE


@pytest.mark.parametrize(
    "line",
    [
        "| `bot_token` | secret | required |",
        "| `mode` | `socket` or `http` | `socket` |",
        "| `every` | time | `60s` |",
        "| `share` | share | `5%` |",
        "| `calls` | `always`, `never` or `hours` | `always` |",
        "| `repeat` | whole number | `2` |",
    ],
)
def test_a_line_states_form_and_default(line: str) -> None:
    """The made table says how a value is written, and what holds without one."""
    assert f"\n{line}" in PAGE


def test_the_required_variables_suffice(variables: dict[str, str]) -> None:
    """The variables that the page calls required are enough."""
    required = set(re.findall(r"^\| `(\w+)` \| yes \|", PAGE, re.MULTILINE))

    assert required == set(variables)
    build_settings(load_document(None, variables))


def test_the_example_loads(tmp_path: Path) -> None:
    """The annotated example is a configuration that works."""
    example = re.findall(r"```yaml\n((?s:.+?))```", CHAPTERS["An example"])[0]
    (tmp_path / "secrets").mkdir()
    files = re.findall(r"_file: (secrets/[\w-]+)", example)
    for name in files:
        (tmp_path / name).write_text(f"canary-of-{Path(name).name}\n")
    token = tmp_path / "app_token"
    token.write_text("xapp-1\n")
    path = tmp_path / "bot.yml"
    path.write_text(example.replace("/run/secrets/app_token", str(token)))

    settings = build_settings(
        load_document(path, {"SLACK_BOT_TOKEN": "xoxb-1", "STAGING_STREAM": "canary-of-stream"})
    )

    prod, staging = settings.tenants
    assert settings.thresholds_of(staging).mention_after == 1800
    assert [metric.name for metric in prod.metrics] == ["checkout", "backoffice", "mobile"]
    assert prod.metrics[1].all == "sum(increase(auth0_requests_total[$window]))"
    assert settings.secrets() == {
        *("xoxb-1", "xapp-1", "canary-of-stream"),
        *(f"canary-of-{Path(name).name}" for name in files),
    }
