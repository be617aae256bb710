"""The parts of the pages that are made from the code: `make reference` writes them anew.

A part stands between `<!-- NAME: made by … -->` and `<!-- end of NAME -->`; a test compares it.
"""

from __future__ import annotations

import re
from importlib import import_module
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bot.cli import main as main_group
from bot.cli.setup import config_group, database_group
from bot.config.document import section_at
from bot.config.loading import VARIABLES
from bot.config.settings import Settings
from bot.config.value_types import SHARE_SCHEMA, SPAN_SCHEMA, Section, format_setting
from bot.slack.checks import OPTIONAL_SCOPES, SCOPES
from bot.slack.render.help import INCIDENT_NOTE, USAGES
from bot.slack.render.text import COMMAND, REMEDIES
from bot.telemetry import Metrics
from tests.house.dependencies import read_lock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.config.document import Loc

ROOT = Path(__file__).parents[2]
SPAN, SHARE = SPAN_SCHEMA["pattern"], SHARE_SCHEMA["pattern"]
CONSTANTS = {
    "bot.core.signals.probe_threshold": "MAX_REFUSALS REFUSAL_INTERVAL_S RATE_LIMIT_COUNT "
    "RATE_LIMIT_CALM RATE_LIMIT_INTERVAL_S RATE_LIMIT_MAX_S RATE_LIMIT_CONFIRM_S "
    "RELAPSE_INTERVAL_S SLOW_INTERVAL_FACTOR FIRING_INTERVAL_FACTOR",
    "bot.core.signals.clock_check": "LIMIT_S STEADY_S",
    "bot.http.network": "HEAD_START_S",
    "bot.core.signals.history": "SLOW_FACTOR SLOW_S SLOW_COUNT FAST_COUNT",
    "bot.core.state.tenant": "LOGINS_PER_MINUTE LOGINS_PER_TEN_MINUTES MAX_STATUS_INCIDENT_AGE_S",
    "bot.core.incidents.corroboration": "MAX_PEERS",
    "bot.core.tenant.sources": "NO_DATA_S EXPECTED_ROWS",
    "bot.core.triage.context": "DOWN_SHARE",
    "bot.core.model.observation": "PROBABLE ALMOST_CERTAIN",
    "bot.core.triage.verdict": "MIN_CONFIDENCE",
    "bot.core.triage.from_sources": "DOMINANT_SHARE CONCENTRATED_SHARE",
    "bot.core.triage.from_users": "CHANGE_BEFORE_S",
    "bot.core.signals.metric_threshold": "MIN_FAILURES MIN_SIGMAS BASELINE_FACTOR HEALTHY_PART "
    "GROWTH_FACTOR RECOVER_COUNT QUOTA_ROWS FIRST_DAY_MISSING LOW_TRAFFIC_S NO_REPORT_S",
    "bot.core.signals.baseline": "HALF_LIFE_S WEEK_HALF_LIFE_S MIN_SEEN_S",
    "bot.core.auth0_logs.events": "LATE_S",
    "bot.core.incidents.grouping": "STORM_MIN_INCIDENTS STORM_WINDOW_S",
    "bot.core.incidents.lifecycle": "CANNOT_CHECK_S",
    "bot.core.incidents.recurrence": "STICKY_RESOLVE_S MIN_GOOD_S",
    "bot.core.alerting.calls": "GRACE_S WIDER_EVERY_S UNBROKEN_S CORRECTION_CONFIDENCE",
    "bot.core.alerting.acknowledgements": "ANSWER_S",
    "bot.core.alerting.deliveries": "PAGE_UPDATE_LIFE_S",
    "bot.core.state.outbox": "CALL_OVERDUE_S SETTLE_S MAX_RETRY_AFTER_S",
    "bot.runtime.probe_runner": "PROBES_PER_S",
    "bot.runtime.rate_limits": "MESSAGE_GAP_S",
    "bot.webhooks.sentry": "EVENT_ALERT_LASTS_S",
}
"""Numbers that people ask about. What they mean stands below each in the code."""
UNITS = {86400: "d", 3600: "h", 60: "m", 1: "s"}
FORMS = {"integer": "whole number", "boolean": "true or false", "object": "map"}


