"""Faults of a set-up, each with the line that says what to do."""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from bot.app.bot import Bot
from bot.app.clock import SystemClock
from bot.app.doctor import Doctor
from bot.config import ConfigError
from bot.config.loading import build_settings, load_document
from bot.config.settings import Login, Proxies
from bot.config.warnings import find_warnings
from bot.core.model.finding import Finding, Level, worst_level
from bot.core.model.observation import Fault, Stage
from bot.http import SystemNetwork
from bot.simulator.local import LocalTenants
from bot.simulator.reading import load_file
from bot.simulator.workspace.model import SCOPES, App, Channel, User
from bot.simulator.workspace.server import WorkspaceServer
from bot.simulator.workspace.workspace import Workspace
from bot.simulator.world import World
from bot.slack.render.text import remedy_of
from tests.proxy import PASSWORD, Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from bot.http.network import Address

ANSWERS = {
    "grant-off": "{http: 403, error: unauthorized_client}",
    "mfa": "{http: 403, error: mfa_required}",
    "blocked": "{http: 401, error: unauthorized}",
    "locked": "{http: 429, error: too_many_attempts}",
    "leaked": "{http: 401, error: password_leaked}",
    "robot": "{http: 401, error: requires_verification}",
    "denied": "{http: 403, error: access_denied}",
    "quota": "{http: 429, error: too_many_requests}",
    "issuer": "{token: wrong_issuer}",
    "audience": "{token: wrong_audience}",
    "no-proof": "{token: no_proof}",
    "stale": "{token: stale_proof}",
    "html": "{http: 403, body: html}",
}
"""What the tenant answers to the login of this name."""
LOGIN = {
    "client_id": "probe",
    "client_secret": "right",
    "username": "probe",
    "password": "right",
    "realm": "users",
    "proof_claim": "https://acme.example/at",
}
SCENARIO = """\
format: 1
name: case
about: A case.
start: 2026-03-02T10:00:00Z
warmup: 1m
duration: 60m
seed: 7
tenants:
  prod: {{domain: acme.us.auth0.com, environment: US-1}}
controls: [neutral]
bot: {{tenants: [{{name: prod, logins: {logins}}}]}}
timeline:
{timeline}
"""


class OwnNames:
    """DNS that knows the names of the set-up and no other."""

    def __init__(self, resolve: Mapping[str, str]) -> None:
        self._known = {*resolve, "127.0.0.1"}
        self._system = SystemNetwork(resolve)

    async def resolve(self, host: str, port: int) -> Sequence[Address]:
        if host not in self._known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return await self._system.resolve(host, port)

    async def before_connect(self, host: str) -> None:
        """Allow it."""


@dataclass
class Place:
    """A tenant, its status page and a workspace on loopback, and a set-up that fits them."""

    tenants: LocalTenants
    folder: Path
    workspace: Workspace
    server: WorkspaceServer

    @property
    def control(self) -> str:
        """The address of the control endpoint."""
        return next(iter(self.tenants.control_urls.values()))

    def good(self) -> dict[str, Any]:
        """The file of a set-up without any fault."""
        return {
            "slack": {
                "bot_token": self.workspace.state.app.bot_token,
                "app_token": self.workspace.state.app.app_token,
                "channel": "C0ALERTS",
                "mention": "U1",
                "api_url": self.server.api_url,
            },
            "tenants": [
                {
                    "name": "prod",
                    "domain": "acme.us.auth0.com",
                    "environment": "US-1",
                    "ca_file": str(self.tenants.ca_file),
                    "feed_url": self.tenants.feed_urls["prod"],
                    "logins": [dict(LOGIN)],
                }
            ],
            "resolve": dict(self.tenants.resolve),
            "controls": [self.control],
            "database": str(self.folder / "bot.sqlite"),
        }

    async def examine(
        self, changes: Mapping[str, Any], name: str, *, ahead_s: float = 0.0
    ) -> list[Finding]:
        """Examine the good set-up with some keys changed; a refused file is findings, too."""
        file = self.folder / f"{name}.yml"
        file.write_text(json.dumps(changed(self.good(), changes)))  # JSON is YAML
        document = load_document(file, {})
        try:
            settings = build_settings(document)
        except ConfigError as error:
            return [Finding("", "", Level.PROBLEM, line, line) for line in error.problems]
        clock = SystemClock()
        clock.correct(ahead_s)
        doctor = Doctor(settings, clock, OwnNames(settings.resolve), find_warnings(document))
        return [finding async for finding in doctor.examine()]


