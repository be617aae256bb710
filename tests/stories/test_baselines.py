from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.observation import Cause
from bot.simulator.baselines import RULES
from bot.simulator.reading import load_file
from bot.simulator.scenario import Answer
from bot.simulator.score import WRONG_ALERT, compare, render_tables
from bot.simulator.simulation import BOT_NAME, RunResult, play_scenario
from bot.simulator.story import Score, score_cause

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HEAD = """\
format: 1
name: story
about: A story.
start: 2026-03-02T10:00:00Z
warmup: 5m
duration: 20m
seed: 1
tenants:
  prod: {domain: acme.us.auth0.com, environment: US-1, custom_domain: login.acme.example}
controls: [neutral]
"""
ALERT = "answer: {cause: auth0, decidable: 10m, alert: true}"
QUIET = "answer: {cause: none, alert: false}"
POST = "{incident: k2v9, environments: [US-1], "


def login(happening: str) -> str:
    return f"timeline: [{{target: prod.login, from: 0m, is: {happening}}}]\n"


@pytest.fixture
def said(tmp_path: Path) -> Callable[[str], tuple[Score, ...]]:
    """Play a world; return the causes of the baselines, in the order of their rules."""

    def played(body: str) -> tuple[Score, ...]:
        file = tmp_path / "story.yml"
        file.write_text(HEAD + textwrap.dedent(body))
        judged = play_scenario(load_file(file), 1, lambda _: None, requests=False).scores
        return tuple(judged[name] for name in RULES)

    return played


@pytest.mark.parametrize(
    ("happening", "blamed"),
    [
        ("{http: 503}", "auth0"),
        ("{connect: refused}", "auth0"),
        ("{hang: true}", "auth0"),
        ("{http: 429, error: too_many_requests}", "quota"),
        ("{http: 403, error: invalid_grant}", "probe"),
        ("{http: 404}", "tenant"),
        ("{token: bad_signature}", "unclear"),
    ],
)
def test_a_red_login_is_blamed_by_rule(
    said: Callable[[str], tuple[Score, ...]], happening: str, blamed: str
) -> None:
    """One rule always blames Auth0, one goes by the HTTP status, the green page blames nobody."""
    page, probe, status = said(login(happening) + ALERT)

    assert (page.cause, probe.cause, status.cause) == ("none", "auth0", blamed)
    assert (page.is_right, probe.is_right) == (False, True)


@pytest.mark.parametrize("target", ["prod.wellknown", "control.neutral", "feed"])
def test_only_logins_are_red(said: Callable[[str], tuple[Score, ...]], target: str) -> None:
    """Whatever else fails, no rule alerts."""
    body = f"timeline: [{{target: {target}, from: 0m, is: {{http: 503}}}}]\n{QUIET}"

    assert all(judged.is_right for judged in said(body))


@pytest.mark.parametrize(
    ("post", "is_right"),
    [
        ("title: Login errors, status: Investigating", True),
        ("title: Login errors, status: Resolved", False),
        ("title: Delayed tenant logs, status: Investigating", False),
    ],
)
def test_the_page_is_believed(
    said: Callable[[str], tuple[Score, ...]], post: str, *, is_right: bool
) -> None:
    """An open status incident about logins is an alert; the rules for logins stay quiet."""
    page, probe, status = said(f"feed: [{POST}at: 2m, text: Text., {post}}}]\n{ALERT}")

    assert page.is_right is is_right
    assert (probe.cause, status.cause) == ("none", "none")


def test_a_post_that_came_and_went_was_an_alert(said: Callable[[str], tuple[Score, ...]]) -> None:
    """Where no alert is due it stays wrong after its end, although the cause is right."""
    feed = f"""\
    feed:
      - {POST}at: 2m, title: Login errors, status: Investigating, text: Text.}}
      - {{incident: k2v9, at: 9m, status: Resolved, text: Text.}}
    """
    page, *others = said(textwrap.dedent(feed) + QUIET)

    assert (page.cause, page.is_right) == ("none", False)
    assert all(judged.is_right for judged in others)


@pytest.mark.parametrize(
    ("answer", "word", "is_right"),
    [
        ({"alert": True}, {"has_alerted": True, "has_incident": True}, True),
        ({"alert": True}, {"has_alerted": True, "has_incident": False}, False),
        ({"alert": True}, {"has_alerted": False, "has_incident": True}, False),
        ({"alert": False}, {"has_alerted": True, "has_incident": True}, False),
        ({"alert": False}, {"has_alerted": False, "has_incident": False}, True),
    ],
)
@pytest.mark.parametrize("cause", ["tenant", "probe", "app"])
def test_the_rule_of_the_score(
    answer: Any, word: dict[str, bool], cause: str, *, is_right: bool
) -> None:
    """An alert if and only if one is due, and one of the causes that are as good."""
    truth = Answer(Cause.TENANT, (Cause.PROBE,), 60.0, **answer)

    assert score_cause(truth, Cause(cause), 0.5, **word).is_right is (is_right and cause != "app")


def run(scenario: str, truth: str, said: str, confidence: float, *, is_right: bool) -> RunResult:
    judged = Score(Cause(truth), Cause(said), confidence, is_right=is_right)
    rival = Score(Cause(truth), Cause.NONE, 1.0, is_right=False)
    return RunResult({"scenario": scenario}, {BOT_NAME: judged, "rival": rival})


def test_a_comparison_adds_up() -> None:
    """An accepted cause counts as the true one, a wrong alert in a column of its own."""
    told = compare(
        [
            run("edge-one", "auth0", "auth0", 0.9, is_right=True),
            run("edge-one", "auth0", "unclear", 0.4, is_right=False),
            run("edge-two", "auth0", "tenant", 0.7, is_right=False),
            run("other", "tenant", "probe", 0.9, is_right=True),
            run("quiet-1", "none", "none", 1.0, is_right=False),
        ]
    )
    bot, rival = told["players"].values()

    assert bot["matrix"] == {
        "auth0": {"auth0": 1, "tenant": 1, "unclear": 1},
        "tenant": {"tenant": 1},
        "none": {WRONG_ALERT: 1},
    }
    assert (bot["worlds"], bot["right"], bot["confidently_wrong"]) == (5, 0.4, 0.4)
    assert bot["families"] == {"edge": {"worlds": 3, "right": 0.3333, "confidently_wrong": 0.3333}}
    assert (rival["right"], rival["confidently_wrong"]) == (0.0, 1.0)
    rows = [" ".join(line.split()) for line in render_tables(told).splitlines()]
    assert "truth auth0 tenant none unclear alert" in rows
    assert "auth0 1 1 · 1 ·" in rows
    assert "all 5 40.0% / 40.0% 0.0% / 100.0%" in rows
    assert "edge 3 33.3% / 33.3% 0.0% / 100.0%" in rows
