from __future__ import annotations

from base64 import b64encode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.config import ConfigError, build_settings, load_document
from bot.config.value_types import name_file

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Refused = Callable[..., list[str]]

TENANT = ("tenants", 0)
LOGIN = (*TENANT, "logins", 0)


@pytest.mark.parametrize(
    ("way", "written", "problem"),
    [
        (
            ("slack", "bot_token"),
            "xapp-1",
            "2: slack.bot_token: is the app-level token (app_token)",
        ),
        (
            ("slack", "bot_token"),
            "xoxp-1",
            "2: slack.bot_token: is a user's token. It must be the Bot",
        ),
        (("slack", "bot_token"), "xoxe.xoxb-1", "2: slack.bot_token: is a token that expires"),
        (("slack", "bot_token"), "1", "2: slack.bot_token: must be the Bot User OAuth Token"),
        (("slack", "bot_token"), "xoxb-1\n", "2: slack.bot_token: holds blanks or letters"),
        (("slack", "app_token"), "xoxb-1", "3: slack.app_token: is the bot token (bot_token)"),
        (("slack", "app_token"), None, "1: slack.app_token: is missing, and slack.mode socket"),
        (("slack", "channel"), "ops", "4: slack.channel: must be a channel's id"),
        (("slack", "channel"), ["C1"], "4: slack.channel: must be a text"),
        (("slack", "mode"), "https", "5: slack.mode: must be 'socket' or 'http'"),
        (("slack", "mention"), "bob", "5: slack.mention: must be '@here'"),
        (("slack", "api_url"), "http://slack.com", "5: slack.api_url: must begin with https://"),
        (("slack", "token"), "x", "5: slack.token: is no setting: did you mean bot_token?"),
        (("slack", "x"), "x", "5: slack.x: is no setting; known here: bot_token, mode,"),
        (("slack",), None, "1: slack: is missing: The section with bot_token"),
        (("slack",), "x", "1: slack: must be a section"),
        (("tenants",), [], "5: tenants: must have at least one entry"),
        (("tenants",), {"prod": {}}, "5: tenants: must be a list"),
        (("feed",), [{"x": 1}], "12: feed: must be a section"),
        ((*TENANT, "name"), "feed", "6: tenants[0].name: is reserved (control, feed)"),
        ((*TENANT, "name"), "a b", "6: tenants[0].name: must be 1 to 40 letters"),
        ((*TENANT, "name"), None, "6: tenants[0].name: is missing: A short name"),
        (
            (*TENANT, "domain"),
            "https://a.b/",
            "7: tenants[0].domain: is an address: write the host",
        ),
        ((*TENANT, "domain"), "acme", "7: tenants[0].domain: must be the whole domain"),
        ((*TENANT, "domain"), "a.b:443", "7: tenants[0].domain: must be a host name without port"),
        (
            (*TENANT, "base_url"),
            "http://10.0.0.1",
            "12: tenants[0].base_url: must begin with https",
        ),
        ((*TENANT, "base_url"), "http://localhost.a", "12: tenants[0].base_url: must begin with"),
        ((*TENANT, "base_url"), "https://u:p@a.b", "12: tenants[0].base_url: must be an address"),
        ((*TENANT, "base_url"), "https://[::1", "12: tenants[0].base_url: must be an address"),
        ((*TENANT, "feed_url"), "http://a.b/x", "12: tenants[0].feed_url: must begin with https"),
        ((*TENANT, "runbook"), "http://localhost", "12: tenants[0].runbook: must begin with https"),
        (
            (*TENANT, "ca_file"),
            "bot.yml",
            "12: tenants[0].ca_file: the file named by this key must hold PEM",
        ),
        (
            (*TENANT, "ca_file"),
            "a\0",
            "12: tenants[0].ca_file: the file named by this key must hold PEM",
        ),
        ((*TENANT, "probe"), {"every": 60}, "13: tenants[0].probe.every: is no span of time"),
        ((*TENANT, "probe"), {"every": "5 min"}, "13: tenants[0].probe.every: is no span of time"),
        ((*TENANT, "probe"), {"every": "900ms"}, "13: tenants[0].probe.every: must be from 1s"),
        ((*TENANT, "logins"), [], "8: tenants[0].logins: must have at least one entry"),
        ((*LOGIN, "name"), "custom", "12: tenants[0].logins[0].name: is reserved (wellknown"),
        ((*LOGIN, "name"), "Pingdom", "12: tenants[0].logins[0].name: is reserved (wellknown"),
        ((*LOGIN, "client_id"), None, "9: tenants[0].logins[0].client_id: is missing: The Client"),
        (
            (*LOGIN, "password"),
            "",
            "11: tenants[0].logins[0].password: must be UTF-8 text, not empty",
        ),
        ((*LOGIN, "password"), "${PW}", "11: tenants[0].logins[0].password: needs the environment"),
        ((*LOGIN, "password"), "a${b", "11: tenants[0].logins[0].password: has a ${ without"),
        ((*LOGIN, "password_file"), "x", "12: tenants[0].logins[0].password_file: stands beside"),
        (
            (*LOGIN, "realm_file"),
            "x",
            "12: tenants[0].logins[0].realm: the file named by its _file",
        ),
        (
            (*LOGIN, "realm_file"),
            ["x"],
            "12: tenants[0].logins[0].realm: its _file key must be a path",
        ),
        ((*LOGIN, "realm_file"), "${PW}", "12: tenants[0].logins[0].realm: needs the environment"),
        ((*LOGIN, "token_path"), "token", "12: tenants[0].logins[0].token_path: must be a path"),
        (
            (*LOGIN, "expect_id_token"),
            "nein",
            "12: tenants[0].logins[0].expect_id_token: must be true",
        ),
        (
            ("thresholds",),
            {"fail_count": "many"},
            "13: thresholds.fail_count: must be a whole number",
        ),
        (("thresholds",), {"fail_count": 0}, "13: thresholds.fail_count: must be at least 1"),
        (("thresholds",), {"window": 101}, "13: thresholds.window: must be at most 100"),
        (("thresholds",), {"window": 4}, "13: thresholds.window: is smaller than fail_count"),
        (("thresholds",), {"fail_count": 21}, "12: thresholds.window: is smaller than fail_count"),
        (("controls",), ["http://a.b"], "13: controls[0]: must begin with https://"),
        (("controls",), ["https://[a.b"], "13: controls[0]: must be an address such as"),
        (("controls",), ["https://acme.us.auth0.com/"], "13: controls[0]: belongs to Auth0"),
        (("resolve",), {"a.b": "localhost:1"}, "13: resolve.a.b: must be address:port"),
        (("resolve",), {"a.b": "::1:1"}, "13: resolve.a.b: must be address:port"),
        (
            (*TENANT, "m2m"),
            {"client_id": "m"},
            "12: tenants[0].m2m.client_secret: is missing: Of the same application.",
        ),
        (("resolve",), {"a/b": "127.0.0.1:1"}, "13: resolve.a/b: is an address"),
        (("proxy",), {"slack": "proxy.example:3128"}, "13: proxy.slack: must be a proxy's address"),
        (("proxy",), {"slack": "http://proxy.example"}, "13: proxy.slack: must be a proxy's"),
        (("proxy",), {"slack": "https://u:p@a:1"}, "13: proxy.slack: must be a proxy's address"),
        (("database",), "mysql://u:p@h/n", "12: database: must be a file's path, or postgresql://"),
        (("database",), "postgresql://u@h", "12: database: must be a file's path, or postgresql:"),
        (("database",), "postgresql://u:p@w@h/n", "12: database: must be a file's path, or postg"),
        (("database",), "postgresql://u@h:x/n", "12: database: must be a file's path, or postgre"),
        (("server",), {"listen": ":80"}, "13: server.listen: must be host:port"),
        (("server",), {"listen": "a:65536"}, "13: server.listen: must be host:port"),
        (
            ("server",),
            {"status_token": "secret-1"},
            "12: server.listen: is missing, and server.status_token needs it: Public",
        ),
        (
            ("server",),
            {"listen": "a:1", "status_token": "secret"},
            "14: server.status_token: must be at least 8 letters",
        ),
        (("status_link",), "http://localhost", "12: status_link: must begin with https://"),
        (("prometheus",), {"url": "http://a.b"}, "13: prometheus.url: must begin with https://"),
        (
            ("prometheus",),
            {"url": "https://a.b", "token": "a b"},
            "14: prometheus.token: must be letters, digits and signs without blanks",
        ),
        (
            ("prometheus",),
            {"url": "https://a.b", "token": "a", "password": "b"},
            "15: prometheus.password: stands beside token: give one or the other",
        ),
        (
            ("prometheus",),
            {"url": "https://a.b", "username": "a"},
            "12: prometheus.password: is missing, and prometheus needs it: Of",
        ),
        (
            ("prometheus",),
            {"url": "https://a.b", "ca_file": "bot.yml"},
            "14: prometheus.ca_file: the file named by this key must hold PEM",
        ),
        (
            ("sentry",),
            {"organization": "a/b", "token": "a"},
            "13: sentry.organization: must be letters, digits, - and _ only",
        ),
    ],
)
def test_a_wrong_value_is_refused(
    changed: Any, refused: Refused, way: tuple[str | int, ...], written: object, problem: str
) -> None:
    """One mistake gives one line that names file, line and key."""
    (line,) = refused(changed(*way, to=written))

    assert line.startswith(f"bot.yml:{problem}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "bot.yml:1: is empty"),
        ("# nothing\n", "bot.yml:1: is empty"),
        ("- a\n", "bot.yml:1: the whole file: must be a section"),
        ("slack: &a {}\n", "bot.yml:1: has an anchor (&) or alias (*)"),
        ("\nslack: *abc\n", "bot.yml:2: has an anchor (&) or alias (*)"),
        ("slack: !abc x\n", "bot.yml:1: has a tag (!)"),
        ("slack: !a!bc x\n", "bot.yml:1: is not readable as YAML (found undefined tag handle"),
        ("? [a]\n: b\n", "bot.yml:1: has a list or mapping as a key"),
        ("a: b\n---\na: b\n", "bot.yml:2: begins a second document"),
        ("a: 'b\n", "bot.yml:2: is not readable as YAML"),
        ("a: b: c\n", "bot.yml:1: is not readable as YAML"),
        ("a: b\n\x01", "bot.yml:2: is not readable as YAML (control characters)"),
        ('a: "\\UFFFFFFFF"\n', "bot.yml:1: "),  # libyaml and PyYAML say it in different words
        ("[" * 1000, "bot.yml:1: is nested deeper"),
        (b"a: \xff\n", "bot.yml: is not UTF-8"),
        ("a: b\n".encode("utf-16"), "bot.yml: is not UTF-8"),
        ("#" * 10_000_001, "bot.yml: is larger than 10 MB"),
    ],
)
def test_a_strange_file_is_one_problem(refused: Refused, text: str | bytes, problem: str) -> None:
    """A file that is not plain YAML is refused in one line."""
    (line,) = refused(text)

    assert line.startswith(problem)


