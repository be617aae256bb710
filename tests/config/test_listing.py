from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from bot.config.listing import build_schema, list_values
from bot.config.loading import build_settings, load_document

if TYPE_CHECKING:
    from tests.config.conftest import Change, Write

ROOT = Path(__file__).parents[2]
SCHEMA = build_schema()
PAGE = (ROOT / "docs/configuration.md").read_text()
EXAMPLES = [
    (ROOT / "deploy/bot.example.yml").read_text(),
    *(t for t in re.findall(r"```yaml\n((?s:.+?))```", PAGE) if "\ntenants:" in t),
]


class PlainLoader(yaml.SafeLoader):
    """Leaves dates as text, as editors do (YAML 1.2)."""


PlainLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rules if tag != "tag:yaml.org,2002:timestamp"]
    for first, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def errors(text: str) -> list[str]:
    written = yaml.load(text, PlainLoader)  # noqa: S506 - a safe loader
    return [e.message for e in Draft202012Validator(SCHEMA).iter_errors(written)]


def test_the_schema_is_one() -> None:
    """It is a JSON Schema, and JSON can hold it."""
    Draft202012Validator.check_schema(SCHEMA)
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


@pytest.mark.parametrize("text", EXAMPLES, ids=["deploy/", "configuration.md"])
def test_the_schema_accepts_what_the_bot_accepts(text: str) -> None:
    """The examples of the pages: secrets in files, variables, spans of time, shares."""
    assert errors(text) == []


@pytest.mark.parametrize(
    ("way", "value", "is_right"),
    [
        (("thresholds",), {"fail_count": 5}, True),
        (("thresholds",), {"fail_count": "${COUNT}"}, True),
        (("thresholds",), {"fail_counts": 5}, False),
        (("thresholds",), {"recover_for": "10m"}, True),
        (("thresholds",), {"recover_for": 600}, False),
        (("tenants", 0, "calls"), "hours", True),
        (("tenants", 0, "calls"), "sometimes", False),
        (("tenants", 0, "domain"), None, False),
        (("slack", "bot_token"), None, False),
        (("slack", "bot_token_file"), "secrets/bot", True),
        (("colour",), "red", False),
    ],
)
def test_the_schema_refuses_what_the_bot_refuses(
    changed: Change, way: tuple[str | int, ...], value: object, *, is_right: bool
) -> None:
    """Unknown keys, missing ones, numbers without a unit."""
    assert (errors(changed(*way, to=value)) == []) is is_right


def test_every_value_has_its_origin(changed: Change, write: Write) -> None:
    """A line of the file or a default; values as a file has them; secrets are hidden."""
    changed("tenants", 0, "logins", 0, "password", to="canary-password")
    changed("thresholds", to={"recover_for": "15m"})
    changed("tenants", 0, "logs", to={"stream_token": "canary-token", "share": "5%"})
    changed("server", to={"listen": "127.0.0.1:3000"})
    path = write(changed("tenants", 0, "logins", 0, "realm", to="${REALM}"))
    document = load_document(path, {"REALM": "users"})
    listed = list(list_values(build_settings(document), document))
    shown = {key: (value, origin.replace(str(path), "bot.yml")) for key, value, origin in listed}

    assert shown["tenants[0].logins[0].password"] == ("***", "bot.yml:11")
    assert shown["tenants[0].logins[0].realm"] == ("users", "bot.yml:12")
    assert shown["thresholds.recover_for"] == ("15m", "bot.yml:17")
    assert shown["thresholds.mention_after"] == ("120s", "default")
    assert shown["tenants[0].logs.share"] == ("5%", "bot.yml:15")
    assert shown["tenants[0].logs.missing"] == ("50%", "default")
    assert shown["slack.bot_token"][0] == "***"
    assert "canary" not in str(listed)


def test_variables_are_origins(variables: dict[str, Any]) -> None:
    """Without a file the variable is named."""
    document = load_document(None, variables)
    shown = {key: origin for key, _, origin in list_values(build_settings(document), document)}

    assert shown["tenants[0].domain"] == "AUTH0_DOMAIN"
    assert shown["database"] == "default"
