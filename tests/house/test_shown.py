"""What the pages show is run: our commands, in a shell and in Slack, and requests to our listeners.

Commands ask a tenant and a workspace on loopback, as `bot.yml` says. Where a page shows none, they
read it all the same: `AUTH0_CHECK_CONFIG` names it. Commands of other vendors are only parsed, and
of targets of make only the names and recipes are checked: see tests/house/test_samples.py.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shlex
import sys
from asyncio.subprocess import PIPE
from itertools import pairwise
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from aiohttp import ClientSession, web

from bot.cli.init import QUESTIONS
from bot.simulator.log_api import LOG_READER
from bot.simulator.observability import ORGANIZATION, metric_expressions, sentry_query
from bot.simulator.people import press_button
from bot.simulator.reading import load_file
from bot.simulator.simulation import play_scenario
from bot.simulator.workspace.model import Channel, User
from tests.app.test_doctor import Place, place
from tests.house.shown import Call, Ended
from tests.house.test_docs import COMMANDS, EVERYTHING, PAGES, README, blocks, calls
from tests.live.conftest import PATIENCE_S, run

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

pytestmark = pytest.mark.no_cover
ROOT = Path(__file__).parents[2]
PLAYED = {"run", "demo", "sandbox", "test-alert", "db copy"}
"""Commands with tests of their own: they go on until somebody stops them or clicks, or need a
database server."""
PEOPLE = [User("U012ANNA", "anna", "Anna"), User("U012BEN", "ben", "Ben")]
CHANNEL = Channel("C0123ABCD", "auth0-alerts")
USERS = """\
metrics: [{signal: checkout, tenant: prod, requests: 200/min, errors: 0.1%}]
errors: [{signal: web, tenant: prod, events: 2/min, title: token exchange failed}]
logs: [{tenant: prod, rows: {s: 60/min}}]
"""
BRIEF = """\
format: 1
name: brief
about: Nothing happens.
start: 2026-03-02T10:00:00Z
warmup: 1m
duration: 2m
tenants: {prod: {domain: acme.us.auth0.com, environment: US-1}}
answer: {cause: none, alert: false}
"""
TEAM = "Local workspace"
"""The name of the workspace here; the pages call it Acme."""
BUSY = "loop was blocked"
"""On a busy machine `doctor` rightly cannot tell: then the test runs it again."""
TOKENS = {"STATUS_TOKEN": "s" * 24, "REPORT_TOKEN": "r" * 24, "CHANGE_TOKEN": "c" * 24}
"""By the variable that a page puts into a request."""


async def run_calls(todo: list[Call]) -> list[Ended]:
    """Run all in one process, on a loop that a busy machine does not confuse."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.steady", "tests.house.shown"),
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},  # noqa: TID251 - to find programs
        stdin=PIPE,
        stdout=PIPE,
    )
    printed, _ = await process.communicate(json.dumps(todo).encode())
    return [Ended(*each) for each in json.loads(printed)]


def configure(here: Place, **more: Any) -> dict[str, Any]:
    """Return a configuration of the place, with the names that the pages use."""
    whole = here.good()
    whole["slack"] |= {"channel": CHANNEL.id, "mention": "U012ANNA"}
    return whole | more


def with_sources(here: Place) -> dict[str, Any]:
    """Return it with the sources of real users that `probe --signal` asks."""
    tenants, whole = here.tenants, configure(here)
    whole["prometheus"] = {"url": tenants.prometheus_url, "token": tenants.secret}
    whole["sentry"] = {
        "url": tenants.sentry_url,
        "organization": ORGANIZATION,
        "token": tenants.secret,
    }
    whole["tenants"][0] |= {
        "metrics": [{"name": "checkout", **metric_expressions("prod", "checkout")}],
        "errors": [{"name": "web", "project": "1", "query": sentry_query("prod", "web")}],
        "logs": {"client_id": LOG_READER, "client_secret": tenants.secret, "every": "1s"},
    }
    return whole


def with_calls(here: Place, pager: str) -> dict[str, Any]:
    """Return it with somebody on call, a direct message, and then a pager."""
    return configure(
        here,
        oncall={
            "rotation": {"people": ["U012ANNA"], "hand_over": "Mon 09:00", "start": "2026-01-05"}
        },
        escalation={"critical": [{"after": "5m", "tell": "dm"}, {"after": "10m", "tell": "pager"}]},
        notify=[{"name": "pager", "pagerduty": {"routing_key": "k" * 32, "url": pager}}],
    )


