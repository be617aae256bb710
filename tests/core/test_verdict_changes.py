"""A verdict changes only for named evidence: random problems, checked after each step."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.core.incidents.verdict_changes import (
    DISPROVED_OURS_S,
    DISPROVED_S,
    LOUDER,
    OUR_CAUSES,
    turn_verdict,
)
from bot.core.model.measurement import ChangeMade, ExternalAlert, MetricKind, Push
from bot.core.model.observation import (
    CONTROL,
    Cause,
    Evidence,
    Fault,
    FeedReading,
    FeedState,
    Observation,
    Outcome,
    Phase,
    Scope,
    Stage,
    StatusIncident,
    Target,
    Verdict,
)
from bot.core.signals.history import MIN_ANSWERS
from bot.core.signals.metric_threshold import MetricLimits
from bot.core.state.incident import VerdictRecord
from bot.core.state.outbox import Reply
from bot.core.state.stimulus import FeedPolled, Observed, Pushed, Send, TenantReport, VerdictChanged
from bot.core.state.timeline import VerdictEntry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bot.core.state.incident import Incident

LOOKS = {
    "ok": (0.2, None),
    "slow": (4.0, None),
    "503": (None, Fault(Stage.HTTP, "http_503", 503)),
    "time-out": (None, Fault(Stage.TIMEOUT, "connect")),
    "refused": (None, Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant")),
    "denied": (None, Fault(Stage.OAUTH, "access_denied", 403, "access_denied")),
    "limited": (None, Fault(Stage.OAUTH, "too_many_requests", 429, "too_many_requests")),
    "no proof": (None, Fault(Stage.PROOF, "no_proof", 200)),
}
SIGNALS = (
    *("prod.login", "prod.second", "prod.wellknown", "prod.custom", "prod.m2m"),
    *("staging.login", "eu.login", "control.neutral"),
)


@dataclass(frozen=True)
class Spell:
    """A number of events of one kind in a row, at a fixed distance in seconds."""

    what: str
    where: str = ""
    times: int = 1
    apart_s: float = 5.0


spells = st.one_of(
    st.builds(
        Spell,
        st.sampled_from(sorted(LOOKS)),
        st.sampled_from(SIGNALS),
        st.integers(1, 8),
        st.sampled_from((1.0, 5.0, 60.0)),
    ),
    st.builds(Spell, st.sampled_from(("fine", "bad")), st.just("prod"), st.integers(1, 4)),
    st.builds(Spell, st.sampled_from(("post", "no post", "no feed", "alert", "alert over"))),
    st.builds(Spell, st.sampled_from(("deploy", "setting", "nothing", "fine everywhere"))),
    st.builds(Spell, st.just("nothing"), apart_s=st.floats(0, 900)),
)
traces = st.lists(spells, max_size=20)


def town(steps: Any) -> Any:
    """Three tenants, of which prod has every kind of signal; all have been healthy for a while."""
    tenants = dict(steps.rules.tenants)
    tenants["prod"] = replace(
        tenants["prod"],
        logins=("login", "second"),
        custom_domain="login.acme.example",
        has_m2m=True,
        metrics={"checkout": MetricLimits(MetricKind.METRICS)},
        monitors=("alertmanager",),
    )
    made = type(steps)(replace(steps.rules, tenants=tenants))
    for _ in range(MIN_ANSWERS):
        made.healthy()
        made.wait(60)
    return made


def play(town: Any, trace: list[Spell]) -> Iterator[None]:
    """Play all spells, one event from one yield to the next."""
    for spell in trace:
        for _ in range(spell.times):
            town.wait(spell.apart_s)
            if spell.what == "fine everywhere":
                for where in SIGNALS:
                    observe(town, where, "ok")
                    yield
            else:
                happen(town, spell)
                yield


def happen(town: Any, spell: Spell) -> None:
    """Give one event to the tenants, or to the desk."""
    match spell.what:
        case "fine" | "bad":
            town.count("prod.checkout", failed=60 * (spell.what == "bad"), total=100)
        case "post" | "no post" | "no feed":
            read(town, spell.what)
        case "alert" | "alert over":
            claim = ExternalAlert(
                Target("prod", "alertmanager"), "a", town.now, spell.what == "alert", "errors"
            )
            town.tenant("prod", Pushed(town.now, Push("p", town.now, (claim,))))
        case "deploy" | "setting":
            whose = {"app": "shop"} if spell.what == "deploy" else {"tenant": "prod"}
            change = ChangeMade(f"{town.now}", town.now, "client updated", **whose)
            town.on_desk(Pushed(town.now, Push("p", town.now, (change,))))
        case "nothing":
            town.on_desk(TenantReport(town.now, "prod"))
        case _:
            observe(town, spell.where, spell.what)


def observe(town: Any, where: str, how: str) -> None:
    """Let one probe have a result."""
    owner, name = where.split(".")
    latency_s, fault = LOOKS[how]
    outcome = Outcome.FAILED if fault else Outcome.OK
    seen = Observed(town.now, Observation(Target(owner, name), town.now, outcome, latency_s, fault))
    if owner == CONTROL:
        town.on_desk(seen)
    else:
        town.tenant(owner, seen)


def read(town: Any, what: str) -> None:
    """Let the feed of prod's environment have entries, have none, or be unreachable."""
    state = FeedState.UNREACHABLE if what == "no feed" else FeedState.OK
    title, url = "Login errors", "https://status.auth0.com/incidents/a1"
    notice = StatusIncident(
        "a1", title, Phase.INVESTIGATING, "We observe.", url, town.now, town.now
    )
    posts = (notice,) if what == "post" else ()
    town.on_desk(FeedPolled(town.now, FeedReading(Target("feed", "US-1"), town.now, state, posts)))