def changed(whole: Any, changes: Mapping[str, Any]) -> Any:
    """Change values by their path, such as `tenants.0.domain`; None removes a key."""
    for path, value in changes.items():
        *way, last = path.split("/")
        parent = whole
        for step in way:
            parent = parent[int(step)] if isinstance(parent, list) else parent.setdefault(step, {})
        if value is None:
            parent.pop(last)
        else:
            parent[last] = value
    return whole


@asynccontextmanager
async def place(folder: Path, more: str = "", **workspace: Any) -> AsyncIterator[Place]:
    """Open one; `more` are further lines of its scenario, such as what its users do."""
    logins = [{"name": name} for name in ANSWERS]
    timeline = "\n".join(f"  - {{target: prod.{n}, is: {a}}}" for n, a in ANSWERS.items())
    file = folder / "case.yml"
    file.write_text(SCENARIO.format(logins=json.dumps(logins), timeline=timeline) + more)
    scenario = replace(load_file(file), start_at=SystemClock().now() - 60)
    let_in = [Login.model_validate(LOGIN | {"name": n, "username": n}) for n in ("login", *ANSWERS)]
    let_in.append(Login.model_validate(LOGIN))
    slack = Workspace(SystemClock().now, **{"app": App(scopes=ALL_SCOPES), **workspace})
    async with (
        LocalTenants(World(scenario), SystemClock(), {"prod": let_in}) as tenants,
        WorkspaceServer(slack) as server,
    ):
        yield Place(tenants, folder, slack, server)


SERVER = {"admin_listen": "127.0.0.1:0"}
ALL_SCOPES = SCOPES | {"dnd:read"}
T, L = "tenants/0", "tenants/0/logins/0"
DM_ONLY = {"critical": [{"after": "3m", "tell": "dm"}]}
ROTATION = {"hand_over": "Mon 09:00", "start": "2026-11-23"}
PAGER = [{"name": "pager", "pagerduty": {"routing_key": "x" * 32, "url": "http://127.0.0.1:9"}}]


def login_of(answer: str) -> dict[str, Any]:
    """The set-up's login as the one that the tenant answers so."""
    return {f"{L}/name": answer, f"{L}/username": answer}


FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "password": ({f"{L}/password": "wrong"}, "login: user", "Set the test user's new password"),
    "secret": ({f"{L}/client_secret": "x"}, "login: application", "client_id and client_secret"),
    "realm": ({f"{L}/realm": "staff"}, "login: connection", "switched on for the application"),
    "directory": ({f"{L}/realm": None}, "login: connection", "Set `realm`, or the tenant's Def"),
    "api": ({f"{L}/audience": "https://x"}, "login: application", "Check the audience"),
    "grant": (login_of("grant-off"), "grant-off: grant", "Switch the Password grant on"),
    "mfa": (login_of("mfa"), "mfa: second factor", "Exempt the test application"),
    "blocked": (login_of("blocked"), "blocked: user", "Unblock the test user (User Manage"),
    "locked": (login_of("locked"), "locked: user", "Unblock the test user, and add"),
    "leaked": (login_of("leaked"), "leaked: user", "a new, long random password"),
    "robot": (login_of("robot"), "robot: allow list", "allow list of Bot Detection"),
    "quota": (login_of("quota"), "quota: rate limit", "what uses up the tenant's rate limit"),
    "issuer": (login_of("issuer"), "issuer: token", "the tenant's own domain into domain"),
    "audience": (login_of("audience"), "audience: token", "Check audience: the Identifier"),
    "no proof": (login_of("no-proof"), "no-proof: proof", "the post-login Action is deployed"),
    "stale proof": (login_of("stale"), "stale: proof", "sets the proof claim at each login"),
    "firewall": (login_of("html"), "html: login", "Something on the way refuses"),
    "domain": (
        {f"{T}/domain": "acmee.us.auth0.com"},
        "acmee.us.auth0.com",
        "Check the spelling of domain: DNS does not know",
    ),
    "other host": (
        {f"{T}/domain": "127.0.0.1.example", "resolve/127.0.0.1.example": "TENANT"},
        "127.0.0.1.example by IPv4",
        "Check the spelling of domain: another host answers",
    ),
    "inspected TLS": ({f"{T}/ca_file": None}, "acme.us.auth0.com by IPv4", "replaces the certific"),
    "closed port": (
        {"resolve/acme.us.auth0.com": "127.0.0.1:9"},
        "acme.us.auth0.com by IPv4",
        "HTTPS (port 443) must be allowed",
    ),
    "whole domain": ({f"{T}/domain": "acme"}, "", "must be the whole domain, such as acme.us"),
    "address": ({f"{T}/domain": "https://acme.us.auth0.com"}, "", "write the host name alone"),
    "feed": ({f"{T}/feed_url": "FEED?domain=login.acme.example"}, "status page for US-1", "custom"),
    "no feed": ({f"{T}/feed_url": "http://127.0.0.1:9/"}, "status page for US-1", "allow HTTPS to"),
    "environment": (
        {f"{T}/environment": None},
        "status page for no environment",
        "set environment",
    ),
    "exchanged tokens": ({"slack/bot_token": "xapp-1"}, "", "is the app-level token (app_token)"),
    "rotated token": ({"slack/bot_token": "xoxe.xoxb-1"}, "", "make a new app from manifest.yml"),
    "bot token": ({"slack/bot_token": "xoxb-1"}, "bot token", "copy the Bot User OAuth Token"),
    "app token": ({"slack/app_token": "xapp-1"}, "app token", "copy the one that starts with xapp"),
    "channel": ({"slack/channel": "C1"}, "channel C1", "copy the id from the channel's details"),
    "archived": ({"slack/channel": "C0OLD"}, "channel C0OLD", "choose another"),
    "invitation": (
        {"slack/channel": "C0DOOR"},
        "channel C0DOOR",
        "type /invite @auth0-check in it",
    ),
    "person": ({"slack/mention": "U9"}, "slack.mention U9", "correct slack.mention: copy the ID"),
    "guest": (
        {"oncall": {"rotation": {"people": ["U7"], **ROTATION}}},
        "oncall.rotation U7",
        "correct oncall.rotation",
    ),
    "user group": ({"oncall": {"group": "S9"}}, "oncall.group S9", "correct oncall.group"),
    "silent": (
        {"oncall": {"rotation": {"people": ["U1"], **ROTATION}}, "escalation": DM_ONLY},
        "escalation",
        "add a contact point under notify",
    ),
    "nobody": ({"slack/mention": None}, "escalation", "set slack.mention, or oncall"),
    "pager": ({"notify": PAGER}, "pager", "HTTPS (port 443) must be allowed"),
    "database": ({"database": "/nowhere/bot.sqlite"}, "database", "its directory must exist"),
    "other file": ({"database": "OTHER"}, "database", "move it away to begin afresh"),
    "a control's name": (
        {"controls": ["http://127.0.0.1:9/", "https://nowhere.example/"]},
        "control endpoint nowhere.example",
        "Check this machine's DNS: try `getent hosts` with the name; if it knows others, the spell",
    ),
    "controls": ({"controls": ["http://127.0.0.1:9/"]}, "control endpoint 127.0.0.1:9", "port 443"),
    "Prometheus": (
        {
            "prometheus": {"url": "PROMETHEUS", "token": "wrong"},
            f"{T}/metrics": [{"name": "checkout", "failed": "f", "all": "a"}],
        },
        "checkout",
        "docs/real-users.md says what to do",
    ),
}
"""A change of the good set-up, the line that shows it, and the remedy of that line."""
CHANNELS = [
    Channel("C0ALERTS", "alerts"),
    Channel("C0OLD", "old", is_archived=True),
    Channel("C0DOOR", "door", is_private=False, is_member=False),
]
PEOPLE = [User("U1", "ann", "Ann"), User("U7", "gus", "Gus", is_guest=True)]


async def test_a_good_setup_has_no_problem(tmp_path: Path) -> None:
    """All is well but for what no program can see; a login and its address are shown."""
    async with place(tmp_path) as here:
        found = await here.examine({}, "good")
    lines = {finding.what: finding for finding in found}

    assert worst_level(found) is Level.OK, found
    advice = {f.what for f in found if f.level is Level.ADVICE}
    assert advice == {"allow list", "commands and events"}
    assert "certificate good for" in lines["acme.us.auth0.com by IPv4"].detail
    assert "token verified" in lines["login"].detail
    assert lines["socket"].detail == "opened, and Slack said hello"
    assert lines["rate limit"].detail == "299 requests are left"
    assert all(finding.remedy for finding in found if finding.level is not Level.OK)


