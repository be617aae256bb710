"""Block Kit is checked as Slack checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from slackblocks import _limits, _surfaces

from bot.simulator.workspace.blocks import SHAPES, SURFACES, Surface, check, weight

if TYPE_CHECKING:
    from collections.abc import Callable

Block = dict[str, Any]


def plain(length: int) -> Block:
    return {"type": "plain_text", "text": "x" * length}


def button(**more: Any) -> Block:
    return {"type": "button", "text": plain(1), "action_id": "go", **more}


def actions(*elements: Block) -> Block:
    return {"type": "actions", "elements": list(elements)}


def option(**more: Any) -> Block:
    return {"text": plain(1), "value": "v", **more}


def select(**more: Any) -> Block:
    return actions({"type": "static_select", "options": [option()], **more})


def overflow(count: int) -> Block:
    return actions({"type": "overflow", "options": [option()] * count})


def confirm(**more: Any) -> Block:
    asked = {"title": plain(1), "text": plain(1), "confirm": plain(1), "deny": plain(1)}
    return actions(button(confirm=asked | more))


def section(**more: Any) -> Block:
    return {"type": "section", **more}


def chart(**more: Any) -> Block:
    given: dict[str, Any] = {"name": "s", "value": 1, "label": "a", "count": 1} | more
    labels = [given["label"]] + [f"p{number}" for number in range(1, given["count"])]
    series = {"name": given["name"], "data": [{"label": x, "value": 1} for x in labels]}
    axes = {"categories": labels} | given.get("axes", {})
    return {
        "type": "data_visualization",
        "title": given.get("title", "t"),
        "chart": {"type": "line", "series": [series], "axis_config": axes},
    }


def pie(count: int = 1, label: str = "a") -> Block:
    segments = [{"label": label, "value": 1}] * count
    return {
        "type": "data_visualization",
        "title": "t",
        "chart": {"type": "pie", "segments": segments},
    }


def table(rows: int = 1, columns: int = 1) -> Block:
    return {"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * columns] * rows}


def data_table(rows: int) -> Block:
    return table(rows) | {"type": "data_table", "caption": "c"}


def image(**more: Any) -> Block:
    return {"type": "image", "image_url": "https://a.example", "alt_text": "a", **more}


LIMITS: dict[str, Callable[[int], Block]] = {
    "TEXT_MAX_LENGTH": lambda n: section(text=plain(n)),
    "SECTION_TEXT_MAX_LENGTH": lambda n: section(text={"type": "mrkdwn", "text": "x" * n}),
    "SECTION_FIELDS_MAX_ITEMS": lambda n: section(fields=[plain(1)] * n),
    "SECTION_FIELDS_ITEM_MAX_LENGTH": lambda n: section(fields=[plain(n)]),
    "HEADER_TEXT_MAX_LENGTH": lambda n: {"type": "header", "text": plain(n)},
    "CONTEXT_ELEMENTS_MAX_ITEMS": lambda n: {"type": "context", "elements": [plain(1)] * n},
    "ACTIONS_ELEMENTS_MAX_ITEMS": lambda n: actions(*[button(action_id=f"{i}") for i in range(n)]),
    "ACTION_ID_MAX_LENGTH": lambda n: actions(button(action_id="x" * n)),
    "BLOCK_ID_MAX_LENGTH": lambda n: {"type": "divider", "block_id": "x" * n},
    "BUTTON_TEXT_MAX_LENGTH": lambda n: actions(button(text=plain(n))),
    "BUTTON_VALUE_MAX_LENGTH": lambda n: actions(button(value="x" * n)),
    "BUTTON_URL_MAX_LENGTH": lambda n: actions(button(url="x" * n)),
    "BUTTON_ACCESSIBILITY_LABEL_MAX_LENGTH": lambda n: actions(button(accessibility_label="x" * n)),
    "CONFIRMATION_TITLE_MAX_LENGTH": lambda n: confirm(title=plain(n)),
    "CONFIRMATION_TEXT_MAX_LENGTH": lambda n: confirm(text=plain(n)),
    "CONFIRMATION_CONFIRM_MAX_LENGTH": lambda n: confirm(confirm=plain(n)),
    "CONFIRMATION_DENY_MAX_LENGTH": lambda n: confirm(deny=plain(n)),
    "OPTION_TEXT_MAX_LENGTH": lambda n: select(options=[option(text=plain(n))]),
    "OPTION_VALUE_MAX_LENGTH": lambda n: select(options=[option(value="x" * n)]),
    "OPTION_DESCRIPTION_MAX_LENGTH": lambda n: select(options=[option(description=plain(n))]),
    "SELECT_PLACEHOLDER_MAX_LENGTH": lambda n: select(placeholder=plain(n)),
    "SELECT_OPTIONS_MAX_ITEMS": lambda n: select(options=[option()] * n),
    "OVERFLOW_OPTIONS_MAX_ITEMS": overflow,
    "IMAGE_ALT_TEXT_MAX_LENGTH": lambda n: image(alt_text="x" * n),
    "IMAGE_IMAGE_URL_MAX_LENGTH": lambda n: image(image_url="x" * n),
    "IMAGE_TITLE_MAX_LENGTH": lambda n: image(title=plain(n)),
    "MARKDOWN_TEXT_MAX_LENGTH": lambda n: {"type": "markdown", "text": "x" * n},
    "CARD_TITLE_MAX_LENGTH": lambda n: {"type": "card", "title": plain(n)},
    "CARD_BODY_MAX_LENGTH": lambda n: {"type": "card", "body": plain(n)},
    "CARD_ACTIONS_MAX_ITEMS": lambda n: {
        "type": "card",
        "actions": [button(action_id=f"{i}") for i in range(n)],
    },
    "CONTAINER_CHILD_BLOCKS_MAX_ITEMS": lambda n: {
        "type": "container",
        "child_blocks": [{"type": "divider"}] * n,
    },
    "TABLE_ROWS_MAX_ITEMS": table,
    "TABLE_COLUMNS_MAX_ITEMS": lambda n: table(columns=n),
    "DATA_TABLE_ROWS_MAX_ITEMS": data_table,
    "DATA_VISUALIZATION_TITLE_MAX_LENGTH": lambda n: chart(title="x" * n),
    "DATA_VISUALIZATION_DATA_MAX_ITEMS": lambda n: chart(count=n),
    "DATA_VISUALIZATION_POINT_LABEL_MAX_LENGTH": lambda n: chart(label="x" * n),
    "DATA_VISUALIZATION_SERIES_NAME_MAX_LENGTH": lambda n: chart(name="x" * n),
    "DATA_VISUALIZATION_AXIS_LABEL_MAX_LENGTH": lambda n: chart(axes={"x_label": "x" * n}),
    "DATA_VISUALIZATION_SEGMENTS_MAX_ITEMS": pie,
    "DATA_VISUALIZATION_SEGMENT_LABEL_MAX_LENGTH": lambda n: pie(label="x" * n),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits_are_those_of_slackblocks(name: str) -> None:
    """What is at slackblocks' limit passes, one more is refused."""
    limit = getattr(_limits, name)

    assert check([LIMITS[name](limit)], Surface.MESSAGE) == []
    assert check([LIMITS[name](limit + 1)], Surface.MESSAGE) != []


