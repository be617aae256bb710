"""What the status page's posts are about, and which of them fit a trouble."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.core.model import FeedState, Notice

if TYPE_CHECKING:
    from collections.abc import Iterable

NOTICE_FIRST_S = 7200.0
"""A post that is older than the first failure by more than this is about something else."""
OTHER_COMPONENTS = (
    ("log", "Tenant Logs"),
    ("management api", "Management API"),
    ("dashboard", "Management Dashboard"),
    ("email", "Email Delivery"),
    ("multi-factor", "Multi-factor Authentication"),
    ("mfa", "Multi-factor Authentication"),
    ("guardian", "Multi-factor Authentication"),
    ("cdn", "CDN"),
    ("support center", "Support Center"),
    ("user search", "Management API"),
    ("fga", "FGA"),
)
"""Words of a post's title, and the component of the status page that they mean."""
LOGIN_WORDS = ("login", "log in", "logging in", "authenticat", "sign-in", "sign in", "token")


@dataclass(frozen=True, slots=True)
class FeedView:
    """What a status feed says now."""

    state: FeedState | None = None
    """None: not read yet."""
    notices: tuple[Notice, ...] = ()
    """As last read; kept while the feed cannot be read."""
    read_at: float | None = None
    """When it was last readable."""
    since: float | None = None
    """When it came into this state."""


def fitting(feeds: Iterable[FeedView], since: float) -> tuple[Notice, ...]:
    """Return the open posts about logins that fit a trouble since `since`, newest first."""
    notices = {
        notice.id: notice
        for feed in feeds
        for notice in feed.notices
        if notice.is_open
        and notice.posted_at >= since - NOTICE_FIRST_S
        and other_component(notice) is None
    }
    return tuple(sorted(notices.values(), key=lambda notice: -notice.updated_at))


def other_component(notice: Notice) -> str | None:
    """Name the component that a post is about, if that is another than logins.

    The feed has no field for it, so the title's words decide; the text often mentions logins only
    to say that they are not affected.
    """
    title = notice.title.lower()
    if any(word in title for word in LOGIN_WORDS):
        return None
    return next((name for word, name in OTHER_COMPONENTS if word in title), None)
