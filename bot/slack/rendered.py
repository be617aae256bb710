"""A message, ready to be sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot.slack.wording import Block


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message: the text that is always there, and the blocks that say the same."""

    text: str
    blocks: list[Block]
