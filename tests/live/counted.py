"""`counted.py FILE ...`: `auth0-check ...`, which writes into FILE how many tasks it has.

It does so at each SIGUSR1.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from bot.cli import main

if __name__ == "__main__":
    counted = Path(sys.argv.pop(1))
    signal.signal(
        signal.SIGUSR1, lambda *_: counted.write_text(str(len(asyncio.all_tasks()))) and None
    )
    main()
