"""The synthetic login: the Resource Owner Password Grant, and the tokens that it must return.

Auth0 recommends this grant for synthetic logins (Monitor Applications, read 2026-08).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.core.model.observation import Stage
from bot.probes.result import Probe, require_json
from bot.probes.token import check_proof, token_failure
from bot.telemetry import Redactor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bot.config.settings import Login
    from bot.core.model.observation import Target
    from bot.http import Fetcher, HttpResult, Stopwatch
    from bot.probes.token import IssuerKeys

REALM_GRANT = "http://auth0.com/oauth/grant-type/password-realm"
"""Plain `password` gets HTTP 500 if the tenant has no default directory."""


class LoginProbe(Probe):
    """Logs one synthetic user in at one domain of a tenant."""

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
