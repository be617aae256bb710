from __future__ import annotations

from dataclasses import replace
from datetime import date, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.access import (
    EVERYONE,
    KNOWN_FOR_S,
    RIGHTS,
    Access,
    AuditEntry,
    CommandOutcome,
    NotAllowed,
    Person,
    Principal,
    Right,
    Verb,
    authorize,
)
from bot.core.model.wall_clock import RecurringTime
from bot.core.oncall import Override, Rotation
from bot.core.state.desk import DeskState
from bot.core.state.rules import Rules

ANN = Person("U1", groups=("S1",))
CHANNEL = "C1"
whos = st.sampled_from((EVERYONE, "U1", "W2", "S1", "S2", "C1", "C2"))


@pytest.mark.parametrize(
    ("who", "is_allowed"),
    [
        ((EVERYONE,), True),
        (("U2", "U1"), True),
        (("S1",), True),
        (("C1",), True),
        (("U2", "S2", "C2"), False),
        ((), False),
    ],
)
@pytest.mark.parametrize("right", Right)
def test_who_has_a_right(right: Right, who: tuple[Principal, ...], *, is_allowed: bool) -> None:
    """By name, by group, by channel, or because everyone has it; others get the list of who may."""
    access = replace(Access((), (), (), ()), **{right.value: who})

    assert authorize(access, right, ANN, CHANNEL) == (
        None if is_allowed else NotAllowed(right, who)
    )


@pytest.mark.parametrize("right", Right)
def test_guests(right: Right) -> None:
    """Guests have no rights, even if everyone has them or they are named; they get no names."""
    access = Access(*[(EVERYONE, "U1")] * 4)
    guest = replace(ANN, is_guest=True)

    assert authorize(access, right, guest, CHANNEL) == NotAllowed(right, ())


@pytest.mark.parametrize("verb", Verb)
def test_of_whom_nothing_is_known(verb: Verb) -> None:
    """They may look, whoever has the right, and change nothing: they may be guests."""
    stranger = Person("U9", groups=("S1",), is_known=False)
    right = RIGHTS[verb]
    refused = authorize(Access(), right, stranger, CHANNEL)

    assert refused == (None if right is Right.VIEW else NotAllowed(right, (), is_unknown=True))


NOW = 5 * KNOWN_FOR_S
ROTATION = Rotation(("U2", "U3"), RecurringTime(time(9)), "UTC", date(1970, 1, 1))


@pytest.mark.parametrize(
    ("user", "is_vouched"),
    [
        ("U1", True),
        ("U2", True),
        ("U3", True),
        ("U4", True),
        ("U5", True),
        ("U6", False),
        ("U7", False),
        ("U8", False),
    ],
)
def test_who_is_known_without_slack(user: str, *, is_vouched: bool) -> None:
    """Who is named in access or on call, and who did something within 30 days."""
    rules = Rules({}, access=Access(administer=("U1",)), on_call=ROTATION)
    acted = [("U5", 29, "done"), ("U6", 31, "done"), ("U7", 1, "refused")]
    desk = DeskState(
        overrides=(Override("U4", NOW - 60, NOW + 60, "U1"),),
        audit=tuple(
            AuditEntry(NOW - days * 86_400, who, Verb.ACK, "", 1, CommandOutcome(outcome))
            for who, days, outcome in acted
        ),
    )

    assert desk.vouches_for(user, rules, NOW) is is_vouched


people = st.builds(Person, st.just("U1"), groups=st.just(("S1",)), is_guest=st.booleans())


@given(st.lists(whos), whos, st.sampled_from(Right), people)
def test_naming_more_people_takes_no_right_away(
    who: list[Principal], another: Principal, right: Right, person: Person
) -> None:
    """Whoever had a right still has it when one more is named."""
    before, after = (
        replace(Access(), **{right.value: tuple(named)}) for named in (who, [another, *who])
    )

    was_allowed = authorize(before, right, person, CHANNEL) is None
    assert was_allowed <= (authorize(after, right, person, CHANNEL) is None)


def test_each_verb_needs_a_right() -> None:
    """No verb can be forgotten."""
    assert RIGHTS.keys() == {*Verb}
