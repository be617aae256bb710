"""The bot's host, whose wall clock may be wrong. Whoever answers has the true time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.app.clock import SystemClock
from bot.core.model.observation import CONTROL, CUSTOM, M2M, Stage, Target
from bot.probes.result import ProbeFailed
from bot.probes.token import check_proof, check_times
from bot.simulator.prober import VirtualProber

if TYPE_CHECKING:
    from typing import Any

    from bot.app.clock import ClockWatch
    from bot.config import Settings
    from bot.core.model.observation import Fault, FeedReading, Observation
    from bot.simulator.virtual import VirtualClock, VirtualLoop
    from bot.simulator.world import World

ID_TOKEN_LIFE_S = 36_000.0
ACCESS_TOKEN_LIFE_S = 86_400.0
"""Auth0's defaults (Token Lifetimes, read 2026-11)."""
ANSWERED = frozenset({Stage.HTTP, Stage.OAUTH, Stage.TOKEN, Stage.PROOF})
"""What fails in one of these stages has sent an answer, with a `Date`."""


def build_bot_clock(loop: VirtualLoop, clock: VirtualClock, world: World) -> SystemClock:
    """Build the clock that the bot really has, over a wall clock that the scenario steps."""

    def wall_time() -> float:
        return clock.now() + world.clock_offset(clock.now())

    return SystemClock(wall_time=wall_time, monotonic=loop.time)


class HostProber(VirtualProber):
    """Checks tokens by the bot's clock, and shows the watch of that clock what others' say.

    Args:
        settings: the logins, for the proofs in their tokens.
        world: what happens.
        clock: the true time.
        bot_clock: the bot's.
        clock_watch: compares it with the time of those who answer.
        given: what `VirtualProber` takes besides.
    """

    def __init__(
        self,
        settings: Settings,
        world: World,
        clock: VirtualClock,
        bot_clock: SystemClock,
        clock_watch: ClockWatch,
        **given: Any,
    ) -> None:
        super().__init__(world, clock, bot_clock=bot_clock, **given)
        self._clock_watch = clock_watch
        self._logins = {
            Target(tenant.name, name): login
            for tenant in settings.tenants
            for name, login in (
                *((login.name, login) for login in tenant.logins),
                (CUSTOM, tenant.logins[0]),
            )
        }

    async def probe(self, target: Target) -> Observation:
        """Probe a target."""
        observation = await super().probe(target)
        self._note_date(target, observation.fault)
        return observation

    async def poll_feed(self, target: Target) -> FeedReading:
        """Poll a status feed."""
        reading = await super().poll_feed(target)
        self._note_date(target, reading.fault)
        return reading

    def _note_date(self, target: Target, fault: Fault | None) -> None:
        if fault is None or fault.stage in ANSWERED:
            host = target.name if target.owner == CONTROL else target.owner
            self._clock_watch.note_offset(host, self._clock.now() - self._bot_clock.now())

    def _find_token_fault(self, target: Target) -> Fault | None:
        """Check the times of a token that was made just now; some answers bring none."""
        made_at, now = self._clock.now(), self._bot_clock.now()
        if target.owner == CONTROL:
            return None
        life_s = ACCESS_TOKEN_LIFE_S if target.name == M2M else ID_TOKEN_LIFE_S
        login = self._logins.get(target)
        try:
            check_times({"iat": made_at, "exp": made_at + life_s}, now)
            if login and login.proof_claim:
                proof = {login.proof_claim: made_at}
                check_proof(proof, login.proof_claim, max_age_s=login.proof_max_age, now=now)
        except ProbeFailed as failed:
            return failed.fault
        return None
