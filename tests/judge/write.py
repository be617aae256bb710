"""Writes worlds as scenario files."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path
    from random import Random

    from tests.judge.course import Course
    from tests.judge.decide import Label
    from tests.judge.fault import Fault, Row
    from tests.judge.setup import Setup

LISTS = ("timeline", "feed", "metrics", "errors", "logs", "changes")


@dataclass(frozen=True, slots=True)
class World:
    """A scenario file."""

    name: str
    text: str

    def save(self, folder: Path) -> Path:
        """Write the file."""
        path = folder / f"{self.name}.yml"
        path.write_text(self.text)
        return path


def _time(minutes: float) -> str:
    return f"{round(minutes * 60)}s"


def _rate(per_min: float) -> str:
    return f"{per_min:.2f}/min"


def _percent(share: float) -> str:
    return f"{100 * min(max(share, 0.0), 1.0):.2f}%"


def _window(since: float | None, until: float | None) -> str:
    begin = f", from: {_time(since)}" if since is not None else ""
    return begin + (f", to: {_time(until)}" if until is not None else "")


@dataclass(slots=True)
class Writer:
    """Collects the entries of one file."""

    name: str
    about: str
    seed: int
    warmup_min: int
    duration_min: int
    start: str
    _head: list[str] = field(default_factory=list)
    _lists: dict[str, list[str]] = field(default_factory=lambda: {name: [] for name in LISTS})
    _posts: int = 0
    _usual: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)

    def set_up(self, setup: Setup) -> None:
        """Write tenants, control endpoints and what sources count on any day."""
        self._head.append("tenants:")
        for tenant in setup.tenants:
            extra = f", custom_domain: {tenant.custom_domain}" if tenant.custom_domain else ""
            extra += ", m2m: true" if tenant.m2m else ""
            places = f"domain: {tenant.domain}, environment: {tenant.environment}{extra}"
            self._head.append(f"  {tenant.name}: {{{places}}}")
            for app, rate in tenant.apps.items():
                self._usual[tenant.name, app] = rate, tenant.usual_failures
                self.add_calls(tenant.name, app, None, None, rate, tenant.usual_failures)
            if tenant.logins:
                usual = [(("s", "", ""), tenant.logins), (("fp", "", ""), 0.07 * tenant.logins)]
                self.add_rows(tenant.name, None, None, usual)
            if tenant.tracker:
                owner = f"signal: {tenant.tracker}, tenant: {tenant.name}"
                self._add("errors", f"{owner}, events: 1/min, title: login failed")
        if setup.controls:
            self._head.append(f"controls: [{', '.join(setup.controls)}]")

    def _add(self, kind: str, fields: str) -> None:
        self._lists[kind].append(f"  - {{{fields}}}")

    def add_hit(
        self,
        places: Sequence[str],
        answer: str,
        since: float | None = None,
        until: float | None = None,
        share: float = 1.0,
    ) -> None:
        """Let places answer otherwise."""
        listed = ", ".join(json.dumps(place) for place in places)
        part = f", share: {share:.4f}" if share < 1 else ""
        self._add("timeline", f"target: [{listed}]{_window(since, until)}{part}, is: {answer}")

    def add_calls(
        self,
        tenant: str,
        app: str,
        since: float | None,
        until: float | None,
        rate: float | None,
        share: float | None,
    ) -> None:
        """Let an application count so many calls, of which so many fail."""
        counted = f", requests: {_rate(rate)}" if rate is not None else ""
        counted += f", errors: {_percent(share)}" if share is not None else ""
        self._add("metrics", f"signal: {app}, tenant: {tenant}{_window(since, until)}{counted}")

    def add_rows(
        self,
        tenant: str,
        since: float | None,
        until: float | None,
        rows: Iterable[tuple[Row, float]],
    ) -> None:
        """Let a tenant's log have so many rows."""
        texts = []
        for (code, description, connection), rate in rows:
            extra = f", description: {json.dumps(description)}" if description else ""
            extra += f", connection: {connection}" if connection else ""
            texts.append(
                f"{code}: {{rate: {_rate(rate)}{extra}}}" if extra else f"{code}: {_rate(rate)}"
            )
        self._add("logs", f"tenant: {tenant}{_window(since, until)}, rows: {{{', '.join(texts)}}}")

    def add_plain_change(self, at: float, owner: str, what: str) -> None:
        """Let somebody change something."""
        self._add("changes", f"at: {_time(at)}, {owner}, what: {what}")

    def add_change(self, at: float, fault: Fault, setup: Setup, kind: str, what: str) -> None:
        """Let somebody change something shortly before the fault."""
        if kind == "deploy":
            apps = [app for tenant in setup.tenants for app in tenant.apps]
            owner = f"app: {fault.app or (apps[0] if apps else 'web')}"
        elif kind == "image":
            owner = "app: auth0-check"
        else:
            owner = f"tenant: {fault.tenant or setup.tenants[0].name}"
        self.add_plain_change(at, owner, what)

    def add_post(self, at: float, title: str, environments: Sequence[str]) -> None:
        """Let the status page have a post."""
        self._posts += 1
        self._add(
            "feed",
            f"at: {_time(at)}, incident: i{self._posts}x{self.seed}, title: {title}, "
            "status: Investigating, text: We are looking into it., "
            f"environments: [{', '.join(environments)}]",
        )

    def add_fault(self, fault: Fault, setup: Setup, course: Course, random: Random) -> None:
        """Write what a fault shows, step by step; what recovers first ends a little earlier."""
        early = {
            owner: random.choice((0.0, 0.0, 1.0, 3.0))
            for owner in sorted({place.rpartition(".")[2] for place in fault.hits})
        }
        for since, until, factor in course.steps:
            if since > self.duration_min:
                break
            groups: dict[tuple[str, float, float], list[str]] = {}
            for place, (answer, share) in fault.hits.items():
                end = until
                if course.steps[-1][1] == until and until - since > 8:
                    end = until - early[place.rpartition(".")[2]]
                groups.setdefault((answer, round(min(1.0, share * factor), 4), end), []).append(
                    place
                )
            for (answer, share, end), places in groups.items():
                if fault.begun:
                    self.add_hit(places, answer)
                elif "clock" in answer:
                    self.add_hit(places, answer, since)
                else:
                    self.add_hit(places, answer, since, end, share)
            self._add_counts(fault, setup, (since, until), factor)

    def _add_counts(
        self, fault: Fault, setup: Setup, span: tuple[float, float], factor: float
    ) -> None:
        for (name, app), (share, volume) in fault.calls.items():
            rate, usual = self._usual[name, app]
            more = rate * volume if volume != 1 else None
            self.add_calls(name, app, *span, more, min(0.995, usual + share * factor))
        for tenant in setup.tenants:
            rows = [(row, rate * factor) for row, rate in fault.rows.get(tenant.name, {}).items()]
            rows = [(r, rate + 0.07 * tenant.logins if r[0] == "fp" else rate) for r, rate in rows]
            if tenant.name in fault.successes:
                left = 1 - (1 - fault.successes[tenant.name]) * factor
                rows.append((("s", "", ""), left * tenant.logins))
            if rows:
                self.add_rows(tenant.name, *span, rows)
            if tenant.name in fault.events:
                title, rate = fault.events[tenant.name]
                self._add(
                    "errors",
                    f"signal: {tenant.tracker}, tenant: {tenant.name}{_window(*span)}, "
                    f"events: {_rate(1 + rate * factor)}, title: {json.dumps(title)}",
                )

    def answer(self, label: Label, *, alert: bool) -> None:
        """Write the label."""
        accept = f", accept: [{', '.join(label.accept)}]" if label.accept else ""
        at = f", decidable: {_time(label.decidable_min)}" if alert else ""
        self._answer = f"answer: {{cause: {label.cause}{accept}{at}, alert: {str(alert).lower()}}}"

    _answer: str = ""

    def world(self) -> World:
        """Return the file."""
        lines = [
            "format: 1",
            f"name: {self.name}",
            f"about: {json.dumps(self.about)}",
            f"start: {self.start}",
            f"warmup: {self.warmup_min}m",
            f"duration: {self.duration_min}m",
            f"seed: {self.seed}",
            *self._head,
        ]
        for kind in LISTS:
            if self._lists[kind]:
                lines += [f"{kind}:", *self._lists[kind]]
        return World(self.name, "\n".join([*lines, self._answer, ""]))
