from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.model.access import Access, CommandOutcome, Verb
from bot.core.model.command import (
    Acknowledge,
    Command,
    EndSilence,
    Escalate,
    ExplainVerdict,
    HandOver,
    Request,
    Resolve,
    RunCheck,
    UnclearCommand,
)
from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.state.incident import (
    Acknowledgement,
    Incident,
    IncidentKind,
    IncidentLife,
    IncidentMessage,
    MessageRef,
)
from bot.core.state.stimulus import PersonActed
from bot.slack.actions import (
    ACKNOWLEDGE,
    CHECK_AGAIN,
    CONFIRM,
    END_SILENCE,
    HAND_OVER,
    LINKS,
    MORE,
    REFRESH,
    RESOLVE,
    SILENCE,
    SILENCE_FORM,
    STILL_ON_IT,
    TAKE_OVER,
    WHAT,
    WORDS_FORM,
    CheckAgainValue,
)
from bot.slack.inbound.forms import Forms
from bot.slack.inbound.listeners import FOREIGN, NO_FORM, NOT_SAVED, OLD_BUTTON
from bot.slack.inbound.socket_mode import SocketModeConnection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bot.slack.inbound.listeners import Listeners

HOME = {"id": "V1", "type": "home", "hash": "h1", "callback_id": "", "private_metadata": ""}
PROD = CheckAgainValue(tenant="prod").model_dump_json()


@pytest.fixture(autouse=True)
async def running(slack: Any, api: Any, clock: Any, listeners: Listeners) -> AsyncIterator[None]:
    """The real Bolt app, connected over Socket Mode."""
    socket = SocketModeConnection(listeners.build_app(), "xapp-canary", api, clock)
    task = asyncio.create_task(socket.run())
    await slack.opened.wait()
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def replies(slack: Any, listeners: Listeners) -> list[tuple[str, str]]:
    """Return the replies that people got, with the method or response_url."""
    await listeners.close()
    return [
        (method, sent["text"])
        for method, sent, _ in slack.calls
        if method in {"click", "command", "chat.postEphemeral"}
    ]


async def test_command(slack: Any, payloads: Any, inbox: Any) -> None:
    """A command is in the inbox before it is acknowledged, with all that the answer needs."""
    ack = await slack.deliver("slash_commands", payloads.command("run prod share"))

    assert "payload" not in ack
    (request,) = inbox.requests.values()
    assert (request.command.verb, request.words, request.share) == (Verb.RUN, "prod", True)
    assert (request.user, request.channel) == ("U1", "C1")
    assert request.response_url == slack.hook("command")
    assert request.id.startswith("command:")


async def test_renamed_command(slack: Any, payloads: Any, inbox: Any) -> None:
    """The command may have another name in the app's manifest."""
    await slack.deliver("slash_commands", payloads.command("", command="/auth0-staging"))

    assert [request.command.verb for request in inbox.requests.values()] == [Verb.STATUS]


async def test_click(slack: Any, payloads: Any, inbox: Any) -> None:
    """Check again asks for a check of the button's tenant."""
    await slack.deliver("interactive", payloads.click(CHECK_AGAIN, PROD))

    (request,) = inbox.requests.values()
    assert (request.command.verb, request.words, request.channel) == (Verb.RUN, "prod", "C1")
    assert request.id.startswith("click:")


async def test_mention(slack: Any, payloads: Any, inbox: Any) -> None:
    """A mention takes the same words as the command."""
    await slack.deliver("events_api", payloads.mention("alerts"), retry_attempt=0)

    (request,) = inbox.requests.values()
    assert (request.command.verb, request.user, request.channel) == (Verb.ALERTS, "U1", "C1")
    assert (request.id[:6], request.response_url) == ("event:", "")


async def test_the_person(slack: Any, payloads: Any, inbox: Any) -> None:
    """A request has what is known of the person."""
    await slack.deliver("slash_commands", payloads.command("silence prod until 14:00 x"))

    (request,) = inbox.requests.values()
    assert (request.person.id, request.person.zone) == ("U1", "Europe/Berlin")


async def test_in_a_thread(slack: Any, payloads: Any, inbox: Any) -> None:
    """A mention in a thread has the thread's id: it is about that incident."""
    await slack.deliver("events_api", payloads.mention("ack on it", thread_ts="1.1"))

    (request,) = inbox.requests.values()
    assert (request.command.verb, request.words, request.thread_ts) == (Verb.ACK, "on it", "1.1")
    assert not request.is_direct


