"""What a stranger meets who has just cloned the project."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()
TOOLS = ("awk", "date", "expr", "getconf", "make", "sed", "sh")
Ended = subprocess.CompletedProcess[str]
pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs the package make")


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """The folder of all programs of a machine that has no Python yet."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None, name
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """As much of a fresh clone as the set-up reads."""
    folder = tmp_path / "clone"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def make(machine: Path, clone: Path) -> Callable[..., Ended]:
    """Run make in the clone, with the machine's programs alone."""

    def run(*arguments: str) -> Ended:
        return subprocess.run(  # noqa: S603 - our own program with our own arguments
            [str(machine / "make"), *arguments],
            cwd=clone,
            env={"PATH": str(machine)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def install_python(machine: Path, change: str) -> None:
    """Install a Python that differs from this one by what it does when it starts."""
    (machine.parent / "sitecustomize.py").write_text(f"import sys\n{change}\n")
    python = machine / "python3"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{machine.parent}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)


def install(folder: Path, *names: str, status: int) -> None:
    """Put programs into a folder that do nothing but end."""
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\nexit {status}\n")
        (folder / name).chmod(0o755)


def test_make_lists_the_targets(make: Callable[..., Ended]) -> None:
    """`make` and `make help` name every target, each in one line with what it does."""
    (phony,) = re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    listed = make().stdout

    assert make("help").stdout == listed
    assert re.findall(r"^make ([\w-]+) +\w.+$", listed, re.MULTILINE) == phony.split()
    assert len(listed.splitlines()) == len(phony.split())


@pytest.mark.parametrize("target", ["demo", "test"])
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (None, "there is no python3: install it (Debian, Ubuntu: apt install python3 python3-venv"),
        ("sys.version_info = (3, 10, 13, 'final', 0)", "python3 is 3.10.13: install a newer one"),
        ("sys.modules['ensurepip'] = None", "lacks: install it (Debian, Ubuntu: apt install pyth"),
    ],
    ids=["no Python", "an old Python", "no venv"],
)
def test_what_is_missing_is_named(
    machine: Path,
    clone: Path,
    make: Callable[..., Ended],
    target: str,
    change: str | None,
    told: str,
) -> None:
    """One line says what to install; nothing half-made stays behind."""
    if change is not None:
        install_python(machine, change)
    ended = make(target)
    lines = [line for line in ended.stderr.splitlines() if not line.startswith("make: ***")]

    assert ended.returncode != 0
    assert len(lines) == 1
    assert lines[0].startswith("auth0-check needs ")
    assert told in lines[0]
    assert ended.stdout == ""
    assert not (clone / ".venv").exists()


@pytest.mark.parametrize(("status", "word"), [(0, "passed"), (3, "failed")])
def test_the_tests_say_how_long_they_took(
    machine: Path, clone: Path, make: Callable[..., Ended], status: int, word: str
) -> None:
    """`make test` ends with its wall time, also where it fails; it fails where a check does."""
    install(machine, "python", "ruff", "mypy", status=0)
    install(machine, "lint-imports", status=status)
    (clone / "tests").mkdir()
    shutil.copy(ROOT / "tests" / "requirements.lock", clone / "tests")
    (clone / ".venv").mkdir()
    for name in ("runtime.stamp", "dev.stamp"):
        (clone / ".venv" / name).touch()
    ended = make("test", f"BIN={machine}")

    assert bool(ended.returncode) is bool(status)
    assert re.fullmatch(rf"make test {word} after 0 min \d+ s", ended.stdout.splitlines()[-1])
