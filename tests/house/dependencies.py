"""Lists what is installed with the bot, and what is known of its weaknesses."""

from __future__ import annotations

import json
import re
import sys
from importlib.metadata import metadata
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.request import Request, urlopen

ROOT = Path(__file__).parents[2]
OSV = "https://api.osv.dev/v1/querybatch"
"""https://google.github.io/osv.dev/post-v1-querybatch/ (read 2026-11)"""
LIMIT_S = 10.0
BY_CLASSIFIER = {
    "MIT License": "MIT",
    "BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
}
BY_NAME = {"Apache 2.0": "Apache-2.0", "Dual License": "Apache-2.0 OR BSD-3-Clause"}


class Package(NamedTuple):
    """A package as it is locked."""

    name: str
    version: str
    hashes: tuple[str, ...]

    @property
    def licence(self) -> str:
        """As the installed package says it."""
        about = metadata(self.name)
        written = about.get_all("License-Expression", []) + about.get_all("License", [])
        said = next(iter(written), "")
        classifiers = [each.split(" :: ")[-1] for each in about.get_all("Classifier", [])]
        found = [BY_CLASSIFIER[each] for each in classifiers if each in BY_CLASSIFIER]
        return BY_NAME.get(said, said) or " OR ".join(found)


def read_lock(path: Path = ROOT / "requirements.lock") -> list[Package]:
    """Return what is locked and installed here: some packages are for other systems."""
    parts = re.split(r"^(?=[\w.-]+(?:\[\w+\])?==)", path.read_text(), flags=re.MULTILINE)[1:]
    heads = (re.match(r"([\w.-]+)(?:\[\w+\])?==([^\s;]+)", part) for part in parts)
    return [
        Package(head[1], head[2], tuple(re.findall(r"sha256:(\w+)", part)))
        for head, part in zip(heads, parts, strict=True)
        if head
    ]


def make_sbom(packages: list[Package]) -> dict[str, Any]:
    """Return a bill of materials (https://cyclonedx.org/docs/1.6/json, read 2026-11)."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "name": "auth0-check"}},
        "components": [
            {
                "type": "library",
                "name": each.name,
                "version": each.version,
                "purl": f"pkg:pypi/{each.name}@{each.version}",
                "licenses": [{"expression": each.licence}],
                "hashes": [{"alg": "SHA-256", "content": one} for one in each.hashes],
            }
            for each in packages
        ],
    }


def find_weaknesses(packages: list[Package], url: str = OSV) -> list[str]:
    """Return a line for each known weakness of these versions. Raises OSError and ValueError."""
    queries = [
        {"version": each.version, "package": {"name": each.name, "ecosystem": "PyPI"}}
        for each in packages
    ]
    body = json.dumps({"queries": queries}).encode()
    request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - https, or a test's
    with urlopen(request, timeout=LIMIT_S) as answer:  # noqa: S310
        results = json.load(answer)["results"]
    return [
        f"{each.name} {each.version}: {found['id']}"
        for each, result in zip(packages, results, strict=True)
        for found in result.get("vulns", ())
    ]


def audit(packages: list[Package], url: str = OSV) -> str:
    """Say what is known. It is no failure: no check depends on the network."""
    try:
        lines = find_weaknesses(packages, url)
    except (URLError, OSError, ValueError, LookupError, TypeError) as error:
        return f"Known weaknesses were not checked: {url} cannot be reached ({error})"
    found = "\n".join(f"KNOWN WEAKNESS: {line}" for line in lines)
    return found or f"No known weakness in {len(packages)} locked packages ({url})"


def main() -> None:
    """Print the audit, or write the bill of materials."""
    packages = read_lock()
    if sys.argv[1:] == ["audit"]:
        sys.stdout.write(f"{audit(packages)}\n")
        return
    out = ROOT / "dist" / "sbom.json"
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(make_sbom(packages), indent=1) + "\n")
    sys.stdout.write(f"{out.relative_to(ROOT)}: {len(packages)} packages\n")


if __name__ == "__main__":
    main()
