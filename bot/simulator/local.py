"""The world on real sockets: tenants, a status feed and control endpoints, on loopback only."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from bot.core.model.observation import (
    CONTROL,
    CUSTOM,
    FEED,
    LOGIN,
    LOGS,
    M2M,
    TOKEN_ENDPOINT,
    WELLKNOWN,
    Target,
)
from bot.simulator.certificate import make_certificate
from bot.simulator.log_api import LocalLogApi
from bot.simulator.observability import LocalPrometheus, LocalSentry, faulty_handler
from bot.simulator.playing import HTML, answer_with_fault
from bot.simulator.prober import QUOTA_REMAINING
from bot.simulator.status_page import DAY_S, StatusPage
from bot.simulator.tenant import GRANTS, M2M_GRANT, LocalTenant, Refused, Signer
from bot.simulator.tenant_log import TenantLog

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ssl import SSLContext
    from types import TracebackType

    from bot.config.settings import Login
    from bot.ports import Clock
    from bot.simulator.happening import InjectedFault
    from bot.simulator.observability import Handler
    from bot.simulator.world import World

LOOPBACK = "127.0.0.1"
DISCOVERY_PATH = "/.well-known/openid-configuration"
KEYS_PATH = "/.well-known/jwks.json"
QUOTA = {"x-ratelimit-limit": "300", "x-ratelimit-remaining": str(QUOTA_REMAINING)}


class LocalTenants:
    """Serves a world while the context is open.

    Tenants use TLS under their own names, so that issuers, custom domains and certificates are
    those of the scenario. Put `resolve` and `ca_file` into the bot's configuration.
    """

    def __init__(self, world: World, clock: Clock, logins: Mapping[str, Sequence[Login]]) -> None:
        """Accept the `logins` of each tenant, by its name."""
        self.resolve: dict[str, str] = {}
        """Domain (canonical or custom) -> `address:port`."""
        self.ca_file = Path()
        """The certificate authority of these domains."""
        self.feed_urls: dict[str, str] = {}
        """By tenant."""
        self.control_urls: dict[str, str] = {}
        self.prometheus_url = ""
        self.sentry_url = ""
        self.secret = secrets.token_urlsafe(24)
        """The token for Prometheus and Sentry, and the client secret of the tenants' log reader."""
        self._world = world
        self._clock = clock
        self._logins = logins
        self._servers = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start the servers."""
        async with AsyncExitStack() as starting:
            self._servers = starting
            await self._start_tenants(Path(starting.enter_context(TemporaryDirectory())))
            await self._start_feed()
            await self._start_apis()
            for control in self._world.scenario.controls:
                handler = faulty_handler(
                    self._world, self._clock, Target(CONTROL, control), _answer_ok
                )
                self.control_urls[control] = f"http://{await self.serve(handler)}/"
            self._servers = starting.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the servers at once."""
        await self._servers.aclose()

    async def _start_tenants(self, folder: Path) -> None:
        places = {
            domain: place
            for place in self._world.scenario.tenants
            for domain in (place.domain, place.custom_domain)
            if domain
        }
        self.ca_file, context = make_certificate(places, folder)
        signer = Signer()
        logs = {
            place.name: LocalLogApi(TenantLog(self._world, place), signer, self.secret)
            for place in places.values()
        }
        for domain, place in places.items():
            tenant = LocalTenant(self._logins[place.name], place.m2m, signer)
            site = LocalDomain(self._world, self._clock, domain, tenant, logs[place.name])
            self.resolve[domain] = await self.serve(site.handle, domain, context)

    async def _start_apis(self) -> None:
        prometheus = LocalPrometheus(self._world, self.secret)
        handler = faulty_handler(self._world, self._clock, "prometheus", prometheus.answer)
        self.prometheus_url = f"http://{await self.serve(handler)}"
        sentry = LocalSentry(self._world, self._clock, self.secret)
        handler = faulty_handler(self._world, self._clock, "sentry", sentry.answer)
        self.sentry_url = f"http://{await self.serve(handler)}"

    async def _start_feed(self) -> None:
        address = await self.serve(LocalFeed(self._world, self._clock).handle)
        for tenant in self._world.scenario.tenants:
            self.feed_urls[tenant.name] = f"http://{address}/feed?domain={tenant.domain}"

    async def serve(
        self, handler: Handler, host: str = LOOPBACK, context: SSLContext | None = None
    ) -> str:
        """Start one more server. Returns its `address:port`."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", _guard(handler, host))
        runner = web.AppRunner(
            application, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
        )
        await runner.setup()
        self._servers.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, LOOPBACK, 0, ssl_context=context).start()
        return f"{LOOPBACK}:{runner.addresses[0][1]}"


def _guard(handler: Handler, host: str) -> Handler:
    """Refuse web pages: those that reach it by DNS rebinding, and those of another origin."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.host.partition(":")[0] != host or "origin" in request.headers:
            return web.Response(status=403, text="Neither for this host nor for web pages.")
        return await handler(request)

    return handle


