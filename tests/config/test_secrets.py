from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.config import ConfigError, build_settings, load_document
from bot.config.loading import VARIABLES
from bot.config.settings import Login, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CANARY = "hunter2canary"
FULL: dict[str, Any] = {
    "slack": {"bot_token": "xoxb-1", "app_token": "xapp-1", "signing_secret": "s", "channel": "C1"},
    "thresholds": {"fail_count": "5"},
    "tenants": [
        {
            "name": "prod",
            "domain": "acme.us.auth0.com",
            "base_url": "https://a.b",
            "ca_file": None,
            "feed_url": "https://a.b/token",
            "probe": {"every": "60s"},
            "logins": [
                {"client_id": "i", "client_secret": "c", "username": "u", "password": "p"},
            ],
            "m2m": {"client_id": "m", "client_secret": "secret-of-machine"},
            "metrics": [{"name": "m", "failed": "f", "all": "a", "share": "5%"}],
            "errors": [{"name": "e", "project": "1", "query": "q"}],
            "logs": {"client_id": "l", "client_secret": "k"},
        }
    ],
    "controls": ["https://a.b"],
    "resolve": {"a.b": "127.0.0.1:1"},
    "server": {"listen": "a:1", "status_token": "token-of-status"},
    "prometheus": {"url": "https://a.b", "username": "b", "password": "p"},
    "sentry": {"organization": "o", "token": "t"},
    "hooks": {
        "sentry": {"client_secret": "hook-of-sentry", "tenant": "prod"},
        "alertmanager": {"token": "hook-of-alertmanager"},
        "pingdom": {"path_secret": "hook-of-pingdom-0"},
    },
}