@pytest.mark.parametrize("text", ["oncall swap <@U2> 8h", "<@U0BOT> oncall swap <@U2> 8h"])
async def test_alone(slack: Any, payloads: Any, inbox: Any, text: str) -> None:
    """A direct message takes the same words; mentions of other people stay."""
    await slack.deliver("events_api", payloads.direct(text))

    (request,) = inbox.requests.values()
    assert (request.command.verb, request.words) == (Verb.ONCALL, "swap <@U2> 8h")
    assert (request.channel, request.is_direct) == ("D1", True)


@pytest.mark.parametrize(
    "more",
    [
        {"bot_id": "B9"},
        {"subtype": "message_changed"},
        {"channel_type": "channel", "channel": "C1"},
    ],
)
async def test_not_for_us(slack: Any, payloads: Any, inbox: Any, more: dict[str, str]) -> None:
    """Messages of other bots, edits and messages in channels are ignored."""
    await slack.deliver("events_api", payloads.direct("status", **more))

    assert inbox.requests == {}


@pytest.mark.parametrize(
    ("owner", "thread_ts", "is_noted"),
    [("U1", "1.1", True), ("U1", "1.2", False), ("U2", "1.1", False), ("", "1.1", False)],
)
async def test_a_word_in_the_thread_shows_that_somebody_is_still_on_it(
    slack: Any,
    payloads: Any,
    inbox: Any,
    known: Any,
    *,
    owner: str,
    thread_ts: str,
    is_noted: bool,
) -> None:
    """Of who has the incident, in its thread. Nothing is answered."""
    taken = Acknowledgement(owner, 1.0) if owner else None
    incident = Incident(
        3,
        IncidentKind.FAILING,
        Severity.CRITICAL,
        ("prod",),
        1.0,
        Verdict(Cause.AUTH0, Scope.TENANT, 0.9),
        IncidentLife(1.0, taken),
        message=IncidentMessage(MessageRef("C1", "1.1")),
    )
    known.desk = known.desk.with_incident(incident)
    said = payloads.direct("restarting it", channel="C1", channel_type="channel")
    said["event"]["thread_ts"] = thread_ts
    await slack.deliver("events_api", said)

    assert [type(each) for each in inbox.stimuli] == [PersonActed] * is_noted
    assert inbox.requests == {}


async def test_signs_are_as_typed(slack: Any, payloads: Any, inbox: Any) -> None:
    """Slack's entities are decoded: whatever renders the text escapes it again."""
    await slack.deliver("events_api", payloads.mention("note 3 a &lt; b &amp;&amp; c"))

    (request,) = inbox.requests.values()
    assert request.words == "3 a < b && c"


@pytest.mark.parametrize(
    ("action_id", "value", "command", "words"),
    [
        (ACKNOWLEDGE, '{"v":1,"incident":3}', Acknowledge(3), "#3"),
        (STILL_ON_IT, '{"v":1,"incident":3}', Acknowledge(3), "#3"),
        (HAND_OVER, '{"v":1,"incident":3}', HandOver(3), "#3"),
        (
            TAKE_OVER,
            '{"v":1,"incident":3,"owner":"U2"}',
            Acknowledge(3, take_over_from="U2"),
            "#3 take over",
        ),
        (RESOLVE, '{"v":1,"incident":3}', Resolve(3), "#3"),
        (CONFIRM, '{"v":1,"incident":3}', Resolve(3, is_confirmed=True), "#3 anyway"),
        (
            CONFIRM,
            '{"v":1,"incident":3,"note":"known"}',
            Resolve(3, "known", is_confirmed=True),
            "#3 anyway known",
        ),
        (END_SILENCE, '{"v":1,"silence":4}', EndSilence(4), "4"),
        (MORE, '{"v":1,"verb":"escalate","incident":3}', Escalate(3), "#3"),
        (MORE, '{"v":1,"verb":"why","incident":3}', ExplainVerdict(3), "#3"),
        (MORE, '{"v":1,"verb":"run","tenant":"prod"}', RunCheck("prod"), "prod"),
    ],
)
async def test_buttons(
    slack: Any,
    payloads: Any,
    inbox: Any,
    *,
    action_id: str,
    value: str,
    command: Command,
    words: str,
) -> None:
    """Each button makes the command that could be typed."""
    click = payloads.click(action_id, value)
    if action_id == MORE:
        click["actions"][0] |= {"type": "overflow", "selected_option": {"value": value}}

    await slack.deliver("interactive", click)

    (request,) = inbox.requests.values()
    assert (request.command, request.words, request.channel) == (command, words, "C1")


