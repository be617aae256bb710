"""A message, ready to be sent."""

from __future__ import annotations

from dataclasses import dataclass

from bot.slack.wording import Block, plain, section, unmarked

TEXT_CHARS = 1000
"""Screen readers read only the text; chat.postEphemeral refuses more than 4,000 characters."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message: the text that is always there, and the blocks that say the same."""

    text: str
    blocks: list[Block]


def paragraphs(*texts: str) -> Rendered:
    """Make a message of paragraphs; empty ones are left out."""
    said = [text for text in texts if text]
    lines = [plain(unmarked(line), TEXT_CHARS) for line in "\n".join(said).split("\n")]
    text = "\n".join(lines)
    cut = text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…"
    return Rendered(cut, [section(text) for text in said])
