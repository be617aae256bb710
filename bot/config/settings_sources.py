"""Settings for real-user data: sources that the bot polls, and webhooks that it receives."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from bot.config.value_types import (
    BaseAddress,
    CaFile,
    Expression,
    Interval,
    Name,
    PathSecret,
    Percent,
    ProjectId,
    Secret,
    Section,
    SignalName,
    Slug,
    Text,
    Token,
    WebhookSecret,
)


class Prometheus(Section):
    """A server with Prometheus' query API."""

    url: BaseAddress
    """Its address, up to where `/api/v1/query` follows."""
    token: Token | None = None
    """Sent as `Authorization: Bearer`."""
    username: Text | None = None
    """With `password`, instead of `token`: basic authentication."""
    password: Secret | None = None
    """Of `username`."""
    ca_file: CaFile | None = None
    every: Interval = 30.0
    timeout: Interval = 10.0
    """For one whole request."""


class Sentry(Section):
    """The Sentry organization whose events are counted."""

    url: BaseAddress = "https://sentry.io"
    """An organization in the EU has https://de.sentry.io."""
    organization: Slug
    """As in the address of its pages: `acme` of https://acme.sentry.io."""
    token: Token
    """An auth token with the scopes org:read and event:read."""
    every: Interval = 60.0


class SentryWebhook(Section):
    """Alerts of Sentry, at /hooks/sentry."""

    client_secret: WebhookSecret
    """Of the internal integration: it signs what Sentry sends."""
    tenant: Name | None = None
    """The tenant of messages that name none; default: the only tenant."""


class PingdomWebhook(Section):
    """Checks of Pingdom. It cannot sign, so its alerts only make the bot check sooner."""

    path_secret: PathSecret
    """Long and random: the end of the URL that Pingdom calls."""
    tenant: Name | None = None


class TokenWebhook(Section):
    """A webhook whose sender can send a header."""

    token: WebhookSecret
    """Long and random; sent as `Authorization: Bearer`."""
    tenant: Name | None = None


class Webhooks(Section):
    """The webhooks at `server.listen`. Each is off unless it is here."""

    sentry: SentryWebhook | None = None
    alertmanager: TokenWebhook | None = None
    pingdom: PingdomWebhook | None = None
    report: TokenWebhook | None = None
    """A section with token: applications report their failed and all calls."""
    change: TokenWebhook | None = None
    """Deploys and other changes of your own."""


class Metric(Section):
    """One application's calls to Auth0. Without preset and expressions, the application reports."""

    name: SignalName
    """A short name of your own for the application."""
    preset: Literal["otel"] | None = None
    """Ready expressions for OpenTelemetry's `http.client.request.duration`."""
    match: Text | None = None
    """More label matchers for the preset."""
    failed: Expression | None = None
    """Failed calls within `$window`."""
    all: Expression | None = None
    """All calls within `$window`."""
    window: Interval = 120.0
    share: Percent = 0.05
    """The share of failed calls that is too high, if it is far above the baseline."""
    min_requests: int = Field(default=20, ge=1)
    """In one window; fewer prove nothing."""


class Errors(Section):
    """One query for events in Sentry."""

    name: SignalName
    """A short name of your own for the query."""
    project: ProjectId
    """The project's number: `project=` in the address of its pages."""
    query: Text
    """Finds the events, as in Sentry's own search."""
    environment: Text | None = None
    window: Interval = 120.0
    events: int = Field(default=10, ge=1)
    """Events a minute that are too many …"""
    times: int = Field(default=4, ge=1)
    """… if they are also this many times the baseline."""


class Logs(Section):
    """A tenant's log: read with the Management API, or sent by a log stream."""

    client_id: Text | None = None
    """Of an application with the permission read:logs of the Auth0 Management API."""
    client_secret: Secret | None = None
    """Of the same application."""
    stream_token: WebhookSecret | None = None
    """Instead of both: the Authorization value of a log stream to /hooks/auth0/TENANT."""
    every: Interval = 30.0
    share: Percent = 0.1
    """The share of failed logins that is too high, if it is far above the baseline."""
    min_rows: int = Field(default=20, ge=1)
    """In two minutes; fewer prove nothing."""
    missing: Percent = 0.5
    """The share of the usual successful logins whose absence is too much."""
