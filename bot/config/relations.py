"""What must hold between sections.

Checked on the values as written, so that it is told together with what is wrong inside of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.config.values import host_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.config.document import Document, Loc


def check_relations(document: Document) -> None:
    """Report equal names, controls that are no controls, and HTTP mode without a listener."""
    values = document.values if isinstance(document.values, dict) else {}
    _names_differ(document, values, ("tenants",))
    for index, tenant in _entries(values, "tenants"):
        _names_differ(document, tenant, ("tenants", index, "logins"), default="login")
    _controls_are_neutral(document, values)
    _http_has_a_listener(document, values)


def _names_differ(
    document: Document, parent: dict[str, object], loc: Loc, default: str = ""
) -> None:
    seen: set[str] = set()
    for index, entry in _entries(parent, str(loc[-1])):
        name = entry.get("name", default)
        if not isinstance(name, str):
            continue
        if name.lower() in seen:
            note = "" if "name" in entry else f" (without one it is {default})"
            document.report((*loc, index, "name"), f"is used above: give each its own{note}")
        seen.add(name.lower())


def _controls_are_neutral(document: Document, values: dict[str, object]) -> None:
    ours = {
        str(tenant.get(key, "")).lower()
        for _, tenant in _entries(values, "tenants")
        for key in ("domain", "custom_domain")
    }
    controls = values.get("controls")
    for index, control in enumerate(controls if isinstance(controls, list) else []):
        host = host_of(str(control))
        if host and (host in ours or host.endswith(".auth0.com")):
            advice = "belongs to Auth0: choose a host that has nothing to do with it"
            document.report(("controls", index), advice)


def _http_has_a_listener(document: Document, values: dict[str, object]) -> None:
    slack, server = values.get("slack"), values.get("server")
    is_http = isinstance(slack, dict) and slack.get("mode") == "http"
    if is_http and not (isinstance(server, dict) and server.get("listen")):
        document.report(
            ("server", "listen"),
            "is missing, and slack.mode http needs it: the address on which Slack reaches "
            "/slack/events, such as 0.0.0.0:3000",
        )


def _entries(parent: dict[str, object], key: str) -> Iterator[tuple[int, dict[str, object]]]:
    entries = parent.get(key)
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        if isinstance(entry, dict):
            yield index, entry
