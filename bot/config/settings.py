"""Every setting with its unit, its default and where that default comes from."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN = re.compile(r"(-?\d+(?:\.\d+)?)(ms|s|m|h|d)")


def seconds(value: object) -> float:
    """Read a span such as `90s`, `12m`, `1.5h`, `-10m` or `900ms`.

    Raises ValueError, naming the units, for anything else; a bare number has no unit.
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    match = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is no span of time: write a number and ms, s, m, h or d")
    return float(match[1]) * UNITS_S[match[2]]


def _span(value: object) -> object:
    return (
        value if isinstance(value, int | float) and not isinstance(value, bool) else seconds(value)
    )


Span = Annotated[float, BeforeValidator(_span)]
"""A span in seconds; written `60s`, `10m`, … in YAML."""
Interval = Annotated[Span, Field(ge=1, le=86400)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,39}$")]
HostName = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,252})$")]


class Section(BaseModel):
    """A part of the configuration. Unknown keys are errors; values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Login(Section):
    """One synthetic user that logs in at one application."""

    name: Name = "login"
    client_id: str
    client_secret: SecretStr | None = None
    username: str
    password: SecretStr
    realm: str | None = None
    """The connection. With it the `password-realm` grant is used, without it `password`."""
    audience: str | None = None
    scope: str = "openid"
    token_path: str = "/oauth/token"  # noqa: S105 - a path
    issuer: str | None = None
    """Expected `iss`; default: `https://` + the domain that was called + `/`."""
    expect_id_token: bool = True
    proof_claim: str | None = None
    """A claim that the tenant's post-login Action sets: the time at which it ran."""
    proof_max_age: Span = 300.0


class ProbeSettings(Section):
    """How a tenant is probed."""

    every: Interval = 60.0
    """Auth0 recommends one minute (Monitor Applications, read 2026-11)."""
    timeout: Interval = 10.0
    """For one whole request."""
    confirm_every: Interval = 5.0
    """Between repeats after a first failure."""


class Thresholds(Section):
    """When a signal fires and when it is over. Measured: docs/operation.md."""

    fail_count: int = Field(default=5, ge=1, le=100)
    """Failures among the last `window` tries that make a signal fire."""
    window: int = Field(default=20, ge=1, le=100)
    recover_count: int = Field(default=3, ge=1, le=100)
    """Successes in a row that end it."""
    recover_for: Span = 600.0
    """A new failure within this span after the end opens the same incident again."""
    mention_after: Span = 120.0
    """People are mentioned when it has lasted this long, or a second signal agrees."""


class Tenant(Section):
    """One Auth0 tenant."""

    name: Name
    domain: HostName
    """The canonical domain, such as `acme.us.auth0.com`."""
    custom_domain: HostName | None = None
    environment: str | None = None
    """As the status page names it: US-1, EU-1, …; it cannot be derived from the domain."""
    base_url: str | None = None
    """Where to send requests instead of `https://` + domain (tests, labs)."""
    ca_file: str | None = None
    feed_url: SecretStr | None = None
    """Status feed; a Private Cloud feed's address carries a token."""
    runbook: str | None = None
    thresholds: Thresholds | None = None
    probe: ProbeSettings = ProbeSettings()
    logins: tuple[Login, ...] = Field(min_length=1)


class Slack(Section):
    """The workspace and the channel."""

    bot_token: SecretStr
    app_token: SecretStr | None = None
    signing_secret: SecretStr | None = None
    mode: Literal["socket", "http"] = "socket"
    channel: str
    mention: str | None = None
    """Who is mentioned in a grave alert: `@here`, `U…`, `S…` (user group); several with commas."""
    api_url: str = "https://slack.com/api/"


class Feed(Section):
    """The status feeds."""

    every: Interval = 60.0


class Server(Section):
    """The bot's own listeners, `host:port`."""

    listen: str | None = None
    """Public: `/slack/events`. Off unless set."""
    admin_listen: str = "127.0.0.1:8470"
    """Health and metrics."""


class Settings(Section):
    """The whole configuration file."""

    slack: Slack
    tenants: tuple[Tenant, ...] = Field(min_length=1)
    thresholds: Thresholds = Thresholds()
    feed: Feed = Feed()
    controls: tuple[str, ...] = ("https://slack.com/api/api.test",)
    """Neutral hosts: they tell our own network from Auth0. Not behind Auth0's edge vendor."""
    resolve: dict[str, str] = Field(default_factory=dict)
    """Host name -> `address:port`, instead of DNS (tests, labs); SNI and issuer stay true."""
    database: str = "auth0-check.sqlite"
    server: Server = Server()
    status_link: str = "https://status.auth0.com"
    """Where the Check Auth0 Status button leads."""

    def thresholds_of(self, tenant: Tenant) -> Thresholds:
        """Return a tenant's own thresholds where it has some, else those of all."""
        return tenant.thresholds or self.thresholds