@pytest.mark.parametrize("home", [HOME, {"id": "V1", "type": "home"}], ids=["whole", "bare"])
async def test_a_button_at_home(slack: Any, payloads: Any, inbox: Any, home: Any) -> None:
    """A click in the Home tab is answered in private; of the tab itself nothing is needed."""
    await slack.deliver("interactive", payloads.in_view(END_SILENCE, home, '{"v":1,"silence":4}'))

    (request,) = inbox.requests.values()
    assert (request.channel, request.is_direct, request.response_url) == ("U1", True, "")


def opened(slack: Any) -> dict[str, Any]:
    (sent,) = [sent for method, sent, _ in slack.calls if method == "views.open"]
    form: dict[str, Any] = json.loads(sent["view"])
    return form


@pytest.mark.parametrize(
    ("verb", "form"),
    [("silence", SILENCE_FORM), ("note", WORDS_FORM), ("false-alarm", WORDS_FORM)],
)
async def test_forms(
    slack: Any, payloads: Any, inbox: Any, listeners: Listeners, *, verb: str, form: str
) -> None:
    """A verb that needs words opens a form; the request comes when the form is submitted."""
    value = f'{{"v":1,"verb":"{verb}","incident":3}}'
    await slack.deliver("interactive", payloads.click(MORE, value))
    await listeners.close()

    shown = opened(slack)

    assert shown["callback_id"] == form
    assert inbox.requests == {}
    if verb == "note":
        filled = payloads.submission(shown, reason={"value": "rolled back"})
        assert "payload" not in await slack.deliver("interactive", filled)
        (request,) = inbox.requests.values()
        assert (request.command.verb, request.words) == (Verb.NOTE, "#3 rolled back")
        assert (request.channel, request.user) == ("C1", "U1")


async def test_a_command_without_its_words(
    slack: Any, payloads: Any, inbox: Any, listeners: Listeners
) -> None:
    """`/auth0-check silence` alone opens the form, too."""
    await slack.deliver("slash_commands", payloads.command("silence"))
    await listeners.close()

    assert opened(slack)["callback_id"] == SILENCE_FORM
    assert inbox.requests == {}


async def test_who_may_not_gets_no_form(
    slack: Any, payloads: Any, inbox: Any, known: Any, listeners: Listeners
) -> None:
    """A person without the right gets the desk's refusal, and no form."""
    known.rules = replace(known.rules, access=Access(silence=("U9",)))

    await slack.deliver("interactive", payloads.click(SILENCE, '{"v":1,"incident":3}'))
    await listeners.close()

    assert [request.command.verb for request in inbox.requests.values()] == [Verb.SILENCE]
    assert "views.open" not in [method for method, _, _ in slack.calls]


async def test_a_form_too_late(
    slack: Any, payloads: Any, listeners: Listeners, caplog: pytest.LogCaptureFixture
) -> None:
    """If Slack does not open the form in time, the person is asked to click again."""
    slack.answers["views.open"] = {"ok": False, "error": "expired_trigger_id"}

    await slack.deliver("interactive", payloads.click(SILENCE, '{"v":1,"incident":3}'))

    assert await replies(slack, listeners) == [("click", NO_FORM)]
    assert "expired_trigger_id" in caplog.text


async def test_the_shortcut(slack: Any, payloads: Any, inbox: Any, listeners: Listeners) -> None:
    """The shortcut's form asks any question, and changes into the form of a silence."""
    await slack.deliver("interactive", payloads.shortcut())
    await listeners.close()
    form = opened(slack)

    pick = {"verb": {"selected_option": {"value": "silence"}}}
    pick |= {"tenant": {"selected_option": {"value": "prod"}}}
    ack = await slack.deliver("interactive", payloads.submission(form, **pick))
    assert ack["payload"]["response_action"] == "update"
    assert ack["payload"]["view"]["callback_id"] == SILENCE_FORM
    assert inbox.requests == {}

    pick["verb"] = {"selected_option": {"value": "run"}}
    await slack.deliver("interactive", payloads.submission(form, **pick))
    (request,) = inbox.requests.values()
    assert (request.command.verb, request.words) == (Verb.RUN, "prod")
    assert (request.channel, request.is_direct) == ("U1", True)


