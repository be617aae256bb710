from __future__ import annotations

import asyncio
import gc
import logging
import threading
import traceback
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from bot.config import ConfigError
from bot.core.model.observation import Severity
from bot.core.state.outbox import PagerAction
from bot.notify.apprise import MAX_THREADS, MAX_TRIES, AppriseNotifier
from bot.ports import Doubt, Refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from bot.core.state.outbox import PagerMessage
    from tests.notify.conftest import Remote

    MakePage = Callable[..., PagerMessage]

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr':DeprecationWarning")  # Apprise's import


@pytest.fixture(autouse=True)
def threads_end() -> Iterator[None]:
    """A service that hangs leaves a thread with its socket behind: both go before the next test."""
    yield
    for thread in threading.enumerate():
        if thread.name == "apprise":
            thread.join(5)
    gc.collect()


@pytest.mark.parametrize(
    ("action", "severity", "kind"),
    [
        (PagerAction.TRIGGER, Severity.CRITICAL, "failure"),
        (PagerAction.TRIGGER, Severity.WARNING, "warning"),
        (PagerAction.ACKNOWLEDGE, Severity.CRITICAL, "info"),
        (PagerAction.RESOLVE, Severity.CRITICAL, "success"),
    ],
)
async def test_what_the_person_reads(
    mailer: AppriseNotifier,
    hook: Remote,
    page: MakePage,
    action: PagerAction,
    severity: Severity,
    kind: str,
) -> None:
    """The message has title, text and link, in the colour of its severity."""
    await mailer.notify(page(action, severity=severity))

    (sent,) = hook.sent
    assert (sent["title"], sent["type"]) == ("Logins fail: prod, eu", kind)
    assert sent["message"] == (
        "Auth0, 87 % sure.\n3 of 3 tenants in US-1 fail.\n\nhttps://acme.slack.com/archives/C1/p1"
    )


async def test_foreign_text_is_no_mark_up(hook: Remote, page: MakePage) -> None:
    """If a service shows HTML, a text that looks like HTML is shown unchanged."""
    mailer = AppriseNotifier(
        "web", f"{hook.url.replace('http', 'json')}/hook/canary-path?format=html"
    )
    await mailer.notify(page(body="<a href='https://evil.example'>Sign in</a>", link=""))

    assert "<a href" not in hook.sent[0]["message"]
    assert "evil.example" in hook.sent[0]["message"]


@pytest.mark.parametrize("status", [401, 404, 429, 500])
async def test_a_refusal_is_a_doubt(
    mailer: AppriseNotifier, hook: Remote, page: MakePage, status: int
) -> None:
    """Apprise does not distinguish a refusal from a lost answer, so neither do we."""

    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    hook.fault = refuse

    with pytest.raises(Doubt, match="could not send"):
        await mailer.notify(page())


async def test_a_hanging_service_is_left_alone(
    mailer: AppriseNotifier, hook: Remote, page: MakePage
) -> None:
    """The timeout holds; a hanging service blocks neither the loop nor the end of the process."""
    hook.fault = hook.hang
    with pytest.raises(Doubt, match="not done within"):
        await mailer.notify(page())

    names = {thread.name: thread.daemon for thread in threading.enumerate()}
    assert names["apprise"]
    # An executor's threads are waited for at the end, daemons or not.
    assert not any(name.startswith("ThreadPoolExecutor") for name in names)


async def test_hanging_threads_do_not_pile_up(
    mailer: AppriseNotifier, hook: Remote, page: MakePage
) -> None:
    """Beyond a few hanging ones, a message is refused until one of them has ended."""
    hook.fault = hook.hang
    pages = [mailer.notify(page()) for _ in range(MAX_THREADS + 1)]
    outcomes = await asyncio.gather(*pages, return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Doubt] * MAX_THREADS + [Refused]


