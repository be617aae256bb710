"""The `Messenger` port over Slack and all ways beyond it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.core.state.outbox import Paging
from bot.notify.apprise import AppriseNotifier
from bot.notify.pagerduty import PagerDuty
from bot.ports import NotifyDoubt, NotifyRefused, SlackDoubt, SlackRefused
from bot.slack.render.direct_and_pager import page

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.config import Settings
    from bot.core.state.incident import Card
    from bot.core.state.outbox import Delivery
    from bot.http import Fetcher
    from bot.ports import Notifier, View
    from bot.slack.outbound.messenger import SlackMessenger


class Outward:
    """Says a delivery in Slack, or beyond it.

    Args:
        slack: says what belongs there.
        notifiers: the ways beyond it, by their names.
    """

    def __init__(self, slack: SlackMessenger, notifiers: Mapping[str, Notifier]) -> None:
        self._slack = slack
        self._notifiers = notifiers

    async def send(self, delivery: Delivery, view: View, card: Card | None) -> Card | None:
        """Say it; see the port."""
        if not isinstance(delivery.body, Paging):
            return await self._slack.send(delivery, view, card)
        await self._page(delivery.key, delivery.body, view, card)
        return None

    async def find(self, delivery: Delivery, card: Card | None) -> Card | None:
        """Look into the channel; see the port."""
        return await self._slack.find(delivery, card)

    async def _page(self, key: str, body: Paging, view: View, card: Card | None) -> None:
        notifier = self._notifiers.get(body.way)
        if notifier is None:
            raise SlackRefused("not_configured")  # it was, before the restart
        incident = view.desk.incidents[body.incident]
        link = await self._slack.permalink(card)
        try:
            await notifier.page(page(incident, view, body.action, key=key, link=link))
        except NotifyRefused as refusal:
            error = refusal.error if refusal.is_final else "unreachable"
            raise SlackRefused(error, refusal.retry_after_s) from refusal
        except NotifyDoubt as doubt:
            raise SlackDoubt(str(doubt)) from doubt


def notifiers_of(settings: Settings, fetcher: Fetcher) -> dict[str, Notifier]:
    """Build the ways beyond Slack, by their names. Raises ConfigError for an unknown address."""
    source = f"auth0-check-{settings.tenants[0].name}"
    found: dict[str, Notifier] = {}
    for way in settings.notify:
        if way.pagerduty is not None:
            found[way.name] = PagerDuty(
                fetcher,
                routing_key=way.pagerduty.routing_key.get_secret_value(),
                url=way.pagerduty.url,
                source=source,
                status_link=settings.status_link,
            )
        elif way.apprise is not None:
            found[way.name] = AppriseNotifier(way.name, way.apprise.get_secret_value())
    return found