def prepare(
    folder: Path, whole: dict[str, Any], name: str, words: Iterable[str] = (), typed: str = ""
) -> Call:
    """Write `bot.yml` into a new folder, and return the call as a shell makes it there."""
    (folder / "tests" / "scenarios").mkdir(parents=True)
    (folder / "tests" / "scenarios" / "brief.yml").write_text(BRIEF)
    (folder / "bot.yml").write_text(yaml.safe_dump(whole, sort_keys=False, width=1000))
    given = {"AUTH0_CHECK_CONFIG": "bot.yml", "SLACK_CHANNEL": CHANNEL.id}
    call = name.split()
    for word in itertools.takewhile(lambda each: each != ">", words):
        path = word.replace("/etc/auth0-check/", "")
        call += map(str, folder.glob(path)) if "*" in path else [path]
    return Call(str(folder), call, given, typed or "\n" * len(QUESTIONS))


def shown_calls() -> list[tuple[str, list[str]]]:
    """Return each call once. A command without what it needs is only named, not called."""
    needs = {n for n, c in COMMANDS.items() if any(p.required for p in c.params)}
    shown = {
        (name, *words)
        for name, words in calls()
        if name not in needs or any(not word.startswith("-") for word in words)
    }
    usual = {(name,) for name, *words in shown if words == ["--config", "bot.yml"]}
    return [(name, words) for name, *words in sorted(shown - usual)]


async def test_commands(tmp_path: Path) -> None:
    """Each ends with exit status 0 where all is well; `doctor` shows a wrong password as a page."""
    shown = [(n, words) for n, words in shown_calls() if n not in PLAYED]
    async with place(tmp_path, USERS, channels=[CHANNEL], people=PEOPLE) as here:
        todo = [
            prepare(tmp_path / str(number), with_sources(here), name, words)
            for number, (name, words) in enumerate(shown)
        ]
        whole = configure(here)
        whole["tenants"][0]["logins"][0]["password"] = "canary"
        wrong = prepare(tmp_path / "wrong", whole, "doctor")
        *ended, examined = await run_calls([*todo, wrong])
        for _ in range(5):
            if BUSY not in examined.output:
                break
            (examined,) = await run_calls([wrong])

    failed = [(call.words, *end) for call, end in zip(todo, ended, strict=True) if end.status]
    assert failed == []
    assert {name for name, _ in shown} | PLAYED == COMMANDS.keys()
    assert examined.status == 1
    assert shown_findings("docs/setup-auth0.md") <= printed_findings(examined.output), examined


async def test_a_test_alert(tmp_path: Path) -> None:
    """It asks first, calls somebody who then clicks, and prints what the page shows."""
    pressed: list[asyncio.Task[object]] = []

    async def page(request: web.Request) -> web.Response:
        if (await request.json())["event_action"] == "trigger":
            click = press_button(here.server.people, "U012ANNA", "acknowledge", 1)
            pressed.append(asyncio.create_task(click))
        return web.json_response({"status": "success"}, status=202)

    (words,) = (words for name, words in shown_calls() if name == "test-alert")
    async with place(tmp_path, channels=[CHANNEL], people=PEOPLE) as here:
        here.server.people.ack_limit_s = PATIENCE_S  # the bot is another process
        whole = with_calls(here, f"http://{await here.tenants.serve(page)}")
        (ended,) = await run_calls(
            [prepare(tmp_path / "alert", whole, "test-alert", words, typed="y\n")]
        )

    assert ended.status == 0, ended
    assert shown_findings("docs/paging.md") == printed_findings(ended.output)


def shown_findings(page: str) -> set[str]:
    """Return the findings of a shown output, as they are written into a pipe."""
    (text,) = blocks(PAGES[page], "text")
    text = re.sub(r"\n +→ ", ". ", text)
    found = re.findall(r"^ +[✓✗•] (.+?)(?:  (.+))?$", text, re.MULTILINE)
    return {mask(f"{what}: {detail}") for what, detail in found}


def printed_findings(output: str) -> set[str]:
    return {mask(line) for line in re.findall(r"^\w+: [\w ]+: (.+)", output, re.MULTILINE)}


def mask(line: str) -> str:
    """Leave out what differs from machine to machine."""
    return re.sub(r"\d+|\bD\w+", "N", line).removesuffix(": ")


