from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.core.commands.parse import VERBS, split_verb
from bot.core.model.access import Verb
from bot.slack.render.help import USAGES, help_texts
from bot.slack.render.text import duration, escape, join_lines, link, mentions
from bot.slack.render.verdict import SENTENCES


@given(st.text(max_size=400) | st.sampled_from(["<!channel>", "<https://a|b>", "&lt;"]))
def test_escaped_text_has_no_mark_up_left(text: str) -> None:
    """Slack cannot read anything in it as mark-up."""
    assert not set("<>") & set(escape(text))


@pytest.mark.parametrize("text", ["temporarily_unavailable", "ann.b@acme.test", "a_b-c.d/e"])
def test_codes_and_addresses_can_be_copied(text: str) -> None:
    """Nothing invisible is in them; only a sign that could begin mark-up is disarmed."""
    assert escape(text) == text
    assert "\u200b" in escape(f"@{text} *x*")


def test_each_fact_can_be_the_first() -> None:
    """None leans on another one, which may stand behind it or not at all."""
    leaning = re.compile(r"\b(either|as well)\b(?! as)")

    assert [name for name, sentence in SENTENCES.items() if leaning.search(sentence)] == []


@pytest.mark.parametrize("verb", VERBS)
def test_help_knows_every_verb(verb: Verb) -> None:
    """The help has every verb; its example, if there is one, parses as that verb."""
    assert f" {verb}" in help_texts(verb)[0]
    assert len(help_texts(verb)) == 1
    example = USAGES[verb].example
    assert not example or split_verb(example)[0] is verb


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (90061, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_a_duration_has_two_units(seconds: float, words: str) -> None:
    """A duration has at most two units."""
    assert duration(seconds) == words


def test_only_our_own_kind_of_link_is_made() -> None:
    """Of an address that is not plain https only the label is shown."""
    assert link("https://status.auth0.com/a?b=1&c=2", "x") == (
        "<https://status.auth0.com/a?b=1&amp;c=2|x>"
    )
    assert link("javascript:alert(1)", "x") == "x"
    assert link("https://a|b", "x") == "x"


def test_people_and_groups_are_mentioned_by_their_ids() -> None:
    """Each kind of id has its own mark-up."""
    assert mentions(("@here", "U123", "S45")) == "<!here> <@U123> <!subteam^S45>"
    assert mentions(()) == ""


@given(st.lists(st.text("ab", min_size=1, max_size=900), max_size=20))
def test_a_list_is_broken_between_its_lines(lines: list[str]) -> None:
    """Each text fits into a section, and no line is lost or cut."""
    texts = join_lines(lines)

    assert all(len(text) <= 3000 for text in texts)
    assert [line for text in texts for line in text.split("\n")] == lines
