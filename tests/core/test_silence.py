from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.commands.parse import parse_silence
from bot.core.model.command import ALL_SIGNALS, AddSilence, SilenceRefusal
from bot.core.model.observation import Cause, Scope, Severity, Target, Verdict
from bot.core.state.incident import Incident, IncidentKind, IncidentLife, Resolution
from bot.core.state.problem import ProbeProblem, Problem
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.silence import MAX_SILENCE_S, Silence, covers, find_covering, preview_hidden

NOON = 1_772_452_800.0
HOUR_S, DAY_S = 3600.0, 86400.0
RULES = Rules(
    {
        "Prod": TenantRules("Prod", "acme.us.auth0.com", monitors=("pingdom",)),
        "7": TenantRules("7", "acme.eu.auth0.com", has_m2m=True),
    }
)
TENANTS, SIGNALS = ("prod", "eu", "staging"), ("login", "wellknown")


def problem(where: str, *, is_over: bool = False) -> Problem:
    tenant, signal = where.split(".")
    return ProbeProblem(tenant, signal, NOON, failed=5, tries=5, is_over=is_over)


def incident(*where: str, over: tuple[str, ...] = (), tenants: tuple[str, ...] = ()) -> Incident:
    """Return incident 42 of these problems; `over`: those that have ended."""
    problems = (*map(problem, where), *(problem(each, is_over=True) for each in over))
    return Incident(
        id=42,
        kind=IncidentKind.FAILING,
        severity=Severity.CRITICAL,
        tenants=tuple(dict.fromkeys((*(t.tenant for t in problems), *tenants))),
        since=NOON,
        life=IncidentLife(NOON),
        verdict=Verdict(Cause.AUTH0, Scope.TENANT, 0.9),
        problems=problems,
    )


def silence(about: Target | int, number: int = 1) -> Silence:
    return Silence(number, about, NOON, NOON + HOUR_S, "U1", "a deploy")


PROD, LOGIN = silence(Target("prod", "")), silence(Target("", "login"), 2)
PROD_LOGIN, EU = silence(Target("prod", "login"), 3), silence(Target("eu", ""), 4)
THIS, OTHER = silence(42, 5), silence(4, 6)
ALL = silence(ALL_SIGNALS, 7)
NO_DATA = incident(tenants=("prod",))


@pytest.mark.parametrize(
    ("muted", "what", "is_covered"),
    [
        (PROD, incident("prod.login", "prod.wellknown"), True),
        (PROD, incident("prod.login", "eu.login"), False),
        (PROD, incident("prod.login", over=("eu.login",)), True),
        (PROD, incident(over=("prod.login", "eu.login")), False),
        (PROD, incident("prod.login", tenants=("eu",)), False),
        (PROD, NO_DATA, True),
        (LOGIN, incident("prod.login", "eu.login"), True),
        (LOGIN, incident("prod.login", "prod.wellknown"), False),
        (LOGIN, NO_DATA, False),
        (PROD_LOGIN, incident("prod.login"), True),
        (PROD_LOGIN, incident("prod.login", "eu.login"), False),
        (THIS, incident("prod.login", "eu.login"), True),
        (OTHER, incident("prod.login"), False),
        (ALL, NO_DATA, True),
        (ALL, incident("prod.login", "eu.login"), True),
        (PROD, incident(), False),
    ],
)
def test_what_a_silence_covers(muted: Silence, what: Incident, *, is_covered: bool) -> None:
    """One ongoing problem outside it, or one tenant without data, is enough to alert."""
    assert covers(muted, what) is is_covered
    assert find_covering([muted], what, NOON) == (muted,) * is_covered


def test_silences_together() -> None:
    """Two silences hide an incident that neither covers alone; others are left out."""
    both = incident("prod.login", "eu.wellknown")

    assert find_covering([PROD, LOGIN], both, NOON) == ()
    assert find_covering([PROD, OTHER, EU], both, NOON) == (PROD, EU)


@pytest.mark.parametrize(
    ("muted", "now"),
    [
        (PROD, NOON - 1),
        (PROD, NOON + HOUR_S),
        (replace(PROD, ended_by="U2", ended_at=NOON + 5), NOON + 6),
    ],
)
def test_silence_that_is_not_active(muted: Silence, now: float) -> None:
    """Before its start, at its end, and once it was ended by hand, a silence hides nothing."""
    assert find_covering([muted], incident("prod.login"), now) == ()


