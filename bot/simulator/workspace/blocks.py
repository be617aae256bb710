"""Block Kit as Slack checks it: every block that a message, a modal or the Home tab may hold.

Limits: docs.slack.dev/reference/block-kit, @slack/types 3.2.0 and slackblocks 3.0.0 (2026-11).
Not checked: rich_text, file, video, plan, task_card, context_actions, and most fields and
pickers that only modals need; of those only the surface and the ids are checked.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bot.simulator.workspace.shapes import (
    Check,
    anything,
    boolean,
    items,
    number,
    one_of,
    problem,
    record,
    string,
    typed,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_WEIGHT = 13_200
"""Characters in all blocks of a posted message: undocumented, about where bolt-js#2509 and #2867
met `msg_blocks_too_long`. We count every string, which is stricter."""


MAX_MARKDOWN = 12_000
"""Characters in all markdown blocks of a message."""


class Surface(StrEnum):
    """Where blocks are shown."""

    MESSAGE = "message"
    MODAL = "modal"
    HOME = "home"


ID = string(255)
URL = string(3000)


def _text(high: int = 3000, *kinds: str) -> Check:
    shapes = {
        "plain_text": _with_type({"text": string(high)}, {"emoji": boolean}),
        "mrkdwn": _with_type({"text": string(high)}, {"verbatim": boolean}),
    }
    return typed({kind: shapes[kind] for kind in kinds or shapes})


def _plain(high: int) -> Check:
    return _text(high, "plain_text")


def _with_type(required: dict[str, Check], optional: dict[str, Check], any_of: str = "") -> Check:
    return record({"type": anything, **required}, optional, any_of=any_of)


def _element(required: dict[str, Check], optional: dict[str, Check], any_of: str = "") -> Check:
    common = {"action_id": ID, "confirm": CONFIRM, "focus_on_load": boolean}
    return _with_type(required, common | optional, any_of)


def _block(
    required: dict[str, Check], optional: dict[str, Check] | None = None, *, any_of: str = ""
) -> Check:
    return _with_type(required, {"block_id": ID} | (optional or {}), any_of)


def _picture(optional: dict[str, Check]) -> Check:
    sources = {"image_url": URL, "slack_file": anything}
    return _with_type({"alt_text": string(2000)}, sources | optional, "image_url slack_file")


STYLE = one_of("primary", "danger")
CONFIRM = record(
    {"title": _plain(100), "text": _text(300), "confirm": _plain(30), "deny": _plain(30)},
    {"style": STYLE},
)
OPTION = record({"text": _text(75), "value": string(150)}, {"description": _text(75), "url": URL})
OPTION_GROUP = record({"label": _plain(75), "options": items(OPTION, 100)})
BUTTON = _element(
    {"text": _plain(75)},
    {"url": URL, "value": string(2000), "style": STYLE, "accessibility_label": string(75)},
)
SELECT = _element(
    {},
    {
        "placeholder": _plain(150),
        "options": items(OPTION, 100),
        "option_groups": items(OPTION_GROUP, 100),
        "initial_option": OPTION,
    },
    "options option_groups",
)
_SELECTS = "users_select conversations_select channels_select external_select"
_MULTI = " ".join(f"multi_{name}" for name in ("static_select", *_SELECTS.split()))
_PICKERS = "datepicker timepicker checkboxes radio_buttons workflow_button"
_INPUTS = "email_text_input url_text_input number_input rich_text_input file_input"
_UNCHECKED = "rich_text file video plan task_card context_actions"


def _unchecked(names: str) -> dict[str, Check]:
    return dict.fromkeys(names.split(), anything)


INTERACTIVE = {
    "button": BUTTON,
    "overflow": _element({"options": items(OPTION, 5)}, {}),
    "static_select": SELECT,
    "datetimepicker": _element({}, {"initial_date_time": number(10**9, 10**10 - 1)}),
    **_unchecked(f"{_SELECTS} {_MULTI} {_PICKERS}"),
}
TEXT_INPUT = _element(
    {},
    {
        "placeholder": _plain(150),
        "initial_value": string(3000),
        "multiline": boolean,
        "min_length": number(0, 3000),
        "max_length": number(1, 3000),
    },
)
FIELDS = INTERACTIVE | {"plain_text_input": TEXT_INPUT} | _unchecked(_INPUTS)
IMAGE = _picture({})
CONTEXT = {"image": IMAGE, "plain_text": _text(), "mrkdwn": _text()}

CELL = typed(
    {
        "raw_text": _with_type({"text": string(20_000)}, {}),
        "raw_number": _with_type({"value": number()}, {"text": string(20_000)}),
        "rich_text": anything,
    }
)

POINT = record({"label": string(20), "value": number()})
# The stored documentation says at most 6 series, two libraries say 12 (2026-11): the stricter one.
AXIS_CHART = _with_type(
    {
        "series": items(record({"name": string(20), "data": items(POINT, 20)}), 6),
        "axis_config": record(
            {"categories": items(string(20), 20)}, {"x_label": string(50), "y_label": string(50)}
        ),
    },
    {},
)
SEGMENT = record({"label": string(20), "value": number(low=1e-9)})
CHART = typed(
    {
        "pie": _with_type({"segments": items(SEGMENT, 12)}, {}),
        **dict.fromkeys(("line", "bar", "area"), AXIS_CHART),
    }
)
CARD = _block(
    {},
    {
        "title": _text(150),
        "subtitle": _text(150),
        "body": _text(200),
        "subtext": _text(200),
        "hero_image": IMAGE,
        "icon": IMAGE,
        "slack_icon": anything,
        "actions": items(typed({"button": BUTTON}), 3),
    },
    any_of="hero_image title body actions",
)

SHAPES: dict[str, Check] = {
    "actions": _block({"elements": items(typed(INTERACTIVE), 25)}),
    "alert": _block(
        {"text": _text(200)}, {"level": one_of("default", "info", "warning", "error", "success")}
    ),
    "card": CARD,
    "carousel": _block({"elements": items(typed({"card": CARD}), 10)}),
    "context": _block({"elements": items(typed(CONTEXT), 10)}),
    "data_table": _block(
        {"rows": items(items(CELL, 20), 201, low=2), "caption": string(20_000)},
        {"page_size": number(1, 100), "row_header_column_index": number(0)},
    ),
    "data_visualization": _block({"title": string(50), "chart": CHART}),
    "divider": _block({}),
    "header": _block({"text": _plain(150)}),
    "image": _picture({"block_id": ID, "title": _plain(2000)}),
    "input": _block(
        {
            "label": _plain(2000),
            "element": typed(FIELDS),
        },
        {"hint": _plain(2000), "optional": boolean, "dispatch_action": boolean},
    ),
    "markdown": _block({"text": string(MAX_MARKDOWN)}),
    "section": _block(
        {},
        {
            "text": _text(3000),
            "fields": items(_text(2000), 10),
            "accessory": typed({**INTERACTIVE, "image": IMAGE}),
            "expand": boolean,
        },
        any_of="text fields",
    ),
    "table": _block(
        {"rows": items(items(CELL, 20), 100)}, {"column_settings": items(anything, 20)}
    ),
    **_unchecked(_UNCHECKED),
}
SHAPES["container"] = _block(
    {"child_blocks": items(typed(dict(SHAPES)), 10)},
    {
        "title": _plain(150),
        "subtitle": _text(150),
        "rich_text_title": anything,
        "icon": IMAGE,
        "width": one_of("narrow", "standard", "wide", "full"),
        "is_collapsible": boolean,
        "default_collapsed": boolean,
        "has_header_divider": boolean,
    },
)

_EVERYWHERE = "actions card context divider header image input rich_text section video"
_ROOMY = f"{_EVERYWHERE} carousel container data_table data_visualization table"
SURFACES = {
    Surface.MESSAGE: frozenset(f"{_ROOMY} context_actions file markdown plan task_card".split()),
    Surface.MODAL: frozenset(f"{_EVERYWHERE} alert".split()),
    Surface.HOME: frozenset(_ROOMY.split()),
}
AT_MOST = {"table": 1, "data_visualization": 2}
"""How many of these blocks a surface may hold."""


def check(blocks: object, surface: Surface, at: str = "/blocks") -> list[str]:
    """Return all that Slack would refuse, each with its JSON pointer."""
    shapes = {kind: SHAPES[kind] for kind in SURFACES[surface]}
    most = 50 if surface is Surface.MESSAGE else 100
    problems = list(items(typed(shapes), most, low=0)(blocks, at))
    return problems or list(_check_together(blocks, at))


def _check_together(blocks: Any, at: str) -> Iterator[str]:
    counts = Counter(block["type"] for block in blocks)
    for kind, most in AT_MOST.items():
        if counts[kind] > most:
            yield problem(f"no more than {most} {kind} blocks allowed", at)
    if sum(len(block["text"]) for block in blocks if block["type"] == "markdown") > MAX_MARKDOWN:
        yield problem(f"markdown must be less than {MAX_MARKDOWN + 1} characters in all", at)
    yield from _find_duplicates([block.get("block_id") for block in blocks], "block_id", at)
    for index, block in enumerate(blocks):
        ids = [element.get("action_id") for element in find_elements(block)]
        yield from _find_duplicates(ids, "action_id", f"{at}/{index}")
        if block["type"] == "data_visualization" and block["chart"]["type"] != "pie":
            yield from _check_series(block["chart"], f"{at}/{index}/chart/series")


def _check_series(chart: dict[str, Any], at: str) -> Iterator[str]:
    yield from _find_duplicates([series["name"] for series in chart["series"]], "name", at)
    categories = sorted(chart["axis_config"]["categories"])
    for index, series in enumerate(chart["series"]):
        if sorted(point["label"] for point in series["data"]) != categories:
            yield problem("must have one point for every category", f"{at}/{index}/data")


def _find_duplicates(names: list[str | None], what: str, at: str) -> Iterator[str]:
    for name, count in Counter(names).items():
        if name is not None and count > 1:
            yield problem(f"`{what}` already exists: {name}", at)


def find_elements(value: object) -> Iterator[dict[str, Any]]:
    """Everything in a block that a person can use, however deep."""
    if isinstance(value, list):
        for inner in value:
            yield from find_elements(inner)
    elif isinstance(value, dict):
        if value.get("type") in FIELDS:
            yield value
        else:
            for inner in value.values():
                yield from find_elements(inner)


def weight(value: object) -> int:
    """Characters of all strings inside; see `MAX_WEIGHT`."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        value = list(value.values())
    return sum(map(weight, value)) if isinstance(value, list) else 0
