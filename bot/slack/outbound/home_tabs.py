"""Keeps the Home tabs of the people who opened them up to date."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.model.access import Right, authorize
from bot.ports import CallFailed
from bot.slack.render.command_results import refusal_text
from bot.slack.render.status import home_tab_fingerprint, render_home_tab
from bot.slack.render.text import section

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from bot.ports import Clock, View, WebApi
    from bot.slack.users import UserDirectory

_LOG = logging.getLogger(__name__)

TICK_S = 2.0
REFRESH_S = 30.0
"""A tab without clicks is published this often at most: views.publish takes 100 a minute."""
VIEWER_TIMEOUT_S = 1800.0
"""Refreshing ends this long after a tab was opened: Slack does not say when it is left."""
MAX_VIEWERS = 50


@dataclass(slots=True)
class _Viewer:
    opened_at: float
    fingerprint: Hashable = None
    published_at: float = 0.0
    has_acted: bool = False


class HomeTabs:
    """The Home tabs. All spans are real seconds.

    Args:
        web: publishes them.
        clock: the time.
        people: looks up who opened a tab.
        view: returns what they show.
        status_link: where the Check Auth0 Status button leads.
    """

    def __init__(
        self,
        web: WebApi,
        clock: Clock,
        *,
        people: UserDirectory,
        view: Callable[[], View],
        status_link: str,
    ) -> None:
        self._web = web
        self._clock = clock
        self._people = people
        self._view = view
        self._status_link = status_link
        self._viewers: dict[str, _Viewer] = {}
        """In the order in which they opened the tab."""

    async def open_tab(self, user: str) -> None:
        """Publish somebody's tab, and keep it up to date for `VIEWER_TIMEOUT_S`."""
        self._viewers.pop(user, None)
        viewer = self._viewers[user] = _Viewer(self._clock.now())
        if len(self._viewers) > MAX_VIEWERS:
            del self._viewers[next(iter(self._viewers))]
        await self._publish(user, viewer)

    def refresh_soon(self, user: str) -> None:
        """Let the next refresh include somebody who acted, if their tab is open."""
        if user in self._viewers:
            self._viewers[user].has_acted = True

    async def run(self) -> None:
        """Refresh the tabs, for ever."""
        while True:
            await self._clock.sleep(TICK_S * self._clock.speed)
            await self.refresh()

    async def refresh(self) -> None:
        """Publish the tabs that changed and are due."""
        now, speed = self._clock.now(), self._clock.speed
        fingerprint = home_tab_fingerprint(self._view())
        for user, viewer in list(self._viewers.items()):
            if abs(now - viewer.opened_at) > VIEWER_TIMEOUT_S * speed:
                self._viewers.pop(user, None)
            elif viewer.fingerprint != fingerprint and (
                viewer.has_acted or abs(now - viewer.published_at) >= REFRESH_S * speed
            ):
                await self._publish(user, viewer)

    async def _publish(self, user: str, viewer: _Viewer) -> None:
        person, view = await self._people.find_person(user), self._view()
        refused = authorize(view.rules.access, Right.VIEW, person, "")
        tab = (
            {"type": "home", "blocks": [section(refusal_text(refused))]}
            if refused
            else render_home_tab(view, self._status_link)
        )
        viewer.published_at, viewer.has_acted = view.now, False
        try:
            await self._web.call("views.publish", {"user_id": user, "view": tab})
            viewer.fingerprint = home_tab_fingerprint(view)
        except CallFailed as error:
            _LOG.warning("Could not publish a Home tab: %s", error)
