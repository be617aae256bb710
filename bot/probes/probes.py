"""What the bot checks by itself: one class for each kind of probe, put together at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from bot.config.settings import ProbeSettings
from bot.config.value_types import host_of
from bot.core.model.fault import classify_answer, classify_refusal
from bot.core.model.observation import (
    CONTROL,
    CUSTOM,
    M2M,
    TOKEN_ENDPOINT,
    WELLKNOWN,
    Stage,
    Target,
)
from bot.http import HttpRequest, NoData, parse_json_object
from bot.probes.result import Probe, ProbeFailed, build_observation, require_json
from bot.probes.token import (
    DISCOVERY_PATH,
    NO_SECRETS,
    IssuerKeys,
    TenantDomain,
    check_proof,
    token_failure,
)
from bot.telemetry import Redactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bot.config.settings import Login, M2m, Settings, Tenant
    from bot.core.model.observation import Observation
    from bot.http import Fetcher, HttpResult, Stopwatch

BROKEN_FROM = 500
"""Any status below proves that the network works, whatever the host thinks of the request."""


class ControlProbe:
    """A control endpoint: does our own network work? The body of the answer is ignored."""

    def __init__(self, target: Target, url: str, timeout_s: float, fetcher: Fetcher) -> None:
        """Check `url`."""
        self._target = target
        self._request = HttpRequest(url=url, timeout_s=timeout_s, cap=0)
        self._fetcher = fetcher

    async def check(self) -> Observation:
        """Check once."""
        reply = await self._fetcher.fetch(self._request)
        fault = reply.fault
        if reply.status >= BROKEN_FROM and not reply.no_data_reason:
            fault = classify_answer(reply.status, None, headers=reply.headers, now=reply.at)
        return build_observation(
            self._target, reply, fault=fault, no_data_reason=reply.no_data_reason
        )


class WellknownProbe(Probe):
    """Fetches the discovery document and, when they are due, the signing keys for the logins.

    They prove that DNS, TLS and the edge work. Both are cached at the edge, so they stay available
    while logins fail.
    """

    stage = "keys"

    def __init__(self, target: Target, keys: IssuerKeys, fetcher: Fetcher) -> None:
        """Check the domain of `keys`."""
        super().__init__(target, keys.tenant_domain.build_request(DISCOVERY_PATH), fetcher)
        self._issuer_keys = keys

    async def _verify(self, reply: HttpResult, _watch: Stopwatch) -> None:
        document, ours = require_json(reply, NO_SECRETS), self._issuer_keys.tenant_domain
        if document.get("issuer") != ours.issuer:
            raise token_failure("wrong_issuer")
        if host_of(str(document.get("jwks_uri"))) not in {ours.domain, host_of(ours.base_url)}:
            raise token_failure("no_keys", "jwks_uri is on another host")
        if self._issuer_keys.are_due:
            await self._issuer_keys.refresh(spent_s=reply.latency_s)


REALM_GRANT = "http://auth0.com/oauth/grant-type/password-realm"
"""Plain `password` gets HTTP 500 if the tenant has no default directory."""


class LoginProbe(Probe):
    """Logs one synthetic user in at one domain of a tenant, and verifies the tokens.

    Auth0 recommends the Resource Owner Password Grant for synthetic logins (Monitor Applications,
    read 2026-08).
    """

    stage = Stage.OAUTH

    def __init__(self, target: Target, login: Login, keys: IssuerKeys, fetcher: Fetcher) -> None:
        """Log in at the domain of `keys`, which verify the tokens."""
        form = _token_form(login)
        request = keys.tenant_domain.build_request(login.token_path, form=form)
        super().__init__(target, request, fetcher)
        secrets = filter(None, (login.password, login.client_secret))
        self._login = login
        self._issuer_keys = keys
        self._redact = Redactor(secret.get_secret_value() for secret in secrets)

    async def _verify(self, reply: HttpResult, watch: Stopwatch) -> None:
        document = require_json(reply, self._redact)
        watch.begin(Stage.TOKEN)
        claims = await self._verify_tokens(document, reply.latency_s)
        if self._login.proof_claim:
            watch.begin(Stage.PROOF)
            check_proof(
                claims,
                self._login.proof_claim,
                max_age_s=self._login.proof_max_age,
                now=self._fetcher.clock.now(),
            )

    async def _verify_tokens(
        self, document: Mapping[str, Any], spent_s: float
    ) -> Mapping[str, Any]:
        """Verify the tokens; return the claims of both, where the id token's take precedence.

        Without an audience Auth0's access token is opaque: the probe can only see that it is there.
        """
        access, identity = document.get("access_token"), document.get("id_token")
        if not access:
            raise token_failure("malformed")
        claims: dict[str, Any] = {}
        if self._login.audience:
            claims |= await self._issuer_keys.verify(access, self._login.audience, spent_s=spent_s)
        if identity is not None:
            claims |= await self._issuer_keys.verify(
                identity, self._login.client_id, spent_s=spent_s
            )
        elif self._login.expect_id_token:
            raise token_failure("missing_id_token")
        return claims


def _token_form(login: Login) -> Mapping[str, str]:
    fields = {
        "grant_type": REALM_GRANT if login.realm else "password",
        "realm": login.realm,
        "client_id": login.client_id,
        "client_secret": login.client_secret.get_secret_value() if login.client_secret else None,
        "username": login.username,
        "password": login.password.get_secret_value(),
        "audience": login.audience,
        "organization": login.organization,
        "scope": login.scope,
    }
    return {name: value for name, value in fields.items() if value}


UNKNOWN_GRANT = "urn:auth0-check:no-such-grant"
"""A grant type that does not exist, in the form of one's own (RFC 6749, 4.5)."""


