"""Checks the shape of what Slack sends, and parses it into Requests. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from slack_bolt.request.async_request import AsyncBoltRequest

from bot.core.commands.parse import make_incident_command, parse_request
from bot.core.model.access import CommandOutcome, Verb
from bot.core.model.command import (
    Acknowledge,
    Command,
    EndSilence,
    ExplainVerdict,
    Request,
    Resolve,
    RunCheck,
    ShowHelp,
    UnclearCommand,
)
from bot.slack.actions import (
    ACKNOWLEDGE,
    CHECK_AGAIN,
    CONFIRM,
    END_SILENCE,
    FALSE_ALARM,
    HAND_OVER,
    MORE,
    RESOLVE,
    SILENCE,
    STILL_ON_IT,
    TAKE_OVER,
    WHAT_HAPPENED,
    CheckAgainValue,
    ConfirmValue,
    IncidentValue,
    MenuValue,
    SilenceValue,
    TakeOverValue,
)

if TYPE_CHECKING:
    from bot.core.model.access import Person
    from bot.ports import View

MAX_TEXT = 700
"""Characters of a command or mention that are parsed: a note has up to 500."""
_VERBS = {
    ACKNOWLEDGE: Verb.ACK,
    STILL_ON_IT: Verb.ACK,
    HAND_OVER: Verb.HAND_OVER,
    RESOLVE: Verb.RESOLVE,
    SILENCE: Verb.SILENCE,
    WHAT_HAPPENED: Verb.WHY,
    FALSE_ALARM: Verb.FALSE_ALARM,
}


Id = Annotated[str, Field(min_length=1)]


class _Shape(BaseModel):
    """What we and Bolt read of a payload, and its types. The rest may be anything.

    https://docs.slack.dev/reference/interaction-payloads (read 2026-11)
    """

    model_config = ConfigDict(strict=True)


class _Group(_Shape):
    id: str | None = None
    enterprise_id: str | None = None


class _Outer(_Shape):
    team_id: str | None = None
    enterprise_id: str | None = None


class _Command(_Outer):
    user_id: Id
    channel_id: Id
    text: str
    response_url: str
    trigger_id: str


class _Event(_Shape):
    type: str
    user: str | None = None
    channel: str | None = None
    text: str | None = None
    thread_ts: str = ""
    team: str | None = None
    user_team: str | None = None


class _ByPerson(_Event):
    user: Id


class _Said(_ByPerson):
    channel: Id
    text: str


class _Envelope(_Outer):
    event_id: Id
    event: _Event


class _User(_Shape):
    id: Id
    team_id: str | None = None


class _Option(_Shape):
    value: str


class _Field(_Shape):
    selected_option: _Option | None = None
    value: str | None = None
    selected_date_time: int | None = None


class _State(_Shape):
    values: dict[str, dict[str, _Field]] = {}


class _View(_Shape):
    id: Id
    type: str
    hash: str
    callback_id: str
    private_metadata: str
    state: _State = _State()


class _Home(_Shape):
    type: Literal["home"]


class _Interaction(_Shape):
    user: _User
    team: _Group | None = None
    enterprise: _Group | None = None
    channel: _Group | None = None
    trigger_id: str = ""
    response_url: str = ""


class _Action(_Shape):
    action_id: Id
    action_ts: str
    value: str | None = None
    selected_option: _Option | None = None


class _Click(_Interaction):
    actions: Annotated[list[_Action], Field(min_length=1)]
    view: _Home | _View | None = None


class _Shortcut(_Interaction):
    callback_id: str
    trigger_id: Id


class _Submission(_Interaction):
    view: _View


_INTERACTIONS: Mapping[object, type[_Interaction]] = {
    "block_actions": _Click,
    "shortcut": _Shortcut,
    "view_submission": _Submission,
}
_PERSONAL_EVENTS: Mapping[object, type[_Event]] = {
    "app_mention": _Said,
    "app_home_opened": _ByPerson,
}


def build_bolt_request(body: str | dict[str, Any], **details: Any) -> AsyncBoltRequest:
    """Return what Slack sent as Bolt takes it. Raises ValueError if it has not Slack's shape.

    Bolt parses a body in this constructor, and raises whatever its code raises on other shapes.
    """
    try:
        request = AsyncBoltRequest(body=body, **details)
        _check_shape(request.body)
    except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
        raise ValueError("not a payload of Slack's") from None
    return request


def _check_shape(body: Mapping[str, Any]) -> None:
    kind = body.get("type")
    if "command" in body:
        _Command.model_validate(body)
    elif kind == "event_callback":
        _Envelope.model_validate(body)
        event = body["event"]
        is_said = event["type"] == "message" and event.keys().isdisjoint({"subtype", "bot_id"})
        shape = _Said if is_said else _PERSONAL_EVENTS.get(event["type"], _Event)
        shape.model_validate(event)
    elif kind != "url_verification" and "ssl_check" not in body:
        _INTERACTIONS[kind].model_validate(body)


def find_sender(body: Mapping[str, Any]) -> str:
    """Return the id of the user who sent a command, an event or a click."""
    if "event" in body:
        return str(body["event"]["user"])
    return str(body["user"]["id"] if "user" in body else body["user_id"])


def parse_slash_command(body: Mapping[str, Any], person: Person, view: View) -> Request:
    """Parse a slash command."""
    request = Request(
        f"command:{body['trigger_id']}",
        view.now,
        user=body["user_id"],
        channel=body["channel_id"],
        response_url=body["response_url"],
        person=person,
    )
    return _parse_text(body["text"], request, view)


def parse_event(body: Mapping[str, Any], person: Person, view: View) -> Request:
    """Parse a mention (`@bot status`), or a direct message, which may begin with the bot's name.

    Neither has a `response_url`.
    """
    event = body["event"]
    is_direct = event["type"] == "message"
    bot_name, gap = (r"^\s*<@[^>]*>", "") if is_direct else (r"<@[^>]*>", " ")
    request = Request(
        f"event:{body['event_id']}",
        view.now,
        user=event["user"],
        channel=event["channel"],
        thread_ts=event.get("thread_ts", ""),
        is_direct=is_direct,
        person=person,
    )
    return _parse_text(re.sub(bot_name, gap, event["text"], count=1), request, view)


def parse_click(body: Mapping[str, Any], person: Person, view: View) -> Request:
    """Parse a click. Raises ValueError if the button's value is not of this version."""
    action, user = body["actions"][0], body["user"]["id"]
    command, words = _parse_action(action)
    return Request(
        f"click:{action['action_ts']}:{user}:{action['action_id']}",
        view.now,
        command,
        words,
        user=user,
        response_url=body.get("response_url", ""),
        person=person,
        **_answer_place(body),
    )