def silence_form(payloads: Any, known: Any, **fields: Any) -> dict[str, Any]:
    bare = UnclearCommand(Verb.SILENCE, CommandOutcome.INVALID)
    asked = Request("r", 0.0, bare, "prod", channel="C1")
    form = Forms(NoWeb(), known.view).build_form(asked)
    filled = {
        "what": {"selected_option": {"value": "prod"}},
        "span": {"selected_option": {"value": "2h"}},
        "reason": {"value": "an upgrade"},
    }
    sent: dict[str, Any] = payloads.submission(form, **filled | fields)
    return sent


class NoWeb:
    """A Web API that must not be called."""

    async def call(self, method: str, params: Any) -> Any:
        raise AssertionError(method, params)

    async def respond(self, response_url: str, params: Any) -> None:
        raise AssertionError(response_url, params)


async def test_errors_stand_under_a_field(
    slack: Any, payloads: Any, inbox: Any, known: Any
) -> None:
    """A form with an error stays open and says why; so does one that could not be saved."""
    ack = await slack.deliver("interactive", silence_form(payloads, known, reason={"value": " "}))
    assert [*ack["payload"]["errors"]] == ["reason"]

    inbox.error = OSError("disk full")
    ack = await slack.deliver("interactive", silence_form(payloads, known))
    assert ack["payload"] == {"response_action": "errors", "errors": {"what": NOT_SAVED}}

    inbox.error = None
    ack = await slack.deliver("interactive", silence_form(payloads, known))
    assert "payload" not in ack
    assert [request.words for request in inbox.requests.values()] == ["prod 2h an upgrade"]


@pytest.mark.parametrize("state", [{}, {"state": {}}, {"state": {"values": {"what": {}}}}])
async def test_a_form_without_its_fields(
    slack: Any, payloads: Any, inbox: Any, known: Any, state: dict[str, Any]
) -> None:
    """The form stays open and shows an error, whatever is missing."""
    sent = silence_form(payloads, known)
    del sent["view"]["state"]
    sent["view"] |= state

    ack = await slack.deliver("interactive", sent)
    assert [*ack["payload"]["errors"]] == ["what"]
    assert inbox.requests == {}


async def test_two_people_at_once(slack: Any, payloads: Any, inbox: Any) -> None:
    """Two people's clicks on one button at the same instant are two requests."""
    clicks = [payloads.click(ACKNOWLEDGE, '{"v":1,"incident":3}') for _ in range(2)]
    clicks[1]["actions"] = clicks[0]["actions"]
    clicks[1]["user"] = {"id": "U2", "username": "ben", "team_id": "T1"}
    for click in (*clicks, *clicks):
        await slack.deliver("interactive", click)

    assert [request.user for request in inbox.requests.values()] == ["U1", "U2"]


async def test_an_old_form(
    slack: Any, payloads: Any, inbox: Any, known: Any, listeners: Listeners
) -> None:
    """A form of an older version closes, and the person gets a private message."""
    old = silence_form(payloads, known)
    old["view"]["callback_id"] = "snooze"

    await slack.deliver("interactive", old)
    await listeners.close()

    (posted,) = [sent for method, sent, _ in slack.calls if method == "chat.postMessage"]
    assert (posted["channel"], posted["text"]) == ("U1", OLD_BUTTON)
    assert inbox.requests == {}


async def test_the_preview(slack: Any, payloads: Any, known: Any, listeners: Listeners) -> None:
    """A choice of what to silence updates the form; a conflict with a newer change is harmless."""
    view = silence_form(payloads, known)["view"]
    slack.answers["views.update"] = [{"ok": True}, {"ok": False, "error": "hash_conflict"}]

    for _ in range(2):
        await slack.deliver("interactive", payloads.in_view(WHAT, view))
    await listeners.close()

    assert [method for method, _, _ in slack.calls].count("views.update") == 2


@pytest.mark.parametrize(("tab", "count"), [("home", 1), ("messages", 0)])
async def test_home(
    slack: Any, payloads: Any, listeners: Listeners, *, tab: str, count: int
) -> None:
    """Opening the Home tab publishes it; opening the Messages tab does not."""
    opened = payloads.event("app_home_opened", channel="D1", tab=tab)
    await slack.deliver("events_api", opened)
    await listeners.close()

    assert [method for method, _, _ in slack.calls].count("views.publish") == count


