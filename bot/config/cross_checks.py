"""Checks between settings: names, secrets, missing and excluded keys, controls, escalation steps.

They run on the values as written, so that their problems are reported with all others.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from bot.config.document import describe_setting, format_loc, section_at
from bot.config.settings import Login
from bot.config.settings_oncall import BUILTIN_STEPS, PERSONAL_STEPS
from bot.config.settings_sources import Webhooks
from bot.config.value_types import host_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from bot.config.document import Document, Loc

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
    *(
        ("hooks", name, next(iter(section.model_fields)))
        for name in Webhooks.model_fields
        if (section := section_at((name,), Webhooks))
    ),
    ("tenants", "logs", "stream_token"),
    ("server", "status_token"),
)
"""The secrets by which the bot recognizes whoever calls `server.listen`. In the section of a
webhook the secret is the first key."""
ALTERNATIVES: dict[tuple[str, ...], tuple[tuple[str, ...], ...]] = {
    ("prometheus",): ((), ("token",), ("username", "password")),
    ("tenants", "metrics"): ((), ("preset",), ("failed", "all")),
    ("tenants", "logs"): (("client_id", "client_secret"), ("stream_token",)),
    ("oncall",): ((), ("rotation",), ("group",), ("calendar",)),
    ("notify",): (("pagerduty",), ("apprise",)),
    ("maintenance",): (("every",), ("cron",), ("once",)),
}
"""Groups of keys: a section must have exactly one group, complete. The first group is what is
asked for if no key of any group is there."""


def check_relations(document: Document) -> None:
    """Report all problems between settings; of one setting, only the first counts."""
    for find_problems in (
        _find_duplicates,
        _find_missing,
        _find_mixed_alternatives,
        _find_misplaced,
        _find_auth0_controls,
        _find_invalid_steps,
    ):
        for loc, text in find_problems(document):
            document.report(loc, text)


def _find_duplicates(document: Document) -> Problems:
    """Find names used twice (of tenants, in a tenant, of contact points) and secrets used twice."""
    names = (
        ((*loc, "name"), (loc[:-2], str(section.get("name", DEFAULT_NAME)).lower()))
        for path in NAMED_SECTIONS
        for loc, section in document.sections(*path)
    )
    seen: set[object] = set()
    written: Iterable[tuple[Loc, object]] = chain(names, _sender_secrets(document))
    for loc, identity in written:
        if identity in seen:
            note = "" if loc in document.places else f" (without one it is {DEFAULT_NAME})"
            yield loc, f"is used twice: give each its own{note}"
        seen.add(identity)


def _sender_secrets(document: Document) -> Problems:
    return ((loc, str(secret)) for path in SENDERS for loc, secret in document.at(*path))


def _find_missing(document: Document) -> Problems:
    needs: list[tuple[str, tuple[str, ...]]] = []
    for _, slack in document.sections("slack"):
        mode = str(slack.get("mode", "socket"))
        needs += [(f"slack.mode {mode}", needed) for needed in MODE_NEEDS.get(mode, ())]
    needs += [(format_loc(loc), ("server", "listen")) for loc, _ in _sender_secrets(document)]
    needs += [(format_loc(loc), ("sentry",)) for loc, _ in document.sections("tenants", "errors")]
    for loc, metric in document.sections("tenants", "metrics"):
        is_polled = metric.keys() & {"preset", "failed", "all"}
        needs += [(format_loc(loc), ("prometheus",) if is_polled else ("hooks", "report"))]
    for loc, oncall in document.sections("oncall"):
        if not oncall.keys() & {"rotation", "group", "calendar", "hours"}:
            needs.append((format_loc(loc), ("oncall", "rotation")))
    for needed_by, path in needs:
        if not any(document.at(*path)):
            yield _missing_problem(needed_by, path)


def _missing_problem(needed_by: str, loc: Loc) -> tuple[Loc, str]:
    return loc, f"is missing, and {needed_by} needs it: {describe_setting(loc)}"


def _find_mixed_alternatives(document: Document) -> Problems:
    for path, groups in ALTERNATIVES.items():
        for loc, section in document.sections(*path):
            first, *others = [keys for keys in groups if section.keys() & set(keys)] or groups[:1]
            for key in chain(*others):
                if key in section:
                    yield (*loc, key), f"stands beside {' and '.join(first)}: give one or the other"
            for key in first:
                if key not in section and not others:
                    yield _missing_problem(format_loc(loc), (*loc, key))


def _find_misplaced(document: Document) -> Problems:
    """Find names of tenants that do not exist, and a `match` without the preset it belongs to."""
    names = [name for _, name in document.at("tenants", "name")]
    named = [document.at(*path, "tenant") for *path, _ in SENDERS]
    for loc, name in chain(*named, document.at("maintenance", "tenants")):
        if name not in names:
            yield loc, "is no tenant's name"
    for loc, metric in document.sections("tenants", "metrics"):
        if "match" in metric and "preset" not in metric:
            yield (*loc, "match"), "belongs to preset: write it into failed and all"


def _find_auth0_controls(document: Document) -> Problems:
    """Find control endpoints that fail together with Auth0, and so prove nothing."""
    domains = chain(*(document.at("tenants", key) for key in ("domain", "custom_domain")))
    ours = {str(domain).lower() for _, domain in domains}
    for loc, control in document.at("controls"):
        host = host_of(str(control))
        if host in ours or host.endswith(".auth0.com"):
            yield loc, "belongs to Auth0: choose a host that has nothing to do with it"


def _find_invalid_steps(document: Document) -> Problems:
    """Find escalation steps that could notify nobody, and contact points with a reserved name."""
    points = list(document.at("notify", "name"))
    known = [*BUILTIN_STEPS, *(name for _, name in points)]
    has_person = any(chain(*(document.at("oncall", key) for key in ("rotation", "calendar"))))
    for loc, tell in chain(
        *(document.at("escalation", severity, "tell") for severity in ("critical", "warning"))
    ):
        if tell not in known:
            yield loc, f"must be one of {', '.join(sorted(map(str, known)))}"
        elif tell in PERSONAL_STEPS and not has_person:
            yield loc, "needs a person: oncall.rotation or oncall.calendar"
    for loc, name in points:
        if name in BUILTIN_STEPS:
            yield loc, f"is reserved ({', '.join(BUILTIN_STEPS)}): choose another name"
