"""What the pages say against what the code is."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from bot.app.health import Health, admin_routes
from bot.cli import main, setup
from bot.config.settings import Server
from bot.core.commands.parse import VERBS, split_verb
from bot.core.model.access import Verb
from bot.core.model.observation import (
    ALMOST_CERTAIN,
    PROBABLE,
    Cause,
    FeedState,
    Severity,
    SignalState,
)
from bot.core.signals.probe_threshold import Reason
from bot.core.state.outbox import DeliveryStatus
from bot.core.triage import verdict
from bot.simulator.happening import KINDS
from bot.simulator.reading import example_names
from bot.simulator.reading import load_file as load_scenario
from bot.telemetry import Metrics
from tests.house.measure import House, defined_names
from tests.house.reference import PARTS, with_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
HOUSE = House(ROOT)
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text()
    for path in (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
}
README, ALERTS, DECIDES, DEPLOY, ARCHITECTURE, SIMULATE = (
    PAGES[name]
    for name in (
        "README.md",
        "docs/alerts.md",
        "docs/how-it-decides.md",
        "docs/deploy.md",
        "docs/dev/architecture.md",
        "docs/dev/simulate.md",
    )
)
EVERYTHING = "\n".join(PAGES.values())
COMMANDS = {
    name: command
    for group, commands in (
        ("", main.commands),
        ("config ", setup.config_group.commands),
        ("db ", setup.database_group.commands),
    )
    for name, command in ((f"{group}{each}", found) for each, found in commands.items())
    if not isinstance(command, click.Group)
}
PATH_OF_A_MACHINE = re.compile(rb"(?<![\w.~}])/(?:work|root|home|Users)/\w")
REGISTRY = re.compile(
    rb"(?:py)pi\.org|(?:python)hosted\.org|(?:npm)js\.org|--(?:extra-)?index-(?:url)"
)


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^ *```{language}\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)


def code(page: str) -> list[str]:
    """Each line of shell code, and each piece of code within a sentence."""
    prose = re.sub(r"^ *```.*?^ *```", "", page, flags=re.MULTILINE | re.DOTALL)
    return "".join(blocks(page, "sh")).splitlines() + re.findall(r"`([^`\n]+)`", prose)


def calls() -> Iterator[tuple[str, list[str]]]:
    """Each call of our command that the pages show: the subcommand and what follows."""
    for line in code(EVERYTHING):
        if demo := re.match(r'make demo ARGS="(.*)"', line):
            yield "demo", shlex.split(demo[1])
        elif call := re.match(r"(?:\S*/bin/)?auth0-check ([a-z].*)", line):
            name, *rest = shlex.split(call[1])
            if name in {"config", "db"} and rest:
                name, *rest = f"{name} {rest[0]}", *rest[1:]
            yield name, rest


def table(page: str, heading: str) -> dict[str, list[str]]:
    """The rows of the tables under a heading, by each piece of code in the first cell."""
    chapter = re.split(r"^#+ ", page.split(f"# {heading}\n", 1)[1], flags=re.MULTILINE)[0]
    found: dict[str, list[str]] = {}
    for line in re.findall(r"^\| (`.+) \|$", chapter, re.MULTILINE):
        first, *rest = line.split(" | ")
        found |= dict.fromkeys(re.findall(r"`([^`]+)`", first), rest)
    return found


def anchors(page: str) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def options(command: click.Command) -> set[str]:
    return {name for param in command.params for name in param.opts if name.startswith("--")}


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: nothing is tracked")
    listed = subprocess.run(
        ["git", "ls-files", "-z"],  # noqa: S607 - whichever git made the clone
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_documented(name: str) -> None:
    """A page shows each subcommand and names each of its options."""
    assert f"auth0-check {name}" in EVERYTHING
    assert {option for option in options(COMMANDS[name]) if f"`{option}" not in EVERYTHING} == set()


def test_no_command_or_option_is_invented() -> None:
    """What the pages call exists, with these options."""
    shown = list(calls())

    assert {name for name, _ in shown} == COMMANDS.keys()
    for name, rest in shown:
        assert {word for word in rest if word.startswith("--")} <= options(COMMANDS[name]), name


def test_targets_of_make_exist() -> None:
    """Each `make TARGET` of the pages is in the Makefile."""
    named = {
        match[1]
        for line in code(EVERYTHING)
        if (match := re.match(r"make (?:\S+=\S+ )?([\w-]+)", line))
    }
    makefile = (ROOT / "Makefile").read_text()

    assert {"demo", "test", "bench", "check", "house"} <= named
    assert {target for target in named if f"\n{target}:" not in makefile} == set()


def test_the_readme_begins_with_the_two_commands() -> None:
    """The first thing to try is `make demo`, then `make test`."""
    assert blocks(README, "sh")[0] == "make demo\nmake test\n"


WORDS = (ROOT / "tests" / "house" / "words.txt").read_text().splitlines()


def test_people_read_plain_words() -> None:
    """Neither the messages that the tests hold, nor any page, use the phrases of the list."""
    read = {file.name: file.read_text() for file in (ROOT / "tests/slack/golden").iterdir()}
    # Names of pictures, and what is called so in the code, are no words of ours.
    read |= {name: re.sub(r"pictures/\S+|`[^`\n]+`", "", page) for name, page in PAGES.items()}
    found = {
        f"{name}: {word}"
        for name, text in read.items()
        for word in WORDS
        if re.search(rf"\b{re.escape(word)}", text)
    }

    assert found == set()


def test_the_pictures_are_small() -> None:
    """All of them together are below 2 MB: everybody who clones gets them."""
    sizes = [file.stat().st_size for file in (ROOT / "docs" / "pictures").iterdir()]

    assert len(sizes) > 60
    assert sum(sizes) < 2_000_000


def test_pictures_show_every_emoji() -> None:
    """The workspace's page knows the emoji of all messages, and of no picture only the name."""
    page = (ROOT / "bot/simulator/workspace/page_text.js").read_text(encoding="utf-8")
    known = set(re.findall(r'\b(\w+): "[^\x00-\x7f]', page))
    words = "".join(f.read_text(encoding="utf-8") for f in ROOT.glob("bot/slack/render/*.py"))

    assert set(re.findall(r":([a-z_]{3,}):", words)) <= known