def test_surfaces_are_those_of_slackblocks() -> None:
    """Every block is allowed where slackblocks allows it, and nowhere else."""
    for surface, kinds in _surfaces._BLOCK_TYPES_BY_SURFACE.items():
        assert SURFACES[Surface(surface)] == kinds
    assert frozenset(SHAPES) == frozenset().union(*SURFACES.values())


BAD: dict[str, tuple[list[Block], str]] = {
    "empty text": ([section(text=plain(0))], "must be more than 0 characters|/0/text/text"),
    "no text": ([section()], "missing required field: text|/0"),
    "mrkdwn header": (
        [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
        "unsupported type: mrkdwn|/0/text/type",
    ),
    "unknown block": ([{"type": "sections"}], "unsupported type: sections|/0/type"),
    "unknown key": ([section(text=plain(1), colour="red")], "property: colour|/0"),
    "bare string": ([section(text="x")], "unsupported type: None|/0/text/type"),
    "alert in a message": ([{"type": "alert", "text": plain(1)}], "unsupported type: alert"),
    "style": ([actions(button(style="green"))], "must be one of: primary, danger"),
    "empty value": ([actions(button(value=""))], "must be more than 0 characters"),
    "no options": ([overflow(0)], "no fewer than 1 items"),
    "no elements": ([actions()], "no fewer than 1 items|/0/elements"),
    "same action_id": ([actions(button(), button())], "`action_id` already exists: go|/0"),
    "same block_id": ([{"type": "divider", "block_id": "a"}] * 2, "`block_id` already exists: a"),
    "51 blocks": ([{"type": "divider"}] * 51, "no more than 50 items allowed"),
    "two tables": ([table(), table()], "no more than 1 table blocks"),
    "three charts": ([chart()] * 3, "no more than 2 data_visualization blocks"),
    "7 series": (
        [chart() | {"chart": chart()["chart"] | {"series": chart()["chart"]["series"] * 7}}],
        "no more than 6 items allowed",
    ),
    "series without a point": ([chart(axes={"categories": ["a", "b"]})], "for every category"),
    "markdown in all": ([{"type": "markdown", "text": "x" * 7000}] * 2, "less than 12001"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_blocks_are_refused_with_a_pointer(name: str) -> None:
    """Each mistake is named, with its place."""
    blocks, expected = BAD[name]
    words, _, pointer = expected.partition("|")

    problems = check(blocks, Surface.MESSAGE)

    assert any(words in p and f"[json-pointer:/blocks{pointer}" in p for p in problems), problems


@pytest.mark.parametrize("blocks", [None, "x", {}, [None], [[]], [{"type": ["section"]}], [1]])
def test_what_is_no_list_of_blocks_is_refused(blocks: object) -> None:
    """The check handles any JSON."""
    assert check(blocks, Surface.MESSAGE) != []


def test_weight_counts_every_string() -> None:
    """The undocumented limit of a message counts strings at any depth."""
    assert weight([section(text=plain(100))]) == len("section" + "plain_text") + 100
