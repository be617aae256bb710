"""What must hold between who is on call, the escalation, maintenance and the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.config.oncall import PERSONAL, TELLS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.config.document import Document, Loc

SEVERITIES = ("critical", "warning")


def untellable(document: Document) -> Iterator[tuple[Loc, str]]:
    """Find steps of an escalation that could tell nobody, and ways that steps cannot name."""
    ways = [way["name"] for _, way in document.sections("notify") if "name" in way]
    known = [*TELLS, *ways]
    has_person = any(
        {"rotation", "calendar"} & found.keys() for _, found in document.sections("oncall")
    )
    for severity in SEVERITIES:
        for loc, step in document.sections("escalation", severity):
            tell = step.get("tell", TELLS[0])
            if tell not in known:
                yield (*loc, "tell"), f"must be one of {', '.join(sorted(map(str, known)))}"
            elif tell in PERSONAL and not has_person:
                yield (*loc, "tell"), "needs a person: oncall.rotation or oncall.calendar"
    for loc, way in document.sections("notify"):
        if way.get("name") in TELLS:
            yield (*loc, "name"), f"is reserved ({', '.join(TELLS)}): choose another name"


def unknown_tenants(document: Document) -> Iterator[tuple[Loc, str]]:
    """Find tenants under maintenance that are not watched."""
    names = [tenant.get("name") for _, tenant in document.sections("tenants")]
    for loc, window in document.sections("maintenance"):
        meant = window.get("tenants")
        for index, name in enumerate(meant if isinstance(meant, list) else []):
            if name not in names:
                yield (*loc, "tenants", index), "is no tenant's name"