def test_every_picture_is_on_a_page() -> None:
    """No page shows one that is not there, and none is left over."""
    files = {file.name for file in (ROOT / "docs" / "pictures").iterdir()}

    assert set(re.findall(r"pictures/([\w.-]+\.webp)", EVERYTHING)) == files


def test_slash_commands() -> None:
    """The pages show every verb, and none that would not be understood."""
    shown = re.findall(r"`/auth0-check ?([^`]*)`", EVERYTHING)
    verbs = {split_verb(text)[0] for text in shown}

    assert verbs == {*VERBS}
    assert Verb.UNKNOWN not in verbs


def test_causes() -> None:
    """The page on alerts explains each cause that can be given; the others are said not to be."""
    given = {*verdict.PRIORS}

    assert set(re.findall(r"^## (\w+)$", ALERTS, re.MULTILINE)) == given
    assert all(f"`{cause}`" in SIMULATE for cause in Cause if cause not in given)
    for share in (PROBABLE, ALMOST_CERTAIN):
        assert f"{share:.0%}".replace("%", " %") in ALERTS


def test_the_readme_is_read_in_minutes() -> None:
    """It has under 900 words."""
    assert len(README.split()) < 900


@pytest.mark.parametrize("name", PAGES)
def test_made_parts_are_those_of_the_code(name: str) -> None:
    """Tables of settings, metrics and errors are as `make reference` writes them."""
    assert with_parts(PAGES[name]) == PAGES[name]


def test_every_made_part_is_on_a_page() -> None:
    """None is forgotten, and none stands in the pages that nobody makes."""
    shown = re.findall(r"<!-- (\w+): made by `make reference`", EVERYTHING)

    assert sorted(shown) == sorted(PARTS)


def test_old_metrics_name_the_new_ones() -> None:
    """`/metrics` says of each name of the release before what replaces it."""
    families = [*Metrics().registry.collect()]
    names = {sample for family in families for sample in (family.name, f"{family.name}_total")}
    replaced = [
        re.findall(r"^Deprecated, use (\w+)\.", family.documentation) for family in families
    ]

    assert sum(map(len, replaced)) == 3
    assert {new for found in replaced for new in found} <= names


def test_health() -> None:
    """The page names exactly the addresses of the admin listener."""
    paths = {path for _, path in admin_routes(Metrics().registry, Health(lambda: 0.0), str)}

    paths |= {"/status"}
    shown = {name for name in re.findall(r"`(/\w+)`", DEPLOY) if name in paths}
    assert shown == paths
    assert f"`{Server().admin_listen}`" in DEPLOY


def test_states() -> None:
    """Feed states, severities and the states of the diagrams are those of the code."""
    assert all(f"`{state}` (" in DECIDES for state in FeedState)
    assert set(table(PAGES["docs/paging.md"], "How bad it is")) == {*Severity}
    signals, _, deliveries = (
        set(re.findall(r"\w+", re.sub(r":.*", "", diagram))) - {"stateDiagram", "v2"}
        for diagram in blocks(ARCHITECTURE, "mermaid")
        if diagram.startswith("stateDiagram")
    )
    assert signals == {*SignalState}
    assert deliveries == {*DeliveryStatus}
    assert all(reason in ARCHITECTURE for reason in Reason)


