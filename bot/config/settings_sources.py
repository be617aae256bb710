"""Settings for real-user data: sources that the bot polls, and webhooks that it receives."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bot.config import value_types as types


class Prometheus(types.Section):
    """A server with Prometheus' query API."""

    url: types.BaseAddress
    """Its address, up to where `/api/v1/query` follows."""
    token: types.Token | None = None
    """Sent as `Authorization: Bearer`."""
    username: types.Text | None = None
    """With `password`, instead of `token`: basic authentication."""
    password: types.Secret | None = None
    """Of `username`."""
    headers: dict[types.HeaderName, types.Token] = Field(default_factory=dict)
    """Sent with each query, such as `X-Scope-OrgID` for one tenant of Mimir or Cortex."""
    ca_file: types.CaFile | None = None
    """Trusted instead of the system's certificate authorities."""
    every: types.Interval = 30.0
    """Time between two queries, such as between two scrapes."""
    timeout: types.Interval = 10.0
    """For one whole request."""


class Sentry(types.Section):
    """The Sentry organization whose events are counted."""

    url: types.BaseAddress = "https://sentry.io"
    """An organization in the EU has https://de.sentry.io."""
    organization: types.Slug
    """As in the address of its pages: `acme` of https://acme.sentry.io."""
    token: types.Token
    """An auth token with the scopes org:read, project:read and event:read."""
    ca_file: types.CaFile | None = None
    """Trusted instead of the system's certificate authorities."""
    every: types.Interval = 60.0
    """Time between two counts."""


class SentryWebhook(types.Section):
    """Alerts of Sentry, at /hooks/sentry."""

    client_secret: types.WebhookSecret
    """Of the internal integration: it signs what Sentry sends."""
    tenant: types.Name | None = None
    """The tenant of messages that name none; default: the only tenant."""


class PingdomWebhook(types.Section):
    """Checks of Pingdom. It cannot sign, so its alerts only make the bot check sooner."""

    path_secret: types.PathSecret
    """Long and random: the end of the URL that Pingdom calls."""
    tenant: types.Name | None = None
    """The tenant of checks whose host is no tenant's."""


class TokenWebhook(types.Section):
    """A webhook whose sender can send a header."""

    token: types.WebhookSecret
    """Long and random; sent as `Authorization: Bearer`."""
    tenant: types.Name | None = None
    """The tenant of messages that name none; default: the only tenant."""


class Webhooks(types.Section):
    """The webhooks at `server.listen`. Each is off unless it is here."""

    sentry: SentryWebhook | None = None
    """Alerts of Sentry."""
    alertmanager: TokenWebhook | None = None
    """Alerts of Alertmanager or Grafana."""
    pingdom: PingdomWebhook | None = None
    """Checks of Pingdom."""
    report: TokenWebhook | None = None
    """A section with token: applications report their failed and all calls."""
    change: TokenWebhook | None = None
    """Deploys and other changes of your own."""
    link_hosts: tuple[types.HostName, ...] = ()
    """Hosts of your own that alerts may link to, such as grafana.acme.example. Links to other hosts
    than these and those of the sources are left out."""


class Metric(types.Section):
    """One application's calls to Auth0. Without preset and expressions, the application reports."""

    name: types.SignalName
    """A short name of your own for the application."""
    preset: Literal["otel"] | None = None
    """Ready expressions for OpenTelemetry's `http.client.request.duration`."""
    match: types.Text | None = None
    """More label matchers for the preset."""
    failed: types.Expression | None = None
    """Failed calls within `$window`, without users' mistakes. Series are added up."""
    all: types.Expression | None = None
    """All calls within `$window`. No series is no data, not 0."""
    window: types.Interval = 120.0
    """What `$window` stands for. Let it hold four scrapes or more."""
    share: types.Percent = 0.05
    """The share of failed calls that is too high, if it is far above the baseline."""
    min_requests: int = Field(default=20, ge=1)
    """In one window; fewer prove nothing."""


class Errors(types.Section):
    """One query for events in Sentry."""

    name: types.SignalName
    """A short name of your own for the query."""
    project: types.ProjectId
    """The project's number: `project=` in the address of its pages."""
    query: types.Text
    """Finds the events, as in Sentry's own search. Best is a tag: `dependency:auth0`."""
    environment: types.Text | None = None
    """Sentry's environment; default: all."""
    window: types.Interval = 120.0
    """Events within this time are counted."""
    events: int = Field(default=10, ge=1)
    """Events a minute that are too many …"""
    times: int = Field(default=4, ge=1)
    """… if they are also this many times the baseline."""


class Logs(types.Section):
    """A tenant's log: read with the Management API, or sent by a log stream."""

    client_id: types.Text | None = None
    """Of an application with the permission read:logs of the Auth0 Management API."""
    client_secret: types.Secret | None = None
    """Of the same application."""
    stream_token: types.WebhookSecret | None = None
    """Instead of both: the Authorization value of a log stream to /hooks/auth0/TENANT."""
    every: types.Interval = 30.0
    """Time between two polls."""
    share: types.Percent = 0.1
    """The share of failed logins that is too high, if it is far above the baseline."""
    min_rows: int = Field(default=20, ge=1)
    """In two minutes; fewer prove nothing."""
    missing: types.Percent = 0.5
    """The share of the usual successful logins whose absence is too much."""