def with_parts(page: str) -> str:
    """Return a page with its made parts as the code is now."""
    for name, render in PARTS.items():
        begin, end = (
            f"<!-- {name}: made by `make reference`; do not edit -->",
            f"<!-- end of {name} -->",
        )
        head, found, rest = page.partition(begin)
        if found:
            page = f"{head}{begin}\n\n{render()}\n{end}{rest.partition(end)[2]}"
    return page


def _table(head: str, rows: Iterator[tuple[str, ...]]) -> str:
    columns = head.count("|") + 1
    lines = [f"| {head} |", "|" + "---|" * columns]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def render_metrics() -> str:
    """Return the metrics of `/metrics`, without the names of the release before."""
    metrics = Metrics()
    families = {name: each for name, each in vars(metrics).items() if hasattr(each, "_labelnames")}
    rows = (
        (
            f"`{family.name}{'_total' * (family.type == 'counter')}`",
            ", ".join(f"`{label}`" for label in each._labelnames),
            family.documentation,
        )
        for each in families.values()
        for family in each.describe()
    )
    return _table("metric | labels | meaning", rows)


def render_remedies() -> str:
    """Return what Slack says for each error of the test login."""
    return _table("Auth0 says | what to do", ((f"`{k}`", v) for k, v in REMEDIES.items()))


def render_shell() -> str:
    """Return the commands of the shell, with the first sentence of their help."""
    groups = (
        ((), main_group.commands),
        (("config",), config_group.commands),
        (("db",), database_group.commands),
    )
    rows = (
        (f"`auth0-check {' '.join((*group, name))}`", command.get_short_help_str(200))
        for group, commands in groups
        for name, command in commands.items()
        if not isinstance(command, click.Group)
    )
    return _table("in a shell | what it does", rows)


def render_licences() -> str:
    """Return the locked packages by their licence, the most common one first."""
    packages: dict[str, list[str]] = {}
    for package in read_lock():
        packages.setdefault(package.licence, []).append(package.name)
    found = sorted(packages.items(), key=lambda each: (-len(each[1]), each[0]))
    return _table("licence | packages", ((name, ", ".join(sorted(of))) for name, of in found))


def render_scopes() -> str:
    """Return what does not work without each scope of the Slack app."""
    kinds = {"required": SCOPES, "optional": OPTIONAL_SCOPES}
    rows = (
        (f"`{name}`", kind, lost) for kind, scopes in kinds.items() for name, lost in scopes.items()
    )
    return _table("scope | in manifest.yml | without it", rows)


def render_constants() -> str:
    """Return the fixed numbers, with what the code says of each."""
    rows = (
        (f"`{_number(name, getattr(import_module(module), name))}`", text, f"`{module}.{name}`")
        for module, names in CONSTANTS.items()
        for name, text in _docstrings(module, names.split())
    )
    return _table("value | meaning | in the code", rows)


def _docstrings(module: str, names: list[str]) -> Iterator[tuple[str, str]]:
    source = (ROOT / f"{module.replace('.', '/')}.py").read_text()
    for name in names:
        before = rf"^[^#\n]*\b{name}\b[^\n]* = [^\n]*\n"
        after = re.search(rf'{before}"""(.+?)"""', source, re.MULTILINE | re.DOTALL)
        if after is None or "\n\n" in after[1]:
            raise ValueError(f"{module}.{name} needs a docstring")
        yield name, " ".join(after[1].split())


def _number(name: str, value: float) -> str:
    if not name.endswith("_S") or name.endswith("PER_S"):
        return f"{value:g}"
    unit = next((size for size in UNITS if value % size == 0), 1)
    return f"{value / unit:g}{UNITS[unit]}"


def render_environment() -> str:
    """Return the variables that are enough for one tenant."""
    rows = (
        (
            f"`{name}`",
            "yes" if _is_required(loc) else "no",
            "`" + re.sub(r"\.(\d+)", r"[\1]", ".".join(map(str, loc))) + "`",
        )
        for name, loc in VARIABLES.items()
    )
    return _table("variable | required | setting", rows)


