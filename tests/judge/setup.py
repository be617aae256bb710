"""What a team watches in a generated world: tenants, control endpoints and sources."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

ENVIRONMENTS = ("US-1", "US-3", "US-4", "EU-1", "EU-2", "AU-1", "JP-1", "UK-1", "CA-1")
COMPANIES = (
    "alder", "birch", "cedar", "dogwood", "elder", "fir", "gorse", "hazel", "ivy", "juniper",
    "larch", "maple", "nettle", "oak", "pine", "quince", "rowan", "spruce", "thuja", "willow",
)  # fmt: skip
APPS = ("web", "shop", "mobile", "portal", "checkout", "intranet", "booking", "billing")
NAMES = ("prod", "second", "third", "fourth")


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant, and what counts its users."""

    name: str
    domain: str
    environment: str
    custom_domain: str = ""
    m2m: bool = False
    logins: float = 0.0
    """Successful logins a minute in its log; 0: no log is configured."""
    apps: dict[str, float] = field(default_factory=dict)
    """Calls a minute that each application counts."""
    tracker: str = ""
    """The error tracker's signal; empty: none."""
    usual_failures: float = 0.01
    """The share of calls that fails on any day."""

    @property
    def logs_in(self) -> list[str]:
        """The places that pass the synthetic user's login."""
        return [f"{self.name}.login", *([f"{self.name}.custom"] if self.custom_domain else [])]

    @property
    def places(self) -> list[str]:
        """All places of the tenant that the bot checks."""
        machine = [f"{self.name}.m2m"] if self.m2m else []
        return [*self.logs_in, f"{self.name}.wellknown", *machine]

    @property
    def is_counted(self) -> bool:
        """Whether any source counts users."""
        return bool(self.apps or self.logins or self.tracker)


@dataclass(frozen=True, slots=True)
class Setup:
    """All that the bot of one world can see."""

    tenants: tuple[Tenant, ...]
    controls: tuple[str, ...]

    def tenant(self, name: str) -> Tenant:
        """Return a tenant by its name."""
        return next(tenant for tenant in self.tenants if tenant.name == name)

    def neighbours(self, tenant: Tenant) -> list[Tenant]:
        """Return the tenants of a tenant's environment, itself first."""
        others = [t for t in self.tenants if t.environment == tenant.environment and t != tenant]
        return [tenant, *others]

    @property
    def control_places(self) -> list[str]:
        """The control endpoints as places of a timeline."""
        return [f"control.{name}" for name in self.controls]

    @property
    def sources(self) -> frozenset[str]:
        """Which kinds of sources are there, for the table of what tells causes apart."""
        environments = [tenant.environment for tenant in self.tenants]
        found = {
            "control endpoint": bool(self.controls),
            "second tenant, same environment": len(set(environments)) < len(environments),
            "tenant in another environment": len(set(environments)) > 1,
            "application metrics": any(t.apps for t in self.tenants),
            "tenant log": any(t.logins for t in self.tenants),
            "error tracker": any(t.tracker for t in self.tenants),
            "machine token": any(t.m2m for t in self.tenants),
            "custom domain": any(t.custom_domain for t in self.tenants),
        }
        return frozenset(name for name, is_there in found.items() if is_there)


def draw_level(random: Random) -> str:
    """Draw how many sources a team has: a quarter have one tenant and hardly anything else."""
    return random.choices(("poor", "plain", "rich"), (25, 35, 40))[0]


def draw_setup(random: Random, level: str) -> Setup:
    """Draw a set of sources."""
    if level == "poor":
        apps = {"web": float(random.choice((20, 60, 200)))} if random.random() < 0.25 else {}
        tenant = Tenant("prod", f"{random.choice(COMPANIES)}.us.auth0.com", "US-1", apps=apps)
        return Setup((tenant,), ("plain1",) if random.random() < 0.5 else ())
    rich = level == "rich"
    company = random.choice(COMPANIES)
    environments = random.sample(ENVIRONMENTS, 3)
    count = random.choice((2, 2, 3, 4)) if rich else random.choice((1, 1, 2, 3))
    tenants = []
    for number, name in enumerate(NAMES[:count]):
        environment = environments[random.choices((0, 1, 2), (60, 30, 10))[0] if number else 0]
        region = environment.split("-")[0].lower()
        tenants.append(_draw_tenant(random, name, f"{company}-{name}.{region}", environment, rich))
    return Setup(
        tuple(tenants), ("plain1", "plain2")[: random.choice((2, 2, 1) if rich else (1, 2, 0))]
    )


def _draw_tenant(random: Random, name: str, host: str, environment: str, rich: bool) -> Tenant:  # noqa: FBT001 - a level
    def chance(of_rich: float, of_plain: float) -> bool:
        return random.random() < (of_rich if rich else of_plain)

    is_main = name in ("prod", "second")
    apps = {}
    if is_main and chance(0.9, 0.55):
        for app in random.sample(APPS, random.choice((1, 1, 2))):
            apps[app] = float(round(10 ** random.uniform(1.3, 2.75)))
    return Tenant(
        name,
        f"{host}.auth0.com",
        environment,
        custom_domain=f"login.{host.replace('.', '-')}.example" if chance(0.35, 0.2) else "",
        m2m=chance(0.45, 0.15),
        logins=float(round(10 ** random.uniform(1.0, 2.2)))
        if is_main and chance(0.6, 0.3)
        else 0.0,
        apps=apps,
        tracker="tracker" if is_main and chance(0.3, 0.15) else "",
        usual_failures=round(random.uniform(0.004, 0.02), 3),
    )
