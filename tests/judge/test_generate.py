from __future__ import annotations

import ast
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from bot.core.model.observation import Cause
from bot.simulator.reading import load_file
from bot.simulator.simulation import settings_for
from tests.judge.course import Course
from tests.judge.decide import MINUTES, PRIORS, decide
from tests.judge.drawn import Drawn
from tests.judge.families import FAMILIES
from tests.judge.fault import Draw, NotHere
from tests.judge.generate import generate, generate_one
from tests.judge.setup import Setup, Tenant

if TYPE_CHECKING:
    from tests.judge.decide import Label

HERE = Path(__file__).parent
LONE = Setup((Tenant("prod", "alder.us.auth0.com", "US-1"),), ("plain1",))
COUNTED = Tenant("prod", "alder.us.auth0.com", "US-1", logins=60, apps={"web": 200})
RICH = Setup(
    (
        COUNTED,
        Tenant("second", "birch.us.auth0.com", "US-1"),
        Tenant("far", "oak.eu.auth0.com", "EU-1"),
    ),
    ("plain1", "plain2"),
)
STEADY = Course("steady", ((0.0, 60.0, 1.0),))


def label_of(family: str, setup: Setup, **parameters: object) -> Label:
    draw = Draw(None, parameters)
    fault = FAMILIES[family].show(setup, draw)
    label = decide(Drawn(FAMILIES[family], fault, draw.drawn, setup, STEADY, "", None))
    assert label is not None
    return label


def test_worlds_are_valid_scenarios(tmp_path: Path) -> None:
    """Each can be read, and its configuration is valid."""
    for made in generate(60, seed=5):
        scenario = load_file(made.world.save(tmp_path))
        settings_for(scenario)
        answer = scenario.answer
        assert answer is not None
        assert answer.alert is (answer.cause not in {Cause.NONE, Cause.BLIP})
        assert answer.cause not in answer.accept
        if answer.decidable_s is not None:
            assert answer.decidable_s + 60 < scenario.duration_s


def test_the_same_seed_gives_the_same_worlds() -> None:
    """Worlds are repeatable, and another seed gives others."""
    first, again, other = ([made.world for made in generate(5, seed)] for seed in (11, 11, 12))

    assert first == again
    assert {world.text for world in first}.isdisjoint(world.text for world in other)


def test_the_generator_knows_nothing_of_the_bot() -> None:
    """Labels and worlds do not depend on how the bot decides."""
    files = [HERE / f"{name}.py" for name in GENERATOR] + sorted((HERE / "families").glob("*.py"))
    found = set()
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module or "")
    ours = {name for name in found if name.split(".")[0] in {"bot", "tests"}}

    allowed = {f"tests.judge.{name}" for name in (*GENERATOR, "families", *FAMILY_MODULES)}
    assert ours <= allowed


GENERATOR = ("course", "decide", "decoys", "drawn", "fault", "generate", "setup", "write")
FAMILY_MODULES = tuple(f"families.{f.stem}" for f in (HERE / "families").glob("*.py"))


def test_all_causes_have_families_that_are_never_trained_on() -> None:
    """Every cause that is alerted for has one; about a fifth is held out in all."""
    held_out = [family for family in FAMILIES.values() if family.is_held_out]

    assert {family.cause for family in held_out} >= PRIORS.keys()
    assert 0.12 < len(held_out) / len(FAMILIES) < 0.28
    assert all(family.about.endswith(".") for family in FAMILIES.values())


@pytest.mark.parametrize("name", FAMILIES)
def test_each_family_can_be_seen_somewhere(name: str) -> None:
    """Some drawn setup shows it."""
    made = generate_one(FAMILIES[name], Random(1), "x")  # noqa: S311 - a simulation

    assert made.world.name == f"{name}-x"


def test_a_login_that_fails_alone_cannot_be_told() -> None:
    """Without users or neighbours, a 503 of the login may be Auth0's or the tenant's own."""
    label = label_of("tenant-overload", LONE, share=1.0)

    assert label.cause == "unclear"
    assert {"auth0", "tenant"} <= set(label.accept)


def test_a_firewall_alone_cannot_be_told_from_an_outage() -> None:
    """What knows no share is compared with an outage of the same share: all fails in both."""
    label = label_of("network-firewall", LONE, answer="{connect: timeout}")

    assert {"auth0", "network"} <= {label.cause, *label.accept}


def test_users_tell_a_refused_probe_from_a_broken_action() -> None:
    """The same answer is the tenant's fault where users fail, and the probe's where they do not."""
    denied = "{http: 403, error: access_denied, description: Access denied.}"

    assert label_of("probe-denied", RICH, answer=denied).cause == "probe"
    assert label_of("tenant-action-throws", RICH, answer=denied, share=1.0).cause == "tenant"
    assert label_of("tenant-action-throws", LONE, answer=denied, share=1.0).cause == "unclear"


def test_a_small_share_is_decided_later() -> None:
    """What fails rarely takes longer to be told."""
    whole = label_of("app-small-share", RICH, user_share=0.25)
    small = label_of("app-small-share", RICH, user_share=0.08)

    assert whole.decidable_min <= small.decidable_min <= max(MINUTES)


def test_a_fault_that_nothing_shows_is_not_drawn() -> None:
    """Machine tokens cannot fail where none are checked."""
    with pytest.raises(NotHere):
        FAMILIES["quota-machine-tokens"].show(LONE, Draw(None))
