"""What a person can do at an incident's message, as fits its state. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.core.incidents.sticky_resolve import STICKY_RESOLVE_S
from bot.core.model.request import Verb
from bot.core.state.incident import IncidentState
from bot.slack import actions
from bot.slack.render.text import duration

if TYPE_CHECKING:
    from bot.core.state.incident import Incident
    from bot.ports import View
    from bot.slack.render.text import Block

STICKY_RESOLVE_NOTE = f"What still fails then is told anew only once it was well, or after {duration(STICKY_RESOLVE_S)}."


def incident_buttons(incident: Incident, view: View, status_link: str) -> Block:
    """Make the row of an open incident; one that is over has none."""
    is_taken = incident.state is IncidentState.ACKNOWLEDGED
    row = [
        _resolve_button(incident) if is_taken else acknowledge_button(incident),
        button("Check Auth0 Status", actions.OPEN_STATUS, url=status_link),
        button("Silence…", actions.SILENCE, value=_incident_value(incident)),
    ]
    if runbook := runbook_url(incident, view):
        row.append(runbook_button(runbook))
    # A new block_id for each version: Slack keeps a button's state by it (@slack/types 3.2).
    block_id = f"incident-{incident.id}-{incident.edits}"
    return {
        "type": "actions",
        "block_id": block_id,
        "elements": [*row, _more_menu(incident, is_taken)],
    }


def acknowledge_button(incident: Incident) -> Block:
    """Make the button that takes an incident."""
    value = _incident_value(incident)
    return button("Acknowledge", actions.ACKNOWLEDGE, value=value, style="primary")


def runbook_button(url: str) -> Block:
    """Make the button that leads to the runbook."""
    return button("Runbook", actions.OPEN_RUNBOOK, url=url)


def runbook_url(incident: Incident, view: View) -> str:
    """Return the address of the first runbook of an incident's tenants, if there is one."""
    tenants = [view.rules.tenants[name] for name in incident.tenants if name in view.rules.tenants]
    return next((tenant.runbook for tenant in tenants if tenant.runbook), "")


def _resolve_button(incident: Incident) -> Block:
    confirm = {
        "title": _plain_text(f"Resolve #{incident.id}?"),
        "text": _plain_text(STICKY_RESOLVE_NOTE),
        "confirm": _plain_text("Resolve"),
        "deny": _plain_text("Cancel"),
    }
    return button("Resolve", actions.RESOLVE, value=_incident_value(incident), confirm=confirm)


def _more_menu(incident: Incident, is_taken: bool) -> Block:  # noqa: FBT001 - of one caller, beside it
    """Make the menu of what is done seldom; Slack takes five options."""
    choices = {
        "Check again": actions.MenuValue(verb=Verb.RUN, tenant=incident.tenants[0]),
        "Escalate": actions.MenuValue(verb=Verb.ESCALATE, incident=incident.id),
        "Resolve": actions.MenuValue(verb=Verb.RESOLVE, incident=incident.id),
        "Note…": actions.MenuValue(verb=Verb.NOTE, incident=incident.id),
        "False alarm…": actions.MenuValue(verb=Verb.FALSE_ALARM, incident=incident.id),
    }
    options = [
        {"text": _plain_text(label), "value": choice.model_dump_json(exclude_none=True)}
        for label, choice in choices.items()
        if not (is_taken and choice.verb is Verb.RESOLVE)
    ]
    return {"type": "overflow", "action_id": actions.MORE, "options": options}


def _incident_value(incident: Incident) -> str:
    return actions.IncidentValue(incident=incident.id).model_dump_json()


def button(label: str, action_id: str, **rest: Any) -> Block:
    """Make one button; `rest` are further fields of Slack's."""
    return {"type": "button", "text": _plain_text(label), "action_id": action_id, **rest}


def _plain_text(text: str) -> Block:
    return {"type": "plain_text", "text": text}