async def test_refresh(slack: Any, payloads: Any, listeners: Listeners) -> None:
    """Refresh publishes the Home tab again."""
    await slack.deliver("interactive", payloads.in_view(REFRESH, HOME))
    await listeners.close()

    assert [method for method, _, _ in slack.calls].count("views.publish") == 1


async def test_duplicates(slack: Any, payloads: Any, inbox: Any) -> None:
    """A delivery that Slack repeats is acknowledged again and accepted once."""
    envelopes = [
        ("slash_commands", payloads.command("run")),
        ("interactive", payloads.click(CHECK_AGAIN, PROD)),
        ("events_api", payloads.mention("status")),
    ]

    for kind, payload in envelopes * 2:
        await slack.deliver(kind, payload, retry_attempt=1, retry_reason="timeout")

    assert len(inbox.requests) == 3


@pytest.mark.parametrize("action_id", LINKS)
async def test_link(
    slack: Any, payloads: Any, inbox: Any, listeners: Listeners, action_id: str
) -> None:
    """A link button is only acknowledged."""
    await slack.deliver("interactive", payloads.click(action_id))

    assert inbox.requests == {}
    assert await replies(slack, listeners) == []


@pytest.mark.parametrize(
    ("action_id", "value"),
    [
        ("acknowledge_v0", "{}"),
        (CHECK_AGAIN, ""),
        (CHECK_AGAIN, "prod"),
        (CHECK_AGAIN, '{"v":2,"tenant":"prod"}'),
        (CHECK_AGAIN, '{"v":1,"tenant":"prod","run":"rm"}'),
        (CHECK_AGAIN, '{"v":1,"tenant":"<!channel>"}'),
        (CHECK_AGAIN, '{"v":1,"tenant":"' + "x" * 41 + '"}'),
        (CHECK_AGAIN, '{"v":1,"tenant":["prod"]}'),
        (CHECK_AGAIN, "[" * 2000),
        (ACKNOWLEDGE, '{"v":1,"incident":0}'),
        (ACKNOWLEDGE, '{"v":2,"incident":3}'),
        (MORE, '{"v":1,"verb":"audit","incident":3}'),
    ],
)
async def test_old_button(
    slack: Any, payloads: Any, inbox: Any, listeners: Listeners, action_id: str, value: str
) -> None:
    """An unknown button, or one with an unknown value, does nothing and says why."""
    await slack.deliver("interactive", payloads.click(action_id, value))

    assert inbox.requests == {}
    assert await replies(slack, listeners) == [("click", OLD_BUTTON)]


async def test_other_workspace(slack: Any, payloads: Any, inbox: Any, listeners: Listeners) -> None:
    """People of another company, as in a shared channel, are refused."""
    ann = {"id": "U9", "team_id": "T9"}

    ack = await slack.deliver("slash_commands", payloads.command("run", team_id="T9"))
    await slack.deliver("interactive", payloads.click(CHECK_AGAIN, PROD, user=ann))
    await slack.deliver("events_api", payloads.mention("run", user_team="T9"))
    await slack.deliver("interactive", payloads.in_view(REFRESH, HOME, user=ann))
    await slack.deliver("interactive", payloads.in_view(WHAT, HOME, user=ann))

    assert inbox.requests == {}
    assert ack["payload"] == {"text": FOREIGN}
    assert await replies(slack, listeners) == [("click", FOREIGN), ("chat.postEphemeral", FOREIGN)]


COLLEAGUE = {"id": "U7", "team_id": "T7", "enterprise_user": {"enterprise_id": "E1"}}
STRANGER = {"id": "U7", "team_id": "T7"}


GRID_CLICKS = {
    "installed for the organisation": ({"team": None, "enterprise": {"id": "E1"}}, "T7"),
    "the organisation as the person's team": ({"team": {"id": "T1"}}, "E1"),
    "the person's home elsewhere": ({"team": {"id": "T1", "enterprise_id": "E1"}}, "T7"),
}


@pytest.mark.parametrize("name", GRID_CLICKS)
async def test_clicks_of_the_organisation(slack: Any, payloads: Any, inbox: Any, name: str) -> None:
    """Enterprise Grid names workspace, organisation and the person's home in several ways."""
    slack.answers["users.info"] = {"ok": True, "user": COLLEAGUE}
    more, home = GRID_CLICKS[name]
    click = payloads.click(CHECK_AGAIN, PROD, user={"id": "U7", "team_id": home})

    await slack.deliver("interactive", click | more)

    assert len(inbox.requests) == 1