async def test_a_run_and_requests_to_it(tmp_path: Path) -> None:
    """It logs what the README shows, and accepts each request of the pages to our listener."""
    hooks = {name: {"token": TOKENS[f"{name.upper()}_TOKEN"]} for name in ("report", "change")}
    async with place(tmp_path, channels=[CHANNEL], people=PEOPLE) as here:
        whole = configure(here, hooks=hooks)
        whole["server"] = {
            "listen": "127.0.0.1:0",
            "admin_listen": "127.0.0.1:0",
            "status_token": TOKENS["STATUS_TOKEN"],
        }
        whole["tenants"][0]["metrics"] = [{"name": "checkout"}]
        prepare(tmp_path / "run", whole, "run")
        async with (
            run("run", "--config", str(tmp_path / "run" / "bot.yml")) as bot,
            ClientSession() as session,
        ):
            for line in blocks(README, "text")[0].replace("Acme", TEAM).splitlines():
                await bot.says(re.escape(line))
            listener = (await bot.says(r"server\.listen: listening on (\S+)"))[1]
            answers = {}
            for method, url, headers, body in own_requests():
                here_url = url.replace("https://bot.example.com", f"http://{listener}")
                async with session.request(method, here_url, headers=headers, data=body) as answer:
                    answers[method, url, body] = answer.status
            assert await bot.stop() == 0

    assert {status for status in answers.values() if status >= 300} == set(), answers
    assert {url.rpartition("/")[2] for _, url, _ in answers} == {"status.json", "report", "change"}
    assert ("run", ["--config", "bot.yml"]) in shown_calls()


def own_requests() -> Iterator[tuple[str, str, dict[str, str], str | None]]:
    """Yield the requests to our listener: method, address, headers, body."""
    steps = [
        step["run"]
        for block in map(dedent, blocks(EVERYTHING, "yaml"))
        if block.startswith("- name:")
        for step in yaml.safe_load(block)
    ]
    for shown in [*map(dedent, blocks(EVERYTHING, "sh")), *steps]:
        text = re.sub(r"\$\{\{.*?\}\}", "1", shown)
        text = re.sub(r"\$(\w+)", lambda found: TOKENS.get(found[1], ""), text)
        words = shlex.split(text, comments=True)
        url = next((word for word in words if word.startswith("https://bot.example.com/")), "")
        if words[:1] != ["curl"] or not url:
            continue
        options = dict(pairwise(words))
        headers = dict([options["--header"].split(": ", 1)])
        body = options.get("--json")
        yield "POST" if body else "GET", url, headers, body


async def test_demos() -> None:
    """Each begins, shows the channel on a page unless it has none, and stops in good order."""
    shown = [words for name, words in shown_calls() if name == "demo" and words]
    await asyncio.gather(*map(play_demo, shown))

    assert len(shown) > 1


async def play_demo(words: list[str]) -> None:
    async with run("demo", *words, *([] if "--port" in words else ["--port", "0"])) as demo:
        if "--headless" in words:
            await demo.says("Hello, I watch")
        else:
            url = (await demo.says(r"The channel: (\S+)"))[1]
            async with ClientSession() as session, session.get(url) as page:
                assert page.status == 200
        assert await demo.stop() == 0


OUTAGE = {
    "format": 1,
    "name": "outage",
    "about": "Logins to one of two tenants fail.",
    "start": "2026-03-02T10:00:00Z",
    "warmup": "2m",
    "duration": "8m",
    "tenants": {
        "prod": {"domain": "acme.us.auth0.com", "environment": "US-1"},
        "staging": {"domain": "acme-staging.us.auth0.com", "environment": "US-1"},
    },
    "timeline": [{"target": "prod.login", "from": "0m", "is": {"http": "503"}}],
    "metrics": [{"signal": "checkout", "tenant": "prod", "requests": "60/min"}],
    "bot": {"oncall": {"group": "S1"}},
}
REFUSALS = ("I don't know", "I know no", "There is no ")
"""How the bot begins if it does not understand."""


def test_slash_commands(tmp_path: Path) -> None:
    """The bot understands each in an outage, and does or shows something."""
    shown = dict.fromkeys(re.findall(r"`/auth0-check ?([^`]*)`", EVERYTHING))
    stand_ins = {"12": "1", "s3": "S1", "S3": "S1", "TENANT": "prod", "NAME": "checkout"}
    said = [re.sub(r"\w+", lambda word: stand_ins.get(word[0], word[0]), text) for text in shown]
    said.sort(key=lambda text: text.startswith(("resolve", "false-alarm", "unsilence")))
    people = [
        {"at": f"{120 + 5 * place}s", "user": "U012ANNA", "say": f"/auth0-check {text}"}
        for place, text in enumerate([*said, "frobnicate", "run nowhere", "ack 99"])
    ]
    file = tmp_path / "outage.yml"
    file.write_text(json.dumps(OUTAGE | {"people": people}))
    events: list[dict[str, Any]] = []
    play_scenario(load_file(file), 1, events.append, requests=False)
    answers = [e["text"] for e in events if e["event"] == "message" and e["kind"] == "ephemeral"]
    refused = [text for text in answers if text.startswith(REFUSALS)]

    assert len(answers) >= len(said)
    assert len(refused) == 3, refused
