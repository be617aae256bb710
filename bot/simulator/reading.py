"""Reads scenario files, word by word as `FORMAT.md` has it."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from bot.config.document import ConfigError, read_yaml
from bot.core.model.observation import CONTROL, CUSTOM, LOGIN, LOGS, M2M, WELLKNOWN
from bot.simulator.entries import (
    read_answer,
    read_length,
    read_row,
    read_status_update,
    read_tenant,
    read_user_input,
    read_users,
    read_window,
    require_either,
)
from bot.simulator.happening import ANY, NOTIFY, SINGLE_PLACES, misfit_reason, read_fault
from bot.simulator.part import MappingReader, Misread, suggest
from bot.simulator.scenario import (
    Change,
    Errors,
    FaultEntry,
    Log,
    Metric,
    Scenario,
    ScenarioError,
    StatusUpdate,
    Tenant,
)
from bot.simulator.units import (
    instant,
    name,
    one_of,
    percent,
    plain,
    positive,
    rate,
    share,
    span,
    text,
    whole,
)

if TYPE_CHECKING:
    from pathlib import Path

    from bot.config.document import Document

SUFFIX = ".yml"
_NEEDS = {CUSTOM: "custom_domain", M2M: "m2m: true"}
TENANT_PLACES = (LOGIN, WELLKNOWN, CUSTOM, M2M, LOGS)


def load_file(path: Path) -> Scenario:
    """Read a scenario file. Raises `ScenarioError` with all its problems."""
    try:
        document = read_yaml(path)
    except ConfigError as error:
        raise ScenarioError(*error.problems) from None
    part = MappingReader(document, (), document.values)
    scenario = part.close(_ScenarioReader(document, part, path.name.removesuffix(SUFFIX)).read())
    if document.problems:
        raise ScenarioError(*(problem.text for problem in sorted(document.problems.values())))
    return scenario


def load_example(named: str) -> Scenario:
    """Read a scenario that ships with the package. Raises `ScenarioError` for an unknown name."""
    if named not in example_names():
        raise ScenarioError(f"{named}: no such scenario; {suggest(named, example_names())}")
    with resources.as_file(_folder() / f"{named}{SUFFIX}") as path:
        return load_file(path)


def example_names() -> tuple[str, ...]:
    """Name the scenarios that ship with the package."""
    files = (file.name for file in _folder().iterdir())
    return tuple(sorted(file.removesuffix(SUFFIX) for file in files if file.endswith(SUFFIX)))


def _folder() -> Any:
    return resources.files("bot.simulator") / "examples"


class _ScenarioReader:
    """Knows the tenants and places of a file, and checks the names that refer to them."""

    def __init__(self, document: Document, part: MappingReader, file: str) -> None:
        self._document = document
        self._part = part
        self._file = file
        bot = part.below_if_any("bot")
        self._bot: dict[str, Any] = bot.values if bot else {}
        self._controls = part.items("controls", name)
        self._tenants = self._read_tenants()
        self._names = [tenant.name for tenant in self._tenants]
        self._places = self._all_places()

    def read(self) -> Scenario:
        part = self._part
        part.read_required("format", one_of("1"))
        answer = part.below_if_any("answer")
        users = part.below_if_any("users")
        return Scenario(
            document=self._document,
            name=part.read_required("name", self._check_name),
            about=part.read_optional("about", plain, ""),
            start_at=part.read_required("start", instant),
            warmup_s=part.read_required("warmup", read_length),
            duration_s=part.read_required("duration", positive(span)),
            seed=part.read_optional("seed", whole, 0),
            bot=self._bot,
            tenants=self._tenants,
            controls=self._controls,
            timeline=part.each("timeline", self._read_entry),
            feed=self._read_feed(),
            metrics=part.each("metrics", self._read_metric),
            errors=part.each("errors", self._read_errors),
            logs=part.each("logs", self._read_log),
            changes=part.each("changes", self._read_change),
            people=part.each("people", read_user_input),
            users=users.close(read_users(users)) if users else {},
            answer=read_answer(answer, self._known_tenant) if answer else None,
        )

    def _check_name(self, value: object) -> str:
        if value != self._file:
            raise Misread(value, f"is not the file's name without {SUFFIX}, {self._file!r}")
        return self._file

    def _read_tenants(self) -> tuple[Tenant, ...]:
        listed = self._part.below("tenants")
        if not listed.values:
            listed.add_problem("must name at least one tenant")
        tenants = [read_tenant(listed, named) for named in listed.values]
        domains = [domain for tenant in tenants for domain in (tenant.domain, tenant.custom_domain)]
        for domain in {domain for domain in domains if domain and domains.count(domain) > 1}:
            listed.add_problem(f"{domain} is there twice; each domain belongs to one tenant")
        return tuple(tenants)

    def _all_places(self) -> list[str]:
        places = [*SINGLE_PLACES, *(f"{CONTROL}.{control}" for control in self._controls)]
        points = _mappings(self._bot.get("notify"))
        places += [f"{NOTIFY}.{point['name']}" for point in points if "name" in point]
        for tenant in self._tenants:
            kinds = {LOGIN, WELLKNOWN, LOGS, *_further_logins(self._bot, tenant.name)}
            kinds |= {CUSTOM} if tenant.custom_domain else set()
            kinds |= {M2M} if tenant.m2m else set()
            places += [f"{tenant.name}.{kind}" for kind in kinds]
        return places

    def _read_target(self, value: object) -> str:
        owner, _, place = text(value).partition(".")
        kinds = {*TENANT_PLACES, ANY, *(known.partition(".")[2] for known in self._places)} - {""}
        is_pattern = ANY in (owner, place) and owner in (*self._names, CONTROL, NOTIFY, ANY)
        if str(value) in self._places or (is_pattern and place in kinds):
            return str(value)
        if owner in self._names and place in _NEEDS:
            raise Misread(value, f"is no place here: the tenant does not say {_NEEDS[place]}")
        raise Misread(value, f"is no place here; {suggest(value, self._places)}")

    def _read_targets(self, part: MappingReader) -> tuple[str, ...]:
        if isinstance(part.values.get("target"), list):
            if not part.values["target"]:
                part.add_problem("must name at least one place", "target")
            return part.items("target", self._read_target)
        return (part.read_required("target", self._read_target),)

    def _known_tenant(self, value: object) -> str:
        return one_of(*self._names)(value)

    def _read_entry(self, part: MappingReader) -> FaultEntry:
        entry = FaultEntry(
            targets=self._read_targets(part),
            window=read_window(part),
            share=part.read_optional("share", share, 1.0),
            fault=read_fault(part, "is"),
        )
        for target in filter(None, entry.targets):
            if problem := misfit_reason(entry.fault.kind, target):
                part.add_problem(problem, "is", entry.fault.kind)
        return entry

    def _read_metric(self, part: MappingReader) -> Metric:
        require_either(part, "requests", "errors")
        return Metric(
            signal=part.read_required("signal", name),
            tenant=part.read_required("tenant", self._known_tenant),
            window=read_window(part),
            requests_s=part.read_optional("requests", rate, None),
            errors=part.read_optional("errors", percent, None),
        )

    def _read_errors(self, part: MappingReader) -> Errors:
        require_either(part, "events", "title")
        return Errors(
            signal=part.read_required("signal", name),
            tenant=part.read_required("tenant", self._known_tenant),
            window=read_window(part),
            events_s=part.read_optional("events", rate, None),
            title=part.read_optional("title", text, None),
        )

    def _read_log(self, part: MappingReader) -> Log:
        rows = part.below("rows")
        return Log(
            tenant=part.read_required("tenant", self._known_tenant),
            window=read_window(part),
            rows=tuple(read_row(rows, kind) for kind in rows.values),
        )

    def _read_change(self, part: MappingReader) -> Change:
        if ("tenant" in part.values) == ("app" in part.values):
            part.add_problem("must name either a tenant or an app")
        return Change(
            at_s=part.read_required("at", span),
            tenant=part.read_optional("tenant", self._known_tenant, None),
            app=part.read_optional("app", text, None),
            what=part.read_required("what", text),
        )

    def _read_feed(self) -> tuple[StatusUpdate, ...]:
        """Read the status updates in the order of time: later ones take over from earlier ones."""
        drafts = self._part.each("feed", lambda part: (part, read_status_update(part)))
        latest: dict[str, StatusUpdate] = {}
        posts = []
        for part, draft in sorted(drafts, key=lambda each: each[1].at_s or 0.0):
            earlier = latest.get(draft.incident, draft)
            post = replace(
                draft,
                title=draft.title or earlier.title,
                environments=draft.environments or earlier.environments,
            )
            for key in ("title", "environments"):
                if not getattr(post, key):
                    part.add_problem("is missing: an incident's first post has it", key)
            latest[draft.incident] = post
            posts.append(post)
        return tuple(posts)


def _further_logins(bot: dict[str, Any], tenant: str) -> list[str]:
    """Name the logins that the file's overrides give a tenant; wrong ones are reported later."""
    found = []
    for settings in _mappings(bot.get("tenants")):
        if settings.get("name") == tenant:
            found += [str(login.get("name", LOGIN)) for login in _mappings(settings.get("logins"))]
    return found


def _mappings(values: object) -> list[dict[str, Any]]:
    listed = values if isinstance(values, list) else []
    return [value for value in listed if isinstance(value, dict)]