class Change(NamedTuple):
    """One incident before and after one step, and what was posted about its verdict."""

    before: Incident
    after: Incident
    said: list[tuple[Verdict, set[str]]]
    """Each verdict, and the rule_ids that are named as the reason."""
    is_told: bool

    @property
    def is_another(self) -> bool:
        """The incident has another cause, or another scope."""
        return blamed(self.before.verdict) != blamed(self.after.verdict)


def changes(town: Any, trace: list[Spell]) -> Iterator[Change]:
    """Yield each known incident after each step."""
    before, mark = dict(town.desk.incidents), len(town.effects)
    for _ in play(town, trace):
        effects = town.effects[mark:]
        for number, incident in before.items():
            said = [
                (e.body.entry.verdict, {fact.rule_id for fact in e.body.entry.new_evidence})
                for e in effects
                if isinstance(e, Send)
                and isinstance(e.body, Reply)
                and e.body.incident == number
                and isinstance(e.body.entry, VerdictEntry)
            ]
            told = any(isinstance(e, VerdictChanged) and e.incident == number for e in effects)
            yield Change(incident, town.desk.incidents[number], said, told)
        before, mark = dict(town.desk.incidents), len(town.effects)


def evaluate_again(town: Any) -> None:
    """Let each tenant report that nothing happened."""
    for name in town.rules.tenants:
        town.on_desk(TenantReport(town.now, name))


def blamed(verdict: Verdict) -> tuple[Cause, Scope]:
    """Return the verdict that people read first."""
    return verdict.cause, verdict.scope


def rule_ids(verdict: Verdict) -> set[str]:
    """Return the evidence for and against."""
    return {fact.rule_id for fact in (*verdict.evidence_for, *verdict.evidence_against)}


def was_disproved(change: Change, now: float) -> bool:
    """Tell whether the facts have named another cause for as long as it takes without new ones."""
    before = change.before
    is_ours = before.verdict.cause in OUR_CAUSES
    since = before.history.doubted_since if before.is_open else before.ended_at
    return since is not None and now - since >= (DISPROVED_OURS_S if is_ours else DISPROVED_S)


def strengths(verdict: Verdict) -> dict[str, float]:
    """Return the evidence for and against, and how much there is of each."""
    return {one.rule_id: one.strength for one in (*verdict.evidence_for, *verdict.evidence_against)}


OUTAGE = [Spell("503", "prod.login", 5), Spell("503", "staging.login", 5)]
any_town = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
"""The fixture is only asked for its class: each trace has a town of its own."""


@pytest.mark.no_cover
@any_town
@example([*OUTAGE, Spell("post")])
@example([Spell("503", "prod.login", 5), Spell("time-out", "control.neutral", 3)])
@given(traces)
def test_another_cause_or_scope_names_the_new_evidence(new_steps: Any, trace: list[Spell]) -> None:
    """A timeline entry with at least one rule that was not posted before, or much less of it.

    Unless the facts have named another cause for a minute: then it is told without a new one.
    """
    place = town(new_steps)
    for change in changes(place, trace):
        known = strengths(change.before.verdict)
        for verdict, named in change.said:
            assert named or was_disproved(change, place.now)
            found = strengths(verdict)
            assert all(found[one] > known.get(one, -1.0) + LOUDER for one in named)
            known = found
        if change.is_another:
            assert change.is_told
            assert blamed(change.said[-1][0]) == blamed(change.after.verdict)