def test_all_problems_come_at_once(refused: Refused) -> None:
    """Except for syntax errors, one run reports every problem once, in the order of the lines."""
    text = """\
slack:
  bot_token: ${UNSET}
  mode: http
  channel: #ops
  channels: "#ops"
thresholds: {fail_count: 0}
tenants:
  - name: prod
    domain: acme.us.auth0.com
    thresholds: {window: 30}
    logins:
      - {client_id: id, username: u, password: a, password: b}
      - {client_id: id, username: u, password_file: missing}
  - name: PROD
    custom_domain: login.acme.example
    logins: []
controls: [https://login.acme.example/]
"""
    keys = [line.split(": ")[:2] for line in refused(text)]

    assert keys == [
        ["bot.yml:1", "server.listen"],
        ["bot.yml:1", "slack.signing_secret"],
        ["bot.yml:2", "slack.bot_token"],
        ["bot.yml:4", "slack.channel"],
        ["bot.yml:5", "slack.channels"],
        ["bot.yml:6", "thresholds.fail_count"],
        ["bot.yml:12", "tenants[0].logins[0].password"],
        ["bot.yml:13", "tenants[0].logins[1].name"],
        ["bot.yml:13", "tenants[0].logins[1].password"],
        ["bot.yml:14", "tenants[1].domain"],
        ["bot.yml:14", "tenants[1].name"],
        ["bot.yml:16", "tenants[1].logins"],
        ["bot.yml:17", "controls[0]"],
    ]


