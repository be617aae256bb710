"""The `Messenger` port over Slack and all ways beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.state.outbox import Paging
from bot.notify.apprise import AppriseNotifier
from bot.notify.pagerduty import PagerDutyNotifier
from bot.ports import NotifyDoubt, NotifyRefused, SlackDoubt, SlackRefused
from bot.slack.render.direct_and_pager import render_pager_message

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.config import Settings
    from bot.core.state.incident import MessageRef
    from bot.core.state.outbox import Delivery
    from bot.http import Fetcher
    from bot.ports import Notifier, View
    from bot.slack.outbound.messenger import SlackMessenger


class NotificationRouter:
    """Says a delivery in Slack, or beyond it.

    Args:
        slack: says what belongs there.
        notifiers: the ways beyond it, by their names.
    """

    def __init__(self, slack: SlackMessenger, notifiers: Mapping[str, Notifier]) -> None:
        self._slack = slack
        self._notifiers = notifiers

    async def send(
        self, delivery: Delivery, view: View, card: MessageRef | None
    ) -> MessageRef | None:
        """Say it; see the port."""
        if not isinstance(delivery.body, Paging):
            return await self._slack.send(delivery, view, card)
        await self._page(delivery.key, delivery.body, view, card)
        return None

    async def find(self, delivery: Delivery, card: MessageRef | None) -> MessageRef | None:
        """Look into the channel; see the port."""
        return await self._slack.find(delivery, card)

    async def _page(self, key: str, body: Paging, view: View, card: MessageRef | None) -> None:
        notifier = self._notifiers.get(body.contact_point)
        if notifier is None:
            raise SlackRefused("not_configured")  # it was, before the restart
        incident = view.desk.incidents[body.incident]
        link = await self._slack.get_permalink(card)
        try:
            await notifier.notify(
                render_pager_message(incident, view, body.action, key=key, link=link)
            )
        except NotifyRefused as refusal:
            error = refusal.error if refusal.is_final else "unreachable"
            raise SlackRefused(error, refusal.retry_after_s) from refusal
        except NotifyDoubt as doubt:
            raise SlackDoubt(str(doubt)) from doubt


def build_notifiers(settings: Settings, fetcher: Fetcher) -> dict[str, Notifier]:
    """Build the ways beyond Slack, by their names. Raises ConfigError for an unknown address."""
    source = f"auth0-check-{settings.tenants[0].name}"
    found: dict[str, Notifier] = {}
    for way in settings.notify:
        if way.pagerduty is not None:
            found[way.name] = PagerDutyNotifier(
                fetcher,
                routing_key=way.pagerduty.routing_key.get_secret_value(),
                url=way.pagerduty.url,
                source=source,
                status_link=settings.status_link,
            )
        elif way.apprise is not None:
            found[way.name] = AppriseNotifier(way.name, way.apprise.get_secret_value())
    return found
