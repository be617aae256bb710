from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bot.core.model.observation import Cause
from bot.core.triage import verdict, weights
from tests.judge.fit import find_contradictions, fit, round_table, share_causes, train
from tests.judge.samples import Sample, fold_of, load_samples

if TYPE_CHECKING:
    from pathlib import Path

    from tests.judge.fit import Table

AUTH0, APP, UNCLEAR = Cause.AUTH0, Cause.APP, Cause.UNCLEAR
WRITTEN: Table = {
    "prior": {AUTH0: 0.0, APP: 0.0, UNCLEAR: -1.0},
    "login-5xx": {AUTH0: 1.0, APP: -0.5},
    "users-ok": {AUTH0: -2.0},
    "never-seen": {APP: 1.5},
}


def sample(family: str, good: str, *rules: str, is_scored: bool = True) -> Sample:
    return Sample(family, good, tuple((rule, 1.0) for rule in rules), (good,), is_scored)


AGREEING = [sample(f"down-{number}", "auth0", "login-5xx") for number in range(20)]
OPPOSED = [sample(f"app-{number}", "app", "login-5xx") for number in range(40)]


def test_numbers_move_towards_what_worlds_show() -> None:
    """A rule that is always right speaks louder after the fit, one without worlds stays."""
    fitted = train(AGREEING, WRITTEN, 1.0, 0.4)

    assert fitted["login-5xx"][AUTH0] > WRITTEN["login-5xx"][AUTH0]
    assert fitted["never-seen"] == pytest.approx(WRITTEN["never-seen"])


def test_no_number_changes_its_sign() -> None:
    """However much the worlds contradict a row, it never says the opposite of its description."""
    fitted = train(OPPOSED, WRITTEN, 1.0, 0.4)

    assert fitted["login-5xx"][AUTH0] >= 0
    assert find_contradictions(fitted, WRITTEN) == []
    turned = {**fitted, "users-ok": {AUTH0: 0.4}}
    assert find_contradictions(turned, WRITTEN) == [
        "users-ok: auth0 was written -2.0, and is fitted +0.4"
    ]


def test_the_fit_gives_the_same_numbers_again() -> None:
    """It depends on the samples only, not on their order."""
    samples = [*AGREEING, *OPPOSED]

    assert fit(samples, WRITTEN, 1.0) == fit(samples[::-1], WRITTEN, 1.0)


def test_unseen_families_are_judged_by_tables_that_have_not_seen_them() -> None:
    """What contradicts all the rest is wrong by cross-validation."""
    odd = [sample("odd", "app", "login-5xx")]
    result = fit([*AGREEING, *odd], WRITTEN, 1.0)

    assert result.unseen < 1.0
    assert result.seen >= result.unseen


def test_a_family_is_in_one_fold(tmp_path: Path) -> None:
    """All worlds of a family are left out together, and weigh as much as those of another one."""
    file = tmp_path / "samples"
    rows = ['["a", "auth0", [["login-5xx", 1.0]], ["auth0"], true, 1.0]'] * 4
    rows += ['["b", "app", [["users-ok", 0.5]], ["app", "unclear"], true, 1.0]']
    file.write_text("\n".join(rows))
    loaded = load_samples(file)

    assert sum(each.weight for each in loaded if each.family == "a") == pytest.approx(1.0)
    assert sum(each.weight for each in loaded if each.family == "b") == pytest.approx(1.0)
    assert fold_of("a") == fold_of("a")


def test_shares_are_those_of_the_verdict() -> None:
    """What is trained is what the bot computes."""
    table = {weights.PRIOR: dict(verdict.PRIORS), **verdict.WEIGHTS}
    features = (("login-5xx", 1.0), ("users-ok", 0.5), ("controls-ok", 1.0))
    ours = share_causes(features, table, 0.7)
    theirs = verdict.share_causes(dict(features), temperature=0.7)

    assert ours == pytest.approx(theirs)


def test_the_committed_numbers_keep_the_signs_that_people_wrote() -> None:
    """A row says what its description says, fitted or not."""
    written = weights.parse_weights(weights.WRITTEN)
    fitted = written | weights.parse_weights(weights.FITTED)

    assert find_contradictions(fitted, written) == []
    assert round_table(fitted) == fitted
