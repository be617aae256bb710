"""The rendered message, Slack's mark-up, and escaping that keeps foreign text harmless."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bot.core.model.fault import describe_fault
from bot.core.model.observation import CUSTOM, M2M, WELLKNOWN, Cause, Phase, Scope, Severity, Stage
from bot.core.state.problem import Impact

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence, Sized

    from bot.core.model.observation import Fault

TEXT_CHARS = 1000
"""Screen readers read only the text; chat.postEphemeral refuses more than 4,000 characters."""


@dataclass(frozen=True, slots=True)
class RenderedMessage:
    """A message: its text, which is always there, and blocks that say the same."""

    text: str
    blocks: list[Block]


def render_paragraphs(*texts: str) -> RenderedMessage:
    """Make a message of paragraphs; empty ones are left out."""
    paragraphs = [text for text in texts if text]
    lines = "\n".join(paragraphs).split("\n")
    text = "\n".join(clean_text(strip_markup(line), TEXT_CHARS) for line in lines)
    cut = text if len(text) <= TEXT_CHARS else text[: TEXT_CHARS - 1] + "…"
    return RenderedMessage(cut, [section(paragraph) for paragraph in paragraphs])


def paginate(message: RenderedMessage) -> list[RenderedMessage]:
    """Return a message as pages that Slack takes: one, unless it is long."""
    pages: list[list[Block]] = [[]]
    size = 0
    for block in message.blocks:
        length = len(json.dumps(block, ensure_ascii=False))
        if pages[-1] and (size + length > PAGE_CHARS or len(pages[-1]) + 1 >= PAGE_BLOCKS):
            pages.append([])
            size = 0
        pages[-1].append(block)
        size += length
    if len(pages) == 1:
        return [message]
    shown = [*enumerate(pages[:MAX_PAGES], 1)]
    total = f"{len(shown)}, and there is more" if len(pages) > MAX_PAGES else str(len(shown))
    rendered = []
    for number, page in shown:
        texts = (block["text"]["text"] for block in page if block["type"] == "section")
        blocks = [*page, context(f"Page {number} of {total}")]
        rendered.append(RenderedMessage(render_paragraphs(*texts).text, blocks))
    return rendered


Block = dict[str, Any]
COMMAND = "/auth0-check"
PAGE_CHARS, PAGE_BLOCKS = 12_000, 50
"""Slack takes no more than about 13,200 characters in all blocks of a message (bolt-js#2509 and
#2867, read 2026-11), and 50 blocks."""
MAX_PAGES = 4
"""Slack takes five answers at a response_url (Handling user interaction, read 2026-11), and a check
has a first one."""
SECTION_CHARS = 3000
FIELD_CHARS = 2000
"""Slack's limits for a section's text and for one field (Block Kit reference, read 2026-11)."""

CAUSES = {
    Cause.AUTH0: "Auth0",
    Cause.TENANT: "this tenant's settings or code",
    Cause.QUOTA: "a rate limit of this tenant",
    Cause.PROBE: "the test login's own account or set-up",
    Cause.NETWORK: "my own network or machine",
    Cause.APP: "our application",
    Cause.UPSTREAM: "a provider behind Auth0",
    Cause.BLIP: "single failures",
    Cause.NONE: "nothing is wrong",
    Cause.UNCLEAR: "not clear",
}
IMPACTS = {
    Impact.NONE: "nothing failed",
    Impact.SLOW: "it was slow",
    Impact.PART: "a part failed",
    Impact.DOWN: "most logins failed",
    Impact.MOST: "nearly all logins failed",
    Impact.ALL: "all logins failed",
}
"""What an acknowledgement was given for."""
SCOPES = {
    Scope.TENANT: "this tenant only",
    Scope.ENVIRONMENT: "this environment",
    Scope.SEVERAL: "several environments",
    Scope.UNKNOWN: "reach unknown",
}
PHASES = {phase: phase.value.replace("_", " ").capitalize() for phase in Phase}
SIGNALS = {
    WELLKNOWN: "signing keys",
    CUSTOM: "login by the custom domain",
    M2M: "machine token",
}
STEPS = {
    Stage.DNS: "DNS",
    Stage.CONNECT: "connection",
    Stage.TLS: "TLS",
    Stage.TIMEOUT: "no answer in time",
    Stage.HTTP: "HTTP answer",
    Stage.OAUTH: "refusal by the token endpoint",
    Stage.TOKEN: "token check",
    Stage.PROOF: "proof that the tenant's Action ran",
}
"""The step of a login that failed, by its stage."""
SEVERITY_MARKS = {
    Severity.CRITICAL: ":rotating_light:",
    Severity.WARNING: ":large_orange_diamond:",
    Severity.INFO: ":information_source:",
}
NO_DATA_MARK, FALSE_ALARM_MARK = ":see_no_evil:", ":ok_hand:"
ACKNOWLEDGED_MARK = ":eyes:"
RESOLVED_MARK = ":white_check_mark:"
BY_HAND_MARK = ":checkered_flag:"
MERGED_MARK = ":link:"
SILENCED_MARK = ":no_bell:"
MAINTENANCE_MARK = ":hammer_and_wrench:"
FAILING_LIGHT, NO_DATA_LIGHT = ":x:", ":grey_question:"
WARNING_LIGHT, OK_LIGHT = ":large_orange_diamond:", ":large_green_circle:"
LIGHTS = (FAILING_LIGHT, NO_DATA_LIGHT, WARNING_LIGHT, OK_LIGHT)
"""The state of a tenant or probe, the worst first. They differ in shape, not only in colour."""

LOGIN_STOPPED = "I stopped the test login after 3 refusals, before Auth0 blocks its user."
REMEDIES = {
    "invalid_grant": "Set the test user's new password in the configuration, or unblock the user",
    "invalid_user_password": "Set the test user's new password in the configuration",
    "password_leaked": "Give the test user a new, long random password",
    "unauthorized": "Unblock the test user (User Management → Users)",
    "too_many_attempts": "Unblock the test user, and add my machine's address to the allow list",
    "requires_verification": "Add my machine's address to the allow list of Bot Detection",
    "mfa_required": "Exempt the test application from multi-factor authentication",
    "invalid_client": "Check client_id and client_secret of the test application",
    "access_denied": "Check client_secret, the audience, and what the tenant's Actions deny",
    "unauthorized_client": "Switch the Password grant on (for machine tokens: Client Credentials) "
    "in the application → Settings → Advanced Settings → Grant Types",
    "invalid_request": "Check realm and the other parameters of the test login",
    "server_error": "Set `realm`, or the tenant's Default Directory",
    "no_proof": "Check that the post-login Action is deployed and sets the proof claim",
    "stale_proof": "Check that the post-login Action sets the proof claim at each login",
    "bad_algorithm": "Let Auth0 sign with RS256 (id tokens: the application → Advanced → OAuth; "
    "access tokens: the API's settings)",
    "too_many_requests": "Find what uses up the tenant's rate limit (Monitoring → Logs, api_limit)",
}
"""What to do, by a fault's reason."""
SET_UP_REMEDIES = {
    (Stage.OAUTH, "access_denied", 401): "Check client_id and client_secret of the application",
    (Stage.OAUTH, "access_denied", 403): "Check the audience, and what the tenant's Actions deny",
    (Stage.OAUTH, "invalid_request", 400): "Check realm: the connection's name, switched on for "
    "the application (its tab Connections)",
    (Stage.DNS, "nxdomain", None): "Check the spelling of {setting}: DNS does not know this name "
    "(if it knows no other: check this machine's DNS)",
    (Stage.CONNECT, "proxy_unreachable", None): "Check the proxy's address in `proxy`, and that "
    "this machine may connect to it",
    (
        Stage.CONNECT,
        "proxy_login",
        None,
    ): "Put the right user and password into the proxy's address "
    "in `proxy`: http://user:password@host:port",
    (Stage.CONNECT, "proxy_refused", None): "Let the proxy allow CONNECT to this host, port 443",
    (Stage.CONNECT, "proxy_failed", None): "Find out on the proxy why it does not reach this host",
    (Stage.TLS, "wrong_host", None): "Check the spelling of {setting}: another host answers",
    (Stage.TLS, "untrusted", None): "Something on the way replaces the certificate, such as a "
    "proxy that inspects TLS: exempt this host, or name its authority in ca_file",
    (Stage.TLS, "expired", None): "Renew the certificate; or set this machine's clock "
    "(timedatectl)",
    (Stage.TLS, "not_yet_valid", None): "Set this machine's clock (timedatectl)",
    (Stage.TOKEN, "bad_algorithm", None): "Set JsonWebToken Signature Algorithm to RS256: the "
    "application, or the API → Settings → Advanced Settings → OAuth",
    (Stage.TOKEN, "wrong_issuer", None): "Write the tenant's own domain into domain, and a custom "
    "one into custom_domain",
    (Stage.TOKEN, "wrong_audience", None): "Check audience: the Identifier of the API",
    (Stage.TOKEN, "malformed", None): "Check audience: without an API of that name the access "
    "token is none that can be verified",
    (Stage.TOKEN, "missing_id_token", None): "Add openid to scope, or set expect_id_token: false",
    (Stage.TOKEN, "not_yet_valid", None): "Set this machine's clock (timedatectl)",
    (Stage.TOKEN, "expired", None): "Set this machine's clock (timedatectl)",
    (Stage.HTTP, "http_404", 404): "Check the spelling of domain: no tenant answers there",
    (Stage.HTTP, "http_403", 403): "Something on the way refuses: a firewall or proxy of yours, or "
    "the tenant's own access rules",
}
"""What to check first where a login has never worked, by stage, reason and status."""
STAGE_REMEDIES = {
    Stage.DNS: "Check this machine's DNS: try `getent hosts` with the name",
    Stage.CONNECT: "Check this machine's network and firewall: HTTPS (port 443) must be allowed",
    Stage.TLS: "Check what is between this machine and the host: a proxy or firewall",
    Stage.TIMEOUT: "Check this machine's network and firewall; else the other side is slow",
    Stage.HTTP: "Check https://status.auth0.com, and domain",
    Stage.OAUTH: "Read the newest failed login in the tenant: Monitoring → Logs",
    Stage.TOKEN: "Check the application's token settings, and domain",
    Stage.PROOF: "Check the post-login Action and proof_claim",
}
"""The same where no reason is known."""


def mentions(names: Iterable[str]) -> str:
    """Make the mark-up that mentions people: `@here`, ids of users and of user groups."""
    return " ".join(
        "<!here>" if name == "@here" else f"<{'!subteam^' if name[:1] == 'S' else '@'}{name}>"
        for name in names
    )


def capitalize(sentence: str) -> str:
    """Begin a sentence with a capital letter, and leave all others as they are."""
    return sentence[:1].upper() + sentence[1:]


def clean_text(text: str, limit: int) -> str:
    """Make foreign text one line without control, bidi or invisible characters, and cut it."""
    visible = "".join(" " if unicodedata.category(c).startswith("C") else c for c in text)
    line = re.sub(r"\s+", " ", visible).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def escape(text: str, limit: int = 300) -> str:
    """Make foreign text safe inside mrkdwn: it cannot become a mention, link, emphasis or code."""
    safe = clean_text(text, limit)
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        safe = safe.replace(sign, entity)
    # Within a word Slack takes no sign for mark-up: codes and addresses of mail can be copied.
    marked = re.sub(r"`|(?<![^\W_])[*_~]|[*_~](?![^\W_])", "\u200b\\g<0>", safe)
    return re.sub(r"(?<!\w)@", "@\u200b", marked, flags=re.ASCII)


def quote(text: str, limit: int = 300) -> str:
    """Quote what a person wrote, escaped as foreign text is."""
    return f"“{escape(text, limit)}”"


def strip_markup(text: str) -> str:
    """Remove our own emphasis, emoji, dates, links and quotes: a notification shows none."""
    text = re.sub(r"^>", "", text, flags=re.MULTILINE)
    text = re.sub(r"<(?:!date|https:)[^|>]*\|([^>]*)>", r"\1", text)
    return re.sub(r"(?<!\S):[a-z_]+:\s?", "", text).replace("*", "")


def link(url: str, label: str) -> str:
    """Make a link of our own; without an https address only the label is shown."""
    if not re.fullmatch(r"https://[^\s<>|]+", url):
        return label
    return f"<{url.replace('&', '&amp;')}|{label}>"


def foreign_link(url: str, hosts: Collection[str]) -> str:
    """Make a link that others sent us, with our words and its host as label.

    It is left out unless it leads to one of these hosts. `.example.com` stands for all below it.
    """
    found = re.fullmatch(r"https://([\w.-]+(?::\d+)?)(?:[/?#][^\s<>|]*)?", url, re.ASCII)
    host = found[1].lower() if found else ""
    is_known = host in hosts or any(host.endswith(each) for each in hosts if each[0] == ".")
    return link(url, f"open it on {host}") if is_known and host else ""


def clock_utc(at: float) -> str:
    """Format a time in UTC, for screen readers and notifications."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M UTC")


def time_of_day(at: float) -> str:
    """Format a time of day to the second, in each reader's own time zone."""
    fallback = datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S UTC")
    return f"<!date^{int(at)}^{{time_secs}}|{fallback}>"


def hour_and_minute(at: float) -> str:
    """Format a time of day in each reader's own time zone."""
    fallback = datetime.fromtimestamp(at, UTC).strftime("%H:%M UTC")
    return f"<!date^{int(at)}^{{time}}|{fallback}>"


def date_and_time(at: float) -> str:
    """Format a date and time in each reader's own time zone."""
    fallback = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return f"<!date^{int(at)}^{{date_short_pretty}} {{time}}|{fallback}>"


def duration(seconds: float) -> str:
    """Format a duration in at most two units."""
    left = max(0, round(seconds))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def section(text: str) -> Block:
    """Make a section block; text that is too long is cut."""
    cut = text if len(text) <= SECTION_CHARS else text[: SECTION_CHARS - 1] + "…"
    return {"type": "section", "text": {"type": "mrkdwn", "text": cut}}


def join_names(names: Sequence[str]) -> str:
    """Name at most five."""
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"  # noqa: PLR2004


def join_lines(lines: Iterable[str]) -> list[str]:
    """Join lines into as few texts as possible that each fit into a section."""
    texts = [""]
    for line in lines:
        if len(texts[-1]) + len(line) >= SECTION_CHARS:
            texts.append("")
        texts[-1] = f"{texts[-1]}\n{line}".strip()
    return [text for text in texts if text]


def count_rest(items: Sized, limit: int, suffix: str = "") -> list[str]:
    """Return a line that counts the items beyond a limit, if there are any."""
    return [f"… and {len(items) - limit} more{suffix}"] if len(items) > limit else []


def context(text: str) -> Block:
    """Make a context block: a small grey line."""
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text[:FIELD_CHARS]}]}


def signal_name(name: str) -> str:
    """Name what a probe checks."""
    return SIGNALS.get(name, "login" if name == "login" else f"login “{name}”")


def fault_name(fault: Fault | None) -> str:
    """Name a fault by its codes."""
    return describe_fault(fault) if fault else "not checked"


def remedy_of(fault: Fault, setting: str = "domain") -> str:
    """Say what to do about a fault of what may never have worked; the setting names its host."""
    status = fault.status if fault.stage in {Stage.HTTP, Stage.OAUTH} else None
    remedy = (
        SET_UP_REMEDIES.get((fault.stage, fault.reason, status))
        or REMEDIES.get(fault.reason)
        or STAGE_REMEDIES[fault.stage]
    )
    return remedy.format(setting=setting)


def button(label: str, action_id: str, **rest: Any) -> Block:
    """Return one button; `rest` are further fields of Slack's."""
    return {"type": "button", "text": plain_text(label), "action_id": action_id, **rest}


def plain_text(text: str) -> Block:
    """Return a text without markup."""
    return {"type": "plain_text", "text": text}
