from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from bot.config.loading import load_document
from bot.config.warnings import ENVIRONMENTS, find_warnings

if TYPE_CHECKING:
    from tests.config.conftest import Change, Write


@pytest.fixture
def warned(changed: Change, write: Write) -> Any:
    """Load the shortest file with one value of its tenant changed; return the warnings."""

    def warnings(**tenant: str) -> list[str]:
        text = changed("tenants", 0, "environment", to="US-1")
        for key, value in tenant.items():
            text = changed("tenants", 0, key, to=value or None)
        path = write(text)
        lines = find_warnings(load_document(path, {}))
        return [line.replace(str(path), path.name) for line in lines]

    return warnings


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        *(("US1", "US-1"), ("us-1", "US-1"), ("US", "US-1"), ("eu_2", "EU-2"), ("AU-1", "AU")),
        *(("US-11", ""), ("production", "")),
    ],
)
def test_an_environment_that_auth0_does_not_name(warned: Any, written: str, meant: str) -> None:
    """With `US1` no post of the status page is ever found: the line says what is meant."""
    (line,) = warned(environment=written)

    assert line.startswith("bot.yml:12: tenants[0].environment: is no environment that")
    assert (f"did you mean {meant}?" in line) is bool(meant)
    assert ("known: US-1, US-3" in line) is (meant == "")


def test_known_environments(warned: Any) -> None:
    """Nothing is said of those that Auth0 names, nor of a Private Cloud with its own feed."""
    assert [warned(environment=name) for name in ENVIRONMENTS] == [[]] * len(ENVIRONMENTS)
    assert warned(environment="acme-prod", feed_url="https://status.auth0.com/feed?x=y") == []


def test_a_custom_domain_as_the_domain(warned: Any) -> None:
    """The line says where each of the two belongs; labs with their own network are left alone."""
    (line,) = warned(domain="login.acme.example")

    assert "tenants[0].domain: looks like a custom domain" in line
    assert warned(domain="login.acme.example", base_url="https://lab.example") == []
    assert warned(domain="acme.eu.auth0.com") == []


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("AUTH0_DOMIAN", "AUTH0_DOMAIN"),
        ("AUTHO_DOMAIN", "AUTH0_DOMAIN"),
        ("AUTH0_ENVIROMENT", "AUTH0_ENVIRONMENT"),
        ("SLACK_CHANEL", "SLACK_CHANNEL"),
        ("SLACK_BOT_TOKEN_FIL", "SLACK_BOT_TOKEN"),
        ("slack_app_token", "SLACK_APP_TOKEN"),
    ],
)
def test_a_misspelt_variable(variables: dict[str, str], name: str, meant: str) -> None:
    """It is named with the one that is meant, and its value is not shown."""
    (line,) = find_warnings(load_document(None, {**variables, name: "canary"}))

    assert line == f"{name}: is no variable that the bot reads: did you mean {meant}?"


@pytest.mark.parametrize("name", ["AUTH0_MGMT_API_TOKEN", "SLACK_WEBHOOK_URL", "PATH", "DOMAIN"])
def test_variables_of_others(variables: dict[str, str], name: str) -> None:
    """A variable that is not near one of ours is somebody else's."""
    assert find_warnings(load_document(None, {**variables, name: "x"})) == []


def test_variables_beside_a_file(changed: Change, write: Write) -> None:
    """With a file only those count that it names: an unset one is reported with the near one."""
    path = write(changed("slack", "bot_token", to="${BOT_TOKEN}"))
    document = load_document(path, {"BOT_TOKENS": "x", "AUTH0_DOMIAN": "x"})

    assert find_warnings(document) == []
    (problem,) = document.problems.values()
    assert problem.text.endswith(
        f"BOT_TOKEN, which is unset, and there is no file {path.with_suffix('.env')}"
        ": did you mean BOT_TOKENS?"
    )
    path.with_suffix(".env").touch()
    (problem,) = load_document(path, {}).problems.values()
    assert problem.text.endswith(f"which is unset, and not in {path.with_suffix('.env')}")
