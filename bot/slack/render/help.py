"""The usage of each verb, and the help text. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from bot.core.model.access import Verb
from bot.slack.render.text import COMMAND


@dataclass(frozen=True, slots=True)
class Usage:
    """How one verb is used."""

    arguments: str
    """What follows the verb."""
    summary: str
    details: str = ""
    """Shown only by `help VERB`."""
    example: str = ""


INCIDENT_NOTE = "Without a number the incident of the thread is meant, or the only open one."
_READ_VERBS = {
    Verb.STATUS: Usage("", "how every tenant is now", "With what the status page says."),
    Verb.RUN: Usage("[TENANT or SIGNAL]", "check all, or one thing, now"),
    Verb.ALERTS: Usage(
        "[open|acked|all] [24h]",
        "open and recent incidents",
        example="alerts open",
    ),
    Verb.WHY: Usage(
        "[INCIDENT] [--details]",
        "the facts for and against a cause",
        "With `--details` you also see the ids and weights of the evidence rules.",
        "why 12",
    ),
    Verb.REPORT: Usage("[24h|7d]", "how the last days went", example="report 24h"),
    Verb.HEALTH: Usage("", "how the bot itself is"),
}
_INCIDENT_VERBS = {
    Verb.ACK: Usage(
        "[INCIDENT] [NOTE]",
        "you take it: nobody else is called",
        f"{INCIDENT_NOTE} `ack 12 take over` takes it from whoever has it. While it is open I ask "
        "you from time to time whether you are still on it.",
        "ack 12 on it",
    ),
    Verb.HAND_OVER: Usage(
        "[INCIDENT]",
        "you give it back: others are called",
        INCIDENT_NOTE,
        "hand-over 12",
    ),
    Verb.NOTE: Usage(
        "[INCIDENT] TEXT",
        "add a note to it",
        INCIDENT_NOTE,
        "note 12 rolled back",
    ),
    Verb.RESOLVE: Usage(
        "[INCIDENT] [NOTE]",
        "end an incident by hand",
        f"{INCIDENT_NOTE} If it still fails I ask first; `resolve 12 anyway` does not ask.",
        "resolve 12 rolled back",
    ),
    Verb.FALSE_ALARM: Usage(
        "[INCIDENT] REASON",
        "it was no outage",
        INCIDENT_NOTE,
        "false-alarm 12 a test",
    ),
    Verb.ESCALATE: Usage("[INCIDENT]", "call the next person now", INCIDENT_NOTE, "escalate 12"),
}
_OTHER_VERBS = {
    Verb.SILENCE: Usage(
        "WHAT TIME REASON",
        "stop alerts for a while",
        "WHAT is a tenant, a signal (`login`, `prod.login`), an incident (`#12`) or `all`. TIME is "
        "`30m`, `2h`, `1d`, or by your own clock `until 14:00`, `until tomorrow 09:00`, "
        "`until Mon 09:00`; 30 days at most. The end of an incident is posted all the same.",
        "silence prod 2h planned upgrade",
    ),
    Verb.UNSILENCE: Usage("SILENCE", "end a silence before its time", example="unsilence S3"),
    Verb.SILENCES: Usage("", "what is silenced now"),
    Verb.ONCALL: Usage(
        "[swap [@PERSON] 8h]",
        "who is on call, and who is next",
        "`swap` puts somebody on call for a while: you, if you name nobody.",
        "oncall swap until tomorrow 09:00",
    ),
    Verb.AUDIT: Usage("", "what people did, the newest first"),
    Verb.DOCTOR: Usage("", "examine the whole set-up: each problem, and what to do"),
    Verb.HELP: Usage("[VERB]", "this list, or more about one command", example="help silence"),
}
USAGE_GROUPS = {"Look": _READ_VERBS, "Handle an incident": _INCIDENT_VERBS, "Arrange": _OTHER_VERBS}
USAGES = {**_READ_VERBS, **_INCIDENT_VERBS, **_OTHER_VERBS}


def help_texts(named: str = "") -> list[str]:
    """Return what can be asked, in groups; or all about one verb, if `named` is one."""
    verb = next((verb for verb in USAGES if verb == named.lower()), None)
    if verb:
        usage = USAGES[verb]
        example = f"For example `{COMMAND} {usage.example}`" if usage.example else ""
        lines = (f"{_syntax(verb)} {usage.summary}", usage.details, example)
        return ["\n".join(filter(None, lines))]
    groups = [
        "\n".join(
            [f"_{title}_", *(f"• {_syntax(verb)} {usage.summary}" for verb, usage in of.items())]
        )
        for title, of in USAGE_GROUPS.items()
    ]
    ending = "With `share` at the end of a question everybody sees the answer."
    return ["*What you can ask*", *groups, f"`{COMMAND}` alone is `status`. {ending}"]


def usage_hint(verb: Verb) -> str:
    """Say how a verb is written, with an example."""
    example = USAGES[verb].example
    return f"Write {_syntax(verb)}" + (f", such as `{COMMAND} {example}`" if example else "")


def _syntax(verb: Verb) -> str:
    return f"`{COMMAND} {verb} {USAGES[verb].arguments}".strip() + "`"
