"""`doctor`: every prerequisite of the bot, with what to do where it is not met."""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from bot.app.notification_router import build_notifiers
from bot.app.probe_command import check_signal
from bot.app.prober import LiveProber
from bot.app.rules import feed_target, find_silent_escalation, rules_of
from bot.config import ConfigError
from bot.core.model.fault import UNREACHED_STAGES, describe_fault, is_refusal
from bot.core.model.finding import Finding, Level
from bot.core.model.measurement import FIRST_READ, MetricKind
from bot.core.model.observation import (
    CUSTOM,
    M2M,
    TOKEN_ENDPOINT,
    WELLKNOWN,
    FeedState,
    Stage,
    Target,
)
from bot.http import HttpRequest, NoData, inspect_host
from bot.ports import StoreError
from bot.slack.examination import SlackExamination
from bot.slack.render.text import REMEDIES, STAGE_REMEDIES, remedy_of
from bot.slack.web_api import open_web
from bot.store import inspect_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from bot.config import Settings
    from bot.config.settings import Login, Tenant
    from bot.config.settings_oncall import ContactPoint
    from bot.core.model.observation import Fault, Observation
    from bot.http import AddressInspection, HttpResult, Network
    from bot.ports import Clock

MACHINE, CALLS, CONFIGURATION = "machine", "calls", "configuration"
MAX_OFFSET_S = 5.0
"""Tokens are refused from 60 s on; a host with a time service is within a second."""
CERTIFICATE_DAYS = 14
"""Auth0 renews its certificates 30 days before they end, as Let's Encrypt advises."""
DAY_S = 86400
LOW_QUOTA = 20
"""Requests left of the tenant's rate limit; a login and its keys take up to three."""
LOGIN_LINES = {
    "unauthorized_client": "grant",
    "unsupported_grant_type": "grant",
    "invalid_request": "connection",
    "server_error": "connection",
    "access_denied": "application",
    "invalid_client": "application",
    "invalid_grant": "user",
    "invalid_user_password": "user",
    "password_leaked": "user",
    "unauthorized": "user",
    "too_many_attempts": "user",
    "mfa_required": "second factor",
    "requires_verification": "allow list",
    "too_many_requests": "rate limit",
}
"""What is wrong, by the error of the token endpoint."""
ALLOW_LIST = (
    "add this machine's public address to IP AllowList in each of Bot Detection, Suspicious IP "
    "Throttling and Brute-force Protection (Auth0 Dashboard > Security > Attack Protection)"
)
NETWORK_REMEDY = "mend this machine's network first: the control endpoints fail, too"