def parse_shortcut(body: Mapping[str, Any], person: Person, view: View) -> Request:
    """Parse the global shortcut. It counts as `help` until its form says what is asked."""
    return Request(
        f"shortcut:{body['trigger_id']}",
        view.now,
        ShowHelp(),
        user=body["user"]["id"],
        person=person,
        **_answer_place(body),
    )


def is_from_workspace(body: Mapping[str, Any], workspaces: frozenset[str]) -> bool:
    """Tell whether the person belongs to one of these workspaces or organisations.

    In a channel that is shared with another company the outer ids are ours; the person's own ids
    are further in. A person without any id belongs to none.
    """
    user, event = body.get("user"), body.get("event", {})
    inner = user.get("team_id") if isinstance(user, dict) else event.get("user_team")
    inner = inner or event.get("team") or (body.get("team") or {}).get("id")
    return not workspaces.isdisjoint(
        [inner] if inner else [body.get("team_id"), body.get("enterprise_id")]
    )


def is_from_organisation(body: Mapping[str, Any], enterprise_id: str) -> bool:
    """Tell whether it was sent within this organisation (Enterprise Grid).

    The sender may still be a stranger: in a channel that is shared with another company a click
    names the stranger's own workspace, and our organisation.
    """
    team = body.get("team") or {}
    enterprise = body.get("enterprise") or {}
    named = {body.get("enterprise_id"), team.get("enterprise_id"), enterprise.get("id")}
    return bool(enterprise_id) and enterprise_id in named


def _answer_place(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return where to answer a click; outside of a channel the answer is private."""
    channel = (body.get("channel") or {}).get("id")
    is_direct = channel is None or channel.startswith("D")
    return {"channel": channel or body["user"]["id"], "is_direct": is_direct}


def _parse_action(  # noqa: PLR0911 - one return a kind of button
    action: Mapping[str, Any],
) -> tuple[Command, str]:
    """Return the command of a button, and its words as they would be typed."""
    name = action["action_id"]
    value = (action.get("selected_option") or action).get("value", "")
    if name == CHECK_AGAIN:
        tenant = CheckAgainValue.model_validate_json(value).tenant
        return RunCheck(tenant), tenant
    if name == END_SILENCE:
        number = SilenceValue.model_validate_json(value).silence
        return EndSilence(number), str(number)
    if name == TAKE_OVER:
        taken = TakeOverValue.model_validate_json(value)
        return Acknowledge(taken.incident, take_over_from=taken.owner), (
            f"#{taken.incident} take over"
        )
    if name == CONFIRM:
        confirmed = ConfirmValue.model_validate_json(value)
        words = f"#{confirmed.incident} anyway {confirmed.note}".strip()
        return Resolve(confirmed.incident, confirmed.note, is_confirmed=True), words
    if name != MORE:
        number = IncidentValue.model_validate_json(value).incident
        return _to_command(_VERBS[name], number), f"#{number}"
    choice = MenuValue.model_validate_json(value)
    if choice.verb is Verb.RUN:
        return RunCheck(choice.tenant or ""), choice.tenant or ""
    if choice.incident is None:
        raise ValueError(value)
    return _to_command(choice.verb, choice.incident), f"#{choice.incident}"


def _to_command(verb: Verb, incident: int) -> Command:
    """Return what a button of an incident asks; a form completes it if it needs words."""
    if verb is Verb.WHY:
        return ExplainVerdict(incident)
    if verb is Verb.SILENCE:
        return UnclearCommand(verb, CommandOutcome.INVALID, incident)
    return make_incident_command(verb, incident)


def _parse_text(text: str, request: Request, view: View) -> Request:
    """Parse typed text. Slack escapes three characters; `render` escapes them again."""
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        text = text.replace(entity, sign)
    return parse_request(text[:MAX_TEXT], request, view.desk, view.rules)