@pytest.mark.parametrize(
    "path", ["secrets/bot", "/run/secrets/app_token", "./x/y.txt", "token.txt", "/etc/a-b/Token"]
)
def test_a_missing_file_is_named(changed: Any, refused: Refused, path: str) -> None:
    """What is plainly a path is named, so that people see which file it is."""
    changed(*LOGIN, "password", to=None)
    (line,) = refused(changed(*LOGIN, "password_file", to=path))

    assert f"password: the file {path} cannot be read (No such file or directory)" in line


@given(st.binary(min_size=24, max_size=60))
def test_no_generated_secret_is_taken_for_a_path(noise: bytes) -> None:
    """A secret in place of a path is never shown: base64, hexadecimal, or for addresses."""
    for secret in (b64encode(noise), urlsafe_b64encode(noise), noise.hex().encode()):
        assert secret.decode() not in name_file(secret.decode())


def test_token_rotation_is_refused_with_the_way_out(changed: Any, refused: Refused) -> None:
    """Slack cannot switch it off again: only a new app helps."""
    (line,) = refused(changed("slack", "bot_token", to="xoxe.xoxb-1-abc"))

    assert "expires after 12 hours" in line
    assert "make a new app from manifest.yml" in line


def test_a_doubled_section_is_told_once(refused: Refused, changed: Any) -> None:
    """The keys of a section that is written twice are not reported as well."""
    text = changed("slack", "channel", to="C1")

    (line,) = refused(text + "slack: {bot_token: xoxb-1, app_token: xapp-1, channel: C1}\n")

    assert line == "bot.yml:12: slack: is written twice, in line 1 too: remove one"


