"""Fields of stored records get the names that the code uses from this schema on.

Constants are named like the classes that wrote the records before. Values of enums do not change,
nor does a record that is missing here. The words of requests become commands.
"""

import re

from alembic import op

from bot.store.migrations.records import Json, Record, migrate_bodies

revision = "0003"
down_revision = "0002"


def _drop_with_mention(incident: Json) -> Json:
    """Drop a field that only 0.1.0 had: whether the first message mentions people.

    The people were those of the configuration. If Slack has not accepted that message yet, the bot
    mentions people anew; otherwise they have been mentioned.
    """
    is_unsent = incident["card"] is None and incident["resolved_at"] is None
    if incident.get("with_mention") and is_unsent:
        incident = {**incident, "mention_at": incident["opened_at"], "is_mentioned": False}
    return {name: value for name, value in incident.items() if name != "with_mention"}


SETTLED_BY = {
    "": None,
    "a neutral host (`controls`): it tells our network from Auth0": "control",
    "a login at another tenant of the same environment: does it fail too?": "peer",
    "whether logins of real users fail, in the tenant's logs": "users",
}


def _settle_by_code(verdict: Json) -> Json:
    return {**verdict, "settle": SETTLED_BY.get(verdict["settle"], verdict["settle"])}


def _keep_sentence(fact: Json) -> Json:
    """Keep a sentence as the one value of its evidence; it is shown as it is."""
    return {**fact, "text": {"text": fact["text"]}}


def _parse_command(verb: str, words: str, nearest: str) -> Json:
    """Return the fields of what a person asked for.

    What names no incident or silence by its number, or needs the names of the configuration, can
    only be asked again: requests wait for a moment only.
    """
    is_alone = verb in {"run", "alerts", "why", "oncall", "report"} and not words
    if is_alone or verb in {"status", "silences", "health", "audit"}:
        return {}
    named = re.match(r"#?0*(\d{1,9})\b", words, re.ASCII)
    number, text = (int(named[1]), words[named.end() :].strip()[:500]) if named else (None, "")
    silence = re.match(r"[sS]?(\d{1,9})(?!\S)", words, re.ASCII)
    fields: dict[str, Json] = {
        "ack": {"incident": number, "note": text},
        "resolve": {"incident": number, "note": text},
        "escalate": {"incident": number},
        "note": {"incident": number, "text": text or None},
        "false-alarm": {"incident": number, "reason": text or None},
        "why": {"incident": number},
        "unsilence": {"silence": int(silence[1]) if silence else None},
        "unknown": {"word": words, "nearest": nearest},
        "help": {"topic": words},
    }
    command = fields.get(verb, {"silence": None})
    return {"outcome": "outdated"} if None in command.values() else command


def _type_command(request: Json) -> Json:
    """Give a request a command in place of a verb and its argument."""
    if "verb" not in request:  # what a webhook received
        return request
    verb, words, nearest = (request[name] for name in ("verb", "argument", "nearest"))
    rest = {key: value for key, value in request.items() if key not in {"verb", "nearest"}}
    return {**rest, "command": {**_parse_command(verb, words, nearest), "verb": verb}}


REQUEST = Record({"argument": "words"}, convert=_type_command)

# What was measured or observed
OBSERVATION = Record({"blind": "no_data_reason"})
MEASUREMENT = Record({"own": "own_rows", "missing": "no_data_reason"})
CLAIM = Record({"is_hint": "is_unauthenticated"})
FACT = Record({"row": "rule_id", "text": "values"}, convert=_keep_sentence)
VERDICT = Record(
    {"because": "evidence_for", "against": "evidence_against", "settle": "settled_by"},
    each={"because": FACT, "against": FACT},
    convert=_settle_by_code,
)

# A tenant's state
TEMPO = Record({"usual_s": "median_s", "seen": "count"})
SIGNAL = Record({"tempo": "latency"}, one={"tempo": TEMPO})
READING = Record({"usual_failed": "expected_failures", "usual_succeeded": "expected_successes"})
SERIES = Record(
    {
        "run": "good_in_a_row",
        "first": "first_bad",
        "usual": "baseline",
        "hours": "hourly_baselines",
        "own_at": "own_rows_at",
        "missing": "no_data_reason",
        "silent_since": "no_data_since",
    },
    one={"reading": READING},
    each={"recent": MEASUREMENT},
)
MONITOR = Record({"claims": "alerts", "until": "expires_at"}, each={"claims": CLAIM})
TENANT_STATE = Record(
    {
        "signals": "probes",
        "usable_at": "last_data_at",
        "blind_since": "no_data_since",
        "sighted_since": "data_again_since",
        "series": "metrics",
        "recent": "recent_logins",
    },
    each={"signals": SIGNAL, "series": SERIES, "monitors": MONITOR},
)

