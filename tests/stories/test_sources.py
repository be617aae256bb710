"""What the channel hears of sources that fall silent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.stories.conftest import Told

PROD = "tenants:\n  prod: {domain: acme.us.auth0.com, environment: US-1}\n"
CHECKOUT = """\
timeline:
  - {target: prometheus, from: 302s, to: 26m, is: {connect: refused}}
metrics:
  - {signal: checkout, tenant: prod, requests: 300/min, errors: 0.1%}
  - {signal: checkout, tenant: prod, from: 0m, to: 6m, errors: 60%}
"""


def test_figures_that_stop_in_an_alert(tell: Callable[..., Told]) -> None:
    """The channel hears it; the alert says that it does not know; its end counts no such time."""
    told = tell(CHECKOUT, tenants=PROD, duration="35m")
    texts = [event["text"] for event in told.of("message") if event["t"] > 600]

    (posted,) = (event for event in told.of("message", kind="post") if event["t"] > 60)
    assert posted["text"].startswith("No data from Prometheus for 5 min: prod (checkout).")
    assert any(text.startswith("There are no metrics any more. The last ones") for text in texts)
    assert any("They were down for 5 min." in text for text in texts)


def test_a_status_page_that_has_moved(tell: Callable[..., Told]) -> None:
    """One message, after ten minutes; it mentions nobody."""
    feed = "timeline:\n  - {target: feed, from: 1m, to: 30m, is: {http: 404}}\n"
    told = tell(feed, duration="40m")

    (post,) = told.of("message", kind="post")
    assert post["text"].startswith("No data from Auth0's status page for 10 min: ")
    assert told.of("call") == []
