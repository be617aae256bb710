"""The rules of the evidence table and the sentences that people read, side by side."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from string import Formatter
from typing import TYPE_CHECKING

import pytest

from bot.core.model.observation import (
    CUSTOM,
    M2M,
    WELLKNOWN,
    Evidence,
    Fault,
    FeedState,
    MissingEvidence,
    OwnSide,
    Phase,
    SignalState,
    Stage,
    StatusIncident,
)
from bot.core.signals.history import LatencyBaseline
from bot.core.signals.probe_threshold import ProbeState, Try
from bot.core.state.rules import DEFAULT_FEED, Rules, TenantRules
from bot.core.state.tenant import (
    FeedView,
    NoData,
    Sample,
    SharedSignals,
    Tenants,
    TenantState,
    TokenEndpoint,
    feed_samples_key,
)
from bot.core.triage.context import TriageContext
from bot.core.triage.evidence_table import EVIDENCE_TABLE
from bot.core.triage.verdict import collect_evidence
from bot.slack.render.verdict import MISSING_EVIDENCE, SENTENCES, evidence_text
from tests.core.test_user_evidence import OF_CHANGES, OF_USERS

if TYPE_CHECKING:
    from bot.core.triage.context import RuleMatch

NOW = 1_772_445_600.0
SINCE = NOW - 300
FAULTS = (
    Fault(Stage.HTTP, "http_503", 503),
    Fault(Stage.HTTP, "http_404", 404),
    Fault(Stage.HTTP, "http_403", 403),
    Fault(Stage.DNS, "nxdomain"),
    Fault(Stage.OAUTH, "server_error", 500, "server_error"),
    Fault(Stage.TIMEOUT, "connect"),
    Fault(Stage.TIMEOUT, "read"),
    Fault(Stage.OAUTH, "access_denied", 500, "access_denied"),
    Fault(Stage.TLS, "expired"),
    Fault(Stage.TLS, "untrusted"),
    Fault(Stage.DNS, "servfail", own_side=OwnSide.NAMES_LOST),
    Fault(Stage.HTTP, "redirect", 302, own_side=OwnSide.BETWEEN),
    Fault(Stage.OAUTH, "invalid_grant", 403, "invalid_grant"),
    Fault(Stage.OAUTH, "invalid_client", 401, "invalid_client"),
    Fault(Stage.OAUTH, "invalid_request", 400, "invalid_request"),
    Fault(Stage.OAUTH, "access_denied", 403, "access_denied"),
    Fault(Stage.OAUTH, "too_many_requests", 429, "too_many_requests"),
    Fault(Stage.OAUTH, "too_many_logins", 429, "too_many_logins"),
    Fault(Stage.TOKEN, "wrong_issuer", 200),
    Fault(Stage.PROOF, "no_proof", 200),
)
WELL = ProbeState(
    ever_ok=True,
    last_ok_at=NOW - 10,
    last_at=NOW - 10,
    ok_times=tuple(SINCE + 30.0 * place for place in range(10)),
)
SLOW = replace(
    WELL,
    latency=LatencyBaseline(0.3, 100, (4.0, 4.1), since=SINCE, is_slow=True),
    quota_remaining=1,
)
PROBES = ("login", "second", WELLKNOWN, CUSTOM, M2M)
RULES = Rules(
    {
        name: TenantRules(name, f"{name}.auth0.com", environment, ("login", "second"))
        for name, environment in (("prod", "US-1"), ("b", "US-1"), ("c", "EU-1"))
    }
)


def probe(random: Random, fault: Fault | None) -> ProbeState:
    """Return a probe that fails in this way, or that works, is slow, or fails in one of all."""
    if not fault and random.random() < 0.7:
        return SLOW if random.random() < 0.2 else WELL
    fault = fault or random.choice(FAULTS)
    return ProbeState(
        state=SignalState.FIRING,
        tries=tuple(Try(SINCE + 5 * place, fault) for place in range(5)),
        since=SINCE,
        ever_ok=random.random() < 0.7,
        good_before=SINCE - 30,
        last_ok_at=SINCE - 30,
        last_at=NOW,
        quota_remaining=random.choice((None, 1)),
    )


def feed(random: Random) -> FeedView:
    titles = random.choice(((), ("Login errors",), ("MFA push notifications late",)))
    posts = tuple(
        StatusIncident("a", title, Phase.INVESTIGATING, "", "", SINCE, SINCE) for title in titles
    )
    return FeedView(random.choice((FeedState.OK, FeedState.UNREACHABLE)), posts, NOW - 5)


def world(seed: int) -> TriageContext:
    """Return a situation; now and then nothing at all can be reached."""
    random = Random(seed)  # noqa: S311 - no secret
    common = FAULTS[5] if random.random() < 0.05 else None
    tenants = {
        name: TenantState(
            {one: probe(random, common) for one in PROBES},
            data=NoData(SINCE, SINCE) if random.random() < 0.05 else None,
            token_endpoint=TokenEndpoint() if common else TokenEndpoint(SINCE, SINCE),
        )
        for name in RULES.tenants
    }
    controls = {"neutral": probe(random, common)}
    latency_s = random.choice((None, 0.1, 5.0)) if not common else None
    usual = replace(controls["neutral"].latency, median_s=0.1)
    if not common:
        controls = {"neutral": replace(WELL, latency=usual)}
    samples = {"neutral": tuple(Sample(NOW - 5 * place, latency_s) for place in (3, 2, 1))}
    feeds = {DEFAULT_FEED.name: feed(random)}
    is_read = feeds[DEFAULT_FEED.name].state is FeedState.OK
    samples[feed_samples_key(DEFAULT_FEED.name)] = (Sample(NOW - 5, 0.0 if is_read else None),)
    started_at = random.choice((None, SINCE - 5))
    shared = SharedSignals(controls, feeds, started_at=started_at, samples=samples)
    names = random.choice((("prod",), ("prod", "b")))
    return TriageContext(names, Tenants(tenants), shared, RULES, NOW, SINCE)


NO_NAME = Fault(Stage.DNS, "nxdomain")
REFUSED = Fault(Stage.OAUTH, "invalid_client", 401, "invalid_client")


def find_matches(worlds: int) -> list[RuleMatch]:
    return [match for seed in range(worlds) for match in collect_evidence(world(seed))]


def test_every_rule_has_a_sentence_and_every_sentence_a_rule() -> None:
    """What the core finds can be said, and nothing is written that it never finds."""
    assert SENTENCES.keys() == EVIDENCE_TABLE.keys()
    assert MISSING_EVIDENCE.keys() == {None, *MissingEvidence}


def test_a_rule_is_described_without_values() -> None:
    """Engineers read what it matches, not a sentence to be filled in."""
    assert not [rule.id for rule in EVIDENCE_TABLE.values() if {*"{}"} & {*rule.found}]


@pytest.mark.no_cover
def test_every_value_that_a_sentence_names_is_found() -> None:
    """In many worlds, in which each rule matches: that of users are in `test_user_evidence`."""
    matches = find_matches(1500)

    for match in matches:
        names = {name for _, name, _, _ in Formatter().parse(SENTENCES[match.rule_id]) if name}
        assert names <= match.values.keys(), match
        assert isinstance(match.values.get("fault", NO_NAME), Fault), "words are not made here"
        assert "{" not in evidence_text(Evidence(match.rule_id, match.values, 1.0))
    expected = {rule for rule in EVIDENCE_TABLE if not rule.startswith(OF_USERS + OF_CHANGES)}
    assert {match.rule_id for match in matches} == expected


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (
            Evidence("controls-ok", {"names": ("a", "b", "c", "d", "e", "f", "g")}, 1.0),
            "other internet sites answer (a, b, c, d, e and 2 more)",
        ),
        (
            Evidence("login-slow", {"tenant": "prod", "recent_s": 4.0, "usual_s": 0.3}, 1.0),
            "logins to prod take 4.0 s, usually 0.3 s",
        ),
        (
            Evidence("m2m-only", {"tenant": "prod", "fault": REFUSED}, 1.0),
            "only machine tokens of prod fail: HTTP 401 invalid_client",
        ),
        (
            Evidence("m2m-only", {"tenant": "prod", "fault": "HTTP 401 invalid_client"}, 1.0),
            "only machine tokens of prod fail: HTTP 401 invalid_client",
        ),
        (
            Evidence("blind", {"tenant": "prod", "minutes": 6, "reason": "EMFILE"}, 1.0),
            "no check of prod has got through for over 6 minutes (EMFILE)",
        ),
        (
            Evidence("blind", {"tenant": "prod", "minutes": 6}, 1.0),
            "no check of prod has got through for over 6 minutes",
        ),
        (Evidence("gone-since", {"text": "said {so}, before"}, 1.0), "said {so}, before"),
    ],
)
def test_what_people_read(evidence: Evidence, words: str) -> None:
    """Values are put into words; a sentence of an older version is shown as it was."""
    assert evidence_text(evidence) == words
