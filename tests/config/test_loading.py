from __future__ import annotations

import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trustme

from bot.app.rules import rules_of
from bot.config import ConfigError, Settings, build_settings, environment, load_document
from bot.config.document import FILE_LIMIT
from bot.config.loading import read_env_file
from bot.config.settings import ProbeSettings
from bot.config.writing import change_file
from bot.core.model.observation import Severity
from bot.core.state.rules import Channels
from tests.config.conftest import LEAST

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.config.document import Document

NOBODY = 65534
LOGIN = ("tenants", 0, "logins", 0)


def test_the_least_file_loads(changed: Any, load_text: Any) -> None:
    """Token, channel and one login suffice; the rest are defaults."""
    settings = load_text(changed("slack", "channel", to="#alerts"))

    assert settings.slack.channel == "#alerts"
    assert settings.tenants[0].probe.every == 60
    assert settings.thresholds_of(settings.tenants[0]).window == 20


def test_channels_by_severity_and_tenant(least: dict[str, Any], load_text: Any) -> None:
    """Each is checked with Slack under the name of its setting; the default one is listed once."""
    least["slack"] |= {"channels": {"critical": "#critical", "warning": "C0123"}}
    least["tenants"][0]["channel"] = "C0PROD"
    settings = load_text(json.dumps(least))

    assert settings.slack_channels() == {
        "C0PROD": "the channel of tenant prod,",
        "#critical": "slack.channels.critical",
        "C0123": "slack.channel / SLACK_CHANNEL",
    }
    assert rules_of(settings).channels == Channels(
        {Severity.CRITICAL: "#critical", Severity.WARNING: ""}, {"prod": "C0PROD"}
    )


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("plain", "plain"),
        ("0123", "0123"),
        ("12345", "12345"),
        ("no", "no"),
        ("1:30", "1:30"),
        ("2026-03-02", "2026-03-02"),
        ("'a # b'", "a # b"),
        ("'${ONE}'", "1"),
        ("'a${ONE}b${TWO}'", "a1b${ONE}"),
        ("a$$b", "a$b"),
        ("'$${ONE}'", "${ONE}"),
        ("a$b", "a$b"),
    ],
)
def test_a_text_is_read_as_it_stands(load_text: Any, written: str, read: str) -> None:
    """Nothing is converted; variables are filled in once, and $$ is a dollar sign."""
    text = (
        "slack: {bot_token: xoxb-1, app_token: xapp-1, channel: C1}\n"
        "tenants: [{name: a, domain: a.eu.auth0.com, logins: [\n"
        f"{{client_id: id, username: u, password: pw, realm: {written}}}]}}]\n"
    )

    settings = load_text(text, {"ONE": "1", "TWO": "${ONE}"})

    assert settings.tenants[0].logins[0].realm == read


@pytest.mark.parametrize(
    ("way", "written", "read"),
    [
        (("tenants", 0, "probe", "every"), "1s", 1.0),
        (("thresholds", "recover_for"), "0s", 0.0),
        (("thresholds", "mention_after"), "1.5h", 5400.0),
        (("thresholds", "fail_count"), 20, 20),
        (("tenants", 0, "logins", 0, "expect_id_token"), "false", False),
        (("tenants", 0, "domain"), "Acme.US.auth0.com", "acme.us.auth0.com"),
        (("tenants", 0, "base_url"), "http://127.0.0.1:8080/", "http://127.0.0.1:8080"),
        (("tenants", 0, "base_url"), "http://[::1]:8080", "http://[::1]:8080"),
        (("slack", "api_url"), "http://localhost:9/api", "http://localhost:9/api/"),
        (("slack", "mention"), "@here, U1,S2", "@here, U1,S2"),
        (("controls",), ["http://localhost:9/x"], ("http://localhost:9/x",)),
        (("resolve",), {"A.example": "[::1]:443"}, {"a.example": "[::1]:443"}),
        (("server", "listen"), "0.0.0.0:3000", "0.0.0.0:3000"),
    ],
)
def test_a_value_is_accepted(
    changed: Any, load_text: Any, way: tuple[str | int, ...], written: object, read: object
) -> None:
    """What the documentation allows is accepted and converted."""
    value: Any = load_text(changed(*way, to=written))
    for step in way:
        value = value[step] if isinstance(step, int) else getattr(value, step)

    assert value == read


