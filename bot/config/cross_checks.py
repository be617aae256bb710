"""Checks between settings: sources, senders, on-call, escalation and maintenance.

They run on the values as written, so that they are reported together with all other errors.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from bot.config.document import describe_setting, format_loc
from bot.config.settings import Login
from bot.config.settings_oncall import BUILTIN_STEPS, PERSONAL_STEPS
from bot.config.value_types import host_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.config.document import Document, Loc

SEVERITIES = ("critical", "warning")


def find_invalid_steps(document: Document) -> Iterator[tuple[Loc, str]]:
    """Find steps of an escalation that could tell nobody, and ways that steps cannot name."""
    ways = [way["name"] for _, way in document.sections("notify") if "name" in way]
    known = [*BUILTIN_STEPS, *ways]
    has_person = any(
        {"rotation", "calendar"} & found.keys() for _, found in document.sections("oncall")
    )
    for severity in SEVERITIES:
        for loc, step in document.sections("escalation", severity):
            tell = step.get("tell", BUILTIN_STEPS[0])
            if tell not in known:
                yield (*loc, "tell"), f"must be one of {', '.join(sorted(map(str, known)))}"
            elif tell in PERSONAL_STEPS and not has_person:
                yield (*loc, "tell"), "needs a person: oncall.rotation or oncall.calendar"
    for loc, way in document.sections("notify"):
        if way.get("name") in BUILTIN_STEPS:
            yield (*loc, "name"), f"is reserved ({', '.join(BUILTIN_STEPS)}): choose another name"


def find_unknown_tenants(document: Document) -> Iterator[tuple[Loc, str]]:
    """Find tenants under maintenance that are not watched."""
    names = [tenant.get("name") for _, tenant in document.sections("tenants")]
    for loc, window in document.sections("maintenance"):
        meant = window.get("tenants")
        for index, name in enumerate(meant if isinstance(meant, list) else []):
            if name not in names:
                yield (*loc, "tenants", index), "is no tenant's name"


if TYPE_CHECKING:
    Problems = Iterator[tuple[Loc, str]]

MODE_NEEDS: dict[str, tuple[tuple[str, ...], ...]] = {
    "socket": (("slack", "app_token"),),
    "http": (("slack", "signing_secret"), ("server", "listen")),
}
DEFAULT_NAME = Login.model_fields["name"].default
NAMED_SECTIONS = (
    ("tenants",),
    ("notify",),
    *(("tenants", key) for key in ("logins", "metrics", "errors")),
)
SENDERS = (
    ("hooks", "sentry", "client_secret"),
    ("hooks", "alertmanager", "token"),
    ("hooks", "pingdom", "path_secret"),
    ("hooks", "report", "token"),
    ("hooks", "change", "token"),
    ("tenants", "logs", "stream_token"),
    ("server", "status_token"),
)
"""By what each that may tell us something, or ask, is known."""
ALTERNATIVES: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {
    ("prometheus",): ((), ("token",), ("username", "password")),
    ("tenants", "metrics"): ((), ("preset",), ("failed", "all")),
    ("tenants", "logs"): (("client_id", "client_secret"), ("stream_token",)),
    ("oncall",): (("rotation",), ("group",), ("calendar",)),
    ("notify",): (("pagerduty",), ("apprise",)),
    ("maintenance",): (("every",), ("once",)),
}
"""Groups of keys: a section has one group, and whole; the first where nothing of any is given."""


def check_relations(document: Document) -> None:
    """Report what is used twice, excluded or missing for others, and controls that are none."""
    for problems in (
        _find_duplicates(document, _names(document)),
        _find_duplicates(document, _sender_secrets(document)),
        _find_missing(document),
        _find_mixed_alternatives(document),
        _find_dangling(document),
        _find_auth0_controls(document),
        find_invalid_steps(document),
        find_unknown_tenants(document),
    ):
        for loc, text in problems:
            document.report(loc, text)


def _find_duplicates(document: Document, written: Iterable[tuple[Loc, object]]) -> Problems:
    seen = set()
    for loc, identity in written:
        if identity in seen:
            note = "" if loc in document.places else f" (without one it is {DEFAULT_NAME})"
            yield loc, f"is used twice: give each its own{note}"
        seen.add(identity)


def _names(document: Document) -> Iterator[tuple[Loc, object]]:
    """Names of tenants, those within each tenant, and those of ways to reach people."""
    for way in NAMED_SECTIONS:
        for loc, section in document.sections(*way):
            yield (*loc, "name"), (loc[:-2], str(section.get("name", DEFAULT_NAME)).lower())


def _sender_secrets(document: Document) -> Iterator[tuple[Loc, str]]:
    for *way, key in SENDERS:
        for loc, sender in document.sections(*way):
            if key in sender:
                yield (*loc, key), str(sender[key])


def _find_missing(document: Document) -> Problems:
    for who, (*way, key) in _required_keys(document):
        if not any(key in section for _, section in document.sections(*way)):
            yield _missing_problem(who, (*way, key))


def _missing_problem(who: str, loc: Loc) -> tuple[Loc, str]:
    return loc, f"is missing, and {who} needs it: {describe_setting(loc)}"


def _required_keys(document: Document) -> Iterator[tuple[str, tuple[str, ...]]]:
    for _, slack in document.sections("slack"):
        mode = str(slack.get("mode", "socket"))
        for needed in MODE_NEEDS.get(mode, ()):
            yield f"slack.mode {mode}", needed
    for loc, _ in _sender_secrets(document):
        yield format_loc(loc), ("server", "listen")
    for loc, _ in document.sections("tenants", "errors"):
        yield format_loc(loc), ("sentry",)
    for loc, metric in document.sections("tenants", "metrics"):
        is_polled = metric.keys() & {"preset", "failed", "all"}
        yield format_loc(loc), ("prometheus",) if is_polled else ("hooks", "report")


def _find_mixed_alternatives(document: Document) -> Problems:
    for way, groups in ALTERNATIVES.items():
        for loc, section in document.sections(*way):
            first, *others = [keys for keys in groups if section.keys() & set(keys)] or groups[:1]
            stand_beside = f"stands beside {' and '.join(first)}: give one or the other"
            for key in chain(*others):
                if key in section:
                    yield (*loc, key), stand_beside
            for key in first:
                if key not in section and not others:
                    yield _missing_problem(format_loc(loc), (*loc, key))


def _find_dangling(document: Document) -> Problems:
    names = [tenant.get("name") for _, tenant in document.sections("tenants")]
    for *way, _ in SENDERS:
        for loc, sender in document.sections(*way):
            if "tenant" in sender and sender["tenant"] not in names:
                yield (*loc, "tenant"), "is no tenant's name"
    for loc, metric in document.sections("tenants", "metrics"):
        if "match" in metric and "preset" not in metric:
            yield (*loc, "match"), "belongs to preset: write it into failed and all"


def _find_auth0_controls(document: Document) -> Problems:
    ours = {
        str(tenant.get(key, "")).lower()
        for _, tenant in document.sections("tenants")
        for key in ("domain", "custom_domain")
    }
    for _, root in document.sections():
        controls = root.get("controls")
        for index, control in enumerate(controls if isinstance(controls, list) else []):
            host = host_of(str(control))
            if host and (host in ours or host.endswith(".auth0.com")):
                advice = "belongs to Auth0: choose a host that has nothing to do with it"
                yield ("controls", index), advice