class Doctor:
    """Examines a whole set-up once.

    Args:
        settings: the set-up.
        clock: the time.
        network: how to reach hosts; None: as the system does.
        warnings: probable mistakes of the configuration.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        network: Network | None = None,
        warnings: Sequence[str] = (),
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._prober = LiveProber(settings, clock, network)
        self._rules = rules_of(settings)
        self._warnings = warnings
        self._is_cut_off = False
        self._is_running = False
        self._was_refused = False

    async def examine(self) -> AsyncIterator[Finding]:
        """Yield what is found. Each login is tried once."""
        for line in self._warnings:
            detail, _, remedy = line.partition(": did you mean ")
            remedy = f"did you mean {remedy}" if remedy else "correct it, if it is a mistake"
            yield Finding(CONFIGURATION, "probable mistake", Level.ADVICE, detail, remedy)
        async for finding in self._examine_machine():
            yield finding
        for tenant in self._settings.tenants:
            async for finding in self._examine_tenant(tenant):
                yield finding
        async for finding in self.examine_slack(opens_socket=not self._is_running):
            yield finding
        for point in self._settings.notify:
            yield await self._examine_contact_point(point)
        yield self._examine_calls()

    async def _examine_machine(self) -> AsyncIterator[Finding]:
        answers = [await self._fetch(url, "probes") for url in self._settings.controls]
        self._is_cut_off = bool(answers) and all(answer.fault for answer in answers)
        for url, answer in zip(self._settings.controls, answers, strict=True):
            what = f"control endpoint {urlsplit(url).netloc}"
            yield self._from_answer(MACHINE, what, answer, "controls")
        yield _examine_clock(answers)
        try:
            database = await asyncio.to_thread(inspect_database, self._settings.database_address)
        except StoreError as error:
            detail, _, remedy = str(error).partition(": ")
            yield Finding(MACHINE, "database", Level.PROBLEM, detail, remedy)
        else:
            self._is_running = database.is_in_use
            yield Finding(MACHINE, "database", Level.OK, database.detail)

    async def _examine_tenant(self, tenant: Tenant) -> AsyncIterator[Finding]:
        area = tenant.name
        for domain in tenant.domains:
            async for finding in self._examine_host(tenant, domain):
                yield finding
        yield await self.examine_keys(tenant)
        if tenant.probe.light_every:
            yield await self._examine_token_endpoint(tenant)
        async for finding in self._examine_logins(tenant):
            yield finding
        detail = "cannot be seen from here: without it a login a minute looks like a robot"
        yield Finding(area, "allow list", Level.ADVICE, detail, ALLOW_LIST)
        yield await self._examine_feed(tenant)
        async for finding in self._examine_sources(area):
            yield finding

    async def examine_keys(self, tenant: Tenant) -> Finding:
        """Ask for the discovery document and the signing keys."""
        keys = await self._prober.probe(Target(tenant.name, WELLKNOWN))
        proof = "issuer and keys are right"
        return self._from_observation(tenant.name, "discovery and keys", keys, proof)

    async def _examine_token_endpoint(self, tenant: Tenant) -> Finding:
        """Ask the token endpoint for what it must refuse."""
        what, answer = (
            "token endpoint",
            await self._prober.probe(Target(tenant.name, TOKEN_ENDPOINT)),
        )
        if answer.no_data_reason:
            remedy = "set probe.light_every to null: this check between logins tells nothing here"
            return Finding(tenant.name, what, Level.ADVICE, answer.no_data_reason, remedy)
        proof = "refuses a grant type that does not exist"
        return self._from_observation(tenant.name, what, answer, proof)

    async def examine_login(self, tenant: Tenant, login: Login) -> AsyncIterator[Finding]:
        """Log in once, and say what that proves."""
        observation = await self._prober.probe(Target(tenant.name, login.name))
        self._was_refused = observation.fault is not None and is_refusal(observation.fault)
        for finding in self._read_login(tenant, login, observation):
            yield finding

    async def _examine_logins(self, tenant: Tenant) -> AsyncIterator[Finding]:
        area = tenant.name
        for login in tenant.logins:
            async for finding in self.examine_login(tenant, login):
                yield finding
            if self._was_refused:
                break  # a second one would bring the user nearer to being blocked
        else:
            if tenant.custom_domain:
                custom = await self._prober.probe(Target(area, CUSTOM))
                yield self._from_observation(area, "login by the custom domain", custom, "works")
        if tenant.m2m:
            token = await self._prober.probe(Target(area, M2M))
            yield self._from_observation(area, "machine token", token, "given")

    async def _examine_host(self, tenant: Tenant, domain: str) -> AsyncIterator[Finding]:
        parts = urlsplit(tenant.base_url or f"https://{domain}")
        if parts.scheme != "https":
            return
        host, port = parts.hostname or domain, parts.port or 443
        try:
            inspections = await inspect_host(self._prober.fetcher, host, port, tenant.ca_file)
        except NoData as error:
            yield Finding(tenant.name, host, Level.UNKNOWN, str(error), "try again")
            return
        works = any(each.fault is None for each in inspections)
        for each in inspections:
            yield self._read_inspection(tenant.name, host, each, has_other=works)

    def _read_inspection(
        self, area: str, host: str, each: AddressInspection, *, has_other: bool
    ) -> Finding:
        what = f"{host} by {each.family}" if each.family else host
        if each.fault is None:
            days = (each.expires_at - self._clock.now()) / DAY_S
            if days < CERTIFICATE_DAYS:
                detail = f"the certificate ends in {days:.0f} days"
                return Finding(area, what, Level.ADVICE, detail, "see who renews it")
            return Finding(area, what, Level.OK, f"answers; certificate good for {days:.0f} days")
        if has_other:
            remedy = f"mend {each.family} on this machine, or switch it off: users have it, too"
            detail = f"{describe_fault(each.fault)}; the other family works"
            return Finding(area, what, Level.ADVICE, detail, remedy)
        return self._from_fault(area, what, each.fault)

    def _read_login(
        self, tenant: Tenant, login: Login, observation: Observation
    ) -> Iterator[Finding]:
        """Say what a login proves, or which of its prerequisites is not met."""
        area, name, fault = tenant.name, login.name, observation.fault
        if fault is None:
            yield self._from_observation(
                area,
                name if name.startswith("login") else f"login {name}",
                observation,
                "works: grant, connection, user and second factor are right; token verified",
            )
            if not login.proof_claim:
                detail = "is not set: HTTP 200 does not prove that your Actions ran"
                remedy = "see step 6 of docs/setup-auth0.md"
                yield Finding(area, "proof_claim", Level.ADVICE, detail, remedy)
        else:
            what = LOGIN_LINES.get(fault.reason) if fault.stage is Stage.OAUTH else None
            what = what or {Stage.TOKEN: "token", Stage.PROOF: "proof"}.get(fault.stage, "login")
            yield self._from_fault(area, f"{name}: {what}", fault)
        quota = observation.quota_remaining
        if quota is not None and quota < LOW_QUOTA:
            detail = f"only {quota} requests are left"
            yield Finding(area, "rate limit", Level.ADVICE, detail, REMEDIES["too_many_requests"])
        elif quota is not None:
            yield Finding(area, "rate limit", Level.OK, f"{quota} requests are left")

    async def _examine_feed(self, tenant: Tenant) -> Finding:
        reading = await self._prober.poll_feed(feed_target(tenant))
        what = f"status page for {tenant.environment or 'no environment'}"
        if reading.no_data_reason:
            return Finding(tenant.name, what, Level.UNKNOWN, reading.no_data_reason, "try again")
        if reading.state in {FeedState.OK, FeedState.EMPTY}:
            count = len(reading.status_incidents)
            posts = f"{count} post{'s' * (count != 1)}"
            if tenant.environment is None:
                detail = "is read, but `environment` is not set: no comparison with other tenants"
                remedy = "set environment: the tenant's menu in Auth0's dashboard shows it"
                return Finding(tenant.name, what, Level.ADVICE, detail, remedy)
            return Finding(tenant.name, what, Level.OK, f"is read; it has {posts}")
        level = Level.UNKNOWN if self._is_cut_off else Level.PROBLEM
        said = describe_fault(reading.fault) if reading.fault else reading.state.value
        remedy = (
            "write the tenant's own domain into `domain`, such as acme.us.auth0.com: the status "
            "page knows no custom domain"
            if reading.fault and reading.fault.status in {400, 404}
            else "allow HTTPS to status.auth0.com in your firewall, or correct feed_url"
        )
        return Finding(tenant.name, what, level, f"cannot be read: {said}", remedy)

    async def _examine_sources(self, tenant: str) -> AsyncIterator[Finding]:
        for name, limits in self._rules.tenants[tenant].metrics.items():
            if limits.is_pushed:
                detail = "the application reports it: see /health of the running bot"
                yield Finding(tenant, name, Level.ADVICE, detail, "see docs/webhooks.md#report")
                continue
            target = Target(tenant, name)
            if limits.kind is MetricKind.LOGS:
                measured = await self._prober.measure(target)
                if measured.no_data_reason == FIRST_READ:
                    yield Finding(tenant, name, Level.OK, "the log can be read")
                    continue
            result = await check_signal(self._rules, self._prober, target)
            missing = result.json["missing"]
            level = Level.PROBLEM if missing else Level.OK
            remedy = "docs/real-users.md says what to do about each reason" if missing else ""
            yield Finding(tenant, name, level, missing or result.text.partition(": ")[2], remedy)

    async def examine_slack(self, *, opens_socket: bool) -> AsyncIterator[Finding]:
        """Examine all that the bot needs of Slack."""
        slack = self._settings.slack
        web = open_web(self._settings)
        is_socket = slack.mode == "socket" and slack.app_token is not None
        examination = SlackExamination(
            web,
            self._rules,
            channels=self._settings.slack_channels(),
            app_token=slack.app_token.get_secret_value() if is_socket and slack.app_token else None,
            opens_socket=opens_socket,
        )
        try:
            async for finding in examination.examine():
                yield finding
        finally:
            await web.close()
        detail = "no other program can see whether Slack sends them to the bot"
        remedy = "while the bot runs, type /auth0-check and @auth0-check status in the channel"
        yield Finding("Slack", "commands and events", Level.ADVICE, detail, remedy)

    async def _examine_contact_point(self, point: ContactPoint) -> Finding:
        """Look whether it could be reached, without calling anybody."""
        one = self._settings.model_copy(update={"notify": (point,)})
        try:
            build_notifiers(one, self._prober.fetchers["notify"])
        except ConfigError as error:
            detail, remedy = str(error), "correct the address, or install the extra: docs/paging.md"
            return Finding(CALLS, point.name, Level.PROBLEM, detail, remedy)
        if point.pagerduty is None:
            detail = "its address is understood; nothing was sent"
            return Finding(CALLS, point.name, Level.OK, detail)
        answer = await self._fetch(point.pagerduty.url, "notify")
        reached = self._from_answer(CALLS, point.name, answer, "notify")
        if reached.level is not Level.OK:
            return reached
        return Finding(CALLS, point.name, Level.OK, "can be reached; nothing was sent")

    def _examine_calls(self) -> Finding:
        if warning := find_silent_escalation(self._rules):
            detail, _, remedy = warning.removeprefix("escalation: ").partition(": ")
            return Finding(CALLS, "escalation", Level.ADVICE, detail, remedy)
        if not self._rules.has_somebody_to_call:
            detail = "nobody is called, not even in the channel"
            remedy = "set slack.mention, or oncall and escalation (docs/paging.md)"
            return Finding(CALLS, "escalation", Level.ADVICE, detail, remedy)
        return Finding(CALLS, "escalation", Level.OK, "people are called")

    async def _fetch(self, url: str, kind: str) -> HttpResult:
        request = HttpRequest(url=url, timeout_s=10.0, cap=0)
        return await self._prober.fetchers[kind].fetch(request)

    def _from_answer(self, area: str, what: str, answer: HttpResult, setting: str) -> Finding:
        if answer.no_data_reason:
            return Finding(area, what, Level.UNKNOWN, answer.no_data_reason, "try again")
        if answer.fault:
            level = Level.UNKNOWN if self._is_cut_off else Level.PROBLEM
            remedy = remedy_of(answer.fault, setting)
            if self._is_cut_off and answer.fault.stage is Stage.DNS:
                remedy = (
                    f"{STAGE_REMEDIES[Stage.DNS]}; if it knows others, the spelling of {setting}"
                )
            return Finding(area, what, level, describe_fault(answer.fault), remedy)
        return Finding(area, what, Level.OK, "answers")

    def _from_observation(self, area: str, what: str, one: Observation, proof: str) -> Finding:
        if one.no_data_reason:
            return Finding(area, what, Level.UNKNOWN, one.no_data_reason, "try again")
        if one.fault:
            return self._from_fault(area, what, one.fault)
        return Finding(area, what, Level.OK, f"{proof} ({(one.latency_s or 0) * 1000:.0f} ms)")

    def _from_fault(self, area: str, what: str, fault: Fault) -> Finding:
        said = " ".join(filter(None, (describe_fault(fault), fault.description)))
        if self._is_cut_off and fault.stage in UNREACHED_STAGES:
            return Finding(area, what, Level.UNKNOWN, said, NETWORK_REMEDY)
        return Finding(area, what, Level.PROBLEM, said, remedy_of(fault))


async def examine(settings: Settings, clock: Clock) -> list[Finding]:
    """Return all findings of one examination."""
    return [finding async for finding in Doctor(settings, clock).examine()]


def _examine_clock(answers: Sequence[HttpResult]) -> Finding:
    """Compare the host's clock with the `Date` of an answer, which has no fractions."""
    for answer in answers:
        try:
            at = parsedate_to_datetime(answer.headers["date"]).timestamp()
        except (LookupError, ValueError):
            continue
        offset_s = answer.at - at
        if abs(offset_s) <= MAX_OFFSET_S:
            return Finding(MACHINE, "clock", Level.OK, "agrees with an answer's date")
        side = "ahead" if offset_s > 0 else "behind"
        detail = f"is {abs(offset_s):.0f} s {side}: tokens would look expired, or not yet valid"
        remedy = "switch time synchronisation on: timedatectl set-ntp true"
        return Finding(MACHINE, "clock", Level.PROBLEM, detail, remedy)
    detail = "no control endpoint gave a date"
    return Finding(MACHINE, "clock", Level.UNKNOWN, detail, "see the control endpoints")
