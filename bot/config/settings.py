"""Every setting with its unit, its default and the source of the default.

The docstrings are what people read: `make reference` writes docs/configuration.md from them.
"""

from __future__ import annotations

import hmac
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

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
    """A test user who logs in to one application."""

    name: types.SignalName = "login"
    """A short name of your own; needed if a tenant has several logins."""
    client_id: types.Text
    """The Client ID: Auth0 Dashboard > Applications > the probe's application > Settings."""
    client_secret: types.Secret | None = None
    """If the application has one."""
    username: types.Text
    """The test user's user name or e-mail address."""
    password: types.Secret
    """The test user's password."""
    realm: types.Text | None = None
    """The connection. Without it, a tenant without a Default Directory answers 500."""
    audience: types.Text | None = None
    """The API of the access token. Without it the access token is opaque and is not verified."""
    organization: types.Text | None = None
    """The id (`org_…`) or name of the organization that the user logs in to."""
    scope: types.Text = "openid"
    """What is asked for: by default the least that gives an id token."""
    token_path: types.UrlPath = "/oauth/token"  # noqa: S105 - a path
    """Path of the token endpoint."""
    issuer: types.Text | None = None
    """Expected `iss`; default: `https://` + the domain of the request + `/`."""
    expect_id_token: bool = True
    """Whether an answer without an id token is a failure."""
    proof_claim: types.Text | None = None
    """A claim that the tenant's post-login Action sets: the time at which it ran."""
    proof_max_age: types.Span = 300.0
    """How old that time may be. It allows for clocks that differ."""


class M2m(types.Section):
    """An application that gets a token for itself: a second check, without a user."""

    client_id: types.Text
    """Of an application of the type Machine to Machine: Auth0 Dashboard > Applications."""
    client_secret: types.Secret
    """Of the same application."""
    audience: types.Text | None = None
    """Default: the tenant's Management API, `https://` + domain + `/api/v2/`."""
    token_path: types.UrlPath = "/oauth/token"  # noqa: S105 - a path
    """Path of the token endpoint."""


class ProbeSettings(types.Section):
    """How a tenant is probed."""

    every: types.Interval = 60.0
    """Between two logins while all is well. Auth0 recommends a minute (Monitor Applications)."""
    timeout: types.Interval = 10.0
    """For one whole request. A login that takes longer is down for a user."""
    confirm_every: types.Interval = 5.0
    """Between repeated checks after a first failure. Measured: an alert after 51 s on average."""
    light_every: types.Interval | None = 15.0
    """Between two requests to the token endpoint that it must refuse, and logins; null: none. The
    first that fails starts the repeated logins. None either with more than 600 tenants or so."""


class Thresholds(types.Section):
    """When a signal starts and stops firing. A tenant's own section may name some of the keys."""

    fail_count: int = Field(default=5, ge=1, le=100)
    """Failures among the last `window` checks that make a signal fire. Measured: at 1 % noise one
    false alert in 50 months."""
    window: int = Field(default=20, ge=1, le=100, validate_default=True)
    """At least `fail_count`. Measured: an outage of 20 % of the logins shows in 7 minutes."""
    recover_count: int = Field(default=3, ge=1, le=100)
    """Successes in a row after which the signal no longer fires."""
    recover_for: types.Span = 600.0
    """A failure within this time after the end opens the same incident again."""
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
    """The same login is tried there, too."""
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
    """Adds a button to the tenant's alerts."""
    calls: CallsWhen = CallsWhen.ALWAYS
    """When its incidents may call people: always, never, or hours (those of oncall.hours)."""
    thresholds: Thresholds | None = None
    """Complete: what a tenant leaves out comes from the common thresholds."""
    probe: ProbeSettings = ProbeSettings()
    """How often it is probed, and for how long."""
    logins: tuple[Login, ...] = Field(min_length=1)
    """A list of at least one test user."""
    m2m: M2m | None = None
    """A machine token, as a second check. One in five minutes: 8,640 a month."""
    metrics: tuple[Metric, ...] = ()
    """Applications' calls to Auth0, as they count them: docs/prometheus.md."""
    errors: tuple[Errors, ...] = ()
    """Events in Sentry: docs/sentry.md."""
    logs: Logs | None = None
    """The tenant's own log: docs/auth0-logs.md."""

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains where users log in, the canonical domain first."""
        return tuple(filter(None, (self.domain, self.custom_domain)))

    @property
    def own_clients(self) -> frozenset[str]:
        """The applications whose log rows the bot's own probes cause."""
        machine = (self.m2m,) if self.m2m else ()
        return frozenset(each.client_id for each in (*self.logins, *machine))


class Proxies(types.Section):
    """HTTP proxies, by what is sent through them. Without one the bot connects directly."""

    probes: types.Proxy | None = None
    """Logins, discovery and keys, machine tokens and `controls`."""
    sources: types.Proxy | None = None
    """The status feeds, the tenants' logs, Sentry and the on-call calendar."""
    prometheus: types.Proxy | None = None
    """Queries to Prometheus, which mostly is inside your network."""
    slack: types.Proxy | None = None
    """Slack's Web API and Socket Mode."""
    notify: types.Proxy | None = None
    """PagerDuty and `ping_url`. Apprise has no such setting: it reads HTTPS_PROXY."""


