from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from bot.core import step
from bot.core.model.observation import Cause
from bot.core.state.stimulus import Tick
from bot.simulator.reading import load_file
from tests.judge.__main__ import report
from tests.judge.generate import generate
from tests.judge.months import QuickPlayer, play_whole, write_month
from tests.judge.play import SCENARIOS, Job, family_of, own_corpus, play_one, read_cause
from tests.judge.score import measure

if TYPE_CHECKING:
    from pathlib import Path

    from bot.core.state.desk import BotState
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import DeskStimulus
    from tests.judge.play import Played

pytestmark = pytest.mark.no_cover
WORLD = """\
format: 1
name: auth0-small-1-2
start: 2026-03-02T10:00:00Z
warmup: 5m
duration: 6m
seed: 1
tenants: {prod: {domain: acme.us.auth0.com, environment: US-1}}
controls: [plain]
timeline: [{target: [prod.login, prod.wellknown], from: 0m, is: {http: 503, body: html}}]
answer: {cause: auth0, decidable: 3m, alert: true}
"""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    file = tmp_path_factory.mktemp("worlds") / "auth0-small-1-2.yml"
    file.write_text(WORLD)
    return play_one(Job(str(file), 0))


def test_a_world_is_played_and_judged(played: Played) -> None:
    """What the bot said, and what its first message says."""
    assert (played.family, played.truth, played.cause) == ("auth0-small", "auth0", "auth0")
    assert played.is_right
    assert played.said_first is Cause.AUTH0
    assert measure([played]).macro == measure([played]).first_right == 1.0


def test_all_tables_are_printed(played: Played) -> None:
    """Right, said, stated, by cause and by family."""
    console = Console(width=140, file=StringIO())
    report([played], console)
    assert isinstance(console.file, StringIO)

    for title in ("all worlds", "what was said", "stated", "by true cause", "by family"):
        assert title in console.file.getvalue()


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (Cause.AUTH0, "Auth0 is down in US-1: all logins to prod fail. [#1]"),
        (Cause.AUTH0, "Most logins to prod fail, probably because of Auth0 in US-1. [#1]"),
        (Cause.TENANT, "A settings change in prod breaks logins: all logins to prod fail."),
        (Cause.TENANT, "All logins fail, probably because of a setting or code of this tenant."),
        (Cause.QUOTA, "A rate limit of prod is used up: most logins to prod fail."),
        (Cause.PROBE, "The test login at prod was refused: wrong password."),
        (Cause.NETWORK, "I cannot check your logins: my machine has lost its internet access."),
        (Cause.NETWORK, "All logins fail, probably because of my machine's network."),
        (Cause.APP, "Our release broke logins: 42 % of web logins to prod fail since deploy 4."),
        (Cause.APP, "40 % of web logins to prod fail, probably because of our app."),
        (Cause.UPSTREAM, "A provider behind Auth0 (acme-entra) fails: 40 % of logins fail."),
        (
            Cause.UNCLEAR,
            "Requests to prod are refused because of a rate limit. Cause not clear yet.",
        ),
    ],
)
def test_the_cause_is_read_from_the_text_of_a_message(cause: Cause, text: str) -> None:
    """As people read it, whatever the bot meant."""
    assert read_cause(text) is cause


def test_a_family_is_known_by_a_worlds_name() -> None:
    """Generated worlds have a seed and a number; any other file is a family of its own."""
    made = next(generate(1, 3))

    assert family_of(made.world.name) == made.family
    assert family_of("region-2018-01-15-oom") == "region-2018-01-15-oom"
    assert len(own_corpus()) == 211


def test_twelve_post_mortems_have_a_source_each() -> None:
    """Each is listed, and each file begins with its source."""
    folder = SCENARIOS / "post-mortems"
    listed = (folder / "README.md").read_text()
    files = sorted(folder.glob("*.yml"))

    assert len(files) == 12
    for file in files:
        assert f"`{file.stem}`" in listed
        assert file.read_text().startswith("# source: ")
        assert load_file(file).answer is not None


def test_a_month_is_a_valid_scenario(tmp_path: Path) -> None:
    """A month's noise, here of two days, asks for no alert."""
    file = tmp_path / "month-3.yml"
    file.write_text(write_month(3, days=2))
    scenario = load_file(file)

    assert scenario.answer is not None
    assert not scenario.answer.alert
    assert len(scenario.metrics) > 2 * 2 * 24


def test_what_changes_nothing_is_not_stepped_through_and_nothing_else_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The desk is left alone while all is well; with it in every step all comes out the same."""
    file = tmp_path / "month-0.yml"
    text = write_month(0, days=1).replace("duration: 24h", "duration: 40m")
    outage = '  - {target: "prod.*", from: 20m, to: 24m, is: {http: 503, body: html}}\n'
    file.write_text(text.replace("timeline:\n", f"timeline:\n{outage}"))
    desk_steps: list[float] = []
    step_desk = step.step_desk

    def count(state: BotState, stimulus: DeskStimulus, rules: Rules) -> object:
        desk_steps.append(stimulus.at)
        return step_desk(state, stimulus, rules)

    monkeypatch.setattr(step, "step_desk", count)
    few = QuickPlayer(load_file(file))
    result = few.play()
    well = [at for at in desk_steps if at < load_file(file).start_at]
    desk_steps.clear()
    monkeypatch.setattr(step, "_is_uneventful", lambda *_: False)
    concerns_desk = step._concerns_desk
    monkeypatch.setattr(
        step, "_concerns_desk", lambda *args: isinstance(args[1], Tick) or concerns_desk(*args)
    )
    all_steps = QuickPlayer(load_file(file))

    assert all_steps.play() == result
    assert all_steps.state == few.state
    assert result.alerts == 1
    # 30 minutes: two control endpoints and a feed, each started and answered once a minute.
    assert len(well) <= 30 * 10
    assert sum(at < load_file(file).start_at for at in desk_steps) > 2 * len(well)


@pytest.mark.parametrize(
    ("fault", "alerts"),
    [
        ("", 0),
        ('"prod.*", from: 10m, to: 15m', 1),
        # Half a minute later its repeat and the routine probe of the keys are due at one instant.
        ("stage.login, from: 628s, to: 632s", 0),
    ],
)
def test_a_month_is_played_as_the_whole_bot_plays_it(
    tmp_path: Path, fault: str, alerts: int
) -> None:
    """What is left out decides nothing: the same alerts, calls and checks, fault or none."""
    text = write_month(0, days=1).replace("duration: 24h", "duration: 35m")
    if fault:
        entry = f"  - {{target: {fault}, is: {{http: 503, body: html}}}}\n"
        text = text.replace("timeline:\n", f"timeline:\n{entry}")
    file = tmp_path / "month-0.yml"
    file.write_text(text)
    scenario = load_file(file)
    player, whole = QuickPlayer(scenario), play_whole(scenario)
    quick = player.play()

    assert quick == whole
    assert (quick.alerts, quick.calls) == (alerts, alerts)
    assert quick.checks == whole.checks > 500
