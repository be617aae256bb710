from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.observation import Target
from bot.simulator.reading import load_example
from bot.simulator.scenario import Scenario
from bot.simulator.world import World

Make = Callable[..., Scenario]
LOGIN = Target("prod", "login")
EU = Target("eu", "login")
US = Target("feed", "US-1")


def kinds(world: World, target: Target | str, offsets_s: list[float]) -> list[str]:
    """Return the kinds of fault of requests, one after the other."""
    begin = world.scenario.start_at
    return [world.draw_request(target, begin + offset).fault.kind for offset in offsets_s]


def test_an_entry_is_active_from_its_first_to_before_its_last_instant(make_scenario: Make) -> None:
    """`from` is inclusive and `to` exclusive; without them it is always active."""
    world = World(
        make_scenario(
            "timeline:",
            "  - {target: prod.login, from: -1m, to: 2m, is: {dns: nxdomain}}",
            "  - {target: eu.login, is: {hang: true}}",
        )
    )
    at = [-60.001, -60.0, 119.999, 120.0]
    assert kinds(world, LOGIN, at) == ["ok", "dns", "dns", "ok"]
    assert kinds(world, EU, [-1800, 3599]) == ["hang", "hang"]


def test_the_last_entry_that_hits_decides(make_scenario: Make) -> None:
    """A later `ok` ends what an earlier entry says."""
    world = World(
        make_scenario(
            "timeline:",
            "  - {target: '*.login', is: {dns: nxdomain}}",
            "  - {target: prod.login, from: 0s, is: {http: 503}}",
            "  - {target: prod.login, from: 1m, is: ok}",
        )
    )
    assert kinds(world, LOGIN, [-1, 0, 60]) == ["dns", "http", "ok"]
    assert kinds(world, EU, [60]) == ["dns"]


def test_wildcards_stand_for_whole_names(make_scenario: Make) -> None:
    """`*.login` is every tenant's login and no control or feed."""
    world = World(
        make_scenario(
            "timeline:",
            "  - {target: '*.login', is: {http: 500}}",
            "  - {target: 'prod.*', from: 1m, is: {hang: true}}",
            "  - {target: 'control.*', from: 1m, is: {dns: servfail}}",
        )
    )
    controls = Target("control", "neutral")
    names: list[Target | str] = [LOGIN, Target("prod", "wellknown"), EU, controls, US, "slack"]
    assert [kinds(world, name, [0, 60]) for name in names] == [
        ["http", "hang"],
        ["ok", "hang"],
        ["http", "http"],
        ["ok", "dns"],
        ["ok", "ok"],
        ["ok", "ok"],
    ]


def test_the_target_feed_is_every_environments_feed(make_scenario: Make) -> None:
    """`feed` hits the feed of any environment."""
    world = World(make_scenario("timeline: [{target: feed, is: {feed: old}}]"))
    assert kinds(world, US, [0]) == kinds(world, Target("feed", "EU-1"), [0]) == ["feed"]


def test_shares_are_what_they_say(make_scenario: Make) -> None:
    """Each entry draws by itself: 0.5 after 0.8 leaves 0.4 of the first and 0.1 healthy."""
    world = World(
        make_scenario(
            "timeline:",
            "  - {target: prod.login, share: 0.8, is: {http: 503}}",
            "  - {target: prod.login, share: 0.5, is: {connect: timeout}}",
        )
    )
    counts = Counter(kinds(world, LOGIN, [0.0] * 20_000))
    assert counts["connect"] == pytest.approx(10_000, rel=0.03)
    assert counts["http"] == pytest.approx(8_000, rel=0.03)
    assert counts["ok"] == pytest.approx(2_000, rel=0.1)


def test_what_arrives_keeps_its_share_of_all(make_scenario: Make) -> None:
    """Of the requests that reach the server, 0.8 have a fault that 0.4 of all have."""
    world = World(
        make_scenario(
            "timeline:",
            "  - {target: prod.login, share: 0.8, is: {http: 503}}",
            "  - {target: prod.login, share: 0.5, is: {connect: timeout}}",
        )
    )
    at = world.scenario.start_at
    counts = Counter(world.draw_arrived_request(LOGIN, at).fault.kind for _ in range(10_000))
    assert counts["http"] == pytest.approx(8_000, rel=0.03)
    assert counts["connect"] == 0


