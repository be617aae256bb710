"""SIGHUP: the bot goes on with the configuration as it is now, if that can be used."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from bot.app.bot import StartupError
from bot.config import ConfigError
from bot.ports import StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bot.app.bot import Bot
    from bot.config import Settings

log = logging.getLogger(__name__)


async def run_reloading(
    settings: Settings, build: Callable[[Settings], Bot], read: Callable[[], Settings]
) -> None:
    """Run a bot until it is cancelled or ends; at each SIGHUP, begin anew with what `read` returns.

    The state is in the database, so open incidents go on. If the new configuration is wrong, or a
    bot cannot begin with it, the old one stays, and the log and the channel say so.

    Raises what `Bot.run` raises.
    """
    asked = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, asked.set)
    before: Settings | None = None
    refusal = ""
    while True:
        try:
            bot = build(settings)
            fresh = await _run_until_asked(bot, asked, read, refusal)
        except (ConfigError, StartupError, StoreError) as error:
            if before is None:
                raise
            refusal = f"The bot cannot begin with the new configuration: {error}"
            log.exception("cannot begin with the new configuration: going on with the old one")
            settings, before = before, None
            continue
        log.info("the configuration was read again")
        settings, before, refusal = fresh, settings, ""


async def _run_until_asked(
    bot: Bot, asked: asyncio.Event, read: Callable[[], Settings], refusal: str
) -> Settings:
    """Run a bot until a new configuration can be used; return that."""
    running = asyncio.create_task(bot.run())
    try:
        while True:
            if refusal:
                await bot.warn(f"{refusal}. I go on with the old one.")
            waiting = asyncio.create_task(asked.wait())
            await asyncio.wait({running, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if running.done():
                running.result()
            asked.clear()
            try:
                return read()
            except ConfigError as error:
                refusal = f"The new configuration cannot be used: {error}"
                log.error("%s. Going on with the old one", refusal)  # noqa: TRY400 - no traceback
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