where = st.builds("{}.{}".format, st.sampled_from(TENANTS), st.sampled_from(SIGNALS))
tenants, signals, nothing = st.sampled_from(TENANTS), st.sampled_from(SIGNALS), st.just("")
silences = st.builds(
    silence,
    st.one_of(
        st.builds(Target, tenants, nothing),
        st.builds(Target, nothing, signals),
        st.builds(Target, tenants, signals),
    ),
)


@given(st.lists(silences), st.lists(where, min_size=1), where)
def test_a_problem_outside_is_never_hidden(
    muted: list[Silence], problems: list[str], outside: str
) -> None:
    """No silences hide an incident with a problem that none of them covers."""
    if any(covers(one, incident(outside)) for one in muted):
        return

    assert find_covering(muted, incident(*problems, outside), NOON) == ()
    assert not any(covers(one, incident(*problems, outside)) for one in muted)


def test_preview() -> None:
    """It lists the incidents that were open since then and would have been hidden."""
    mine = incident("prod.login")
    before, within, still, elsewhere = (
        replace(mine, id=1, life=IncidentLife(NOON, resolved=Resolution(NOON - 1))),
        replace(mine, id=2, life=IncidentLife(NOON - 60, resolved=Resolution(NOON))),
        replace(mine, id=3, life=IncidentLife(NOON - DAY_S)),
        replace(incident("eu.login"), id=4),
    )

    found = preview_hidden(Target("prod", ""), [before, within, still, elsewhere], NOON)

    assert found == (2, 3)


@pytest.mark.parametrize(
    ("argument", "about"),
    [
        ("prod 2h a deploy", Target("Prod", "")),
        ("PROD.Login 2h a deploy", Target("Prod", "login")),
        ("m2m 2h a deploy", Target("", "m2m")),
        ("prod.pingdom 2h a deploy", Target("Prod", "pingdom")),
        ("#42 2h a deploy", 42),
        ("42 2h a deploy", 42),
        ("7 2h a deploy", Target("7", "")),
        ("#7  2h  a   deploy", 7),
        ("all 2h a deploy", ALL_SIGNALS),
    ],
)
def test_scope_of_a_silence(argument: str, about: Target | int) -> None:
    """Tenants, signals, monitors and incidents are found by name; names come before numbers."""
    read = parse_silence(argument, NOON, "UTC", RULES, [7, 42])

    assert read == AddSilence(about, NOON + 2 * HOUR_S, "a deploy")


@pytest.mark.parametrize(
    ("argument", "refusal"),
    [
        ("", SilenceRefusal.NO_SUCH),
        ("acme 2h a deploy", SilenceRefusal.NO_SUCH),
        ("#43 2h a deploy", SilenceRefusal.NO_SUCH),
        ("9" * 5000 + " 2h a deploy", SilenceRefusal.NO_SUCH),
        ("staging.login 2h a deploy", SilenceRefusal.NO_SUCH),
        ("prod.m2m 2h a deploy", SilenceRefusal.NO_SUCH),
        ("prod", SilenceRefusal.NO_TIME),
        ("prod a deploy", SilenceRefusal.NO_TIME),
        ("prod 0m a deploy", SilenceRefusal.PAST),
        ("prod 31d a deploy", SilenceRefusal.TOO_LONG),
        ("prod 2h", SilenceRefusal.NO_REASON),
        ("prod until 14:00", SilenceRefusal.NO_REASON),
    ],
)
def test_what_is_refused(argument: str, refusal: SilenceRefusal) -> None:
    """A silence needs something that exists, an end within 30 days, and a reason."""
    assert parse_silence(argument, NOON, "UTC", RULES, [42]) is refusal


def test_longest_silence() -> None:
    """Thirty days are the maximum; a long reason is cut."""
    read = parse_silence(f"prod 30d {'x' * 999}", NOON, "UTC", RULES, [])

    assert read == AddSilence(Target("Prod", ""), NOON + MAX_SILENCE_S, "x" * 200)


@pytest.mark.parametrize(
    ("zone", "hours"), [("UTC", 2), ("Europe/Berlin", 1), ("America/New_York", 7)]
)
def test_until_a_time_of_the_person(zone: str, hours: int) -> None:
    """`until 14:00` means the person's time zone."""
    read = parse_silence("prod until 14:00 a deploy", NOON, zone, RULES, [])

    assert read == AddSilence(Target("Prod", ""), NOON + hours * HOUR_S, "a deploy")
