"""The package diagrams of docs/dev/architecture.md, made of pyproject.toml's contracts."""

from __future__ import annotations

import tomllib
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = "docs/dev/architecture.md"
BEGIN = "<!-- diagrams: made by `make house ARGS=--diagram`; do not edit -->"
END = "<!-- end of the diagrams -->"
ROOT = Path(__file__).parents[2]


def with_diagrams(page: str) -> str:
    """Return the page with its diagrams as the contracts are now."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{render_diagrams()}\n{END}{tail}"


def render_diagrams() -> str:
    """Return a diagram of each contract about layers."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    return "\n".join(
        _render_layers(contract, contracts["contracts"])
        for contract in contracts["contracts"]
        if contract["type"] == "layers"
    )


def _render_layers(contract: dict[str, Any], contracts: list[dict[str, Any]]) -> str:
    (container,) = contract["containers"]
    layers = [[name.strip() for name in layer.split("|")] for layer in contract["layers"]]
    lines = ["```mermaid", "flowchart TD"]
    lines += [f'    {_node(name)}["{name}"]' for layer in layers for name in layer]
    for upper, lower in pairwise(layers):
        lines.append(f"    {_join(upper)} --> {_join(lower)}")
    lines += _render_libraries(container, contracts)
    return "\n".join([f"Packages of `{container}`:", "", *lines, "```", ""])


def _render_libraries(container: str, contracts: list[dict[str, Any]]) -> Iterator[str]:
    """Yield each library that one package alone may import, in the diagram of the whole."""
    if "." in container:
        return
    protected = [each for each in contracts if each["type"] == "protected"]
    for number, contract in enumerate(protected, 1):
        label = ", ".join(contract["protected_modules"])
        for importer in contract["allowed_importers"]:
            package, *rest = importer.removeprefix(f"{container}.").split(".")
            arrow = f'-. "{rest[0]}" .->' if rest else "-.->"
            yield f'    {_node(package)} {arrow} library_{number}(["{label}"])'


def _join(names: list[str]) -> str:
    return " & ".join(_node(name) for name in names)


def _node(name: str) -> str:
    """Return an id that is no word of the diagram's own language, such as `end` or `class`."""
    return "n_" + "".join(letter if letter.isalnum() else "_" for letter in name).strip("_")
