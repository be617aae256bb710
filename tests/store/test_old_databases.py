"""Databases that older versions wrote, opened by this one.

`databases/NNNN.sql` is such a database, `NNNN.json` what the old code itself said of it.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import TypeAdapter

from bot.core.model.access import AuditEntry
from bot.core.model.measurement import ExternalAlert, Push
from bot.core.model.observation import Target
from bot.core.oncall import AwaitingMention, begun_escalation
from bot.core.state.incident import IncidentState
from bot.core.state.outbox import (
    Answer,
    Body,
    ChannelBody,
    DirectMessage,
    Edit,
    OverrideAnnouncement,
    Paging,
    Post,
    Reply,
    SilenceAnnouncement,
)
from bot.core.state.problem import (
    AlertProblem,
    MetricProblem,
    NoDataProblem,
    ProbeProblem,
    Problem,
    SlowProblem,
)
from bot.core.state.timeline import PagedEntry, StatusUpdateEntry, VerdictEntry
from bot.ports import Change, StoreError
from bot.simulator import simulation
from bot.simulator.memory import MemoryStore
from bot.simulator.reading import load_file
from bot.simulator.virtual import VirtualLoop, run_virtually
from bot.simulator.workspace.model import Message
from bot.store import open_store, store
from bot.store.schema import HEAD

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.core.state.silence import Silence
    from bot.core.state.tenant import TenantState
    from bot.ports import Snapshot

DATABASES = Path(__file__).parent / "databases"
DEPLOY = Path(__file__).parents[2] / "docs" / "deploy.md"
SCHEMAS = ("0001", "0002")
WORLD = """\
format: 1
name: world
about: All works again.
start: 2026-03-02T10:41:00Z
warmup: 30s
duration: 15m
seed: 1
bot:
  slack: {mention: "@here"}
  server: {listen: 127.0.0.1:8080}
  hooks: {pingdom: {path_secret: made-up-secret-of-32-characters-1}}
  thresholds: {fail_count: 3, window: 6, recover_count: 2, mention_after: 0s}
  notify: [{name: pager, pagerduty: {routing_key: 0123456789abcdef0123456789abcdef}}]
  oncall: {rotation: {people: [U1, U2], hand_over: "09:00", start: 2026-03-02}}
tenants:
  prod: {domain: acme.us.auth0.com, environment: US-1, custom_domain: login.acme.example}
  eu: {domain: acme.eu.auth0.com, environment: EU-1, m2m: true}
  dev: {domain: acme-dev.au.auth0.com, environment: AU-1}
  jp: {domain: acme.jp.auth0.com, environment: JP-1}
  fr: {domain: acme-fr.eu.auth0.com, environment: EU-2, custom_domain: login.fr.acme.example}
controls: [neutral]
metrics:
  - {signal: checkout, tenant: prod, requests: 200/min, errors: 1%}
errors:
  - {signal: web, tenant: prod, events: 2/min, title: token exchange failed}
logs:
  - {tenant: prod, rows: {s: 38/min, fp: 3/min}}