def test_the_architecture_is_read_in_minutes() -> None:
    """It has at most 1,100 words beside its diagrams and tables."""
    prose = re.sub(r"^```.*?^```|^\|.*?$", "", ARCHITECTURE, flags=re.MULTILINE | re.DOTALL)

    assert 500 < len(prose.split()) <= 1100


def test_packages() -> None:
    """The page has each package of the bot and of its core, and none that is not there."""
    shown = {*table(ARCHITECTURE, "What is in each")}
    bot, core = (
        {
            f"{path.name}{'/' * path.is_dir()}"
            for path in folder.iterdir()
            if (path.suffix == ".py" or any(path.glob("*.py"))) and path.stem != "__init__"
        }
        for folder in (ROOT / "bot", ROOT / "bot" / "core")
    )

    assert {name for name in shown if "/" in name} == {f"bot/{name}" for name in bot}
    assert {name for name in shown if "/" not in name} == {
        name.removesuffix("/").removesuffix(".py") for name in core
    }


def test_what_pages_point_at_exists() -> None:
    """Files of ours that the pages name are there, and so are the folders of the architecture."""
    files = set(re.findall(r"`(?:bot/)?((?:[a-z]\w*/)+\w+\.py)`", EVERYTHING))
    files = {name for name in files if "uptime" not in name}  # CONTRIBUTING.md makes these up
    folders = set(re.findall(r"`(?:bot/)?((?:[a-z]\w*/)+)`", ARCHITECTURE))

    assert len(files) > 50
    assert len(folders) > 10
    for name in files | folders:
        assert (ROOT / "bot" / name).exists() or (ROOT / name).exists(), name


@pytest.mark.parametrize("name", PAGES)
def test_names_in_files_exist(name: str) -> None:
    """Where a page says `Name` in `path/file.py`, the file defines that name."""
    pairs = re.findall(
        r"((?:`[A-Za-z_]\w*`(?:, | and )?)+) in `(?:bot/)?((?:[a-z]\w*/)*\w+\.py)`", PAGES[name]
    )
    defined = {HOUSE.path_of(module): {*defined_names(module)} for module in HOUSE.modules}

    assert len(pairs) > 50 or name != "docs/dev/architecture.md"
    for names, path in pairs:
        file = next(each for each in (ROOT / "bot" / path, ROOT / path) if each.exists())
        known = defined.get(file) or {*re.findall(r"^\w+", file.read_text(), re.MULTILINE)}
        assert {*re.findall(r"\w+", names)} - {"and"} <= known, path


@pytest.mark.parametrize("name", PAGES)
def test_links(name: str) -> None:
    """Links between the pages lead to a file and a heading that exist."""
    for target in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (ROOT / name).parent / path if path else ROOT / name
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def linked(name: str) -> set[str]:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", PAGES[name])
    files = ((ROOT / name).parent / each for each in targets if not each.startswith("https://"))
    return {file.resolve().relative_to(ROOT).as_posix() for file in files} & PAGES.keys()


def test_every_page_is_at_most_two_clicks_away() -> None:
    """From the README on; a page for users is one click away, or on a page for its subject."""
    first = linked("README.md")
    second = set().union(*map(linked, first))

    assert PAGES.keys() - first - second <= {"README.md"}
    assert {"docs/paging.md", "docs/deploy.md", "docs/real-users.md", "docs/faq.md"} <= first


def test_scenario_page(tmp_path: Path) -> None:
    """The examples are listed, each fault is named, and the scenario of the page can be played."""
    (written,) = blocks(SIMULATE, "yaml")
    file = tmp_path / "my-outage.yml"
    file.write_text(written)

    assert set(table(SIMULATE, "Examples")) == {*example_names()}
    assert load_scenario(file).answer
    assert all(f"{{{kind}: " in SIMULATE for kind in KINDS)


def test_the_image_asks_for_its_health() -> None:
    """The container's check asks the default admin listener, and it runs as nobody special."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    host, _, port = Server().admin_listen.rpartition(":")

    assert f"'{host}', {port}" in dockerfile
    assert "--require-hashes -r requirements.lock" in dockerfile
    assert re.search(r"^USER [1-9]\d+$", dockerfile, re.MULTILINE)


def test_nothing_tells_of_a_machine() -> None:
    """No tracked file holds a path of somebody's machine or the address of a package registry."""
    found = [
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if PATH_OF_A_MACHINE.search(text := path.read_bytes()) or REGISTRY.search(text)
    ]

    assert found == []