def test_python_code_gives_seconds() -> None:
    """A bare number is refused in a file, but is plain seconds in code."""
    assert ProbeSettings(every=1).every == 1


def test_a_tenant_takes_over_thresholds(changed: Any, load_text: Any) -> None:
    """A tenant's thresholds replace only the keys that they name."""
    changed("thresholds", to={"fail_count": 8, "recover_for": "20m"})

    settings = load_text(changed("tenants", 0, "thresholds", to={"fail_count": 2}))

    thresholds = settings.thresholds_of(settings.tenants[0])
    assert (thresholds.fail_count, thresholds.recover_for, thresholds.window) == (2, 1200, 20)
    assert settings.thresholds.fail_count == 8


@pytest.mark.parametrize(
    ("content", "read"),
    [
        ("pw", "pw"),
        ("pw\n", "pw"),
        ("pw\r\n", "pw"),
        ("p w\n\n", "p w\n"),
        ("${HOME}$$", "${HOME}$$"),
    ],
)
def test_a_secret_comes_from_a_file(
    changed: Any, load_text: Any, tmp_path: Path, content: str, read: str
) -> None:
    """A path is relative to the configuration; one line break is removed, nothing else changes."""
    (tmp_path / "pw").write_bytes(content.encode())
    changed(*LOGIN, "password", to=None)

    settings = load_text(changed(*LOGIN, "password_file", to="${NAME}"), {"NAME": "pw"})

    assert settings.tenants[0].logins[0].password.get_secret_value() == read


def test_the_environment_alone_suffices(variables: dict[str, str]) -> None:
    """One tenant, named after its domain, needs no file."""
    settings = build_settings(
        load_document(None, {**variables, "AUTH0_REALM": "", "AUTH0_ENVIRONMENT": "US-1"})
    )

    (tenant,) = settings.tenants
    assert (tenant.name, tenant.environment, tenant.logins[0].realm) == ("acme", "US-1", None)


def test_a_variable_comes_from_a_file(variables: dict[str, str], tmp_path: Path) -> None:
    """Each variable also exists with _FILE."""
    (tmp_path / "token").write_text("xoxb-2\n")
    del variables["SLACK_BOT_TOKEN"]

    settings = build_settings(
        load_document(None, {**variables, "SLACK_BOT_TOKEN_FILE": str(tmp_path / "token")})
    )

    assert settings.slack.bot_token.get_secret_value() == "xoxb-2"


def test_the_file_wins(changed: Any, write: Any, variables: dict[str, str]) -> None:
    """With a file, given or named by a variable, the variables are not read."""
    path = write(changed("tenants", 0, "name", to="from-file"))

    for settings in (
        build_settings(load_document(path, {**variables, "AUTH0_CHECK_CONFIG": "/nowhere"})),
        build_settings(load_document(None, {**variables, "AUTH0_CHECK_CONFIG": str(path)})),
    ):
        assert settings.tenants[0].name == "from-file"


def test_certificates_are_found_beside_the_file(
    changed: Any, load_text: Any, tmp_path: Path
) -> None:
    """A CA file is relative to the configuration file."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")

    settings = load_text(changed("tenants", 0, "ca_file", to="ca.pem"))

    assert settings.tenants[0].ca_file == str(tmp_path / "ca.pem")


def test_http_mode_needs_no_app_token(changed: Any, load_text: Any) -> None:
    """Mode http needs a signing secret and a listener."""
    changed("slack", "app_token", to=None)
    changed("slack", "signing_secret", to="s")
    changed("server", "listen", to="127.0.0.1:3000")

    assert isinstance(load_text(changed("slack", "mode", to="http")), Settings)


def test_the_environment_is_a_copy() -> None:
    """A later change of the environment does not change a copy."""
    assert "PATH" in environment()
    assert environment() is not environment()


def test_a_missing_file_is_said() -> None:
    """A path to no file gives one clear line."""
    with pytest.raises(
        ConfigError, match=r"^/nowhere: cannot be read \(No such file or directory\)$"
    ):
        build_settings(load_document(None, {"AUTH0_CHECK_CONFIG": "/nowhere"}))


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be a user who is not root, even if root runs the tests."""
    is_root = os.geteuid() == 0
    if is_root:
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        if is_root:
            os.setresuid(0, 0, 0)