def _is_required(loc: Loc) -> bool:
    section = section_at(loc[:-1], Settings)
    is_socket_token = loc == ("slack", "app_token")  # needed by the mode
    if loc[-1] == "name":  # the domain gives one
        return False
    return is_socket_token or bool(section and section.model_fields[str(loc[-1])].is_required())


def render_commands() -> str:
    """Return every verb of the command with an example, and what its help says."""
    rows = (
        (f"`{COMMAND} {usage.example or verb}`", _sentences(usage.summary, usage.details))
        for verb, usage in USAGES.items()
    )
    return _table("you type | you get", rows)


def _sentences(summary: str, details: str) -> str:
    details = details.replace(INCIDENT_NOTE, "").strip()  # the page says it once
    return f"{summary[:1].upper()}{summary[1:]}" + (f". {details}" if details else "")


def render_settings() -> str:
    """Return a chapter for each section of the configuration; one for those that are alike."""
    schema = Settings.model_json_schema()
    titles: dict[type[Section], list[str]] = {}
    for path, section in _walk_sections("", Settings):
        titles.setdefault(section, []).append(path)
    return "\n".join(_render_section(each, titles[each], schema) for each in titles)


def _walk_sections(path: str, section: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    yield path, section
    for key in section.model_fields:
        child, item = section_at((key,), section), section_at((key, 0), section)
        if found := child or item:
            suffix = "" if child else "[]"
            yield from _walk_sections(f"{path}.{key}{suffix}".lstrip("."), found)


def _render_section(section: type[Section], titles: list[str], schema: dict[str, Any]) -> str:
    about = schema if section is Settings else schema["$defs"][section.__name__]
    required = about.get("required", ())
    rows = (
        (f"`{key}`", _form(each, schema), _default(key, each, section, required), _meaning(each))
        for key, each in about["properties"].items()
    )
    heading = ", ".join(f"`{title}`" for title in titles if title) or "Top level"
    text = _link_pages(" ".join(cleandoc(section.__doc__ or "").split()))
    return f"## {heading}\n\n{text}\n\n" + _table("key | form | default | meaning", rows)


def _form(schema: dict[str, Any], whole: dict[str, Any]) -> str:
    choices = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    (form,) = choices
    if "$ref" in form:
        form = whole["$defs"][form["$ref"].rpartition("/")[2]]
        if "properties" in form:
            return "section"
    if enum := form.get("enum"):
        return " or ".join(f"`{each}`" for each in enum).replace(" or ", ", ", len(enum) - 2)
    if form.get("pattern") in {SPAN, SHARE}:
        return "time" if form["pattern"] == SPAN else "share"
    if form.get("type") == "array":
        return "list"
    if form.get("format") == "password":
        return "secret"
    return FORMS.get(form.get("type", ""), "text")


def _default(key: str, schema: dict[str, Any], section: type[Section], required: Any) -> str:
    if key in required:
        return "required"
    field = section.model_fields[key]
    value: Any = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, Section):
        return ""
    choices = [each for each in schema.get("anyOf", [schema]) if each.get("pattern") == SHARE]
    if choices:
        return f"`{value * 100:g}%`"
    return f"`{_short(value)}`"


def _short(value: object) -> str:
    text = format_setting(value)
    span = re.fullmatch(r"(\d+)s", text)
    if span and isinstance(value, float) and int(span[1]) >= 120 and int(span[1]) % 60 == 0:
        return f"{int(span[1]) // 60}m"
    return text


def _meaning(schema: dict[str, Any]) -> str:
    return _link_pages(" ".join(schema.get("description", "").split()))


def _link_pages(text: str) -> str:
    return re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", text)


PARTS: dict[str, Callable[[], str]] = {
    "commands": render_commands,
    "shell": render_shell,
    "metrics": render_metrics,
    "errors": render_remedies,
    "licences": render_licences,
    "scopes": render_scopes,
    "settings": render_settings,
    "environment": render_environment,
    "constants": render_constants,
}


def main() -> None:
    """Write the made parts of all pages anew."""
    for path in sorted((ROOT / "docs").rglob("*.md")):
        text = path.read_text()
        if (made := with_parts(text)) != text:
            path.write_text(made)
            click.echo(f"{path.relative_to(ROOT)} is written anew")


if __name__ == "__main__":
    main()