# An incident, and the lines of its thread
TROUBLE = Record(
    {"counted": "source", "usual": "baseline", "missing": "no_data_reason", "said": "title"}
)
LADDER = Record({"begun_at": "started_at", "told": "notified"})
JUDGEMENT = Record({"news": "new_rule_ids"}, one={"verdict": VERDICT})
INCIDENT = Record(
    {
        "troubles": "problems",
        "notices": "status_incidents",
        "reopened": "reopen_count",
        "is_mentioned": "has_mentioned",
        "card": "message",
        "shown_at": "message_updated_at",
        "called": "mentioned",
        "ladder": "escalation",
        "paged": "paged_contact_points",
        "left": "sticky_resolve",
        "facts_since": "evidence_since",
        "history": "verdict_history",
        "knew": "detected_at",
    },
    one={"verdict": VERDICT, "ladder": LADDER},
    each={"troubles": TROUBLE, "history": JUDGEMENT},
    convert=_drop_with_mention,
)
ENTRY = Record(
    {
        "trouble": "problem",
        "notice": "status_incident",
        "news": "new_evidence",
        "whom": "mentioned",
        "ways": "contact_points",
    },
    one={"trouble": TROUBLE, "verdict": VERDICT},
    each={"news": FACT},
)

# The desk's state
FEED_VIEW = Record({"notices": "status_incidents"})
OUTSIDE = Record(each={"controls": SIGNAL, "feeds": FEED_VIEW})
RUN_IN_PROGRESS = Record(
    {
        "asked": "tenants",
        "left_out": "skipped",
        "seen": "observations",
        "measured": "measurements",
    },
    one={"request": REQUEST},
    each={"seen": OBSERVATION, "measured": MEASUREMENT},
)
SILENCE = Record({"over": "scope"})
DESK_STATE = Record(
    {
        "outside": "shared",
        "asked_at": "corroborated_at",
        "reviewed_at": "evaluated_at",
        "review_at": "evaluate_at",
        "runs": "checks",
    },
    one={"outside": OUTSIDE},
    each={"incidents": INCIDENT, "runs": RUN_IN_PROGRESS, "silences": SILENCE},
)

# The outbox: a delivery's body stands under the name of its kind
REPLY = Record(one={"entry": ENTRY})
RESULT = Record({"unreadable": "silence_refusal"}, one={"silence": SILENCE})
ANSWER = Record(
    {
        "seen": "observations",
        "left_out": "skipped",
        "missing": "unanswered",
        "measured": "measurements",
    },
    one={"request": REQUEST, "result": RESULT},
    each={"seen": OBSERVATION, "measured": MEASUREMENT},
)
PAGING = Record({"way": "contact_point"})
SILENCE_TOLD = Record(one={"silence": SILENCE})
BODY = Record(
    {
        "direct": "directmessage",
        "silencetold": "silenceannouncement",
        "swaptold": "overrideannouncement",
    },
    one={"reply": REPLY, "answer": ANSWER, "paging": PAGING, "silencetold": SILENCE_TOLD},
)
DELIVERY = Record(one={"body": BODY})

# The inbox: a request of a person, or what a webhook received
RECEIVED = Record({"argument": "words"}, each={"items": CLAIM}, convert=_type_command)


def upgrade() -> None:
    """Migrate all bodies but those of the audit log, which do not change."""
    connection = op.get_bind()
    partitions = {"desk": DESK_STATE, "tenant": TENANT_STATE}
    migrate_bodies(connection, "partition", "name", lambda name: partitions[name.split(":")[0]])
    migrate_bodies(connection, "incident", "id", lambda _: INCIDENT)
    migrate_bodies(connection, "outbox", "key", lambda _: DELIVERY)
    migrate_bodies(connection, "inbox", "id", lambda _: RECEIVED)