class SeverityChannels(types.Section):
    """Channels for alerts of one severity."""

    critical: types.Channel | None = None
    """Where critical alerts go."""
    warning: types.Channel | None = None
    """Where warnings go."""
    info: types.Channel | None = None
    """What calls nobody: a source without data, a time in which the bot could not check."""


class Slack(types.Section):
    """The workspace and the channel."""

    bot_token: types.BotToken
    """The Bot User OAuth Token (xoxb-…): api.slack.com/apps > your app > OAuth & Permissions."""
    mode: Literal["socket", "http"] = "socket"
    """How Slack reaches the bot. Socket Mode needs no public address."""
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
    broadcast: bool = True
    """Whether a reply that calls people is shown in the channel, too, and not in its thread alone.
    `@here` and user groups always get a message of the channel: replies may not notify them."""
    alerts_page: types.Link | None = None
    """Where your team reads docs/alerts.md: each message links to the section of its cause."""
    api_url: types.FolderAddress = "https://slack.com/api/"
    """For tests and labs."""
    ca_file: types.CaFile | None = None
    """Trusted instead of the system's certificate authorities, such as for a proxy that inspects
    TLS."""


class Feed(types.Section):
    """Auth0's status feeds."""

    every: types.Interval = 60.0
    """Time between two polls."""


class Report(types.Section):
    """A regular report on the last day or week, posted to the channel."""

    every: Recurrence
    """'Mon 09:00' for a weekly report, '09:00' for a daily one."""
    zone: Zone = "UTC"
    """Whose clocks count, such as Europe/Berlin."""


class Server(types.Section):
    """The bot's own listeners, `host:port`."""

    listen: types.Listen | None = None
    """Public, for `/slack/events`, `/hooks` and `/status.json`, such as 0.0.0.0:3000. Off unless
    set."""
    status_token: types.WebhookSecret | None = None
    """What applications send to get `/status.json`, which is off unless this is set."""
    admin_listen: types.Listen = "127.0.0.1:8470"
    """Health and metrics. On loopback nobody else can reach it."""


class Settings(types.Section):
    """The whole configuration file."""

    slack: Slack
    """The section with bot_token, app_token and channel."""
    thresholds: Thresholds = Thresholds()
    """When a signal fires, for all tenants."""
    tenants: tuple[Tenant, ...] = Field(min_length=1)
    """A list of at least one Auth0 tenant."""
    feed: Feed = Feed()
    """How often Auth0's status feeds are read."""
    prometheus: Prometheus | None = None
    """A section with url and, where the server asks for one, token."""
    sentry: Sentry | None = None
    """A section with organization and token."""
    hooks: Webhooks = Webhooks()
    """What others push: docs/webhooks.md."""
    oncall: OnCall | None = None
    """A section with rotation, group or calendar."""
    escalation: Escalation = Escalation()
    """Who is called while nobody acknowledges: docs/paging.md."""
    acknowledge: Acknowledgements = Acknowledgements()
    """How long an acknowledgement holds."""
    notify: tuple[ContactPoint, ...] = ()
    """Contact points beyond Slack."""
    maintenance: tuple[Maintenance, ...] = ()
    """Times in which you work on tenants yourselves: nobody is called."""
    access: Access = Access()
    """Who may do what in Slack."""
    report: Report | None = None
    """A section with every."""
    controls: tuple[types.Address, ...] = ("https://slack.com/api/api.test",)
    """Control endpoints: if they fail too, it is our own network. Not at Auth0's edge vendor."""
    resolve: dict[types.HostName, types.AddressPort] = Field(default_factory=dict)
    """Host name -> `address:port`, instead of DNS (tests, labs); SNI and issuer do not change."""
    address_family: Literal["any", "ipv4", "ipv6"] = "any"
    """By which addresses the bot reaches Auth0, Slack and all sources; `any`: as DNS orders them.
    Apprise takes any."""
    proxy: Proxies = Proxies()
    """HTTP proxies that requests go through: docs/deploy.md."""
    database: types.Database = "auth0-check.sqlite"
    """The file with the bot's state, relative to the working directory; or `postgresql://…`:
    docs/several-machines.md."""
    ping_url: types.SecretAddress | None = None
    """Requested (GET) after each full cycle of checks, so that another service misses the bot."""
    server: Server = Server()
    """The bot's own listeners."""
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

    @property
    def database_address(self) -> str:
        """The database as it was written, with its password."""
        database = self.database
        return database.get_secret_value() if isinstance(database, SecretStr) else database

    def secrets(self) -> frozenset[str]:
        """Return the value of every secret, for the filter that removes them from all output."""
        return frozenset(secrets_in(self))


def secrets_in(value: object) -> Iterator[str]:
    """Yield the value of every secret in a section, however deep."""
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
        with suppress(ValueError):  # the password in an address alone is one, too
            if password := urlsplit(value.get_secret_value()).password:
                yield unquote(password)
    elif isinstance(value, BaseModel):
        for _, child in value:
            yield from secrets_in(child)
    elif isinstance(value, tuple):
        for child in value:
            yield from secrets_in(child)
