"""What a failed login passes on its way from the timer to Slack."""

from __future__ import annotations

from tests.house.failed_login import fail_login

MOST_MODULES = 57


async def test_a_failed_login_passes_no_more_modules() -> None:
    """The way is complete, from the timer to the Web API, and does not get longer unnoticed."""
    modules = await fail_login()

    assert len(modules) <= MOST_MODULES, sorted(modules)
    assert {
        "bot.runtime.probe_runner",
        "bot.probes.probes",
        "bot.core.step",
        "bot.core.triage.verdict",
        "bot.store.store",
        "bot.runtime.delivery",
        "bot.app.notification_router",
        "bot.slack.render.incident",
        "bot.slack.web_api",
    } <= modules
    assert not {"bot.probes.token", "bot.sources.status_page"} & modules
