"""Evidence -> verdict: one table, to be read and extended by whoever is on call.

Each row says in a sentence what was seen, and how strongly that speaks for (above 0) or against
(below 0) each cause. The strengths of all rows that apply are added up, cause by cause, on top of
how likely that cause is beforehand; the confidence is the share of the best cause (soft maximum).
Below `SURE_ENOUGH` the verdict is `unclear`, and says what would settle it: a wrong verdict said
with confidence is worse than none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp
from typing import TYPE_CHECKING

from bot.core.model import Cause, Fact, Scope, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

AUTH0, TENANT, QUOTA, PROBE, NETWORK = (
    Cause.AUTH0,
    Cause.TENANT,
    Cause.QUOTA,
    Cause.PROBE,
    Cause.NETWORK,
)
SURE_ENOUGH = 0.55
BEFOREHAND = {AUTH0: 0.0, TENANT: -0.3, PROBE: -0.5, NETWORK: -0.5, QUOTA: -2.0}
"""Most login outages that reach many are the vendor's; a quota is spent only with a 429."""


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of evidence."""

    id: str
    sentence: str
    """With {figures} in braces, for people."""
    weights: dict[Cause, float]
    source: str = "own experience"


TABLE: dict[str, Row] = {
    row.id: row
    for row in (
        Row(
            "login-5xx",
            "login at {tenant} fails with {what} ({failed} of {tries})",
            {AUTH0: 2.0, TENANT: 0.5, NETWORK: -1.5, PROBE: -2.0},
            "Auth0: 5xx suggests a problem on its end (Authentication API, read 2026-11)",
        ),
        Row(
            "login-server-error",
            "login at {tenant} fails with 500 server_error ({failed} of {tries}), "
            "which a missing default directory gives too",
            {AUTH0: 0.8, TENANT: 1.2, NETWORK: -1.5},
        ),
        Row(
            "login-unreachable",
            "{tenant} cannot be reached for a login: {what} ({failed} of {tries})",
            {AUTH0: 1.0, NETWORK: 1.5, PROBE: -2.0, TENANT: -0.5},
        ),
        Row(
            "login-certificate",
            "the certificate of {tenant} is wrong: {what}",
            {AUTH0: 1.0, TENANT: 0.5, NETWORK: 1.0, PROBE: -2.0},
            "2018-01-17: wrong certificates in an outage; a proxy of ours gives them too",
        ),
        Row(
            "login-refused",
            "the synthetic user of {tenant} is refused: {what}",
            {PROBE: 3.5, TENANT: 1.0, NETWORK: -3.0},
        ),
        Row(
            "login-not-allowed",
            "the application of the synthetic login at {tenant} is refused: {what}",
            {PROBE: 3.5, TENANT: 1.5, NETWORK: -3.0},
        ),
        Row(
            "login-denied",
            "code or settings of {tenant} deny the login: {what}",
            {TENANT: 3.0, PROBE: 0.5, NETWORK: -3.0},
            "Auth0: access_denied is a denial or an uncaught error in an Action",
        ),
        Row(
            "login-429",
            "{tenant} answers 429 to logins: {what} ({failed} of {tries})",
            {QUOTA: 5.0, NETWORK: -3.0, PROBE: -1.0},
        ),
        Row(
            "login-wrong-token",
            "{tenant} answers 200 with a wrong token: {what}",
            {AUTH0: 0.8, TENANT: 0.8, NETWORK: 0.3, PROBE: 0.8},
        ),
        Row(
            "login-no-proof",
            "the Action of {tenant} did not run: {what}",
            {TENANT: 3.0, AUTH0: 1.0, NETWORK: -3.0},
        ),
        Row(
            "login-ok",
            "login at {tenant} works",
            {AUTH0: -1.0, TENANT: 0.5, NETWORK: -1.0, PROBE: -0.5},
        ),
        Row(
            "never-ok",
            "this login at {tenant} has never worked yet",
            {PROBE: 2.5, AUTH0: -1.0},
        ),
        Row(
            "wellknown-fails",
            "discovery and keys of {tenant} fail as well: {what}",
            {AUTH0: 1.5, NETWORK: 0.7, TENANT: -1.5, PROBE: -3.0, QUOTA: -2.0},
        ),
        Row(
            "wellknown-unreachable",
            "discovery and keys of {tenant} cannot be reached either: {what}",
            {AUTH0: 0.7, NETWORK: 1.5, TENANT: -1.5, PROBE: -3.0, QUOTA: -2.0},
        ),
        Row(
            "wellknown-ok",
            "discovery and keys of {tenant} are served (edge-cached, so this proves the path only)",
            {NETWORK: -2.5, PROBE: 0.3, TENANT: 0.5},
        ),
        Row(
            "custom-only",
            "only the custom domain of {tenant} fails: {what}",
            {TENANT: 3.0, NETWORK: -1.5, AUTH0: -0.5},
        ),
        Row(
            "canonical-only",
            "login by the custom domain of {tenant} works",
            {NETWORK: -1.0, AUTH0: -0.5, TENANT: 0.3},
        ),
        Row(
            "same-environment-fails",
            "other tenants of the same environment fail too: {names}",
            {AUTH0: 3.0, TENANT: -4.0, PROBE: -4.0, QUOTA: -3.0},
        ),
        Row(
            "same-environment-ok",
            "other tenants of the same environment work: {names}",
            {AUTH0: -2.5, NETWORK: -2.0, TENANT: 1.0, PROBE: 0.8, QUOTA: 0.5},
        ),
        Row(
            "elsewhere-fails",
            "tenants of other environments fail too: {names}",
            {AUTH0: 1.5, NETWORK: 1.5, TENANT: -4.0, PROBE: -4.0, QUOTA: -3.0},
        ),
        Row(
            "elsewhere-ok",
            "tenants of other environments work: {names}",
            {NETWORK: -2.5},
        ),
        Row(
            "nothing-reached",
            "none of the tenants can be reached at all, and no neutral host is known to answer",
            {NETWORK: 3.0},
        ),
        Row(
            "controls-fail",
            "neutral hosts fail too: {names}",
            {NETWORK: 4.5, AUTH0: -2.0, TENANT: -2.0, QUOTA: -1.0},
        ),
        Row(
            "controls-ok",
            "neutral hosts answer: {names}",
            {NETWORK: -3.5},
        ),
        Row(
            "notice-fits",
            "the status page has an open post for this environment",
            {AUTH0: 3.0, NETWORK: -1.0},
        ),
        Row(
            "notice-silent",
            "the status page shows nothing (proves nothing: posts came 5 to 121 minutes late)",
            {AUTH0: -0.2},
            "apicontext.com, metrist.io; read 2026-11",
        ),
        Row(
            "feed-unreachable",
            "the status page cannot be reached either",
            {NETWORK: 0.7},
        ),
        Row(
            "blind",
            "no usable look at {tenant} for {minutes} minutes: {what}",
            {NETWORK: 5.0},
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Clue:
    """A row that applies, with its figures. None of them is foreign text."""

    row: str
    figures: dict[str, str | int] = field(default_factory=dict)


def judge(clues: Iterable[Clue], scope_of: dict[Cause, Scope], settle: str) -> Verdict:
    """Weigh clues.

    Args:
        clues: what applies, each row at most a few times.
        scope_of: how far each cause would reach; causes left out reach unknown far.
        settle: what would settle it, told if the verdict is `unclear`.
    """
    rows = [(TABLE[clue.row], clue) for clue in clues]
    # The same row at ten tenants is one kind of evidence, not ten: it counts once.
    once = {row.id: row for row, _ in rows}.values()
    scores = {
        cause: start + sum(row.weights.get(cause, 0.0) for row in once)
        for cause, start in BEFOREHAND.items()
    }
    best = max(scores, key=lambda cause: scores[cause])
    confidence = 1 / sum(exp(score - scores[best]) for score in scores.values())
    told = (Fact(r.id, r.sentence.format(**clue.figures), _strength(r, best)) for r, clue in rows)
    facts = sorted(told, key=lambda fact: -abs(fact.weight))
    is_clear = confidence >= SURE_ENOUGH
    return Verdict(
        cause=best if is_clear else Cause.UNCLEAR,
        scope=scope_of.get(best, Scope.UNKNOWN) if is_clear else Scope.UNKNOWN,
        confidence=round(confidence, 2),
        because=tuple(fact for fact in facts if fact.weight > 0),
        against=tuple(fact for fact in facts if fact.weight < 0),
        settle="" if is_clear else settle,
    )


def _strength(row: Row, best: Cause) -> float:
    """Return how much a row speaks for a cause rather than for the others."""
    others = [row.weights.get(cause, 0.0) for cause in BEFOREHAND if cause is not best]
    return round(row.weights.get(best, 0.0) - sum(others) / len(others), 2)
