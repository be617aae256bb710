from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import yaml

from bot.config import ConfigError, Settings, build_settings, load_document

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LEAST: dict[str, Any] = {
    "slack": {"bot_token": "xoxb-1", "app_token": "xapp-1", "channel": "C0123"},
    "tenants": [
        {
            "name": "prod",
            "domain": "acme.us.auth0.com",
            "logins": [{"client_id": "id", "username": "probe", "password": "pw"}],
        }
    ],
}
ENVIRONMENT = {
    "SLACK_BOT_TOKEN": "xoxb-1",
    "SLACK_APP_TOKEN": "xapp-1",
    "SLACK_CHANNEL": "C0123",
    "AUTH0_DOMAIN": "acme.us.auth0.com",
    "AUTH0_CLIENT_ID": "id",
    "AUTH0_USERNAME": "probe",
    "AUTH0_PASSWORD": "pw",
}


class Write(Protocol):
    def __call__(self, text: str | bytes) -> Path: ...


class LoadText(Protocol):
    def __call__(self, text: str | bytes, environ: Mapping[str, str] = ...) -> Settings: ...


class Change(Protocol):
    def __call__(self, *way: str | int, to: object) -> str: ...


@pytest.fixture
def least() -> dict[str, Any]:
    """The shortest configuration, as in a file."""
    return copy.deepcopy(LEAST)


@pytest.fixture
def variables() -> dict[str, str]:
    """The fewest environment variables that are enough without a file."""
    return dict(ENVIRONMENT)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the configuration file."""

    def to_file(text: str | bytes) -> Path:
        path = tmp_path / "bot.yml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return to_file


@pytest.fixture
def load_text(write: Write) -> LoadText:
    """Loads a text as a configuration file."""

    def loaded(text: str | bytes, environ: Mapping[str, str] | None = None) -> Settings:
        return build_settings(load_document(write(text), environ or {}))

    return loaded


@pytest.fixture
def refused(load_text: LoadText, tmp_path: Path) -> Callable[..., list[str]]:
    """Loads an invalid text; returns the problems, without the folder's name."""

    def problems(text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            load_text(text, environ or {})
        assert str(raised.value) == "\n".join(raised.value.problems)
        return [line.replace(f"{tmp_path}/", "") for line in raised.value.problems]

    return problems


@pytest.fixture
def changed(least: dict[str, Any]) -> Change:
    """The shortest configuration with one value changed, or removed by `None`; as YAML."""

    def text(*way: str | int, to: object) -> str:
        parent: Any = least
        for step in way[:-1]:
            parent = parent[step] if isinstance(step, int) else parent.setdefault(step, {})
        if to is None:
            del parent[way[-1]]
        else:
            parent[way[-1]] = to
        return yaml.safe_dump(least, sort_keys=False)

    return text
