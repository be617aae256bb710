"""The virtual world: the outcome of a request that begins at some instant."""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from bot.core.model.observation import CONTROL, FEED, LOGIN, M2M, TOKEN_ENDPOINT, Target
from bot.simulator.happening import ANY, BOT, NETWORK_KINDS, OK, InjectedFault

if TYPE_CHECKING:
    from bot.simulator.scenario import FaultEntry, Scenario

HEALTHY_S = (0.120, 0.240)
_DRAWS = 50


class RequestOutcome(NamedTuple):
    """The outcome of one request."""

    fault: InjectedFault
    latency_s: float
    """Seconds until the answer, if one comes."""


class World:
    """Plays a scenario's timeline. Each place has a generator of its own."""

    def __init__(self, scenario: Scenario, seed: int | None = None) -> None:
        """Draw the world numbered `seed`; without one, that of the file."""
        self.scenario = scenario
        self.seed = scenario.seed if seed is None else seed
        self.begin_at = scenario.start_at - scenario.warmup_s
        self.end_at = scenario.start_at + scenario.duration_s
        self._randoms: dict[str, Random] = {}
        self._entries: dict[str, list[FaultEntry]] = {}

    def draw_request(self, target: Target | str, at: float) -> RequestOutcome:
        """Draw the outcome of the next request to this target, which begins at `at`.

        A world says nothing of the token endpoint itself. It fails as the login does, unless the
        login's fault lies behind it: an answer that names one of OAuth's errors, a wrong token, or
        where a machine token, which passes it too, is well.
        """
        named = str(target)
        random = self._randoms.get(named)
        if random is None:
            # Seeded with text, since hash() differs between processes.
            random = self._randoms[named] = Random(f"{self.seed} {named}")  # noqa: S311 - a game
        latency_s = random.uniform(*HEALTHY_S)
        happening, offset_s = OK, at - self.scenario.start_at
        owner, _, name = named.partition(".")
        is_endpoint = name == TOKEN_ENDPOINT
        for entry in self._entries_at(f"{owner}.{LOGIN}" if is_endpoint else named):
            if entry.window.is_active(offset_s) and random.random() < entry.share:
                happening = entry.fault
        if is_endpoint and not self._is_before_user(owner, happening, offset_s):
            happening = OK
        return _with_latency(happening, latency_s)

    def _is_before_user(self, tenant: str, happening: InjectedFault, offset_s: float) -> bool:
        """Tell whether a login's fault happens before the token endpoint looks for a user."""
        has_m2m = any(each.name == tenant and each.m2m for each in self.scenario.tenants)
        if not happening.is_before_user or happening.kind in NETWORK_KINDS or not has_m2m:
            return happening.is_before_user
        machine = self._entries_at(f"{tenant}.{M2M}")
        return any(e.fault.is_before_user for e in machine if e.window.is_active(offset_s))

    def are_names_found(self, at: float) -> bool | None:
        """Tell whether names outside Auth0 are found, as the neutral hosts say; None: no such host.

        No cache has them, so it is drawn anew, apart from the requests to those hosts.
        """
        hosts = [f"{CONTROL}.{name}" for name in self.scenario.controls]
        if not hosts:
            return None
        random = self._randoms.setdefault("names", Random(f"{self.seed} names"))  # noqa: S311
        offset_s = at - self.scenario.start_at
        return not any(
            entry.fault.kind == "dns"
            and entry.fault.word != "nxdomain"
            and entry.window.is_active(offset_s)
            and random.random() < entry.share
            for host in hosts
            for entry in self._entries_at(host)
        )

    def draw_arrived_request(self, target: Target | str, at: float) -> RequestOutcome:
        """Draw for a request that has reached its server: faults of the network are left out.

        It draws until one fits, so every other fault keeps its share of all requests.
        """
        for _ in range(_DRAWS):
            drawn = self.draw_request(target, at)
            if drawn.fault.kind not in NETWORK_KINDS:
                return drawn
        return RequestOutcome(OK, drawn.latency_s)

    def pauses(self) -> list[tuple[float, float]]:
        """Return the intervals in which the bot's process does not run."""
        runs: list[tuple[float, float]] = []
        for since, until in pairwise(self._edges_of_bot()):
            # In the middle: at the edges themselves rounding decides.
            if self._bot_fault((since + until) / 2).kind == "paused":
                joins = runs and runs[-1][1] == since
                runs.append((runs.pop()[0] if joins else since, until))
        return runs

    def clock_offset(self, at: float) -> float:
        """Return by how many seconds the bot's wall clock is wrong."""
        happening = self._bot_fault(at)
        return happening.amount if happening.kind == "clock" else 0.0

    def _bot_fault(self, at: float) -> InjectedFault:
        offset_s = at - self.scenario.start_at
        holding = [e.fault for e in self._entries_at(BOT) if e.window.is_active(offset_s)]
        return holding[-1] if holding else OK

    def _edges_of_bot(self) -> list[float]:
        windows = [entry.window for entry in self._entries_at(BOT)]
        offsets_s = {edge for window in windows for edge in (window.since_s, window.until_s)}
        instants = {self.scenario.start_at + offset_s for offset_s in offsets_s}
        inner = {at for at in instants if self.begin_at < at < self.end_at}
        return sorted({self.begin_at, self.end_at, *inner})

    def _entries_at(self, named: str) -> list[FaultEntry]:
        if named not in self._entries:
            place = FEED if named.startswith(f"{FEED}.") else named
            self._entries[named] = [
                entry
                for entry in self.scenario.timeline
                if any(_matches(target, place) for target in entry.targets)
            ]
        return self._entries[named]


def _matches(target: str, place: str) -> bool:
    """Tell whether a target matches a place; `*` stands for any one name."""
    wanted, named = target.split("."), place.split(".")
    return len(wanted) == len(named) and all(
        want in (ANY, name) for want, name in zip(wanted, named, strict=True)
    )


def _with_latency(happening: InjectedFault, latency_s: float) -> RequestOutcome:
    """Replace the healthy latency with that of the fault, if it has one."""
    if happening.kind == "latency":
        latency_s = happening.amount
    elif happening.http and happening.http.latency_s is not None:
        latency_s = happening.http.latency_s
    return RequestOutcome(happening, latency_s)