@pytest.mark.no_cover
@any_town
@given(traces)
def test_without_new_evidence_the_cause_stays(new_steps: Any, trace: list[Spell]) -> None:
    """Changed numbers, lost evidence and passing time are no reason, but for a lasting doubt."""
    place = town(new_steps)
    for change in changes(place, trace):
        before, after = strengths(change.before.verdict), strengths(change.after.verdict)
        is_new = any(after[one] > before.get(one, -1.0) + LOUDER for one in after)
        if not is_new and not was_disproved(change, place.now):
            assert not change.is_another
            assert change.said == []


def test_evidence_that_gets_old_turns_no_verdict(steps: Any) -> None:
    """A healthy peer speaks against Auth0; that it is not probed any more says nothing new."""
    for _ in range(5):
        steps.wait(5)
        for where in ("staging.login", "control.neutral"):
            observe(steps, where, "ok")
        observe(steps, "prod.login", "503")
    (before,) = steps.incidents
    for _ in range(120):
        steps.wait(5)
        observe(steps, "control.neutral", "ok")
        observe(steps, "prod.login", "503")
    (after,) = steps.incidents

    assert "same-environment-ok" in rule_ids(before.verdict)
    assert blamed(before.verdict) == blamed(after.verdict)
    assert VerdictEntry not in steps.entries()


@pytest.mark.no_cover
@any_town
@given(traces)
def test_the_same_evidence_evaluated_again_posts_nothing(
    new_steps: Any, trace: list[Spell]
) -> None:
    """A verdict does not swing between two causes while nothing changes."""
    here = town(new_steps)
    for _ in play(here, trace):
        evaluate_again(here)
        before, mark = here.desk, len(here.effects)
        evaluate_again(here)

        assert here.desk.incidents == before.incidents
        assert here.effects[mark:] == []


def test_one_failure_after_the_end_takes_no_cause_back(steps: Any) -> None:
    """What comes and goes on our own line is the same until facts say otherwise."""
    cut = Fault(Stage.TIMEOUT, "connect")
    for _ in range(6):
        steps.wait(5)
        for where in ("prod.login", "prod.wellknown", "eu.login", "control.neutral"):
            steps.see(where, cut)
    before = steps.incidents[0].verdict.cause
    for _ in range(40):
        steps.wait(10)
        steps.healthy()
    steps.see("prod.login", cut)
    incident = steps.incidents[0]

    assert before is Cause.NETWORK
    assert incident.is_open
    assert incident.verdict.cause is Cause.NETWORK


def test_what_was_not_clear_becomes_clear_as_soon_as_facts_name_a_cause(steps: Any) -> None:
    """People were told no cause, however often the guess has changed; nothing is taken back."""
    steps.fail("prod.login", 8)
    known = Evidence("users-ok", {}, 2.0)
    guess = Verdict(Cause.TENANT, Scope.TENANT, 0.6)
    past = tuple(VerdictRecord(steps.now - 60 * n, guess, ()) for n in range(5, 0, -1))
    history = replace(
        steps.incidents[0].history, verdicts=past, evidence_since={"users-ok": steps.now - 300}
    )
    incident = replace(steps.incidents[0], verdict=guess, history=history)
    incident = replace(incident, life=replace(incident.life, opened_at=steps.now - 600))
    clear = Verdict(Cause.PROBE, Scope.TENANT, 0.8, (known,))
    stated = replace(incident, verdict=replace(guess, confidence=0.75))

    assert turn_verdict(incident, clear, steps.now).verdict is clear
    assert turn_verdict(stated, clear, steps.now).verdict is stated.verdict


def test_a_mere_guess_takes_no_cause_back_when_it_fails_again(steps: Any) -> None:
    """Users' counts speak within a minute; only if they do not, the old cause is given up."""
    wrong = Fault(Stage.TOKEN, "wrong_audience", 200)
    steps.push(ChangeMade("c", steps.now, "action deployed", tenant="prod"))
    steps.fail("prod.login", 5, wrong)
    for _ in range(18):
        steps.wait(10)
        steps.healthy()
    told = replace(steps.incidents[0].verdict, cause=Cause.PROBE, confidence=0.9)
    steps.desk = steps.desk.with_incident(replace(steps.incidents[0], verdict=told))
    assert not steps.incidents[0].is_open
    steps.fail("prod.login", 4, wrong)
    assert steps.incidents[0].is_open
    assert steps.incidents[0].verdict.cause is Cause.PROBE

    steps.fail("prod.login", 20, wrong)
    assert steps.incidents[0].verdict.stated_cause is Cause.UNCLEAR
