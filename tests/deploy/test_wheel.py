"""The wheel, without the checkout."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that `make wheel` makes."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(  # noqa: S603 - our own project
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (file,) = folder.glob("*.whl")
    return file


def test_the_wheel_has_all_of_the_product(wheel: Path) -> None:
    """Code, migrations, the demo's page and its examples; no test and no secret file."""
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "bot").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = set(zipfile.ZipFile(wheel).namelist())

    assert {name for name in names if ".dist-info/" not in name} == ours
    assert any(name.endswith("page.html") for name in ours)


def test_it_runs_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    """Unpacked in an empty folder it plays an example, and prints what completes its commands."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    found = run(site, "-c", "import bot; print(bot.__file__)")
    played = run(site, "-m", "bot", "simulate", "single-failure", "--score")
    completion = run(site, "-m", "bot", "completion", "zsh")

    assert found.stdout.startswith(str(site))
    assert played.returncode == 0, played.stderr
    assert "single-failure" in played.stdout
    assert "#compdef auth0-check" in completion.stdout


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, *arguments],
        cwd=site,
        env={"PYTHONPATH": str(site), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
