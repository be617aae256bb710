"""Looking people up, while Slack answers and while it does not."""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.access import KNOWN_FOR_S, Access, Person
from bot.core.state.desk import DeskState
from bot.core.state.rules import Rules
from bot.core.state.tenant import Tenants
from bot.ports import View
from bot.slack import users
from bot.slack.users import UserDirectory, groups_with_rights

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from bot.slack.web_api import SlackWeb

WORKSPACES = frozenset({"T1", "E1"})
ANN = {"id": "U1", "team_id": "T1", "name": "ann", "real_name": "Ann Lee", "tz": "Europe/Berlin"}


class StillClock:
    """A clock that only the test moves; a sleep ends at once or never."""

    speed = 2.0

    def __init__(self) -> None:
        self.at = 1000.0
        self.rounds = 0
        """How many sleeps end."""

    def now(self) -> float:
        return self.at

    async def sleep(self, _span_s: float) -> None:
        await asyncio.sleep(0)
        self.rounds -= 1
        if self.rounds < 0:
            await asyncio.Event().wait()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


def make_directory(
    api: SlackWeb, clock: Any, groups: Iterable[str] = (), vouched: Iterable[str] = ()
) -> UserDirectory:
    rules = Rules({}, access=Access(silence=tuple(vouched)))
    view = View(clock.now(), rules, Tenants({}), DeskState())
    return UserDirectory(api, clock, lambda: view, groups=groups, workspaces=WORKSPACES)


