"""A fault, and what each place and each source would show of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random

    from tests.judge.setup import Setup, Tenant

T = TypeVar("T")
Row = tuple[str, str, str]
"""Event type code, description and connection of a log row."""
EVENTS_MIN = 25.0
"""Events a minute in the error tracker where all users fail."""


class NotHere(Exception):  # noqa: N818 - an answer, not an error
    """A fault that cannot happen in a setup, or that nothing there would show."""


class Draw:
    """Draws the parameters of a fault by name, or repeats those of another fault.

    A repeated draw answers: how far could *this* kind of fault show what that one shows?
    """

    def __init__(self, random: Random | None, like: dict[str, object] | None = None) -> None:
        """Draw by `random`, or repeat `like` where it fits."""
        self._random = random
        self._like = like or {}
        self.drawn: dict[str, object] = {}

    def pick(self, name: str, options: Sequence[T]) -> T:
        """Pick one of some options. Repeated: the other fault's, else the most usual, the first."""
        if not options:
            raise NotHere(name)
        if self._random:
            picked = self._random.choice(options)
        else:
            picked = next((each for each in options if each == self._like.get(name)), options[0])
        self.drawn[name] = picked
        return picked

    def amount(self, name: str, low: float, high: float) -> float:
        """Draw a number. Repeated: the nearest possible one to that of the other fault."""
        if self._random:
            drawn = round(self._random.uniform(low, high), 3)
        else:
            like = self._like.get(name, (low + high) / 2)
            drawn = min(max(float(str(like)), low), high)
        self.drawn[name] = drawn
        return drawn

    def tenant(self, tenants: Iterable[Tenant]) -> Tenant:
        """Pick the tenant that is hit, or that people look at first."""
        by_name = {tenant.name: tenant for tenant in tenants}
        return by_name[self.pick("tenant", list(by_name))]


@dataclass(slots=True)
class Fault:
    """What is to be seen of one fault, per minute and at full strength."""

    hits: dict[str, tuple[str, float]] = field(default_factory=dict)
    """What a place answers (the `is` of a timeline), and to which share of the requests."""
    calls: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    """By tenant and application: the failing share on top of the usual, the volume's factor."""
    successes: dict[str, float] = field(default_factory=dict)
    """By tenant: the factor on successful logins in the log."""
    rows: dict[str, dict[Row, float]] = field(default_factory=dict)
    """By tenant: further rows a minute."""
    events: dict[str, tuple[str, float]] = field(default_factory=dict)
    """By tenant: the title of the error tracker's events, and how many a minute."""
    changes: dict[str, float] = field(default_factory=dict)
    """How often a change comes before such a fault, by kind: setting, client, deploy, image."""
    post: float = 0.02
    """How often the status page has a fitting post within 20 minutes."""
    alert: bool = True
    lasts_s: float = 0.0
    """How long it lasts; 0: longer than the world."""
    begun: bool = False
    """Whether it was there before the bot was started."""
    tenant: str = ""
    """Whose setting a change before it would be."""
    app: str = ""

    def fail(self, places: Iterable[str], answer: str, share: float = 1.0) -> None:
        """Let places fail."""
        self.hits |= dict.fromkeys(places, (answer, share))

    def fail_users(
        self, tenant: Tenant, share: float, row: Row | None = None, title: str = ""
    ) -> None:
        """Let users of a tenant fail, in every source that counts them."""
        for app in tenant.apps:
            self.calls[tenant.name, app] = share, 1.0
        if tenant.logins:
            self.successes[tenant.name] = 1.0 - share
            if row:
                self.rows.setdefault(tenant.name, {})[row] = share * tenant.logins
        if tenant.tracker and title:
            self.events[tenant.name] = title, share * EVENTS_MIN

    def add_rows(self, tenant: Tenant, row: Row, share: float) -> None:
        """Add rows to a tenant's log, as a share of its logins."""
        if tenant.logins:
            self.rows.setdefault(tenant.name, {})[row] = share * tenant.logins


def seen(fault: Fault, setup: Setup) -> Fault:
    """Return the fault if anything of it is to be seen. Raises NotHere."""
    if not (fault.hits or fault.calls or fault.successes or fault.rows or fault.events):
        raise NotHere(setup)
    return fault
