"""One list of what people see: its diff says which messages a change touches, and how."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from bot.slack.render.direct_and_pager import strip_all_markup
from tests.slack.messages.conftest import GOLDEN, compare_golden

if TYPE_CHECKING:
    from collections.abc import Iterator

LINE_CHARS = 200


def texts(value: Any) -> Iterator[str]:
    """Yield all texts of blocks, in their order."""
    if isinstance(value, list):
        for each in value:
            yield from texts(each)
    elif isinstance(value, dict) and isinstance(value.get("text"), str):
        yield value["text"]
    elif isinstance(value, dict):
        yield from texts(list(value.values()))


def summarize(blocks: list[dict[str, Any]]) -> list[str]:
    """Return the first line of a message, its state, what to do now, and its buttons."""
    first, *more = [text for block in blocks for text in texts(block)] or ["(nothing)"]
    first_line, *further = first.split("\n")
    lines = [line for text in more for line in text.split("\n")]
    head = [first_line, *further[:1]]
    head += [line for line in (*further[1:], *lines) if line.startswith("*Do now:*")]
    buttons = [one["text"]["text"] for one in find_buttons(blocks)]
    head += [f"[{'] ['.join(buttons)}]"] if buttons else []
    plain = map(strip_all_markup, head)
    return [line if len(line) < LINE_CHARS else f"{line[:LINE_CHARS]}…" for line in plain]


def find_buttons(blocks: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for block in blocks:
        accessory = [block["accessory"]] if "accessory" in block else []
        for element in (*block.get("elements", ()), *accessory):
            if element["type"] == "button":
                yield element


def overview() -> str:
    """List all golden files: of each message what is read first."""
    chapters = []
    for file in sorted(GOLDEN.glob("*.json")):
        made = json.loads(file.read_text())
        messages = made if isinstance(made, list) else [made["blocks"]]
        messages = messages if isinstance(messages[0], list) else [messages]
        lines = ["\n    ".join(summarize(blocks)) for blocks in messages]
        chapters.append("\n  - ".join([file.stem, *lines]))
    pages = [(file.stem, file.read_text().splitlines()) for file in sorted(GOLDEN.glob("page-*"))]
    chapters += [f"{name}\n  - {lines[0]}\n    {lines[2]}" for name, lines in pages]
    return "\n\n".join(chapters) + "\n"


def test_the_overview_lists_what_people_see() -> None:
    """`make goldens` writes it, after the files that it lists."""
    compare_golden("OVERVIEW.txt", overview())