@asynccontextmanager
async def running(people: UserDirectory) -> AsyncIterator[None]:
    task = asyncio.create_task(people.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def asked(slack: Any) -> list[str]:
    return [method for method, _, _ in slack.calls]


async def test_a_member(slack: Any, api: SlackWeb, clock: Any) -> None:
    """Name and zone come from users.info, groups from their member lists; each is asked once."""
    slack.answers["users.info"] = {"ok": True, "user": ANN}
    slack.answers["usergroups.users.list"] = [
        {"ok": True, "users": ["U1", "U2"]},
        {"ok": True, "users": ["U2"]},
    ]
    people = make_directory(api, clock, ["S1", "S2"])

    async with running(people):
        found = [await people.find_person("U1") for _ in range(3)]

    assert found == [Person("U1", "Europe/Berlin", ("S1",), name="Ann Lee")] * 3
    assert sorted(asked(slack)) == ["usergroups.users.list"] * 2 + ["users.info"]


@pytest.mark.parametrize(
    ("facts", "is_guest"),
    [
        ({}, False),
        ({"is_restricted": True}, True),
        ({"is_restricted": True, "is_ultra_restricted": True}, True),
        ({"is_stranger": True}, True),
        ({"team_id": "T9"}, True),
        ({"team_id": "T9", "enterprise_user": {"enterprise_id": "E1"}}, False),
        ({"team_id": None}, True),
    ],
)
async def test_guests(
    slack: Any, api: SlackWeb, clock: Any, facts: dict[str, Any], *, is_guest: bool
) -> None:
    """A person who is restricted to channels, or belongs to another workspace, is a guest."""
    slack.answers["users.info"] = {"ok": True, "user": ANN | facts}

    person = await make_directory(api, clock).find_person("U1")

    assert person.is_guest is is_guest


async def test_what_was_known_counts(slack: Any, api: SlackWeb, clock: Any) -> None:
    """After ten minutes Slack is asked again; if that fails, the old answer is used."""
    slack.answers["users.info"] = [{"ok": True, "user": ANN}, (503, {}, b""), {"ok": True}]
    people = make_directory(api, clock)
    before = await people.find_person("U1")

    for _ in range(2):
        clock.at += users.USER_TTL_S * clock.speed
        assert await people.find_person("U1") == before

    assert before.zone == "Europe/Berlin"
    assert asked(slack) == ["users.info"] * 3


async def test_groups_stay_known(slack: Any, api: SlackWeb, clock: Any, until: Any) -> None:
    """A user group that cannot be read again keeps its members."""
    slack.answers["users.info"] = {"ok": True, "user": ANN}
    answers = [{"ok": True, "users": ["U1"]}, {"ok": False, "error": "ratelimited"}]
    slack.answers["usergroups.users.list"] = answers
    people = make_directory(api, clock, ["S1"])

    for left in (1, 0):
        async with running(people):
            await until(lambda left=left: len(answers) == left)
            assert (await people.find_person("U1")).groups == ("S1",)


@pytest.mark.parametrize("answer", ["hang", {"ok": False, "error": "missing_scope"}])
async def test_nothing_known(
    slack: Any, api: SlackWeb, clock: Any, answer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """If Slack does not answer within a second, only the person's id is known: they may look."""
    slack.answers["users.info"] = answer
    people = make_directory(api, clock)
    began = asyncio.get_running_loop().time()

    person = await people.find_person("U1")

    assert person == Person("U1", is_known=False)
    assert asyncio.get_running_loop().time() - began < users.LOOKUP_TIMEOUT_S + 0.5
    warnings = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == ([] if answer == "hang" else ["users.info failed for U1: missing_scope"])


async def test_asked_again(slack: Any, api: SlackWeb, clock: Any, until: Any) -> None:
    """Slack is asked again in the background until it says who somebody is."""
    failed: Any = (503, {}, b"")
    slack.answers["users.info"] = [failed, failed, {"ok": True, "user": ANN}]
    people = make_directory(api, clock)
    clock.rounds = 50

    assert not (await people.find_person("U1")).is_known
    async with running(people):
        await until(lambda: not slack.answers["users.info"])
        await until(lambda: "U1" in people._people)

    assert (await people.find_person("U1")).name == "Ann Lee"
    assert await people.is_member("U1")


async def test_refused_for_good(slack: Any, api: SlackWeb, clock: Any) -> None:
    """What Slack will never answer, as without the scope, is not asked again by itself."""
    slack.answers["users.info"] = {"ok": False, "error": "missing_scope"}
    people = make_directory(api, clock)

    await people.find_person("U1")

    assert not people._unanswered


@pytest.mark.parametrize(
    ("age_s", "facts", "vouched", "expected"),
    [
        (KNOWN_FOR_S - 60, {}, (), (True, False)),
        (KNOWN_FOR_S + 60, {}, (), (False, False)),
        (KNOWN_FOR_S + 60, {}, ("U1",), (True, False)),
        (KNOWN_FOR_S + 60, {"is_restricted": True}, ("U1",), (True, True)),
    ],
)
async def test_how_long_somebody_is_known(
    slack: Any,
    api: SlackWeb,
    clock: Any,
    *,
    age_s: float,
    facts: dict[str, Any],
    vouched: tuple[str, ...],
    expected: tuple[bool, bool],
) -> None:
    """For 30 days, and as long as the bot's own state vouches for them; a guest stays a guest."""
    slack.answers["users.info"] = [{"ok": True, "user": ANN | facts}, (503, {}, b"")]
    people = make_directory(api, clock, vouched=vouched)
    await people.find_person("U1")
    clock.at += age_s

    person = await people.find_person("U1")

    assert (person.is_known, person.is_guest) == expected


@pytest.mark.no_cover
async def test_it_is_bounded(slack: Any, api: SlackWeb, clock: Any) -> None:
    """The directory remembers a limited number of people; one look-up serves all who wait."""
    slack.answers["users.info"] = {"ok": True, "user": ANN}
    people = make_directory(api, clock)

    await asyncio.gather(*(people.find_person("U1") for _ in range(20)))
    assert len(asked(slack)) == 1
    for start in range(0, users.MAX_PEOPLE + 1, 100):
        await asyncio.gather(*(people.find_person(f"U{start + n}") for n in range(100)))

    assert len(people._people) == users.MAX_PEOPLE


def test_which_groups_matter() -> None:
    """The groups that have a right; members and channels are not groups."""
    access = Access(silence=("S2", "U1"), administer=("S1", "S2", "C1"))

    assert groups_with_rights(access) == {"S1", "S2"}
