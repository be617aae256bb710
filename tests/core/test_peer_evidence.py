"""What the other tenants prove: which of them fail, and which do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.core.model.observation import (
    CONTROL,
    WELLKNOWN,
    Fault,
    MissingEvidence,
    SignalState,
    Stage,
    Target,
)
from bot.core.signals.probe_threshold import ProbeState, Try
from bot.core.state.rules import Rules, TenantRules
from bot.core.state.tenant import SharedSignals, Tenants, TenantState, TokenEndpoint
from bot.core.triage.context import TriageContext
from bot.core.triage.verdict import collect_evidence, reach_verdict

NOW = 1_772_445_600.0
SINCE = NOW - 300
ENVIRONMENTS = {"prod": "US-1", "staging": "US-1", "eu": "EU-1", "au": "AU-1"}
RULES = Rules(
    {name: TenantRules(name, f"{name}.auth0.com", where) for name, where in ENVIRONMENTS.items()},
    controls=(Target(CONTROL, "neutral"),),
)
OF_PEERS = ("environment-ok", "environment-fails", "elsewhere-ok", "elsewhere-fails")
FAILS_BESIDE = "same-environment-fails"
GONE = Fault(Stage.HTTP, "http_503", 503)
WELL = ProbeState(ever_ok=True, last_ok_at=NOW - 10, last_at=NOW - 10)
DOWN = ProbeState(
    state=SignalState.FIRING,
    tries=tuple(Try(SINCE + 5 * place, GONE) for place in range(5)),
    since=SINCE,
    ever_ok=True,
    last_ok_at=SINCE - 30,
    last_at=NOW,
)


@pytest.mark.parametrize(
    ("judged", "failing", "found"),
    [
        (
            ("prod",),
            {"prod"},
            {"same-environment-ok": ("staging",), "elsewhere-ok": ("eu", "au")},
        ),
        (
            ("prod",),
            {"prod", "staging"},
            {"same-environment-fails": ("staging",), "elsewhere-ok": ("eu", "au")},
        ),
        (
            ("prod",),
            {"prod", "eu"},
            {"elsewhere-fails": ("eu",), "same-environment-ok": ("staging",)},
        ),
        (
            ("prod", "eu"),
            {"prod", "eu"},
            {
                "elsewhere-fails": ("eu",),
                "same-environment-ok": ("staging",),
            },
        ),
    ],
)
def test_peers_that_fail_and_peers_that_do_not(
    judged: tuple[str, ...], failing: set[str], found: dict[str, tuple[str, ...]]
) -> None:
    """While other environments fail too, one that is healthy is no evidence against that."""
    states = {
        name: TenantState({"login": DOWN if name in failing else WELL, WELLKNOWN: WELL})
        for name in RULES.tenants
    }
    context = TriageContext(judged, Tenants(states), SharedSignals(), RULES, NOW, SINCE)
    matches = {match.rule_id: match.values.get("names") for match in collect_evidence(context)}

    assert {id_: names for id_, names in matches.items() if id_.endswith(OF_PEERS)} == found


@pytest.mark.parametrize("names", [("prod", "staging"), ("staging", "prod")])
@pytest.mark.parametrize(
    ("apart_s", "is_silenced", "is_evidence"),
    [(300, False, True), (300, True, False), (30, True, True), (1000, False, False)],
)
def test_what_people_work_on_or_what_began_long_before_or_after_is_no_companion(
    names: tuple[str, str], apart_s: float, *, is_silenced: bool, is_evidence: bool
) -> None:
    """A silenced tenant that fails from the same minute on still is one, whichever is judged."""
    judged, other = names
    began = {"staging": NOW - 3700 - apart_s, "prod": NOW - 3700}
    failing = {
        name: replace(DOWN, since=at, tries=tuple(Try(at + 5 * n, GONE) for n in range(5)))
        for name, at in began.items()
    }
    states = {
        name: TenantState({"login": failing.get(name, WELL), WELLKNOWN: WELL})
        for name in RULES.tenants
    }
    silenced = frozenset({"staging"} if is_silenced else ())
    context = TriageContext(
        (judged,), Tenants(states), SharedSignals(), RULES, NOW, began[judged], silenced
    )

    found = [m.values["names"] for m in collect_evidence(context) if m.rule_id == FAILS_BESIDE]
    assert found == ([(other,)] if is_evidence else [])


@pytest.mark.parametrize(
    ("names", "has_control", "missing"),
    [
        (("prod", "staging", "eu"), False, MissingEvidence.CONTROL),
        (("prod", "eu"), True, MissingEvidence.PEER),
        (("prod", "staging", "eu"), True, MissingEvidence.USERS),
    ],
)
def test_what_would_settle_it_is_what_is_missing(
    names: tuple[str, ...], missing: MissingEvidence, *, has_control: bool
) -> None:
    """A control endpoint, then a login in the same environment, then the users' own numbers."""
    rules = replace(RULES, tenants={name: RULES.tenants[name] for name in names})
    controls = {"neutral": ProbeState()} if has_control else {}
    new = TenantState({"login": ProbeState(), WELLKNOWN: ProbeState()})
    tenants = Tenants(dict.fromkeys(names, new))
    shared = SharedSignals(controls)
    verdict = reach_verdict(TriageContext(("prod",), tenants, shared, rules, NOW, SINCE))

    assert verdict.settled_by is missing


@pytest.mark.parametrize("has_answer", [True, False])
def test_an_answer_shows_that_something_is_reached(*, has_answer: bool) -> None:
    """Though it is an error, and though most of the tries get no connection."""
    reset = Fault(Stage.CONNECT, "reset")
    lost = replace(DOWN, tries=tuple(replace(each, fault=reset) for each in DOWN.tries))
    mixed = replace(lost, tries=(DOWN.tries[0], *lost.tries[1:]))
    last = mixed if has_answer else lost

    assert is_nothing_reached(TenantState({"login": lost, WELLKNOWN: last})) is not has_answer


@pytest.mark.parametrize(
    ("endpoint", "is_lost"),
    [
        (TokenEndpoint(SINCE + 5, SINCE + 5), False),
        (TokenEndpoint(SINCE - 5, SINCE - 5), True),
        (TokenEndpoint(SINCE + 5, SINCE - 5), True),
    ],
)
def test_a_token_endpoint_that_answers_is_reached(
    endpoint: TokenEndpoint, *, is_lost: bool
) -> None:
    """If it has done so since the problem began, and still does."""
    reset = Fault(Stage.CONNECT, "reset")
    lost = replace(DOWN, tries=tuple(replace(each, fault=reset) for each in DOWN.tries))
    tenant = TenantState({"login": lost, WELLKNOWN: lost}, token_endpoint=endpoint)

    assert is_nothing_reached(tenant) is is_lost


def is_nothing_reached(each: TenantState) -> bool:
    """Tell what is found if all tenants are in this state."""
    tenants = Tenants(dict.fromkeys(RULES.tenants, each))
    context = TriageContext(("prod",), tenants, SharedSignals(), RULES, NOW, SINCE)
    return "nothing-reached" in {match.rule_id for match in collect_evidence(context)}
