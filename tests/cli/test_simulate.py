from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]

ALWAYS = {"t", "at", "event"}
FIELDS = {
    "request": {"target", "result", "latency_ms"},
    "signal": {"tenant", "signal", "state", "reason"},
    "incident": {"incident", "tenants", "state", "severity"},
    "verdict": {"incident", "cause", "scope", "confidence", "because", "against"},
    "message": {"channel", "kind", "broadcast", "severity", "mentions", "key", "text"},
    "page": {"incident", "step", "who", "contact_point", "action"},
    "greeting": {"channel", "text"},
    "click": {"user", "click", "incident", "result"},
    "call": {"incident", "how", "who", "reason", "tenants"},
    "summary": {
        "scenario",
        "seed",
        "alerts",
        "first_alert_s",
        "cause_first",
        "cause_final",
        "causes",
        "calls",
        "requests",
        "virtual_s",
        "wall_s",
    },
}
"""The fields of each event, by the scenario format."""
SHORT = """\
format: 1
name: {name}
about: A minute of trouble.
start: 2026-03-02T10:00:00Z
warmup: 1m
duration: 10m
seed: 1
tenants:
  prod: {{domain: acme.us.auth0.com, environment: US-1}}
  shop: {{domain: shop.us.auth0.com, environment: US-1}}
controls: [neutral]
timeline:
  - {{target: "*.login", from: 0m, to: 5m, is: {{http: 503}}}}
answer: {{cause: {cause}, decidable: 3m, alert: {alert}}}
"""
CALLED = """\
bot:
  slack: {mention: U0CHIEF}
  notify: [{name: pager, pagerduty: {routing_key: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk}}]
  escalation: {critical: [{after: 0s, tell: pager}]}
people:
  - {at: 4m, user: U1, click: acknowledge, incident: 1}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., str]:
    """Write a short scenario, with any answer."""

    def write(
        name: str = "short", cause: str = "auth0", alert: str = "true", calls: str = ""
    ) -> str:
        file = tmp_path / f"{name}.yml"
        text = SHORT.format(name=name, cause=cause, alert=alert)
        file.write_text(text.replace(f"alert: {alert}", f"alert: {alert}{calls}"))
        return str(file)

    return write


def told(ended: Any) -> list[dict[str, Any]]:
    assert (ended.returncode, ended.stderr) == (0, "")
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_every_event_has_the_fields_of_the_format(auth0_check: Run, scenario: Any) -> None:
    """Exactly these fields, in the order of time, the summary last."""
    file = scenario()
    with Path(file).open("a") as opened:
        opened.write(CALLED)
    events = told(auth0_check("simulate", file, "--json", "--requests"))

    assert {event["event"] for event in events} == FIELDS.keys()
    assert all(event.keys() == ALWAYS | FIELDS[event["event"]] for event in events)
    assert [event["t"] for event in events] == sorted(event["t"] for event in events)
    assert events[-1]["event"] == "summary"


def test_a_reader_that_stops(scenario: Any) -> None:
    """As `head` does: the program ends at once, and says nothing."""
    command = [sys.executable, "-m", "bot", "simulate", scenario(), "--json", "--requests"]
    with subprocess.Popen(  # noqa: S603 - our own program
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        said = process.stderr.read()

    assert (process.returncode, said) == (128 + signal.SIGPIPE, b"")


def test_people_read_a_timeline(auth0_check: Run, scenario: Any) -> None:
    """A line an event, without requests; the summary has the speed."""
    ended = auth0_check("simulate", scenario())

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "incident #1 open, critical: prod" in ended.stdout
    assert " request " not in ended.stdout
    assert ended.stdout.splitlines()[-1].endswith("times real time")


@pytest.mark.parametrize(
    ("answer", "status"), [({}, 0), ({"cause": "app"}, 1), ({"alert": "false"}, 1)]
)
def test_the_score_is_the_exit_status(
    auth0_check: Run, scenario: Any, answer: dict[str, str], status: int
) -> None:
    """A wrong cause is wrong, and so is an alert where none is due."""
    ended = auth0_check("simulate", scenario(**answer), "--score", "--json")
    summary = json.loads(ended.stdout.splitlines()[-1])

    assert ended.returncode == status
    assert summary["correct"] is (status == 0)
    assert summary["cause_scored"] == "auth0"
    assert summary["calls_correct"] is None


@pytest.mark.parametrize(
    ("calls", "is_right"),
    [
        (", calls_most: 0", True),
        (", quiet: [{from: 0m}]", True),
        (", called: [{from: 0m, by: 4m}]", False),
    ],
)
def test_calls_are_scored_too(
    auth0_check: Run, scenario: Any, calls: str, *, is_right: bool
) -> None:
    """The right cause is not enough where the wrong people sleep. Nobody is called here."""
    ended = auth0_check("simulate", scenario(calls=calls), "--score", "--json")
    summary = json.loads(ended.stdout.splitlines()[-1])

    assert (summary["correct"], summary["calls_correct"]) == (True, is_right)
    assert ended.returncode == (0 if is_right else 1)
    assert summary["calls"] == []
    worlds = auth0_check("simulate", scenario(calls=calls), "--score", "--seeds", "2")
    assert f"calls correct {'100' if is_right else '0'}%" in worlds.stdout
    assert worlds.returncode == ended.returncode


def test_many_worlds_are_summarized(auth0_check: Run, scenario: Any) -> None:
    """A line for each file: the share of right results, and the times of the first alert."""
    one, two = scenario("one"), scenario("two")
    events = told(auth0_check("simulate", one, two, "--seeds", "3", "--json", "--score"))
    sums = [event for event in events if event["event"] == "seeds"]

    assert [(e["scenario"], e["seeds"], e["correct_share"]) for e in sums] == [
        ("one", 3, 1.0),
        ("two", 3, 1.0),
    ]
    assert {e["calls_correct_share"] for e in sums} == {None}
    assert [e["seed"] for e in events if e["event"] == "summary"] == [1, 2, 3, 1, 2, 3]
    text = auth0_check("simulate", one, "--seeds", "2").stdout
    assert text.startswith("one: 2 worlds, correct 100%, alerts in 100%; first alert after mean")


def test_the_bot_is_compared_with_simple_rules(auth0_check: Run, scenario: Any) -> None:
    """At the end: the given causes by true cause, and the shares of each player side by side."""
    files = (scenario("our-one"), scenario("our-two", cause="tenant"), "single-failure")
    ended = auth0_check("simulate", *files, "--score", "--compare", "--seeds", "2", "--json")
    told = json.loads(ended.stdout.splitlines()[-1])
    players = told["players"]

    assert (ended.returncode, told["event"], told["worlds"]) == (1, "compare", 6)
    assert {name: figures["right"] for name, figures in players.items()} == {
        "auth0-check": 0.6667,
        "status page only": 0.3333,
        "a red probe means Auth0": 0.6667,
        "decision by status code alone": 0.6667,
    }
    assert players["auth0-check"]["matrix"] == {
        "auth0": {"auth0": 2},
        "tenant": {"auth0": 2},
        "blip": {"blip": 2},
    }
    assert players["status page only"]["families"]["our"]["confidently_wrong"] == 1.0


def test_people_read_the_comparison_last(auth0_check: Run, scenario: Any) -> None:
    """Tables after the timeline; one world a file is enough."""
    ended = auth0_check("simulate", scenario(), "--compare")
    lines = [line.split() for line in ended.stdout.splitlines() if line.strip()]

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "times real time" in ended.stdout
    assert lines[-1][:5] == ["all", "1", "100.0%", "/", "0.0%"]


def test_what_has_no_answer_cannot_be_compared(
    auth0_check: Run, scenario: Any, tmp_path: Path
) -> None:
    """The error comes before anything is played."""
    file = tmp_path / "untold.yml"
    file.write_text(SHORT.format(name="untold", cause="", alert="").partition("answer")[0])
    ended = auth0_check("simulate", scenario(), str(file), "--compare")

    assert (ended.returncode, ended.stdout) == (3, "")
    assert "no `answer` to compare with: untold" in ended.stderr


def test_all_problems_are_reported_before_anything_is_played(
    auth0_check: Run, scenario: Any, tmp_path: Path
) -> None:
    """A line for each problem of each file with file, line and key, and for an unknown name."""
    bad = tmp_path / "bad.yml"
    bad.write_text(SHORT.format(name="bad", cause="auth0", alert="true").replace("503", "no"))
    worse = tmp_path / "worse.yml"
    worse.write_text(SHORT.format(name="worse", cause="magic", alert="true") + "colour: red\n")
    ended = auth0_check("simulate", scenario(), str(bad), str(worse), "nowhere")

    assert (ended.returncode, ended.stdout) == (3, "")
    assert "Traceback" not in ended.stderr
    for told_of in ("bad.yml:13: ", "worse.yml:14: ", "worse.yml:15: colour", "nowhere"):
        assert told_of in ended.stderr