class LocalDomain:
    """One domain of a tenant."""

    def __init__(
        self, world: World, clock: Clock, domain: str, tenant: LocalTenant, log: LocalLogApi
    ) -> None:
        self._world = world
        self._clock = clock
        self._issuer = f"https://{domain}/"
        self._is_custom = domain == log.log.tenant.custom_domain
        self._tenant = tenant
        self._log = log

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        form = await _read_form(request)
        target = Target(self._log.log.tenant.name, self._target_name(request, form))
        drawn = self._world.draw_arrived_request(target, self._clock.now())

        async def healthy(happening: InjectedFault) -> web.Response:
            return self._answer(request, form, happening)

        return await answer_with_fault(request, drawn, self._clock, healthy)

    def _target_name(self, request: web.Request, form: Mapping[str, str]) -> str:
        if self._log.is_log_request(request.path, form):
            return LOGS
        if form.get("grant_type") == M2M_GRANT:
            return M2M
        if self._is_custom:
            return CUSTOM
        if request.path in (DISCOVERY_PATH, KEYS_PATH):
            return WELLKNOWN
        if form.get("grant_type", M2M_GRANT) not in GRANTS:
            return TOKEN_ENDPOINT
        login = self._tenant.find_login(form)
        return login.name if login else LOGIN

    def _answer(
        self, request: web.Request, form: Mapping[str, str], happening: InjectedFault
    ) -> web.Response:
        now = self._clock.now()
        if self._log.is_log_request(request.path, form):
            return self._log.answer(request, form, now)
        if request.path == DISCOVERY_PATH:
            return web.json_response(self._tenant.discovery(self._issuer))
        if request.path == KEYS_PATH:
            return web.json_response(self._tenant.signer.key_set())
        paths = {"/oauth/token", *(login.token_path for login in self._tenant.logins)}
        if request.path not in paths or request.method != "POST":
            return web.json_response({"statusCode": 404, "error": "Not Found"}, status=404)
        headers = {**QUOTA, "x-ratelimit-reset": str(int(now) + 1)}
        try:
            tokens = self._tenant.issue_token(
                form, issuer=self._issuer, now=now, wrong=happening.word
            )
        except Refused as refused:
            return web.json_response(refused.document, status=refused.status, headers=headers)
        self._log.log.record_login(now, form["client_id"])
        return web.json_response(tokens, headers={**headers, "cache-control": "no-store"})


class LocalFeed:
    """The status page's `/feed?domain=`."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._page = StatusPage(world.scenario, world.begin_at)
        self._tenants = {tenant.domain: tenant for tenant in world.scenario.tenants}
        self._world = world
        self._clock = clock

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer any request."""
        domain = request.query.get("domain")
        if request.path != "/feed" or not domain:
            return web.Response(status=400, text="Domain is required.")
        if domain not in self._tenants:
            text = "Domain should match the format tenant.us.auth0.com"
            return web.Response(status=400, text=text)
        tenant = self._tenants[domain]
        target = Target(FEED, tenant.environment or tenant.name)
        drawn = self._world.draw_arrived_request(target, self._clock.now())

        async def healthy(happening: InjectedFault) -> web.Response:
            body = self._body(tenant.environment, happening.word)
            return _conditional_response(request, body.encode())

        return await answer_with_fault(request, drawn, self._clock, healthy)

    def _body(self, environment: str | None, fault: str) -> str:
        now = self._clock.now()
        if fault == "html":
            return HTML.format(status="Auth0 Status")
        if fault == "old":
            return self._page.render_atom(environment, self._world.begin_at - DAY_S)
        whole = self._page.render_atom(environment, now, is_empty=fault == "empty")
        return whole[: len(whole) // 2] if fault == "truncated" else whole


def _conditional_response(request: web.Request, body: bytes) -> web.Response:
    etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
    if request.headers.get("if-none-match") == etag:
        return web.Response(status=304, headers={"etag": etag})
    headers = {"etag": etag, "content-type": "application/atom+xml; charset=utf-8"}
    return web.Response(body=body, headers=headers)


async def _answer_ok(_: web.Request) -> web.Response:
    return web.json_response({"ok": True})


async def _read_form(request: web.Request) -> dict[str, str]:
    """Read a form or a JSON object; Auth0 accepts both."""
    try:
        is_json = request.content_type == "application/json"
        sent: Any = await request.json() if is_json else await request.post()
    except ValueError:
        return {}
    fields = sent.items() if isinstance(sent, Mapping) else ()
    return {key: value for key, value in fields if isinstance(value, str)}