@pytest.mark.parametrize(("profile", "answered"), [(COLLEAGUE, 2), (STRANGER, 0), (None, 0)])
async def test_another_workspace_of_the_organisation(
    slack: Any,
    payloads: Any,
    inbox: Any,
    listeners: Listeners,
    profile: dict[str, Any] | None,
    answered: int,
) -> None:
    """On Enterprise Grid a colleague's click and mention count; a stranger's do not.

    Both name a workspace that is not ours; what Slack says of the person decides.
    """
    slack.answers["users.info"] = {"ok": True, "user": profile} if profile else {"ok": False}
    grid = {"enterprise": {"id": "E1"}, "team": {"id": "T1", "enterprise_id": "E1"}}
    click = payloads.click(CHECK_AGAIN, PROD, user={"id": "U7", "team_id": "T7"}) | grid
    mention = payloads.mention("run", user_team="T7") | {"enterprise_id": "E1"}
    mention["event"]["user"] = "U7"

    await slack.deliver("interactive", click)
    await slack.deliver("events_api", mention)

    assert len(inbox.requests) == answered
    told = [text for _, text in await replies(slack, listeners)]
    assert told == ([] if answered else [FOREIGN, FOREIGN])


@pytest.mark.parametrize("is_slow", [True, False])
async def test_inbox_fails(
    slack: Any,
    payloads: Any,
    inbox: Any,
    listeners: Listeners,
    caplog: pytest.LogCaptureFixture,
    *,
    is_slow: bool,
) -> None:
    """If the inbox fails or hangs, the acknowledgement comes in time and says so."""
    inbox.delay_s, inbox.error = (60.0, None) if is_slow else (0.0, OSError("disk full"))

    ack = await slack.deliver("slash_commands", payloads.command("run"))
    await slack.deliver("interactive", payloads.click(CHECK_AGAIN, PROD))
    await slack.deliver("events_api", payloads.mention("run"))

    assert ack["payload"] == {"text": NOT_SAVED}
    assert await replies(slack, listeners) == [
        ("click", NOT_SAVED),
        ("chat.postEphemeral", NOT_SAVED),
    ]
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 3
    assert "/hook/" not in caplog.text


async def test_hanging_handlers(slack: Any, payloads: Any, inbox: Any, until: Any) -> None:
    """Commands that hang do not delay the next one."""
    inbox.delay_s = 60.0
    hanging = [payloads.command("run") for _ in range(20)]
    for number, payload in enumerate(hanging):
        envelope = {"type": "slash_commands", "envelope_id": f"H{number}", "payload": payload}
        await slack.sockets[-1].send_json(envelope)
    await until(lambda: inbox.started == len(hanging))
    inbox.delay_s = 0.0

    await slack.deliver("slash_commands", payloads.command("status"))

    assert [request.command.verb for request in inbox.requests.values()] == [Verb.STATUS]


@pytest.mark.parametrize("missing", ["trigger_id", "user_id", "text"])
async def test_unreadable(
    slack: Any, payloads: Any, caplog: pytest.LogCaptureFixture, missing: str
) -> None:
    """A payload without a required field is acknowledged with a sentence, and logged."""
    payload = payloads.command("run")
    del payload[missing]

    ack = await slack.deliver("slash_commands", payload)

    assert ack["payload"] == {"text": NOT_SAVED}
    assert [record.exc_text for record in caplog.records] == [None]
    assert "not a payload of Slack's" in caplog.text


async def test_other_bots(slack: Any, payloads: Any, inbox: Any) -> None:
    """Bots that mention us get no answer: they could answer back for ever."""
    await slack.deliver("events_api", payloads.mention("status", bot_id="B9"))

    assert inbox.requests == {}


async def test_cannot_reply(
    slack: Any,
    payloads: Any,
    inbox: Any,
    listeners: Listeners,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """If even the error reply cannot be sent, that is logged without the secret address."""
    inbox.error = OSError("disk full")
    slack.answers["click"] = (404, {}, b"expired_url")

    await slack.deliver("interactive", payloads.click(CHECK_AGAIN, PROD))
    await listeners.close()

    assert "expired_url" in caplog.text
    assert "/hook/" not in caplog.text