class TokenEndpointProbe(Probe):
    """Sends the token endpoint what it must refuse: without a user, a client or a login.

    It takes a login's way to the endpoint, which no cache can answer for. What lies behind (the
    user database, Actions, limits of the user) it does not touch.
    """

    stage = Stage.OAUTH

    def __init__(self, target: Target, path: str, domain: TenantDomain, fetcher: Fetcher) -> None:
        """Ask for a token at a path of a domain."""
        request = domain.build_request(path, form={"grant_type": UNKNOWN_GRANT})
        super().__init__(target, request, fetcher)

    async def _verify(self, reply: HttpResult, _watch: Stopwatch) -> None:
        document = parse_json_object(reply.body)
        fault, no_data_reason = classify_refusal(
            reply.status, document, headers=reply.headers, now=reply.at
        )
        if fault:
            raise ProbeFailed(fault)
        if no_data_reason:
            raise NoData(no_data_reason)


class M2mProbe(Probe):
    """Requests a token as an application, by the client credentials grant.

    It needs neither the user store nor login Actions: if logins fail and this works, the platform
    is hardly down.
    """

    stage = Stage.OAUTH

    def __init__(self, target: Target, m2m: M2m, keys: IssuerKeys, fetcher: Fetcher) -> None:
        """Request one for `m2m`, by default for the Management API, whose tokens are RS256."""
        secret = m2m.client_secret.get_secret_value()
        self._issuer_keys = keys
        self._audience = m2m.audience or f"https://{keys.tenant_domain.domain}/api/v2/"
        self._redact = Redactor([secret])
        form = {
            "grant_type": "client_credentials",
            "client_id": m2m.client_id,
            "client_secret": secret,
            "audience": self._audience,
        }
        request = keys.tenant_domain.build_request(m2m.token_path, form=form)
        super().__init__(target, request, fetcher)

    async def _verify(self, reply: HttpResult, watch: Stopwatch) -> None:
        token = require_json(reply, self._redact).get("access_token")
        watch.begin(Stage.TOKEN)
        await self._issuer_keys.verify(token, self._audience, spent_s=reply.latency_s)


class Probes:
    """The `probe` part of the `Prober` port."""

    def __init__(self, settings: Settings, fetcher: Fetcher) -> None:
        """Build every probe of the settings."""
        self._fetcher = fetcher
        self._issuer_keys: dict[TenantDomain, IssuerKeys] = {}
        # A control endpoint must have failed by the time the quickest login has.
        limits = (tenant.probe.timeout for tenant in settings.tenants)
        timeout_s = min(limits, default=ProbeSettings().timeout)
        controls = {Target(CONTROL, urlsplit(url).netloc): url for url in settings.controls}
        self._probes: dict[Target, Probe | ControlProbe] = {
            **dict(self._tenant_probes(settings.tenants)),
            **{key: ControlProbe(key, url, timeout_s, fetcher) for key, url in controls.items()},
        }

    @property
    def targets(self) -> tuple[Target, ...]:
        """All that can be checked."""
        return tuple(self._probes)

    async def probe(self, target: Target) -> Observation:
        """Check a target once. Raises KeyError if it is not in the settings."""
        return await self._probes[target].check()

    def _tenant_probes(self, tenants: Sequence[Tenant]) -> Iterator[tuple[Target, Probe]]:
        """Yield all probes of tenants, kind by kind: a new kind is one more loop."""
        fetcher = self._fetcher
        for tenant in tenants:
            for login in tenant.logins:
                target = Target(tenant.name, login.name)
                keys = self._canonical_keys(tenant, login.issuer)
                yield target, LoginProbe(target, login, keys, fetcher)
        for tenant in tenants:
            target = Target(tenant.name, WELLKNOWN)
            keys = self._canonical_keys(tenant, tenant.logins[0].issuer)
            yield target, WellknownProbe(target, keys, fetcher)
            target, path = Target(tenant.name, TOKEN_ENDPOINT), tenant.logins[0].token_path
            yield target, TokenEndpointProbe(target, path, keys.tenant_domain, fetcher)
        for tenant in tenants:
            if tenant.custom_domain:
                target = Target(tenant.name, CUSTOM)
                keys = self._keys_of(tenant, tenant.custom_domain)
                yield target, LoginProbe(target, tenant.logins[0], keys, fetcher)
        for tenant in tenants:
            if tenant.m2m:
                target = Target(tenant.name, M2M)
                keys = self._canonical_keys(tenant, tenant.logins[0].issuer)
                yield target, M2mProbe(target, tenant.m2m, keys, fetcher)

    def _canonical_keys(self, tenant: Tenant, issuer: str | None) -> IssuerKeys:
        """Return the keys of a tenant's own domain; a lab may have an issuer of its own."""
        return self._keys_of(tenant, tenant.domain, base_url=tenant.base_url, issuer=issuer)

    def _keys_of(
        self, tenant: Tenant, domain: str, *, base_url: str | None = None, issuer: str | None = None
    ) -> IssuerKeys:
        """Return the keys of one domain, the same object for all its probes.

        A custom domain is also the issuer of its tokens.
        """
        tenant_domain = TenantDomain(
            domain=domain,
            base_url=(base_url or f"https://{domain}").rstrip("/"),
            issuer=issuer or f"https://{domain}/",
            timeout_s=tenant.probe.timeout,
            ca_file=tenant.ca_file,
        )
        keys = IssuerKeys(tenant_domain, self._fetcher)
        return self._issuer_keys.setdefault(tenant_domain, keys)
