"""What is stored, by its fields, against what migrations know of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_jsonable_python

from bot.core.model.access import AuditEntry, CommandOutcome, Verb
from bot.core.model.command import (
    ALL_SIGNALS,
    Acknowledge,
    AddNote,
    Command,
    EndSilence,
    Escalate,
    ExplainVerdict,
    Request,
    Resolve,
    RunCheck,
    ShowOnCall,
    ShowStatus,
    UnclearCommand,
    Unknown,
)
from bot.core.model.measurement import Push
from bot.core.model.observation import Target
from bot.core.state.desk import DeskState
from bot.core.state.incident import Incident
from bot.core.state.outbox import Delivery
from bot.core.state.silence import Silence
from bot.core.state.tenant import TenantState
from bot.store import store
from bot.store.migrations.records import Record, migrate_record
from bot.store.migrations.versions import v0003_field_names as v0003
from tests.store.fields import Fields, describe_records, make_sample

ROWS: dict[str, Any] = {
    "tenant": TenantState,
    "desk": DeskState,
    "incident": Incident,
    "delivery": Delivery,
    "request": Request,
    "push": Push,
    "audit": AuditEntry,
}
BY_V0003 = {
    "tenant": v0003.TENANT_STATE,
    "desk": v0003.DESK_STATE,
    "incident": v0003.INCIDENT,
    "delivery": v0003.DELIVERY,
    "request": v0003.RECEIVED,
    "push": v0003.RECEIVED,
    "audit": Record(),
}


def read_fields(schema: str) -> Fields:
    """Return the fields that the code of a schema stored."""
    file = Path(__file__).parent / "databases" / f"{schema}.fields.json"
    fields: Fields = json.loads(file.read_text())
    return fields


def test_todays_fields_are_those_of_the_newest_schema() -> None:
    """A stored field that is renamed, removed or of another type needs a migration.

    Write one, set `HEAD`, and put what this test found into the file of that schema. A new field
    with a default needs no migration: add it to the newest file. (0004 changes no record.)
    """
    found = describe_records(ROWS, store.BODIES)

    assert found == read_fields("0003"), json.dumps(found, indent=1)


@pytest.mark.parametrize("row", ROWS)
def test_migration_0003_names_every_field(row: str) -> None:
    """Each field of schema 0002 has, after the first step, the name that stands in its place."""
    old, new = (make_sample(read_fields(schema))[row] for schema in ("0002", "0003.names"))

    assert list_items(migrate_record(old, BY_V0003[row])) == list_items(new)


@pytest.mark.parametrize("row", ["tenant", "desk", "incident", "delivery", "request", "push"])
def test_migration_0003_leaves_no_field_of_0001(row: str) -> None:
    """What 0.1.0 wrote has no field after the first step that it does not have of 0002."""
    old, new = (make_sample(read_fields(schema))[row] for schema in ("0001", "0003.names"))

    migrated = {path for path, _ in list_items(migrate_record(old, BY_V0003[row]))}

    assert migrated <= {path for path, _ in list_items(new)}


def list_items(value: Any, path: str = "") -> list[tuple[str, object]]:
    """List what is in a JSON value, each with its path, in its order."""
    if not isinstance(value, dict | list):
        return [(path, value)]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [found for key, one in items for found in list_items(one, f"{path}.{key}")]


@pytest.mark.parametrize(
    ("scope", "name", "about"),
    [
        ("tenant", "prod", Target("prod", "")),
        ("signal", "login", Target("", "login")),
        ("signal", "prod.login", Target("prod", "login")),
        ("incident", "7", 7),
        ("all", "", ALL_SIGNALS),
    ],
)
def test_migration_0003_types_what_a_silence_is_about(
    scope: str, name: str, about: Target | int
) -> None:
    """A kind and a name become signals, or the number of an incident."""
    desk = to_jsonable_python(DeskState(silences={1: Silence(1, 0, 5.0, 9.0, "U1", "a test")}))
    del desk["silences"]["1"]["about"]
    desk["silences"]["1"] |= {"scope": scope, "name": name}
    desk["due"] = {}

    text = json.dumps(migrate_record(desk, v0003.DESK_STATE_BY_KIND))

    silence = store.decode(store.DESK_JSON, text, "it").silences[1]
    assert silence == Silence(1, about, 5.0, 9.0, "U1", "a test")


@pytest.mark.parametrize(
    ("verb", "words", "command"),
    [
        ("ack", "#12 mine", Acknowledge(12, "mine")),
        ("resolve", "12", Resolve(12)),
        ("note", "#12 rolled back", AddNote(12, "rolled back")),
        ("escalate", "#12", Escalate(12)),
        ("unsilence", "S3", EndSilence(3)),
        ("run", "", RunCheck()),
        ("status", "", ShowStatus()),
        ("oncall", "", ShowOnCall()),
        ("why", "#7", ExplainVerdict(7)),
        ("unknown", "statsu", Unknown("statsu", "status")),
        *(
            (verb, words, UnclearCommand(Verb(verb), CommandOutcome.OUTDATED))
            for verb, words in {
                "ack": "mine",
                "note": "#12",
                "silence": "prod 2h an upgrade",
                "unsilence": "prod",
                "run": "prod",
                "oncall": "swap 8h",
            }.items()
        ),
    ],
)
def test_migration_0003_parses_the_words_of_requests(
    verb: str, words: str, command: Command
) -> None:
    """What names all that it means becomes that command; the rest can only be asked again."""
    old = {"id": "r", "at": 1.0, "verb": verb, "argument": words, "nearest": "status"}

    text = json.dumps(migrate_record(old, v0003.REQUEST_BY_KIND))

    assert store.decode(store.INBOX_ITEM_JSON, text, "r") == Request("r", 1.0, command, words)