def places(value: Any, way: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for key, child in children:
        if isinstance(child, dict | list):
            yield from places(child, (*way, key))
        yield (*way, key)


def replaced(value: Any, way: tuple[str | int, ...], new: object) -> Any:
    if not way:
        return new
    changed = value.copy()
    changed[way[0]] = replaced(value[way[0]], way[1:], new)
    return changed


def shown(path: Path | None, environ: dict[str, str]) -> str:
    """Everything that loading could show to somebody."""
    try:
        return repr(build_settings(load_document(path, environ)))
    except ConfigError as error:
        return "".join([*traceback.format_exception(error), repr(error), repr(error.__context__)])


@pytest.mark.no_cover
@pytest.mark.parametrize(
    "canary",
    [CANARY, f"{CANARY} x", f"https://{CANARY}", f"http://a:{CANARY}", [CANARY], {"a": CANARY}],
    ids=str,
)
def test_no_refusal_repeats_a_value(tmp_path: Path, canary: object) -> None:
    """Wherever a secret is pasted by mistake, no message shows it."""
    path = tmp_path / "bot.yml"
    broken = {**FULL, "unknown": "key"}
    for way in places(FULL):
        path.write_text(yaml.safe_dump(replaced(broken, way, canary)))
        assert CANARY not in shown(path, {}), way


@pytest.mark.parametrize(
    "value",
    [
        f"!{CANARY}",
        f"!{CANARY}!x y",
        f"*{CANARY}",
        f"&{CANARY} x",
        f"'{CANARY}",
        f"@{CANARY}",
        f"a: {CANARY}: b",
        f'"\\{CANARY}"',
        f"[{CANARY}",
        f"%{CANARY}",
        f"|{CANARY}",
        f"{{? {CANARY}",
    ],
)
def test_no_syntax_error_quotes_the_file(tmp_path: Path, value: str) -> None:
    """A password without quotes breaks the YAML, and is still not shown."""
    path = tmp_path / "bot.yml"
    path.write_text(f"slack:\n  bot_token: {value}\n")

    assert CANARY not in shown(path, {})


def test_no_secret_file_is_shown(tmp_path: Path) -> None:
    """Neither the content of a secret file nor a secret in place of its path is shown."""
    path, login = tmp_path / "bot.yml", ("tenants", 0, "logins", 0)
    (tmp_path / "binary").write_bytes(CANARY.encode() + b"\xff")
    for name in (CANARY, "binary"):
        logins = [{"client_id": "i", "username": "u", "password_file": name}]
        path.write_text(yaml.safe_dump(replaced(FULL, login[:3], logins)))
        assert CANARY not in shown(path, {}), name


def test_no_variable_is_shown(variables: dict[str, str]) -> None:
    """No value of the environment is repeated, right or wrong."""
    for name in VARIABLES:
        for environ in ({name: CANARY}, {**variables, f"{name}_FILE": CANARY}):
            assert CANARY not in shown(None, environ), name


def test_the_settings_hide_their_secrets(tmp_path: Path) -> None:
    """Settings can be printed; the redaction knows all secrets in them."""
    path = tmp_path / "bot.yml"
    slack = {name: f"{value}{CANARY}" for name, value in FULL["slack"].items() if name != "channel"}
    login = {"client_id": "i", "client_secret": f"c{CANARY}", "username": "u", "password": CANARY}
    document = replaced(FULL, ("tenants", 0, "logins", 0), login)
    document = replaced(document, ("tenants", 0, "feed_url"), f"https://a.b/{CANARY}")
    document["database"] = f"postgresql://bot:%40{CANARY}@db/name"
    path.write_text(yaml.safe_dump({**document, "slack": {**slack, "channel": "C1"}}))

    loaded = build_settings(load_document(path, {}))

    assert CANARY not in f"{loaded!r}{loaded}{loaded.model_dump()}{loaded.model_dump_json()}"
    assert loaded.secrets() == {
        f"xoxb-1{CANARY}",
        f"xapp-1{CANARY}",
        f"s{CANARY}",
        f"c{CANARY}",
        CANARY,
        f"https://a.b/{CANARY}",
        f"postgresql://bot:%40{CANARY}@db/name",
        f"@{CANARY}",
        *(
            "k",
            "p",
            "t",
            "secret-of-machine",
            "hook-of-sentry",
            "hook-of-alertmanager",
            "hook-of-pingdom-0",
            "token-of-status",
        ),
    }


def test_settings_made_in_python_hide_them_too() -> None:
    """Pydantic's own message about wrong settings does not show them."""
    with pytest.raises(ValidationError) as raised:
        Login.model_validate({"username": [CANARY], "password": [CANARY], CANARY[:3]: CANARY})

    assert CANARY not in f"{raised.value}{raised.value!r}"


def login(**changes: Any) -> Login:
    fields = {"client_id": "i", "username": "u", "password": CANARY, **changes}
    return Login.model_validate(fields)


def fingerprint(login: Login, key: str = "xoxb-1") -> str:
    slack = FULL["slack"] | {"bot_token": key}
    return Settings.model_validate(FULL | {"slack": slack}).fingerprint(login)


def test_a_fingerprint_is_stable() -> None:
    """The same login has the same fingerprint in another process and another version."""
    assert fingerprint(login()) == fingerprint(login(realm=None, scope="openid"))
    assert fingerprint(login()) == "f9083b4873022ff7360d7d45684d6f7e"


def test_a_fingerprint_alone_cannot_be_tested() -> None:
    """Whoever reads the database can guess passwords, but not Slack's token, which is the key."""
    assert fingerprint(login(), "xoxb-2") != fingerprint(login())


def test_fingerprints_delay_no_start() -> None:
    """Those of 500 logins take far less than one key derivation each, which were 20 s."""
    settings = Settings.model_validate(FULL)
    began = time.thread_time()
    for number in range(500):
        settings.fingerprint(login(username=f"probe-{number}"))

    assert time.thread_time() - began < 5.0


@pytest.mark.parametrize(
    "change",
    [
        {"password": "x"},
        {"client_secret": "x"},
        {"client_id": "x"},
        {"username": "x"},
        {"realm": "x"},
    ],
    ids=str,
)
def test_a_fingerprint_follows_every_change(change: dict[str, str]) -> None:
    """New credentials or another connection give another fingerprint."""
    assert fingerprint(login(**change)) != fingerprint(login())


WORDS = st.sampled_from(
    [
        "slack",
        "tenants",
        "logins",
        "metrics",
        "errors",
        "hooks",
        "sentry",
        "token",
        "tenant",
        "mode",
        "thresholds",
        "name",
        "name_file",
        "probe",
        "resolve",
        "${A}",
        "$",
    ]
) | st.text(max_size=8)
TREES = st.recursive(
    st.none() | WORDS,
    lambda child: st.lists(child, max_size=3) | st.dictionaries(WORDS, child, max_size=4),
    max_leaves=20,
)


@pytest.mark.no_cover
@settings(max_examples=150, deadline=None)
@given(st.dictionaries(WORDS, TREES, max_size=5))
def test_no_tree_breaks_the_settings(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    """Whatever the file contains, the result is a list of printable problems."""
    path = tmp_path_factory.getbasetemp() / "tree.yml"
    path.write_bytes(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))

    refusal_of(path)


@pytest.mark.no_cover
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(alphabet="ab:-?[]{},&*!|>'\"%@`#~$\\ \n\t0", max_size=60) | st.text() | st.binary())
def test_no_file_breaks_the_reader(
    tmp_path_factory: pytest.TempPathFactory, content: str | bytes
) -> None:
    """Every file, YAML or not, gives ConfigError and nothing else."""
    path = tmp_path_factory.getbasetemp() / "file.yml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    refusal_of(path)


def refusal_of(path: Path) -> None:
    with pytest.raises(ConfigError) as raised:
        build_settings(load_document(path, {}))
    assert raised.value.problems
    assert str(raised.value).encode()
    assert str(raised.value).count("\n") == len(raised.value.problems) - 1