def test_what_arrives_despite_a_network_fault_is_healthy(make_scenario: Make) -> None:
    """A request that reaches the server although none should gets an answer."""
    world = World(make_scenario("timeline: [{target: prod.login, is: {connect: refused}}]"))
    assert world.draw_arrived_request(LOGIN, world.scenario.start_at).fault.kind == "ok"


def test_a_healthy_request_takes_120_to_240_ms(make_scenario: Make) -> None:
    """Uniformly."""
    world = World(make_scenario())
    spans = [world.draw_request(LOGIN, 0).latency_s for _ in range(5_000)]
    assert 0.120 <= min(spans) < 0.121
    assert 0.239 < max(spans) <= 0.240
    assert sum(spans) / 5_000 == pytest.approx(0.180, abs=0.002)


def test_a_latency_replaces_the_healthy_one(make_scenario: Make) -> None:
    """Alone, and beside an HTTP fault."""
    world = World(
        make_scenario(
            "timeline:",
            "  - {target: prod.login, is: {latency: 900ms}}",
            "  - {target: eu.login, is: {http: 500, latency: 3s}}",
        )
    )
    at = world.scenario.start_at
    assert world.draw_request(LOGIN, at).latency_s == 0.9
    assert world.draw_request(EU, at).latency_s == 3.0


@pytest.mark.no_cover
@given(seed=st.integers(0, 2**32), others=st.integers(0, 5))
def test_one_target_draws_the_same_whatever_others_do(seed: int, others: int) -> None:
    """Requests to another target change nothing."""
    scenario = load_example("edge-2022-06-21")
    alone, among = World(scenario, seed), World(scenario, seed)
    for second in range(0, 3000, 60):
        at = scenario.start_at + second
        for _ in range(others):
            among.draw_request(EU, at)
        assert among.draw_request(LOGIN, at) == alone.draw_request(LOGIN, at)


def test_an_entry_for_one_place_changes_nothing_elsewhere(make_scenario: Make) -> None:
    """The other places draw as without it."""
    half = "  - {target: prod.login, share: 0.5, is: {http: 503}}"
    before = World(make_scenario("timeline:", half))
    more = "  - {target: eu.login, share: 0.5, is: {http: 503}}"
    after = World(make_scenario("timeline:", more, half, more))
    offsets: list[float] = list(range(200))
    assert kinds(before, LOGIN, offsets) == kinds(after, LOGIN, offsets)


def test_another_seed_is_another_world(make_scenario: Make) -> None:
    """And the file's own seed is the default."""
    scenario = make_scenario("timeline: [{target: prod.login, share: 0.5, is: {http: 503}}]")
    offsets: list[float] = list(range(100))
    drawn = [kinds(World(scenario, seed), LOGIN, offsets) for seed in (None, 7, 8)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_draws_are_the_same_in_every_process() -> None:
    """Python's hash() differs between processes; the draws do not."""
    program = (
        "from bot.simulator.reading import load_example; from bot.simulator.world import World\n"
        "world = World(load_example('single-failure'))\n"
        "print([world.draw_request('prod.login', 0).latency_s for _ in range(3)])"
    )
    command = [sys.executable, "-c", program]
    outputs = {subprocess.check_output(command) for _ in range(2)}  # noqa: S603 - our own program
    world = World(load_example("single-failure"))
    here = [world.draw_request("prod.login", 0).latency_s for _ in range(3)]
    assert outputs == {f"{here}\n".encode()}


def test_pauses_are_cut_to_the_time_that_is_played(make_scenario: Make, start_at: float) -> None:
    """Entries that touch are one pause, and a later entry ends an earlier one."""
    world = World(
        make_scenario(
            "timeline:",
            "  - {target: bot, to: -29m, is: {paused: true}}",
            "  - {target: bot, from: 5m, to: 10m, is: {paused: true}}",
            "  - {target: bot, from: 10m, to: 12m, is: {paused: true}}",
            "  - {target: bot, from: 6m, to: 7m, is: ok}",
        )
    )
    found = [(since - start_at, until - start_at) for since, until in world.pauses()]
    assert found == [(-1800, -1740), (300, 360), (420, 720)]


def test_the_wall_clock_is_wrong_while_the_scenario_says_so(
    make_scenario: Make, start_at: float
) -> None:
    """A clock step lasts from `from` to `to`."""
    world = World(make_scenario("timeline: [{target: bot, from: 1m, to: 2m, is: {clock: -1.5h}}]"))
    offsets = [world.clock_offset(start_at + second) for second in (59, 60, 119, 120)]
    assert offsets == [0, -5400, -5400, 0]
    assert world.pauses() == []
