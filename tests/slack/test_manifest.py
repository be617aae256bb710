"""manifest.yml keeps Slack's limits, and fits the code."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bot.simulator.workspace.methods import METHODS
from bot.slack import actions, web_api
from bot.slack.checks import OPTIONAL_SCOPES, SCOPES

ROOT = Path(__file__).parents[2]
SOURCES = [*sorted((ROOT / "bot" / "slack").rglob("*.py")), ROOT / "bot/app/rehearsal.py"]

EVENT_SCOPES = {
    "app_home_opened": "",
    "app_mention": "app_mentions:read",
    "message.im": "im:history",
}
"""What each event needs: https://docs.slack.dev/reference/events (read 2026-11)."""


def text(longest: int, shortest: int = 1, pattern: str = "") -> dict[str, Any]:
    return {
        "type": "string",
        "minLength": shortest,
        "maxLength": longest,
        "pattern": pattern,
    }


def record(required: str = "", **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required.split(),
        "additionalProperties": False,
    }


FLAG = {"type": "boolean"}
HTTPS = text(3000, pattern="^https://")
NAMES = {"type": "array", "maxItems": 255, "uniqueItems": True, "items": text(255)}
COMMAND = record(
    "command description",
    command=text(32, 2, "^/"),
    description=text(2000),
    usage_hint=text(1000),
    should_escape=FLAG,
    url=HTTPS,
)
SHORTCUT = record(
    "name type callback_id description",
    name=text(24),
    type={"enum": ["global", "message"]},
    callback_id=text(255),
    description=text(150),
)
LIMITS = record(
    "display_information features oauth_config settings",
    _metadata=record("major_version", major_version={"const": 2}),
    display_information=record(
        "name",
        name=text(35),
        description=text(140),
        long_description=text(4000, 175),
        background_color=text(7, 4, "^#[0-9a-f]{6}$"),
    ),
    features=record(
        app_home=record(
            home_tab_enabled=FLAG, messages_tab_enabled=FLAG, messages_tab_read_only_enabled=FLAG
        ),
        shortcuts={"type": "array", "maxItems": 10, "items": SHORTCUT},
        bot_user=record("display_name", display_name=text(80), always_online=FLAG),
        slash_commands={"type": "array", "minItems": 1, "maxItems": 50, "items": COMMAND},
    ),
    oauth_config=record("scopes", scopes=record("bot", bot=NAMES, bot_optional=NAMES)),
    settings=record(
        event_subscriptions=record(bot_events=NAMES | {"maxItems": 100}, request_url=HTTPS),
        interactivity=record("is_enabled", is_enabled=FLAG, request_url=HTTPS),
        socket_mode_enabled=FLAG,
        org_deploy_enabled=FLAG,
        token_rotation_enabled=FLAG,
    ),
)
"""The part of a manifest that we use: https://docs.slack.dev/reference/app-manifest (2026-11)."""


@pytest.fixture
def manifest() -> Any:
    return yaml.safe_load((ROOT / "manifest.yml").read_text())


def literals() -> set[str]:
    """Return all strings in the code that calls Slack, except the table of methods itself."""
    trees = [ast.parse(source.read_text()) for source in SOURCES if source.name != "web_api.py"]
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def test_limits(manifest: Any) -> None:
    """The manifest keeps Slack's structure and lengths."""
    jsonschema.Draft7Validator(LIMITS).validate(manifest)


def test_scopes(manifest: Any) -> None:
    """Each method, event and command has its scope, and each scope is used."""
    scopes = manifest["oauth_config"]["scopes"]
    settings = manifest["settings"]
    used = {"commands"} if manifest["features"]["slash_commands"] else set()
    used |= {EVENT_SCOPES[event] for event in settings["event_subscriptions"]["bot_events"]}
    used |= frozenset[str]().union(*web_api.METHODS.values())

    assert used - {""} == {*scopes["bot"], *scopes["bot_optional"]}


def test_reasons(manifest: Any) -> None:
    """Every scope has a comment with its purpose, and the start checks the required scopes."""
    asked = manifest["oauth_config"]["scopes"]
    lines = re.findall(r"- (\S+:\S+|commands) # \S", (ROOT / "manifest.yml").read_text())

    assert sorted(lines) == sorted([*asked["bot"], *asked["bot_optional"]])
    assert set(asked["bot"]) == SCOPES.keys()
    assert set(asked["bot_optional"]) >= OPTIONAL_SCOPES.keys()


def test_methods() -> None:
    """The table of methods and scopes has exactly the methods that the code calls."""
    method = re.compile(
        r"(api|apps|auth|chat|conversations|dnd|files|users|usergroups|views)(\.\w+)+"
    )
    named = {value for value in literals() if method.fullmatch(value)}

    assert named == web_api.METHODS.keys()


@pytest.mark.parametrize("method", web_api.METHODS)
def test_catalogue(method: str) -> None:
    """The simulator's workspace, which was written independently, asks for the same scopes."""
    scope = METHODS[method].scope
    either = [scope.replace("*", kind) for kind in ("channels", "groups")] if scope else []

    assert web_api.METHODS[method] - {"chat:write.public"} == set(either)


def test_socket_mode(manifest: Any) -> None:
    """The manifest switches on all that the bot listens to."""
    settings = manifest["settings"]

    assert settings["socket_mode_enabled"] is True
    assert settings["interactivity"]["is_enabled"] is True
    assert settings["event_subscriptions"]["bot_events"] == [*EVENT_SCOPES]
    assert [one["callback_id"] for one in manifest["features"]["shortcuts"]] == [actions.ASK]
    assert manifest["features"]["app_home"] == {
        "home_tab_enabled": True,
        "messages_tab_enabled": True,
        "messages_tab_read_only_enabled": False,
    }


def test_buttons() -> None:
    """Every id of an element is a link or has a listener; every form can be parsed."""
    names = (getattr(actions, name) for name in vars(actions) if re.fullmatch("[A-Z_]+", name))
    ids = {name for name in names if isinstance(name, str)}
    forms = {actions.ASK, actions.SILENCE_FORM, actions.WORDS_FORM}

    assert ids - forms == {*actions.LINKS, *actions.BUTTONS, actions.REFRESH, actions.WHAT}
