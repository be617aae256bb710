"""`auth0-check`, which writes the number of its tasks into the file $TASKS at each SIGUSR1."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from bot.cli import main


def count_tasks(*_: object) -> None:
    Path(os.environ["TASKS"]).write_text(str(len(asyncio.all_tasks())))


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, count_tasks)
    main()