def test_secrets_that_only_root_may_read_are_left_to_systemd() -> None:
    """It has put them into the environment: the bot's own user starts all the same."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        file = Path(folder, "bot.env")
        file.write_text("SLACK_BOT_TOKEN=xoxb-1\n")
        file.chmod(0o644)
        with as_nobody():
            readable = read_env_file(file)
        file.chmod(0o000)
        with as_nobody():
            unreadable = read_env_file(file)

    assert readable == {"SLACK_BOT_TOKEN": "xoxb-1"}
    assert unreadable == {}


def test_a_folder_is_no_file_of_secrets(tmp_path: Path) -> None:
    """Docker makes one where a mounted file is missing: nothing is read, and nothing fails."""
    assert read_env_file(tmp_path) == {}


TENANTS_FILE = """\
- name: prod
  domain: acme.us.auth0.com
  logins: [{client_id: id, username: probe, password_file: pw}]
- name: {second}
  domain: ${STAGING}
  logins: [{client_id: id, username: probe, password: pw}]
"""


def load_both(folder: Path, listed: str, main: str = "") -> Document:
    """Read a configuration whose tenants are in a file of their own."""
    slack = json.dumps(LEAST["slack"])
    (folder / "bot.yml").write_text(f"slack: {slack}\ntenants_file: lists/tenants.yml\n{main}")
    (folder / "pw").write_text("secret")
    (folder / "lists").mkdir()
    (folder / "lists" / "tenants.yml").write_text(listed)
    return load_document(folder / "bot.yml", {"STAGING": "acme-staging.us.auth0.com"})


def test_tenants_may_have_a_file_of_their_own(tmp_path: Path) -> None:
    """With variables and files of secrets, as in the configuration itself."""
    settings = build_settings(load_both(tmp_path, TENANTS_FILE.replace("{second}", "staging")))

    assert [(each.name, each.domain) for each in settings.tenants] == [
        ("prod", "acme.us.auth0.com"),
        ("staging", "acme-staging.us.auth0.com"),
    ]
    assert settings.tenants[0].logins[0].password.get_secret_value() == "secret"


@pytest.mark.parametrize(
    ("listed", "main", "problem"),
    [
        (TENANTS_FILE.replace("{second}", "a b"), "", "lists/tenants.yml:4: tenants[1].name: must"),
        (TENANTS_FILE.replace("{second}", "prod"), "", "lists/tenants.yml:4: tenants[1].name:"),
        ("- {name: a, name: b}", "", "lists/tenants.yml:1: [0].name: is written twice"),
        ("name: prod", "", "lists/tenants.yml:1: tenants: must be a list"),
        ("- [", "", "lists/tenants.yml:1: is not readable as YAML"),
        ("[]", "", "lists/tenants.yml:1: tenants: must have at least one entry"),
        ("[]", "tenants: []\n", "bot.yml:2: tenants_file: stands beside tenants"),
        ("- {name: x}", "colour: red\n", "bot.yml:3: colour: is no setting"),
    ],
)
def test_problems_of_both_files_have_their_lines(
    tmp_path: Path, listed: str, main: str, problem: str
) -> None:
    """Those of the list with its own file, those of the rest with theirs."""
    with pytest.raises(ConfigError) as refused:
        build_settings(load_both(tmp_path, listed, main))

    assert any(line.startswith(f"{tmp_path}/{problem}") for line in refused.value.problems)


def test_ten_thousand_tenants_can_be_written(tmp_path: Path) -> None:
    """In less than the 10 MB that a file may have."""
    one = "  logins: [{client_id: id, username: probe, password: pw, realm: Username-Password}]\n"
    names = (f"tenant-{number:05}" for number in range(10_000))
    listed = "".join(f"- name: {name}\n  domain: {name}.us.auth0.com\n{one}" for name in names)
    tenants = load_both(tmp_path, listed).values["tenants"]

    assert len(listed) < FILE_LIMIT / 4
    assert len(tenants) == 10_000


def test_init_changes_no_other_file(tmp_path: Path) -> None:
    """The lines of the list are not those of the configuration."""
    document = load_both(tmp_path, TENANTS_FILE.replace("{second}", "staging"))
    text = (tmp_path / "bot.yml").read_text()

    with pytest.raises(ValueError, match=r"tenants\.yml:2: domain is written in another file"):
        change_file(text, document, {"AUTH0_DOMAIN": "other.us.auth0.com"})