@pytest.mark.no_cover
async def test_each_fault_has_its_remedy(tmp_path: Path) -> None:
    """Forty faults of a set-up: each shows in its own line, with what to do."""
    (tmp_path / "other").write_text("not a database")
    scopes = ALL_SCOPES - {"chat:write.public"}
    async with place(tmp_path, app=App(scopes=scopes), channels=CHANNELS, people=PEOPLE) as here:
        known = {
            "TENANT": here.tenants.resolve["acme.us.auth0.com"],
            "PROMETHEUS": here.tenants.prometheus_url,
            "OTHER": str(tmp_path / "other"),
            "FEED?domain=login.acme.example": here.tenants.feed_urls["prod"].replace(
                "acme.us.auth0.com", "login.acme.example"
            ),
        }
        changes = [json.dumps(change) for change, _, _ in FAULTS.values()]
        for name, value in known.items():
            changes = [text.replace(f'"{name}"', json.dumps(value)) for text in changes]
        all_found = await asyncio.gather(
            *(
                here.examine(json.loads(change), f"case-{number}")
                for number, change in enumerate(changes)
            )
        )
    wrong = {}
    for (name, (_, what, remedy)), found in zip(FAULTS.items(), all_found, strict=True):
        lines = [finding for finding in found if finding.level is not Level.OK]
        if not any(line.what == what and remedy in line.remedy for line in lines):
            wrong[name] = [(line.what, line.level, line.detail, line.remedy) for line in lines]

    assert wrong == {}
    assert len(FAULTS) >= 40


@pytest.mark.parametrize(
    ("scope", "what"),
    [
        ("chat:write", "bot token"),
        ("users:read", "scope users:read"),
        ("commands", "scope commands"),
    ],
)
async def test_a_missing_scope(tmp_path: Path, scope: str, what: str) -> None:
    """What is lost without it is said, and the remedy is the manifest."""
    async with place(tmp_path, app=App(scopes=ALL_SCOPES - {scope})) as here:
        found = await here.examine({}, "scope")

    assert any(f.what == what and "manifest.yml" in f.remedy for f in found), found


async def test_a_wrong_clock_and_a_running_bot(tmp_path: Path) -> None:
    """The clock is compared with an answer; of a database in use the bot's socket is left alone."""
    database = tmp_path / "bot.sqlite"
    database.touch()
    async with place(tmp_path) as here:
        with (tmp_path / "bot.sqlite.lock").open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            found = await here.examine({}, "clock", ahead_s=120.0)
    lines = {finding.what: finding for finding in found}

    assert "ahead: tokens would look" in lines["clock"].detail
    assert "timedatectl" in lines["clock"].remedy
    assert lines["database"].level is Level.OK
    assert "in use by a running bot" in lines["database"].detail
    assert "socket" not in lines


async def test_each_kind_of_request_goes_through_its_proxy(tmp_path: Path) -> None:
    """The proxy finds the names; only Prometheus and Sentry stay what the set-up lets them be."""
    async with place(tmp_path) as here, Proxy(here.tenants.resolve) as proxy:
        pager = [{"name": "pager", "pagerduty": {"routing_key": "x" * 32, "url": here.control}}]
        metric = {"name": "checkout", "failed": "f", "all": "a"}
        found = await here.examine(
            {
                "proxy": {kind: proxy.url(kind) for kind in Proxies.model_fields},
                "resolve": None,
                "notify": pager,
                "prometheus": {"url": here.tenants.prometheus_url, "token": here.tenants.secret},
                f"{T}/metrics": [metric],
            },
            "proxy",
        )
    lines = {finding.what: finding for finding in found}
    control, prometheus, slack, feed = (
        urlsplit(url).netloc
        for url in (
            here.control,
            here.tenants.prometheus_url,
            here.server.api_url,
            here.tenants.feed_urls["prod"],
        )
    )

    assert worst_level([f for f in found if f.what != "checkout"]) is Level.OK, found
    assert "certificate good for" in lines["acme.us.auth0.com by proxy"].detail
    assert lines["socket"].detail == "opened, and Slack said hello"
    assert proxy.seen == {
        ("probes", "acme.us.auth0.com"),
        ("probes", control),
        ("sources", feed),
        ("prometheus", prometheus),
        ("slack", slack),
        ("notify", control),
    }