def test_an_unreadable_secret_is_refused(changed: Any, refused: Refused, tmp_path: Path) -> None:
    """A secret file that is a folder, empty or binary is refused."""
    (tmp_path / "empty").touch()
    (tmp_path / "binary").write_bytes(b"\xff")
    changed(*LOGIN, "password", to=None)
    for path, reason in [
        (".", "cannot be read (Is a directory)"),
        ("empty", "is an empty file"),
        ("binary", "is not UTF-8"),
        ("a\0", "is no path"),
    ]:
        (line,) = refused(changed(*LOGIN, "password_file", to=path))
        assert f"password: the file named by its _file key {reason}" in line


def test_missing_variables_are_all_named() -> None:
    """Without any configuration the bot names everything that it needs."""
    with pytest.raises(ConfigError) as raised:
        build_settings(load_document(None, {}))

    assert [line.split(":")[0] for line in raised.value.problems] == [
        "SLACK_BOT_TOKEN",
        "SLACK_APP_TOKEN",
        "SLACK_CHANNEL",
        "AUTH0_DOMAIN",
        "AUTH0_CLIENT_ID",
        "AUTH0_USERNAME",
        "AUTH0_PASSWORD",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "problem"),
    [
        ("AUTH0_DOMAIN", "https://a.b/", "AUTH0_DOMAIN: tenants[0].domain: is an address"),
        ("AUTH0_PASSWORD_FILE", "/x", "AUTH0_PASSWORD: tenants[0].logins[0].password: is set, and"),
        (
            "AUTH0_REALM_FILE",
            "/nowhere",
            "AUTH0_REALM: tenants[0].logins[0].realm: the file named by AUTH0_REALM_FILE",
        ),
        ("AUTH0_AUDIENCE", "\udcff", "AUTH0_AUDIENCE: tenants[0].logins[0].audience: "),
    ],
)
def test_a_wrong_variable_is_named(
    variables: dict[str, str], variable: str, value: str, problem: str
) -> None:
    """Without a file a problem names the variable."""
    with pytest.raises(ConfigError) as raised:
        build_settings(load_document(None, {**variables, variable: value}))

    (line,) = raised.value.problems
    assert line.startswith(problem)
