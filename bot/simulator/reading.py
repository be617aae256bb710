"""Reads scenario files, word by word as `FORMAT.md` has it."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from typing import TYPE_CHECKING, Any

from bot.config.document import ConfigError, read_yaml
from bot.core.model.observation import CONTROL, CUSTOM, LOGIN, LOGS, M2M, WELLKNOWN
from bot.simulator.entries import (
    length,
    need_either,
    read_answer,
    read_post,
    read_row,
    read_saying,
    read_tenant,
    read_window,
)
from bot.simulator.happening import ANY, SINGLE_PLACES, misfit, read_happening
from bot.simulator.part import Misread, Part, nearest
from bot.simulator.scenario import (
    Change,
    Entry,
    Errors,
    Log,
    Metric,
    Post,
    Scenario,
    ScenarioError,
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


def load(path: Path) -> Scenario:
    """Read a scenario file. Raises `ScenarioError` with all that is wrong with it."""
    try:
        document = read_yaml(path)
    except ConfigError as error:
        raise ScenarioError(*error.problems) from None
    part = Part(document, (), document.values)
    scenario = part.close(_Reader(document, part, path.name.removesuffix(SUFFIX)).scenario())
    if document.problems:
        raise ScenarioError(*(problem.text for problem in sorted(document.problems.values())))
    return scenario


def example(named: str) -> Scenario:
    """Read a scenario that ships with the package. Raises `ScenarioError` for an unknown name."""
    if named not in examples():
        raise ScenarioError(f"{named}: no such scenario; {nearest(named, examples())}")
    with resources.as_file(_folder() / f"{named}{SUFFIX}") as path:
        return load(path)


def examples() -> tuple[str, ...]:
    """Name the scenarios that ship with the package."""
    files = (file.name for file in _folder().iterdir())
    return tuple(sorted(file.removesuffix(SUFFIX) for file in files if file.endswith(SUFFIX)))


def _folder() -> Any:
    return resources.files("bot.simulator") / "examples"


class _Reader:
    """Knows the tenants and places of a file, so that what names them can be held against them."""

    def __init__(self, document: Document, part: Part, file: str) -> None:
        self._document = document
        self._part = part
        self._file = file
        bot = part.below_if_any("bot")
        self._bot: dict[str, Any] = bot.values if bot else {}
        self._controls = part.items("controls", name)
        self._tenants = self._read_tenants()
        self._names = [tenant.name for tenant in self._tenants]
        self._places = self._all_places()

    def scenario(self) -> Scenario:
        part = self._part
        part.need("format", one_of("1"))
        answer = part.below_if_any("answer")
        return Scenario(
            document=self._document,
            name=part.need("name", self._name),
            about=part.may("about", plain, ""),
            start_at=part.need("start", instant),
            warmup_s=part.need("warmup", length),
            duration_s=part.need("duration", positive(span)),
            seed=part.may("seed", whole, 0),
            bot=self._bot,
            tenants=self._tenants,
            controls=self._controls,
            timeline=part.each("timeline", self._entry),
            feed=self._feed(),
            metrics=part.each("metrics", self._metric),
            errors=part.each("errors", self._errors),
            logs=part.each("logs", self._log),
            changes=part.each("changes", self._change),
            people=part.each("people", read_saying),
            answer=read_answer(answer) if answer else None,
        )

    def _name(self, value: object) -> str:
        if value != self._file:
            raise Misread(value, f"is not the file's name without {SUFFIX}, {self._file!r}")
        return self._file

    def _read_tenants(self) -> tuple[Tenant, ...]:
        listed = self._part.below("tenants")
        if not listed.values:
            listed.wrong("must name at least one tenant")
        tenants = [read_tenant(listed, named) for named in listed.values]
        domains = [domain for tenant in tenants for domain in (tenant.domain, tenant.custom_domain)]
        for domain in {domain for domain in domains if domain and domains.count(domain) > 1}:
            listed.wrong(f"{domain} is there twice; each domain belongs to one tenant")
        return tuple(tenants)

    def _all_places(self) -> list[str]:
        places = [*SINGLE_PLACES, *(f"{CONTROL}.{control}" for control in self._controls)]
        for tenant in self._tenants:
            kinds = {LOGIN, WELLKNOWN, LOGS, *_further_logins(self._bot, tenant.name)}
            kinds |= {CUSTOM} if tenant.custom_domain else set()
            kinds |= {M2M} if tenant.m2m else set()
            places += [f"{tenant.name}.{kind}" for kind in kinds]
        return places

    def _target(self, value: object) -> str:
        owner, _, place = text(value).partition(".")
        kinds = {*TENANT_PLACES, ANY, *(known.partition(".")[2] for known in self._places)} - {""}
        is_pattern = ANY in (owner, place) and owner in (*self._names, CONTROL, ANY)
        if str(value) in self._places or (is_pattern and place in kinds):
            return str(value)
        if owner in self._names and place in _NEEDS:
            raise Misread(value, f"is no place here: the tenant does not say {_NEEDS[place]}")
        raise Misread(value, f"is no place here; {nearest(value, self._places)}")

    def _targets(self, part: Part) -> tuple[str, ...]:
        if isinstance(part.values.get("target"), list):
            if not part.values["target"]:
                part.wrong("must name at least one place", "target")
            return part.items("target", self._target)
        return (part.need("target", self._target),)

    def _known_tenant(self, value: object) -> str:
        return one_of(*self._names)(value)

    def _entry(self, part: Part) -> Entry:
        entry = Entry(
            targets=self._targets(part),
            window=read_window(part),
            share=part.may("share", share, 1.0),
            happening=read_happening(part, "is"),
        )
        for target in filter(None, entry.targets):
            if problem := misfit(entry.happening.kind, target):
                part.wrong(problem, "is", entry.happening.kind)
        return entry

    def _metric(self, part: Part) -> Metric:
        need_either(part, "requests", "errors")
        return Metric(
            signal=part.need("signal", name),
            tenant=part.need("tenant", self._known_tenant),
            window=read_window(part),
            requests_s=part.may("requests", rate, None),
            errors=part.may("errors", percent, None),
        )

    def _errors(self, part: Part) -> Errors:
        need_either(part, "events", "title")
        return Errors(
            signal=part.need("signal", name),
            tenant=part.need("tenant", self._known_tenant),
            window=read_window(part),
            events_s=part.may("events", rate, None),
            title=part.may("title", text, None),
        )

    def _log(self, part: Part) -> Log:
        rows = part.below("rows")
        return Log(
            tenant=part.need("tenant", self._known_tenant),
            window=read_window(part),
            rows=tuple(read_row(rows, kind) for kind in rows.values),
        )

    def _change(self, part: Part) -> Change:
        if ("tenant" in part.values) == ("app" in part.values):
            part.wrong("must name either a tenant or an app")
        return Change(
            at_s=part.need("at", span),
            tenant=part.may("tenant", self._known_tenant, None),
            app=part.may("app", text, None),
            what=part.need("what", text),
        )

    def _feed(self) -> tuple[Post, ...]:
        """Read the posts in the order of time, since later ones take over from earlier ones."""
        drafts = self._part.each("feed", lambda part: (part, read_post(part)))
        latest: dict[str, Post] = {}
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
                    part.wrong("is missing: an incident's first post has it", key)
            latest[draft.incident] = post
            posts.append(post)
        return tuple(posts)


def _further_logins(bot: dict[str, Any], tenant: str) -> list[str]:
    """Name the logins that the file's own overrides give a tenant; wrong ones are told later."""
    found = []
    for settings in _mappings(bot.get("tenants")):
        if settings.get("name") == tenant:
            found += [str(login.get("name", LOGIN)) for login in _mappings(settings.get("logins"))]
    return found


def _mappings(values: object) -> list[dict[str, Any]]:
    listed = values if isinstance(values, list) else []
    return [value for value in listed if isinstance(value, dict)]
