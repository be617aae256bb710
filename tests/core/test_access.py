from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.model.access import (
    EVERYONE,
    RIGHTS,
    Access,
    NotAllowed,
    Person,
    Principal,
    Right,
    Verb,
    authorize,
)

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