PROXY_FAULTS = {
    "wrong": ("", "the right user and password into the proxy's address in `proxy`"),
    PASSWORD: ("403 Forbidden", "Let the proxy allow CONNECT to this host"),
    f"{PASSWORD}/": ("502 Bad Gateway", "Find out on the proxy why it does not reach this host"),
}
"""What a proxy answers to a password, and the remedy."""


async def test_a_proxy_that_fails_is_named(tmp_path: Path) -> None:
    """By its address and without its password; what it cannot reach is not blamed."""
    said = {}
    async with place(tmp_path) as here:
        for password, (answer, _) in PROXY_FAULTS.items():
            async with Proxy(refuses=answer) as proxy:
                url = proxy.url("ann", password.rstrip("/"))
                found = await here.examine({"proxy": {"probes": url}, "controls": []}, "case")
            said[password] = next(f for f in found if f.what == "acme.us.auth0.com by proxy")
            assert f"127.0.0.1:{proxy.port} answers" in said[password].detail
            assert "canary" not in f"{found}"
        nowhere = "http://ann:canary@127.0.0.1:9"
        found = await here.examine({"proxy": {"probes": nowhere, "slack": nowhere}}, "nowhere")
    lines = {finding.what: finding for finding in found}

    for password, (_, remedy) in PROXY_FAULTS.items():
        assert remedy in said[password].remedy
    assert "127.0.0.1:9 (connect refused)" in lines["acme.us.auth0.com by proxy"].detail
    assert lines["bot token"].remedy == "check proxy.slack"
    assert "canary" not in f"{found}"


async def test_without_a_network_nothing_can_be_told(tmp_path: Path) -> None:
    """If the control endpoint fails, too, the tenant is not blamed."""
    nowhere = {"controls": ["http://127.0.0.1:9/"], "resolve/acme.us.auth0.com": "127.0.0.1:9"}
    async with place(tmp_path) as here:
        found = await here.examine({**nowhere, f"{T}/feed_url": "http://127.0.0.1:9/"}, "cut")

    assert worst_level(found) is Level.UNKNOWN


def test_a_remedy_names_the_setting_of_the_host() -> None:
    """A control endpoint is no tenant: its name stands in `controls`."""
    fault = Fault(Stage.DNS, "nxdomain")

    assert remedy_of(fault).startswith("Check the spelling of domain: ")
    assert remedy_of(fault, "controls").startswith("Check the spelling of controls: ")
    assert "check this machine's DNS" in remedy_of(fault, "controls")


@pytest.mark.parametrize("stage", Stage)
def test_every_fault_has_a_remedy(stage: Stage) -> None:
    """Also one without a known reason; a token that is signed by HS256 has its own."""
    assert remedy_of(Fault(stage, "new"))
    assert "RS256" in remedy_of(Fault(Stage.TOKEN, "bad_algorithm", status=200))


async def test_doctor_in_slack(tmp_path: Path) -> None:
    """Whoever may administer gets it alone, with each remedy; others are refused."""
    async with place(tmp_path) as here:
        whole = changed(here.good(), {"access": {"administer": ["U1"]}, "server": SERVER})
        file = tmp_path / "bot.yml"
        file.write_text(json.dumps(changed(whole, {f"{L}/audience": "https://x"})))
        bot = Bot(build_settings(load_document(file, {})), SystemClock())
        running = asyncio.create_task(bot.run())
        try:
            async with asyncio.timeout(60):
                while not here.server.sockets.sockets:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)  # Slack refuses commands until then
                for user in ("U1", "U2"):
                    await here.server.people.type_command(
                        user, "C0ALERTS", "/auth0-check doctor share"
                    )
                while len(said := texts_to(here, "U1")) < 2 or not texts_to(here, "U2"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        refused = texts_to(here, "U2")

    assert "this takes up to half a minute" in said[0]
    assert "The set-up: " in said[1]
    assert "prod: login: application" in said[1]
    assert "Check the audience" in said[1]
    assert "may" in refused[0]
    assert len(refused) == 1


def texts_to(here: Place, user: str) -> list[str]:
    messages = here.workspace.messages("C0ALERTS")
    return [message.text for message in messages if message.only_for == user]
