"""Silences and maintenance: what they hide, and what they do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from bot.core import step
from bot.core.alerting import notification_policy
from bot.core.alerting.notification_policy import MUTED_RETRY_S
from bot.core.model.access import CommandOutcome
from bot.core.model.observation import Severity
from bot.core.model.wall_clock import wall_clock
from bot.core.state.outbox import Answer, Edit, Post, SilenceAnnouncement
from bot.core.state.silence import MaintenanceWindow
from bot.core.state.stimulus import Tick
from bot.core.state.timeline import MentionEntry, PagedEntry, ResolvedEntry


def test_a_muted_incident_is_posted_when_the_silence_ends(make: Any) -> None:
    """It began in a silence: nothing is posted until the silence ends and the outage goes on.

    Then people are mentioned in the thread, once.
    """
    steps = make(mention="@here")
    steps.healthy()
    assert steps.ask("silence prod 30m moving house").outcome is CommandOutcome.DONE
    since = len(steps.effects)
    steps.fail("prod.login", 60)
    assert [body for body in steps.bodies(since) if not isinstance(body, Answer)] == []

    steps.wait(1500)
    steps.on_desk(Tick(steps.now))
    ended = [body.silence for body in steps.bodies(since) if isinstance(body, SilenceAnnouncement)]
    assert [silence.suppressed for silence in ended] == [1]
    assert [body for body in steps.bodies(since) if isinstance(body, Post)] == [Post(1)]
    assert steps.entries(since) == [MentionEntry]


def test_a_silence_never_swallows_the_end(down: Any) -> None:
    """Whoever was notified of the start is notified of the end; in between nobody is called."""
    down.ask("silence #1 2h known")
    since = len(down.effects)
    down.later(1200)
    assert not {PagedEntry, MentionEntry} & set(down.entries(since))
    for _ in range(5):
        down.wait(10)
        down.see("prod.login")

    assert ResolvedEntry in down.entries(since)
    assert any(isinstance(body, Edit) for body in down.bodies(since))


def test_escalating_a_muted_incident_posts_it(make: Any) -> None:
    """Who escalates wants it known: the message is posted before the page."""
    steps = make(
        mention="@here", policies={Severity.CRITICAL: make.policy}, contact_points=("pager",)
    )
    steps.healthy()
    steps.ask("silence prod 2h moving")
    steps.fail("prod.login", 10)
    since = len(steps.effects)

    assert steps.ask("escalate #1").outcome is CommandOutcome.DONE
    bodies = steps.bodies(since)
    assert bodies.index(Post(1)) == 0
    assert PagedEntry in steps.entries(since)


def test_after_a_stop_a_muted_page_is_postponed_from_now_on(down: Any) -> None:
    """An instant in the past would wake the bot again at once, and again."""
    down.ask("silence #1 4h known")
    down.wait(3600)
    down.step(Tick(down.now))

    assert (step.due_at(down.state, down.rules) or 0.0) > down.now
    assert notification_policy.due_at(down.desk, down.rules) == down.now + MUTED_RETRY_S


@pytest.mark.parametrize(
    ("names", "is_posted"), [(("staging",), True), (("prod",), True), (("prod", "staging"), False)]
)
def test_maintenance_hides_only_its_own_tenants(
    make: Any, names: tuple[str, ...], *, is_posted: bool
) -> None:
    """An incident of several tenants is hidden while all of them are in maintenance."""
    steps = make()
    window = MaintenanceWindow(wall_clock(steps.now, "UTC"), 3600.0, "UTC", names)
    steps.rules = replace(steps.rules, maintenance_windows=(window,))
    steps.healthy()
    for where in ("prod.login", "staging.login"):
        steps.fail(where)

    assert [incident.tenants for incident in steps.incidents] == [("prod", "staging")]
    assert (Post(1) in steps.bodies()) is is_posted
