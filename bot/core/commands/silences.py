"""Commands that set and end silences."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bot.core.alerting import calls, notification_policy
from bot.core.incidents import notifications
from bot.core.model.access import CommandOutcome
from bot.core.model.command import SilenceRefusal, SilenceScope
from bot.core.model.wall_clock import DAY_S
from bot.core.state.outbox import AnswerResult
from bot.core.state.silence import Silence, covers, preview_hidden, refuse_end
from bot.core.state.timeline import SilencedEntry

if TYPE_CHECKING:
    from bot.core.commands.incidents import CommandResult
    from bot.core.model.command import AddSilence, EndSilence
    from bot.core.state.desk import DeskState
    from bot.core.state.rules import Rules
    from bot.core.state.stimulus import DeskEffect
    from bot.core.state.tenant import Tenants

SILENCE_RETENTION_S = 7 * DAY_S


def add_silence(
    state: DeskState, command: AddSilence, by: str, now: float, *, tenants: Tenants, rules: Rules
) -> CommandResult:
    """Set a silence; the threads of posted incidents that it covers say so."""
    scope, name, until, reason = command.scope, command.name, command.until, command.reason
    is_known = scope is not SilenceScope.INCIDENT or int(name) in state.incidents
    refusal = refuse_end(until, now) if is_known else SilenceRefusal.NO_SUCH
    if refusal:
        return state, [], AnswerResult(CommandOutcome.INVALID, silence_refusal=refusal)
    number = state.next_silence
    silence = Silence(number, scope, name, now, until, by, reason)
    hidden = preview_hidden(scope, name, state.incidents.values(), now - DAY_S)
    recent = {
        one.id: one
        for one in state.silences.values()
        if one.ended_at is None or now - one.ended_at < SILENCE_RETENTION_S
    }
    state = replace(state, silences={**recent, number: silence}, next_silence=number + 1)
    effects: list[DeskEffect] = []
    if scope is not SilenceScope.INCIDENT:  # else its thread says so
        effects += notification_policy.announce_silence(silence, "begin", state, rules)
    entry = SilencedEntry(now, by, reason, until)
    for incident in state.open_incidents:
        if covers(silence, incident) and not incident.notification.is_muted:
            known = calls.bind(incident, tenants, rules)
            after, edit = notifications.edit_message(known, now)
            after, reply = notifications.add_entry(after, entry)
            state, effects = state.with_incident(after), [*effects, edit, reply]
    return state, effects, AnswerResult(CommandOutcome.DONE, silence=silence, hidden=hidden)


def expire_silence(
    state: DeskState, command: EndSilence, by: str, now: float, rules: Rules
) -> CommandResult:
    """End a silence before its time."""
    found = state.silences.get(command.silence)
    if found is None or found.ended_at is not None:
        outcome = CommandOutcome.ALREADY if found else CommandOutcome.NO_SUCH
        return state, [], AnswerResult(outcome, silence=found)
    state, effects = notification_policy.end_silence(state, found, now, rules, by)
    return state, effects, AnswerResult(CommandOutcome.DONE, silence=state.silences[found.id])
