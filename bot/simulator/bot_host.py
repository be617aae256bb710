"""The bot's host, whose wall clock may be wrong. Whoever answers has the true time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.app.clock import SystemClock
from bot.app.prober import clock_step_reason, reject_if_clock_stepped
from bot.core.model.measurement import Measurement
from bot.core.model.observation import CONTROL, CUSTOM, M2M, Target
from bot.probes.result import ProbeFailed
from bot.probes.token import check_proof, check_times
from bot.simulator.prober import VirtualProber

if TYPE_CHECKING:
    from typing import Any

    from bot.config import Settings
    from bot.core.model.observation import Fault, Observation
    from bot.simulator.virtual import VirtualClock, VirtualLoop
    from bot.simulator.world import World

ID_TOKEN_LIFE_S = 36_000.0
ACCESS_TOKEN_LIFE_S = 86_400.0
"""Auth0's defaults (Token Lifetimes, read 2026-11)."""


def build_bot_clock(loop: VirtualLoop, clock: VirtualClock, world: World) -> SystemClock:
    """Build the clock that the bot really has, over a wall clock that the scenario steps."""

    def wall_time() -> float:
        return clock.now() + world.clock_offset(clock.now())

    return SystemClock(wall_time=wall_time, monotonic=loop.time)


class HostProber(VirtualProber):
    """Checks tokens, and judges results, by the clock of the bot's host, as the live prober does.

    Args:
        settings: the logins, for the proofs in their tokens.
        world: what happens.
        clock: the true time.
        bot_clock: the host's.
        given: what `VirtualProber` takes besides.
    """

    def __init__(
        self,
        settings: Settings,
        world: World,
        clock: VirtualClock,
        bot_clock: SystemClock,
        **given: Any,
    ) -> None:
        super().__init__(world, clock, bot_clock=bot_clock, **given)
        self._host_clock = bot_clock
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
        step_s = self._host_clock.wall_clock_step_s
        return reject_if_clock_stepped(await super().probe(target), step_s())

    async def measure(self, target: Target) -> Measurement:
        """Query a source."""
        measurement = await super().measure(target)
        reason = clock_step_reason(self._host_clock.wall_clock_step_s())
        return Measurement(target, measurement.at, no_data_reason=reason) if reason else measurement

    def _find_token_fault(self, target: Target) -> Fault | None:
        """Check the times of a token that was made just now; some answers bring none."""
        made_at, now = self._clock.now(), self._host_clock.now()
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
