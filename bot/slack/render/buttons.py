"""The buttons below an incident's message, by its state. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.core.commands.parse import NOTE_LENGTH
from bot.core.incidents.recurrence import STICKY_RESOLVE_S
from bot.core.model.access import Verb
from bot.core.state.incident import IncidentState
from bot.slack import actions
from bot.slack.render.text import clean_text, duration

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.ports import View
    from bot.slack.render.text import Block

STICKY_RESOLVE_NOTE = (
    "I stay quiet about just that until it has worked again, for at most "
    f"{duration(STICKY_RESOLVE_S)}. I call again if it gets worse, or if another tenant fails."
)


def incident_buttons(incident: Incident, view: View, status_link: str) -> Block:
    """Return the buttons of an open incident."""
    value = _incident_value(incident)
    is_acknowledged = incident.state is IncidentState.ACKNOWLEDGED
    if is_acknowledged:
        main = [button("Resolve", actions.RESOLVE, value=value), take_over_button(incident)]
    else:
        main = [acknowledge_button(incident)]
    elements = [
        *main,
        button("Check Auth0 Status", actions.OPEN_STATUS, url=status_link),
        button("Silence…", actions.SILENCE, value=value),
        *runbook_buttons(incident, view),
        _more_menu(incident, is_acknowledged=is_acknowledged),
    ]
    # A new block_id for each version: Slack keeps a button's state by it (@slack/types 3.2).
    block_id = f"incident-{incident.id}-{incident.message.edits}"
    return {"type": "actions", "block_id": block_id, "elements": elements}


def ended_buttons(incident: Incident) -> Block:
    """Return the buttons of an incident that is over: what it was, and that it was none."""
    value = _incident_value(incident)
    elements = [button("What happened", actions.WHAT_HAPPENED, value=value)]
    if not incident.false_alarm:
        elements.append(button("False alarm…", actions.FALSE_ALARM, value=value))
    block_id = f"incident-{incident.id}-{incident.message.edits}"
    return {"type": "actions", "block_id": block_id, "elements": elements}


def acknowledge_button(incident: Incident) -> Block:
    """Return the Acknowledge button."""
    value = _incident_value(incident)
    return button("Acknowledge", actions.ACKNOWLEDGE, value=value, style="primary")


def take_over_button(incident: Incident) -> Block:
    """Return the button that takes an incident over from whoever has it."""
    owner = incident.life.acknowledged_by
    value = actions.TakeOverValue(incident=incident.id, owner=owner).model_dump_json()
    return button("Take over", actions.TAKE_OVER, value=value)


def still_on_it_buttons(incident: Incident) -> Block:
    """Return the buttons that answer the question whether somebody is still on it."""
    value = _incident_value(incident)
    elements = [
        button("Still on it", actions.STILL_ON_IT, value=value, style="primary"),
        button("Hand over", actions.HAND_OVER, value=value),
    ]
    return {"type": "actions", "elements": elements}


def confirm_buttons(incident: Incident, note: str) -> Block:
    """Return the button that resolves what still fails."""
    note = clean_text(note, NOTE_LENGTH)
    value = actions.ConfirmValue(incident=incident.id, note=note).model_dump_json()
    elements = [button("Resolve anyway", actions.CONFIRM, value=value, style="danger")]
    return {"type": "actions", "elements": elements}


def runbook_buttons(incident: Incident, view: View) -> list[Block]:
    """Return the button that opens the runbook, if there is one."""
    url = runbook_url(incident, view)
    return [button("Runbook", actions.OPEN_RUNBOOK, url=url)] if url else []


def runbook_url(incident: Incident, view: View) -> str:
    """Return the address of the first runbook of an incident's tenants, or an empty text."""
    tenants = [view.rules.tenants[name] for name in incident.tenants if name in view.rules.tenants]
    return next((tenant.runbook for tenant in tenants if tenant.runbook), "")


def _more_menu(incident: Incident, *, is_acknowledged: bool) -> Block:
    """Return the overflow menu. Slack takes five options."""
    only = incident.tenants[0] if len(incident.tenants) == 1 else None  # of several, all
    left_out = {Verb.RESOLVE} if is_acknowledged else set()
    left_out |= set() if incident.tenants else {Verb.RUN}  # it is about the bot itself
    choices = {
        "Check again": actions.MenuValue(verb=Verb.RUN, tenant=only),
        "Escalate": actions.MenuValue(verb=Verb.ESCALATE, incident=incident.id),
        "Resolve": actions.MenuValue(verb=Verb.RESOLVE, incident=incident.id),
        "Note…": actions.MenuValue(verb=Verb.NOTE, incident=incident.id),
        "False alarm…": actions.MenuValue(verb=Verb.FALSE_ALARM, incident=incident.id),
    }
    options = [
        {"text": _plain_text(label), "value": choice.model_dump_json(exclude_none=True)}
        for label, choice in choices.items()
        if choice.verb not in left_out
    ]
    return {"type": "overflow", "action_id": actions.MORE, "options": options}


def _incident_value(incident: Incident) -> str:
    return actions.IncidentValue(incident=incident.id).model_dump_json()


def button(label: str, action_id: str, **rest: Any) -> Block:
    """Return one button; `rest` are further fields of Slack's."""
    return {"type": "button", "text": _plain_text(label), "action_id": action_id, **rest}


def _plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text}
