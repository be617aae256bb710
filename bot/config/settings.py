"""Every setting with its unit, its default and the source of the default.

`docs/configuration.md` describes the same for users; a test compares the two.
"""

from __future__ import annotations

import hmac
import json
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, SecretStr, ValidationInfo, field_validator, model_validator

from bot.config import value_types as types
from bot.config.settings_oncall import (
    Access,
    Acknowledgements,
    ContactPoint,
    Escalation,
    Maintenance,
    OnCall,
    Recurrence,
    Zone,
)
from bot.config.settings_sources import Errors, Logs, Metric, Prometheus, Sentry, Webhooks
from bot.core.oncall import CallsWhen

if TYPE_CHECKING:
    from collections.abc import Iterator


class Login(types.Section):
    """A synthetic user who logs in to one application."""

    name: types.SignalName = "login"
    client_id: types.Text
    """The Client ID: Auth0 Dashboard > Applications > the probe's application > Settings."""
    client_secret: types.Secret | None = None
    username: types.Text
    """The synthetic user's user name or e-mail address."""
    password: types.Secret
    """The synthetic user's password."""
    realm: types.Text | None = None
    """The connection. With it the `password-realm` grant is used, without it `password`."""
    audience: types.Text | None = None
    scope: types.Text = "openid"
    token_path: types.UrlPath = "/oauth/token"  # noqa: S105 - a path
    issuer: types.Text | None = None
    """Expected `iss`; default: `https://` + the domain of the request + `/`."""
    expect_id_token: bool = True
    proof_claim: types.Text | None = None
    """A claim that the tenant's post-login Action sets: the time at which it ran."""
    proof_max_age: types.Span = 300.0


class M2m(types.Section):
    """An application that gets a token for itself: a second check, without a user."""

    client_id: types.Text
    """Of an application of the type Machine to Machine: Auth0 Dashboard > Applications."""
    client_secret: types.Secret
    """Of the same application."""
    audience: types.Text | None = None
    """Default: the tenant's Management API, `https://` + domain + `/api/v2/`."""
    token_path: types.UrlPath = "/oauth/token"  # noqa: S105 - a path


class ProbeSettings(types.Section):
    """How a tenant is probed."""

    every: types.Interval = 60.0
    """Auth0 recommends one minute (Monitor Applications, read 2026-11)."""
    timeout: types.Interval = 10.0
    """For one whole request."""
    confirm_every: types.Interval = 5.0
    """Time between repeated checks after a first failure."""


class Thresholds(types.Section):
    """When a signal starts and stops firing. Measured: docs/operation.md."""

    fail_count: int = Field(default=5, ge=1, le=100)
    """Failures among the last `window` checks that make a signal fire."""
    window: int = Field(default=20, ge=1, le=100, validate_default=True)
    recover_count: int = Field(default=3, ge=1, le=100)
    """Successes in a row after which the signal no longer fires."""
    recover_for: types.Span = 600.0
    """A failure within this time after the end reopens the same incident."""
    mention_after: types.Span = 120.0
    """People are mentioned when it has lasted this long, or when a second signal fires."""

    @field_validator("window")
    @classmethod
    def _check_window(cls, window: int, info: ValidationInfo) -> int:
        if window < info.data.get("fail_count", 0):
            raise ValueError("is smaller than fail_count: no signal could ever fire")
        return window


class Tenant(types.Section):
    """One Auth0 tenant."""

    name: types.TenantName
    """A short name of your own for this tenant."""
    domain: types.Domain
    """The canonical domain, such as `acme.us.auth0.com`."""
    custom_domain: types.Domain | None = None
    environment: types.Text | None = None
    """Its name on the status page: US-1, EU-1, …; it cannot be derived from the domain."""
    base_url: types.BaseAddress | None = None
    """Where to send requests instead of `https://` + domain (tests, labs)."""
    ca_file: types.CaFile | None = None
    """Trusted instead of the system's certificate authorities."""
    feed_url: types.SecretAddress | None = None
    """The status feed; a Private Cloud feed's address contains a token."""
    channel: types.Channel | None = None
    """Where this tenant's alerts go, of any severity."""
    runbook: types.Link | None = None
    calls: CallsWhen = CallsWhen.ALWAYS
    """When its incidents may call people: always, never, or hours (those of oncall.hours)."""
    thresholds: Thresholds | None = None
    """Complete: what a tenant leaves out comes from the common thresholds."""
    probe: ProbeSettings = ProbeSettings()
    logins: tuple[Login, ...] = Field(min_length=1)
    """A list of at least one synthetic user."""
    m2m: M2m | None = None

    metrics: tuple[Metric, ...] = ()
    errors: tuple[Errors, ...] = ()
    logs: Logs | None = None

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains where users log in, the canonical domain first."""
        return tuple(filter(None, (self.domain, self.custom_domain)))

    @property
    def own_clients(self) -> frozenset[str]:
        """The applications whose log rows the bot's own probes cause."""
        machine = (self.m2m,) if self.m2m else ()
        return frozenset(each.client_id for each in (*self.logins, *machine))


class SeverityChannels(types.Section):
    """Channels for alerts of one severity."""

    critical: types.Channel | None = None
    warning: types.Channel | None = None
    info: types.Channel | None = None


