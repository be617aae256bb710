from __future__ import annotations

from collections.abc import Callable

from bot.core.model.observation import Phase
from bot.simulator.scenario import Scenario
from bot.simulator.status_page import StatusPage
from bot.sources.status_page_parser import parse_feed

Make = Callable[..., Scenario]
POSTS = (
    "feed:",
    "  - {at: 5m, incident: a1, title: 'A & <b>', status: Investigating, text: 'We ]]> look',",
    "     environments: [US-1]}",
    "  - {at: 8m, incident: b2, title: B, status: Scheduled, text: t, environments: [US-1, EU-1]}",
    "  - {at: 9m, incident: a1, status: Update, text: Still.}",
    "  - {at: 20m, incident: a1, status: Resolved, text: It is over.}",
    "  - {at: 30m, incident: a1, status: Postmortem, text: The cause.}",
    "  - {at: 40m, incident: b2, status: In progress, text: Now.}",
)


def page_of(scenario: Scenario) -> StatusPage:
    return StatusPage(scenario, scenario.start_at - scenario.warmup_s)


def test_an_environment_has_its_own_incidents(make_scenario: Make, start_at: float) -> None:
    """Beside the old incident that every page shows."""
    page = page_of(make_scenario(*POSTS))
    ids = {
        environment: [notice.id for notice in page.status_incidents(environment, start_at + 600)]
        for environment in ("US-1", "EU-1", "AU", None)
    }
    old = ids[None][0]
    assert ids == {"US-1": ["b2", "a1", old], "EU-1": ["b2", old], "AU": [old], None: [old]}
    assert page.status_incidents(None, start_at)[0].phase is Phase.RESOLVED


def test_a_status_incident_follows_its_newest_update(make_scenario: Make, start_at: float) -> None:
    """Unknown words and post-mortems change the text, not the phase nor its time."""
    page = page_of(make_scenario(*POSTS))
    seen = []
    for minute in (5, 9, 20, 30):
        notices = page.status_incidents("US-1", start_at + 60 * minute)
        notice = next(each for each in notices if each.id == "a1")
        seen.append((notice.phase, (notice.updated_at - start_at) / 60, notice.text))
        assert notice.posted_at == start_at + 300
    assert seen == [
        (Phase.INVESTIGATING, 5, "We ]]> look"),
        (Phase.INVESTIGATING, 5, "Still."),
        (Phase.RESOLVED, 20, "It is over."),
        (Phase.RESOLVED, 20, "The cause."),
    ]


def test_the_bots_own_reader_reads_the_same(make_scenario: Make, start_at: float) -> None:
    """The feed holds all that the page shows, to the minute."""
    page = page_of(make_scenario(*POSTS))
    for minute in (0, 6, 10, 25, 35, 45):
        at = start_at + 60 * minute
        read = parse_feed(page.render_atom("US-1", at).encode(), at)
        knows = page.status_incidents("US-1", at)
        assert {
            row["id"]: (row["phase"], row["title"], row["text"]) for row in read["incidents"]
        } == {notice.id: (notice.phase, notice.title, notice.text) for notice in knows}
        assert read["updated"] <= at
