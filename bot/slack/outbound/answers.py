"""Answers people: questions at once, what was committed when its delivery is due."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from bot.core.alerting.deliveries import ANSWER_LIFE_S
from bot.core.commands.dispatch import answer_question
from bot.core.model.command import ShowDoctor
from bot.core.state.outbox import BACKOFF_S
from bot.core.state.stimulus import CommandReceived, PersonActed, QuestionAudited
from bot.ports import CallFailed, Doubt, Reason, Refused
from bot.slack.render.answers import render_answer
from bot.slack.render.status import render_findings
from bot.slack.render.text import paginate, render_paragraphs
from bot.slack.web_api import send_with_fallback

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bot.core.model.command import Request
    from bot.core.model.finding import Finding
    from bot.core.state.outbox import Answer
    from bot.core.state.stimulus import Stimulus
    from bot.ports import Clock, View, WebApi
    from bot.slack.render.text import RenderedMessage

log = logging.getLogger(__name__)
RESPONSE_URL_LIFE_S = 1700.0
"""Slack takes answers at a response_url for 30 minutes (Handling user interaction, 2026-11)."""
NO_UNFURL = {"unfurl_links": False, "unfurl_media": False}
REMEMBERED = 1000
"""Ids of questions that are known, to answer one only once that Slack sends again."""


class QuestionAnswerer:
    """Answers questions from the state as it is. Nothing is committed before the answer is out.

    Only what everybody is to see goes through the outbox.

    Args:
        api: takes the answers.
        clock: times the retries.
        view: returns the state.
        catch_up: waits for the engine, so that an answer knows what the person did just before.
        submit: takes what the audit log records to the engine, which commits it later.
        examine: examines the set-up.
    """

    def __init__(
        self,
        api: WebApi,
        clock: Clock,
        *,
        view: Callable[[], View],
        catch_up: Callable[[], Awaitable[None]],
        submit: Callable[[Stimulus], None],
        examine: Callable[[], Awaitable[Sequence[Finding]]],
    ) -> None:
        self._examine = examine
        self._api = api
        self._clock = clock
        self._view = view
        self._catch_up = catch_up
        self._submit = submit
        self._ids: dict[str, None] = {}

    async def answer(self, request: Request) -> None:
        """Answer a question once; if Slack does not take the answer, try again for a while."""
        if request.id in self._ids:
            return
        self._ids[request.id] = None
        if len(self._ids) > REMEMBERED:
            del self._ids[next(iter(self._ids))]
        if any(i.life.acknowledged_by == request.user for i in self._view().desk.open_incidents):
            self._submit(PersonActed(self._clock.now(), request.user))
        is_examined = isinstance(request.command, ShowDoctor)
        if request.share and not is_examined:
            # The answer waits its turn with all else that a channel gets.
            self._submit(CommandReceived(self._clock.now(), request))
            return
        await self._catch_up()
        view = self._view()
        answer, entry = answer_question(request, view.desk, view.rules)
        if entry:
            self._submit(QuestionAudited(view.now, entry))
            view = replace(view, desk=view.desk.with_audit_entry(entry))
        if is_examined and answer.result is None:
            await self._answer_examination(replace(answer, request=replace(request, share=False)))
        else:
            await self._deliver(answer, view)

    async def _deliver(self, answer: Answer, view: View) -> None:
        """Send an answer; try again as long as that may help."""
        name = answer.request.id
        for pause_s in chain(BACKOFF_S, repeat(BACKOFF_S[-1])):
            wait_s = pause_s
            try:
                return await send_answer(self._api, answer, view)
            except Doubt:
                log.warning("the answer to %s was lost; it may have been delivered", name)
            except Refused as refusal:
                log.warning("%s", refusal.describe(f"the answer to {name}"))
                if refusal.retry_after_s is not None:
                    wait_s = max(refusal.retry_after_s, 0.1) * self._clock.speed
                elif refusal.reason is Reason.REJECTED:
                    return None
            if self._clock.now() + wait_s - answer.request.at > ANSWER_LIFE_S:
                return None
            await self._clock.sleep(wait_s)
            view = self._view()
        return None

    async def _answer_examination(self, answer: Answer) -> None:
        """Say that it takes a moment, then what was found. A lost answer is asked for again."""
        first = render_paragraphs("I examine the set-up: this takes up to half a minute …")
        try:
            await send_answer(self._api, answer, self._view(), first)
            found = render_findings(await self._examine())
            await send_answer(self._api, answer, self._view(), found)
        except CallFailed as error:
            log.warning("the answer to %s was not taken: %s", answer.request.id, error)


async def send_answer(
    api: WebApi, answer: Answer, view: View, message: RenderedMessage | None = None
) -> None:
    """Answer by the response_url while it is valid, else in the channel of the request."""
    for page in paginate(message or render_answer(answer, view)):
        await _send_page(api, answer, view, page)


async def _send_page(api: WebApi, answer: Answer, view: View, message: RenderedMessage) -> None:
    request = answer.request
    params: dict[str, Any]
    if request.response_url and view.now - request.at < RESPONSE_URL_LIFE_S:
        kind = "in_channel" if answer.is_shared else "ephemeral"
        params = {"response_type": kind, "replace_original": False}
        await send_with_fallback(
            message, lambda content: api.respond(request.response_url, {**params, **content})
        )
        return
    method, params = "chat.postMessage", {"channel": request.channel}
    if request.thread_ts:
        params["thread_ts"] = request.thread_ts
    if answer.is_shared or request.is_direct:
        params |= NO_UNFURL
    else:
        method, params["user"] = "chat.postEphemeral", request.user
    await send_with_fallback(message, lambda content: api.call(method, {**params, **content}))