@pytest.mark.parametrize("url", ["canary", "nosuch://canary", "mailtos://canary"])
def test_an_unknown_address(url: str) -> None:
    """A URL that Apprise cannot use is refused at the start, without repeating it."""
    with pytest.raises(ConfigError, match=r"^notify mail: ") as caught:
        AppriseNotifier("mail", url)

    assert "canary" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("fault", ["", "reset", "hang", "babble"])
async def test_the_address_stays_secret(
    mailer: AppriseNotifier,
    hook: Remote,
    page: MakePage,
    caplog: pytest.LogCaptureFixture,
    fault: str,
) -> None:
    """No part of the URL is in a log, repr or traceback: user, password, path or header."""
    caplog.set_level(logging.WARNING, "aiohttp.access")  # the server's own
    caplog.set_level(logging.DEBUG)
    if fault:
        hook.fault = getattr(hook, fault)

    told = ""
    try:
        await mailer.notify(page())
    except Doubt as doubt:
        told = "".join(traceback.format_exception(doubt)) + repr(doubt)

    assert bool(told) == bool(fault)
    assert "canary" not in caplog.text + told + repr(mailer) + repr(threading.enumerate())


class Mailer:
    """An SMTP server on loopback that refuses some recipients, and keeps who got what."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.got: list[str] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail\r\n")
        to = ""
        while line := (await reader.readline()).decode():
            verb, answer = line[:4].upper(), "250 fine"
            if verb == "RCPT":
                to = line.partition("<")[2].partition(">")[0]
                answer = "550 no such user" if to in self.refused else answer
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                self.got.append(to)
            elif verb == "QUIT":
                answer = "221 bye"
            writer.write(f"{answer}\r\n".encode())
        writer.close()


@asynccontextmanager
async def mail_to(mailer: Mailer, *people: str) -> AsyncIterator[AppriseNotifier]:
    """Serve mail, and build the notifier for an address with these people."""
    async with await asyncio.start_server(mailer.serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        query = "from=bot@acme.example&mode=insecure"
        url = f"mailto://127.0.0.1:{port}/{','.join(people)}?{query}"
        yield AppriseNotifier("mail", url)


async def notify(notifier: AppriseNotifier, page: PagerMessage) -> str:
    """Send a page once; return what came of it."""
    try:
        await notifier.notify(page)
    except (Doubt, Refused) as error:
        return type(error).__name__
    return "sent"


ANNA, BEN, GONE = "anna@acme.example", "ben@acme.example", "gone@acme.example"


async def test_whoever_has_a_page_gets_it_once(page: MakePage) -> None:
    """Whoever refuses it is tried some more times, then given up; the others are not delayed."""
    mailer = Mailer(GONE)
    async with mail_to(mailer, ANNA, GONE, BEN) as notifier:
        outcomes = [await notify(notifier, page()) for _ in range(MAX_TRIES)]

    assert mailer.got == [ANNA, BEN]
    assert outcomes == ["Doubt"] * (MAX_TRIES - 1) + ["Refused"]


async def test_whoever_refused_a_page_may_take_it_later(page: MakePage) -> None:
    """As a greylisting server does: the page is sent then, and not to the others again."""
    mailer = Mailer(GONE)
    async with mail_to(mailer, ANNA, GONE) as notifier:
        outcomes = [await notify(notifier, page())]
        mailer.refused = ()
        outcomes.append(await notify(notifier, page()))
        outcomes.append(await notify(notifier, page(PagerAction.RESOLVE)))

    assert outcomes == ["Doubt", "sent", "sent"]
    assert mailer.got == [ANNA, GONE, ANNA, GONE]


async def test_an_address_that_nobody_takes_is_never_given_up(page: MakePage) -> None:
    """Its server may be down: nobody has the page yet."""
    async with mail_to(Mailer(GONE), GONE) as notifier:
        outcomes = {await notify(notifier, page()) for _ in range(MAX_TRIES + 1)}

    assert outcomes == {"Doubt"}
