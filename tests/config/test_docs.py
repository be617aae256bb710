from __future__ import annotations

import json
import re
from datetime import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from bot.config import load_settings
from bot.config.document import section_at
from bot.config.loading import CONFIG_FILE, VARIABLES
from bot.config.settings import Settings
from bot.config.value_types import Section, parse_share, parse_span

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[2] / "docs/configuration.md").read_text()
CHAPTERS = dict(re.findall(r"^## (.+)\n((?s:.+?))(?=^## |\Z)", PAGE, re.MULTILINE))
TITLES = {
    "Top level": (),
    "`slack`": ("slack",),
    "`slack.channels`": ("slack", "channels"),
    "`tenants[]`": ("tenants",),
    "`tenants[].logins[]`": ("tenants", "logins"),
    "`tenants[].m2m`": ("tenants", "m2m"),
    "`tenants[].probe`": ("tenants", "probe"),
    "`tenants[].metrics[]`": ("tenants", "metrics"),
    "`tenants[].errors[]`": ("tenants", "errors"),
    "`tenants[].logs`": ("tenants", "logs"),
    "`thresholds`": ("thresholds",),
    "`feed`": ("feed",),
    "`prometheus`": ("prometheus",),
    "`sentry`": ("sentry",),
    "`hooks`": ("hooks",),
    "`hooks.sentry`": ("hooks", "sentry"),
    "`hooks.pingdom`": ("hooks", "pingdom"),
    "`hooks.alertmanager`, `hooks.report`, `hooks.change`": ("hooks", "report"),
    "`oncall`": ("oncall",),
    "`oncall.rotation`": ("oncall", "rotation"),
    "`oncall.calendar`": ("oncall", "calendar"),
    "`oncall.hours`": ("oncall", "hours"),
    "`escalation`": ("escalation",),
    "`escalation.critical[]`, `escalation.warning[]`": ("escalation", "critical"),
    "`acknowledge`": ("acknowledge",),
    "`notify[]`": ("notify",),
    "`notify[].pagerduty`": ("notify", "pagerduty"),
    "`maintenance[]`": ("maintenance",),
    "`report`": ("report",),
    "`access`": ("access",),
    "`server`": ("server",),
}


def rows(title: str) -> dict[str, list[str]]:
    """The table of a chapter: its rows by their first cell."""
    lines = re.findall(r"^\| (`.+) \|$", CHAPTERS[title], re.MULTILINE)
    cells = [[cell.strip() for cell in line.split(" | ")] for line in lines]
    return {first.strip("`"): rest for first, *rest in cells}


def section(way: tuple[str, ...]) -> type[Section]:
    found: type[Section] = Settings
    for key in way:
        child = section_at((key,), found) or section_at((key, 0), found)
        assert child
        found = child
    return found


def sections(root: type[Section]) -> Iterator[type[Section]]:
    yield root
    for key in root.model_fields:
        if child := section_at((key,), root) or section_at((key, 0), root):
            yield from sections(child)


def test_every_section_has_a_chapter() -> None:
    """The page describes every section of the settings."""
    assert {section(way) for way in TITLES.values()} == set(sections(Settings))


@pytest.mark.parametrize("title", TITLES)
def test_a_chapter_names_exactly_the_keys(title: str) -> None:
    """The table has exactly the keys of the section."""
    assert set(rows(title)) == set(section(TITLES[title]).model_fields)


@pytest.mark.parametrize("title", TITLES)
def test_a_chapter_states_the_defaults(title: str) -> None:
    """The defaults on the page are those of the program."""
    for key, field in section(TITLES[title]).model_fields.items():
        written = rows(title)[key][1]
        default: Any = field.get_default(call_default_factory=True)
        if field.is_required():
            assert written == "required", key
        elif isinstance(default, BaseModel):
            assert written == "see below", key
        else:
            assert _same(written, default), key


def _same(written: str, default: object) -> bool:
    if default is None:
        return written == "none"
    text = written.strip("`")
    if isinstance(default, float):
        read = parse_share if text.endswith("%") else parse_span
        return read(text) == default
    if isinstance(default, time):
        return text == f"{default:%H:%M}"
    return text == (default if isinstance(default, str) else json.dumps(default))


def test_the_environment_is_described_whole() -> None:
    """The page names exactly the variables that are read, and the setting that each one sets."""
    ways = {
        name: re.sub(r"\.(\d+)", r"[\1]", ".".join(map(str, way)))
        for name, way in VARIABLES.items()
    }

    assert {name: cells[1].strip("`") for name, cells in rows("Environment alone").items()} == ways
    named = set(re.findall(r"`((?:SLACK|AUTH0)_[A-Z0-9_]+)`", PAGE))
    assert named - {f"{name}_FILE" for name in VARIABLES} == {*VARIABLES, CONFIG_FILE}


def test_the_required_variables_suffice(variables: dict[str, str]) -> None:
    """The variables that the page calls required are enough."""
    required = {name for name, cells in rows("Environment alone").items() if cells[0] == "yes"}

    assert required == set(variables)
    load_settings(None, variables)


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

    settings = load_settings(
        path, {"SLACK_BOT_TOKEN": "xoxb-1", "STAGING_STREAM": "canary-of-stream"}
    )

    prod, staging = settings.tenants
    assert settings.thresholds_of(staging).mention_after == 1800
    assert [metric.name for metric in prod.metrics] == ["checkout", "backoffice", "mobile"]
    assert prod.metrics[1].all == "sum(increase(auth0_requests_total[$window]))"
    assert settings.secrets() == {
        *("xoxb-1", "xapp-1", "canary-of-stream"),
        *(f"canary-of-{Path(name).name}" for name in files),
    }
