"""The `Messenger` port over Slack and the contact points beyond it."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from bot.core.state.outbox import Paging
from bot.notify.apprise import AppriseNotifier
from bot.notify.pagerduty import PagerDutyNotifier
from bot.ports import Reason, Refused
from bot.slack.render.direct_and_pager import render_pager_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.config import Settings
    from bot.core.state.incident import MessageRef
    from bot.core.state.outbox import Delivery
    from bot.http import Fetcher
    from bot.ports import Notifier, View
    from bot.slack.outbound.messenger import SlackMessenger


LINK_WAIT_S = 2.0
"""Real seconds that a page waits for its link to Slack: Slack may be what does not answer."""


class NotificationRouter:
    """Sends a delivery to Slack, or to a contact point beyond it.

    Args:
        slack: sends what belongs in Slack.
        notifiers: the contact points beyond it, by their names.
    """

    def __init__(self, slack: SlackMessenger, notifiers: Mapping[str, Notifier]) -> None:
        self._slack = slack
        self._notifiers = notifiers

    async def send(
        self, delivery: Delivery, view: View, message: MessageRef | None
    ) -> MessageRef | None:
        """Send it; see the port."""
        body = delivery.body
        if not isinstance(body, Paging):
            return await self._slack.send(delivery, view, message)
        notifier = self._notifiers.get(body.contact_point)
        if notifier is None:
            # It was configured before the restart.
            raise Refused("the configuration", Reason.REJECTED, "no such contact point")
        incident = view.desk.incidents[body.incident]
        link = ""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINK_WAIT_S):
                link = await self._slack.get_permalink(message)
        await notifier.notify(render_pager_message(incident, view, delivery, body, link))
        return None

    async def find(self, delivery: Delivery, message: MessageRef | None) -> MessageRef | None:
        """Search the channel; see the port."""
        return await self._slack.find(delivery, message)

    async def find_unreached(self, names: tuple[str, ...], now: float) -> dict[str, str]:
        """Ask Slack who is notified of nothing; see the port."""
        return await self._slack.find_unreached(names, now)


def build_notifiers(settings: Settings, fetcher: Fetcher) -> dict[str, Notifier]:
    """Build the contact points beyond Slack, by their names.

    Raises ConfigError where Apprise does not know an address.
    """
    source = f"auth0-check-{settings.tenants[0].name}"
    notifiers: dict[str, Notifier] = {}
    for point in settings.notify:
        if point.pagerduty is not None:
            notifiers[point.name] = PagerDutyNotifier(
                fetcher.fetch,
                routing_key=point.pagerduty.routing_key.get_secret_value(),
                url=point.pagerduty.url,
                source=source,
                status_link=settings.status_link,
            )
        elif point.apprise is not None:
            notifiers[point.name] = AppriseNotifier(point.name, point.apprise.get_secret_value())
    return notifiers
