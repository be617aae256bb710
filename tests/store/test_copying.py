"""All that a database holds, moved to another one, and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import psycopg
import pytest
from click.testing import CliRunner

from bot.cli import main
from bot.core.model.access import AuditEntry, CommandOutcome, Verb
from bot.ports import Change, StoreError
from bot.store import copy_all, open_store
from tests.postgresql import GROUP, PASSWORD
from tests.store.test_old_databases import dump, expect, load, make_database

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = GROUP
NOW: float = expect("0002")["now"]
LINE = AuditEntry(NOW, "U1", Verb.WHY, "42", 42, CommandOutcome.NO_SUCH)


@pytest.fixture
def filled(path: Path) -> Path:
    """A file with a team's incidents, messages and requests."""
    make_database(path, "0002")
    load(path, NOW)
    return path


def test_there_and_back(filled: Path, server_database: str) -> None:
    """Every row comes back as it was."""
    back = filled.with_name("back.sqlite")

    there = copy_all(str(filled), server_database, NOW)
    assert copy_all(server_database, str(back), NOW) == there

    assert {name: count > 0 for name, count in there.items()} == dict.fromkeys(
        ("audit", "inbox", "incident", "outbox", "partition"), True
    )
    assert sorted(dump(back)) == sorted(dump(filled))


async def test_the_bot_goes_on_there(filled: Path, server_database: str) -> None:
    """It finds the same state, and its audit log goes on with the next number."""
    make_database(filled.with_name("same.sqlite"), "0002")
    same = await open_store(str(filled.with_name("same.sqlite")), NOW)
    copy_all(str(filled), server_database, NOW)

    store = await open_store(server_database, NOW)
    await store.commit(Change(audit_entries=[LINE]))

    assert await store.load(NOW) == await same.load(NOW)
    await store.close()
    await same.close()


async def test_what_is_refused(filled: Path, server_database: str) -> None:
    """A database in use on either side, a target with content, a source that is not there."""
    missing = filled.with_name("missing.sqlite")
    with pytest.raises(StoreError, match=r"There is no database .*missing.sqlite"):
        copy_all(str(missing), server_database, NOW)
    assert not missing.exists()

    for database in (str(filled), server_database):
        store = await open_store(database, NOW)
        with pytest.raises(StoreError, match="is in use by"):
            copy_all(str(filled), server_database, NOW)
        await store.close()

    copy_all(str(filled), server_database, NOW)
    with pytest.raises(StoreError, match=r"/test has content: give an empty one"):
        copy_all(str(filled), server_database, NOW)


async def test_what_arrived_is_compared(filled: Path, server_database: str) -> None:
    """If one row differs, nothing is copied."""
    await (await open_store(server_database, NOW)).close()
    with psycopg.connect(server_database) as connection:
        connection.execute(
            "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN NEW.opened_at := NEW.opened_at + 1; RETURN NEW; END'"
        )
        connection.execute(
            "CREATE TRIGGER spoil BEFORE INSERT ON incident FOR EACH ROW EXECUTE FUNCTION spoil()"
        )

    with pytest.raises(StoreError, match="in the table incident differs: nothing was copied"):
        copy_all(str(filled), server_database, NOW)

    with psycopg.connect(server_database) as connection:
        assert connection.execute("SELECT count(*) FROM outbox").fetchall() == [(0,)]


def test_the_command(filled: Path, server_database: str) -> None:
    """It prints what was copied, and ends with 1 and one line where that is impossible."""
    arguments = ["db", "copy", str(filled), server_database]

    copied, refused = (CliRunner().invoke(main, arguments) for _ in range(2))

    assert copied.exit_code == 0
    assert re.search(r"^incident\t[1-9]\d*$", copied.output, re.MULTILINE)
    assert copied.output.endswith("Every table arrived with the same rows.\n")
    assert refused.exit_code == 1
    assert refused.output.startswith("Error: The database postgresql://")
    assert PASSWORD not in copied.output + refused.output