class Slack(types.Section):
    """The workspace and the channel."""

    bot_token: types.BotToken
    """The Bot User OAuth Token (xoxb-…): api.slack.com/apps > your app > OAuth & Permissions."""
    mode: Literal["socket", "http"] = "socket"
    app_token: types.AppToken | None = None
    """Begins with xapp-: the app's page > Basic Information > App-Level Tokens."""
    signing_secret: types.Secret | None = None
    """The app's page > Basic Information > Signing Secret."""
    channel: types.Channel
    """Where alerts go: a channel's id (C…) or '#name', in quotes."""
    channels: SeverityChannels = SeverityChannels()
    """Where alerts go instead, by severity."""
    mention: types.Mention | None = None
    """Who is mentioned in a critical alert: `@here`, `U…`, `S…` (user group), with commas."""
    alerts_page: types.Link | None = None
    """Where your team reads docs/alerts.md: each message links to the section of its cause."""
    api_url: types.FolderAddress = "https://slack.com/api/"


class Feed(types.Section):
    """The status feeds."""

    every: types.Interval = 60.0


class Report(types.Section):
    """A regular report on the last day or week, posted to the channel."""

    every: Recurrence
    """'Mon 09:00' for a weekly report, '09:00' for a daily one."""
    zone: Zone = "UTC"


class Server(types.Section):
    """The bot's own listeners, `host:port`."""

    listen: types.Listen | None = None
    """Public, for `/slack/events`, `/hooks` and `/status.json`, such as 0.0.0.0:3000. Off unless
    set."""
    status_token: types.WebhookSecret | None = None
    """What applications send to get `/status.json`, which is off unless this is set."""
    admin_listen: types.Listen = "127.0.0.1:8470"
    """Health and metrics."""


class Settings(types.Section):
    """The whole configuration file."""

    slack: Slack
    """The section with bot_token, app_token and channel."""
    thresholds: Thresholds = Thresholds()
    tenants: tuple[Tenant, ...] = Field(min_length=1)
    """A list of at least one Auth0 tenant."""
    feed: Feed = Feed()
    prometheus: Prometheus | None = None
    """A section with url and, where the server asks for one, token."""
    sentry: Sentry | None = None
    """A section with organization and token."""
    hooks: Webhooks = Webhooks()
    oncall: OnCall | None = None
    """A section with rotation, group or calendar."""
    escalation: Escalation = Escalation()
    acknowledge: Acknowledgements = Acknowledgements()
    notify: tuple[ContactPoint, ...] = ()
    maintenance: tuple[Maintenance, ...] = ()
    access: Access = Access()
    report: Report | None = None
    """A section with every."""
    controls: tuple[types.Address, ...] = ("https://slack.com/api/api.test",)
    """Control endpoints: if they fail too, it is our own network. Not at Auth0's edge vendor."""
    resolve: dict[types.HostName, types.AddressPort] = Field(default_factory=dict)
    """Host name -> `address:port`, instead of DNS (tests, labs); SNI and issuer do not change."""
    database: types.Text = "auth0-check.sqlite"
    ping_url: types.SecretAddress | None = None
    """Asked for after each full cycle of checks, so that a service elsewhere misses the bot."""
    server: Server = Server()
    status_link: types.Link = "https://status.auth0.com"
    """Where the Check Auth0 Status button links to."""

    @model_validator(mode="before")
    @classmethod
    def _inherit_thresholds(cls, values: Any) -> Any:
        """Add the common thresholds to each tenant's own. What is malformed stays as it is."""
        if not isinstance(values, dict) or not isinstance(values.get("tenants"), list | tuple):
            return values
        common, tenants = values.get("thresholds"), list(values["tenants"])
        for index, tenant in enumerate(tenants):
            own = tenant.get("thresholds") if isinstance(tenant, dict) else None
            if isinstance(own, dict) and isinstance(common, dict):
                tenants[index] = {**tenant, "thresholds": {**common, **own}}
        return {**values, "tenants": tenants}

    def thresholds_of(self, tenant: Tenant) -> Thresholds:
        """Return a tenant's own thresholds if it has any, else the common ones."""
        return tenant.thresholds or self.thresholds

    def slack_channels(self) -> dict[str, str]:
        """Return every channel that the bot posts to, each with the setting that names it."""
        by_severity = ((f"slack.channels.{name}", each) for name, each in self.slack.channels)
        by_tenant = ((f"the channel of tenant {t.name},", t.channel) for t in self.tenants)
        named = {each: setting for setting, each in (*by_tenant, *by_severity) if each}
        return named | {self.slack.channel: "slack.channel / SLACK_CHANNEL"}

    def fingerprint(self, login: Login) -> str:
        """Return 32 hex digits that change whenever any setting of a login does.

        They are stored, so that the bot sees new credentials of a login that it stopped because
        Auth0 refused the old ones. The key is Slack's token, which is not stored: nobody can test
        guessed passwords with the database alone, and 500 logins take 20 ms. With a new token each
        stopped login is tried again once. Defaults are left out: a new setting changes nothing.
        """
        fields = login.model_dump(exclude_defaults=True)
        text = json.dumps(fields, sort_keys=True, default=SecretStr.get_secret_value)
        key = self.slack.bot_token.get_secret_value()
        return hmac.new(key.encode(), b"login " + text.encode(), "sha256").hexdigest()[:32]

    def secrets(self) -> frozenset[str]:
        """Return the value of every secret, for the filter that removes them from all output."""
        return frozenset(secrets_in(self))


def secrets_in(value: object) -> Iterator[str]:
    """Yield the value of every secret in a section, however deep."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, BaseModel):
        for _, child in value:
            yield from secrets_in(child)
    elif isinstance(value, tuple):
        for child in value:
            yield from secrets_in(child)