"""


def make_database(path: Path, schema: str, change: str = "") -> None:
    """Make a database as the old version left it, with a change in SQL."""
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((DATABASES / f"{schema}.sql").read_text() + change)


def expect(schema: str) -> dict[str, Any]:
    """Return what the old code said of its database."""
    expected: dict[str, Any] = json.loads((DATABASES / f"{schema}.json").read_text())
    return expected


def load(path: Path, now: float) -> Snapshot:
    """Open a database and give what it remembers."""

    async def loaded() -> Snapshot:
        store = await open_store(str(path), now)
        try:
            assert store.warning == ""
            return await store.load(now)
        finally:
            await store.close()

    return asyncio.run(loaded())


def dump(path: Path) -> list[str]:
    """Return all that a database holds."""
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def describe(snapshot: Snapshot) -> dict[str, Any]:
    """Say of a snapshot what the old code said of it."""
    desk = snapshot.desk
    assert desk
    return {
        "incidents": {str(number): _incident(each) for number, each in desk.incidents.items()},
        "deliveries": {
            key: [each.status, each.tries, *_body(each.body)]
            for key, each in snapshot.deliveries.items()
        },
        "tenants": {name: _tenant(each) for name, each in snapshot.tenants.items()},
        "silences": [[*_scope(s), s.until, s.ended_at] for s in desk.silences.values()],
        "overrides": [[each.person, each.until, each.by] for each in desk.overrides],
        "on_call": [shift.person for shift in desk.shifts.shifts] if desk.shifts else [],
        "audit": [[each.user, each.verb, each.outcome] for each in desk.audit],
        "checks": {
            key: [
                list(check.tenants),
                [str(target) for target in check.skipped],
                [str(each.target) for each in check.observations],
                [str(each.target) for each in check.measurements],
            ]
            for key, check in desk.checks.items()
        },
        "controls": {name: probe.state for name, probe in desk.shared.controls.items()},
        "status_page": {
            name: [each.title for each in feed.status_incidents]
            for name, feed in desk.shared.feeds.items()
        },
        "changes": [change.what for change in desk.shared.changes],
        "inbox": [each.id for each in snapshot.inbox_items],
    }


def _incident(incident: Incident) -> dict[str, Any]:
    verdict, message = incident.verdict, incident.message.ref
    escalation = begun_escalation(incident.notification.escalation)
    return {
        "state": incident.state,
        "kind": incident.kind,
        "severity": incident.severity,
        "tenants": list(incident.tenants),
        "cause": verdict.cause,
        "for": [evidence.rule_id for evidence in verdict.evidence_for],
        "against": [evidence.rule_id for evidence in verdict.evidence_against],
        "problems": [[p.tenant, p.signal, p.is_over, *_numbers(p)] for p in incident.problems],
        "status_incidents": [each.title for each in incident.status_incidents],
        "since": incident.since,
        "resolved_at": incident.life.resolved_at,
        "merged_into": incident.life.merged_into,
        "reopened": incident.life.reopen_count,
        "message": [message.channel, message.ts] if message else None,
        "has_mentioned": incident.notification.has_mentioned,
        "causes": [each.verdict.cause for each in incident.history.verdicts],
        "first_known": incident.history.detected_at,
        "acknowledged_by": incident.life.acknowledged_by,
        "resolved_by": incident.life.resolved_by,
        "mentioned": list(incident.notification.mentioned),
        "paged": list(incident.notification.paged_at),
        "notified": list(escalation.notified) if escalation else [],
        "sticky": [str(target) for target in incident.life.still_failing],
        "notes": [note.text for note in incident.notes],
        "false_alarm": incident.false_alarm,
    }


def _numbers(problem: Problem) -> list[Any]:
    """Return what is usual, why there is no data, and the title of an alert."""
    match problem:
        case MetricProblem():
            return [problem.baseline, problem.no_data_reason, ""]
        case SlowProblem():
            return [problem.usual_s, "", ""]
        case NoDataProblem():
            return [None, problem.no_data_reason, ""]
        case AlertProblem():
            return [None, "", problem.title]
        case ProbeProblem():
            return [None, "", ""]


def _body(body: Body) -> list[Any]:
    found: list[Any] = []
    match body:
        case Post() | Edit():
            found = [type(body).__name__.lower(), body.incident]
        case Reply(incident, entry):
            fields = (getattr(entry, name, ()) for name in ("tenants", "mentioned"))
            verdict = entry.verdict if isinstance(entry, VerdictEntry) else None
            status = entry.status_incident if isinstance(entry, StatusUpdateEntry) else None
            found = [
                *("reply", incident, entry.kind, *map(list, fields)),
                list(entry.contact_points) if isinstance(entry, PagedEntry) else [],
                None,  # the signal of the first tenant that recovered, of which no database has any
                verdict and verdict.cause,
                status and status.title,
                [e.rule_id for e in entry.new_evidence] if isinstance(entry, VerdictEntry) else [],
            ]
        case Answer(result=result):
            found = [
                *("answer", body.request.command.verb, body.is_first),
                [f"{each.target} {each.outcome}" for each in body.observations],
                [str(target) for target in body.skipped],
                [str(target) for target in body.unanswered],
                [str(each.target) for each in body.measurements],
                [result.outcome, result.silence_refusal] if result else None,
            ]
        case DirectMessage():
            found = ["direct message", body.incident, body.person]
        case Paging():
            found = ["page", body.incident, body.contact_point, body.action]
        case SilenceAnnouncement(silence):
            found = ["silence", *_scope(silence)]
        case OverrideAnnouncement(shift, by):
            found = ["override", shift.person, by]
    return found


def _scope(silence: Silence) -> tuple[str, str]:
    """Return the kind and the name that the old code stored."""
    assert isinstance(silence.about, Target)
    return "signal" if silence.about.name else "tenant", silence.words


def _tenant(tenant: TenantState) -> dict[str, Any]:
    return {
        "probes": {
            name: [probe.state, probe.latency.count, probe.latency.median_s]
            for name, probe in tenant.probes.items()
        },
        "metrics": {
            name: [
                *(metric.state, metric.baseline.seconds, metric.reading.expected_failures),
                *(metric.no_data_reason, metric.no_data_since, len(metric.hourly_baselines)),
                [each.own_rows for each in metric.recent][-1:],
            ]
            for name, metric in tenant.metrics.items()
        },
        "alerts": {
            name: [
                *([alert.title, alert.is_unauthenticated] for alert in monitor.alerts),
                *monitor.expires_at,
            ]
            for name, monitor in tenant.monitors.items()
        },
        "last_data_at": tenant.last_data_at,
        "logins": sum(minute.ok + minute.failed for minute in tenant.recent_logins),
    }


@pytest.mark.parametrize("schema", SCHEMAS)
def test_all_is_as_it_was(path: Path, schema: str) -> None:
    """What is loaded is what the old code said of it."""
    make_database(path, schema)
    expected = expect(schema)

    found = describe(load(path, expected.pop("now")))

    assert found == expected
    assert query(path, "SELECT version_num FROM alembic_version") == [(HEAD,)]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_way_back_to_the_older_version(tmp_path: Path, schema: str) -> None:
    """The commands of docs/deploy.md give it back the very database that it wrote.

    Also after the newer one was killed: its log, left beside the old database, would destroy that.
    """
    path = tmp_path / "auth0-check.sqlite"
    log = path.with_name(f"{path.name}-wal")
    make_database(path, schema)
    before = dump(path)
    load(path, expect(schema)["now"])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DELETE FROM incident")
        connection.commit()
        killed = log.read_bytes()
    log.write_bytes(killed)
    (commands,) = (
        block
        for block in re.findall(r"```sh\n(.*?)```", DEPLOY.read_text(), re.DOTALL)
        if f".before-{HEAD}" in block
    )

    subprocess.run(["sh", "-euc", commands], cwd=tmp_path, check=True)  # noqa: S603, S607 - ours

    assert dump(path) == before
    states = {each["state"] for each in expect(schema)["incidents"].values()}
    assert {IncidentState.OPEN, IncidentState.ACKNOWLEDGED} <= states
    assert describe(load(path, expect(schema)["now"])) | {"now": 0} == expect(schema) | {"now": 0}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_rows_that_are_over_are_carried_over(path: Path, schema: str) -> None:
    """What was sent, answered or only logged can be read as well, and no row is lost.

    But for the facts that began each thread: they stand in the message now.
    """
    make_database(path, schema)
    tables = ("partition", "incident", "outbox", "inbox")
    kept = """WHERE body NOT LIKE '%"kind": "why"%'"""
    before = {table: query(path, f"SELECT count(*) FROM {table} {kept}") for table in tables}  # noqa: S608

    load(path, expect(schema)["now"])

    for table in tables:
        assert query(path, f"SELECT count(*) FROM {table}") == before[table]  # noqa: S608
    for key, body in query(path, "SELECT key, body FROM outbox"):
        store.decode_delivery(body, key)
    for key, body in query(path, "SELECT id, body FROM inbox"):
        store.decode(store.INBOX_ITEM_JSON, body, key)
    for key, body in query(path, "SELECT id, body FROM audit"):
        store.decode(TypeAdapter(AuditEntry), body, key)


@pytest.mark.parametrize("table", ["partition", "incident", "outbox", "inbox"])
@pytest.mark.parametrize("body", ["{", "[]", "null"])
def test_a_failed_migration_changes_nothing(path: Path, table: str, body: str) -> None:
    """One row that cannot be read, and the database is what it was before."""
    last = f"(SELECT max(rowid) FROM {table})"  # noqa: S608
    make_database(path, "0002", f"UPDATE {table} SET body = '{body}' WHERE rowid = {last};")  # noqa: S608
    before = dump(path)

    with pytest.raises(StoreError, match=rf"^{table} \S+ in the database cannot be read, so noth"):
        load(path, 0.0)

    assert dump(path) == before


@pytest.mark.parametrize(
    ("resolved_at", "message", "is_to_come"),
    [
        ("null", "null", True),
        ("1.0", "null", False),
        ("null", '{"channel": "C", "ts": "1"}', False),
    ],
)
def test_mention_of_0001_is_not_lost(
    path: Path, resolved_at: str, message: str, *, is_to_come: bool
) -> None:
    """People are mentioned where the message that was to mention them never reached Slack."""
    fields = {
        "with_mention": "true",
        "is_mentioned": "true",
        "mention_at": "null",
        "card": message,
        "resolved_at": resolved_at,
    }
    changes = ", ".join(f"'$.{name}', json('{value}')" for name, value in fields.items())
    update = f"UPDATE incident SET body = json_set(body, {changes}) WHERE id = 3;"  # noqa: S608
    make_database(path, "0001", update)

    desk = load(path, expect("0001")["now"]).desk

    assert desk
    incident = desk.incidents[3]
    assert incident.notification.has_mentioned is not is_to_come
    assert incident.notification.escalation == (
        AwaitingMention(incident.life.opened_at) if is_to_come else None
    )


def go_on(
    snapshot: Snapshot, store: MemoryStore, world: Path
) -> tuple[dict[int, Incident], list[Message]]:
    """Start a bot with what was stored, where all works again.

    Returns the incidents in the end, and all that stands in the channel.
    """
    results: list[simulation.Simulation] = []

    async def main(loop: VirtualLoop) -> None:
        bot = simulation.Simulation(loop, load_file(world), 1, lambda _: None, store=store)
        results.append(bot)
        desk = snapshot.desk
        assert desk
        channel = bot.workspace.state.channel("C0ALERTS")
        for incident in desk.incidents.values():
            if incident.message.ref:
                ts = incident.message.ref.ts
                channel.messages[ts] = Message(ts, "U0BOT", f"first message of #{incident.id}")
        well = ExternalAlert(
            Target("prod", "pingdom"), "p1", bot.clock.now(), is_firing=False, title="x"
        )
        bot.clock.call_at(bot.clock.now() + 60, lambda: bot.accept(Push("p", 0.0, (well,))))
        await bot.run()

    run_virtually(main)
    return results[0].engine.view().desk.incidents, results[0].workspace.messages("C0ALERTS")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_bot_goes_on(path: Path, tmp_path: Path, schema: str) -> None:
    """It resolves the open and the acknowledged incident when all works again.

    It edits the messages that they have, and posts one only where there was none yet.
    """
    make_database(path, schema)
    snapshot = load(path, expect(schema)["now"])
    assert snapshot.desk
    old = snapshot.desk.incidents
    states = {i.state for i in old.values() if i.message.ref and i.is_open}
    assert states == {IncidentState.OPEN, IncidentState.ACKNOWLEDGED}
    store = MemoryStore()
    change = Change(
        snapshot.tenants,
        snapshot.desk,
        old,
        snapshot.deliveries,
        list(snapshot.inbox_items),
    )
    asyncio.run(store.commit(change))
    world = tmp_path / "world.yml"
    world.write_text(WORLD)

    incidents, messages = go_on(snapshot, store, world)

    assert incidents.keys() == old.keys()
    assert not any(incident.is_open for incident in incidents.values())
    assert asyncio.run(store.read_unfinished()).deliveries == ()
    texts = {message.ts: message.text for message in messages}
    for number, incident in old.items():
        if incident.message.ref:
            assert incidents[number].message.ref == incident.message.ref
            assert "again" in texts[incident.message.ref.ts] or not incident.is_open
    own = [d for d in snapshot.deliveries.values() if isinstance(d.body, ChannelBody)]
    first = [incident for incident in incidents.values() if incident.message.ref]
    posts = [m for m in messages if not m.thread_ts and not m.only_for]
    assert len([m for m in posts if not m.text.startswith("Hello")]) == len(own + first)
