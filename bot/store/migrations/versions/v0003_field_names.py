"""Fields of stored records get the names that the code uses from this schema on, and their form.

Two steps: first the names, then the form of the records that are put together in another way.
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


# What was measured or observed
OBSERVATION = Record({"blind": "no_data_reason"})
MEASUREMENT = Record({"own": "own_rows", "missing": "no_data_reason"})
CLAIM = Record({"is_hint": "is_unauthenticated"})
FACT = Record({"row": "rule_id"})
VERDICT = Record(
    {"because": "evidence_for", "against": "evidence_against", "settle": "settled_by"},
    each={"because": FACT, "against": FACT},
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
    one={"result": RESULT},
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
RECEIVED = Record(each={"items": CLAIM})


# The second step: records that were one bag of fields for several kinds become one record a kind.
# All fields have their new names here.
COMMON = ("tenant", "signal", "since", "is_over")
ENTRY_FIELDS = {
    "verdict": ("verdict", "new_evidence"),
    "joined": ("tenants",),
    "recovered": ("tenants",),
    "notice": ("status_incident",),
    "graver": ("severity",),
    "mention": ("mentioned",),
    "paged": ("mentioned", "contact_points", "by"),
    "hand_over": ("mentioned",),
    "acknowledged": ("by", "text"),
    "note": ("by", "text"),
    "false_alarm": ("by", "text"),
    "silenced": ("by", "text", "until"),
    "resolved": ("by",),
}
"""What a timeline entry has beside `at` and `kind`."""


SETTLED_BY = {
    "": None,
    "a neutral host (`controls`): it tells our network from Auth0": "control",
    "a login at another tenant of the same environment: does it fail too?": "peer",
    "whether logins of real users fail, in the tenant's logs": "users",
}


def _settle_by_code(verdict: Json) -> Json:
    settled_by = verdict["settled_by"]
    return {**verdict, "settled_by": SETTLED_BY.get(settled_by, settled_by)}


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


def _split_problem(old: Json) -> Json:
    new = {name: old[name] for name in COMMON}
    failed, tries, reason, source = (old[n] for n in ("failed", "tries", "reason", "source"))
    if source and reason:
        same = ("source", "reason", "failed", "span_s", "baseline", "no_data_reason", "link")
        return {**new, **{n: old[n] for n in same}, "total": tries, "kind": "metric"}
    if source:
        return {
            **new,
            "source": source,
            "no_data_reason": old["no_data_reason"],
            "kind": "no_data",
        }
    if reason == "slow against its own past":
        speed = {"latency_s": old["span_s"], "usual_s": old["baseline"] or 0.0}
        return {**new, "slow": failed, "tries": tries, **speed, "kind": "slow"}
    if reason:
        alert = {"alerts": failed, "title": old["title"], "link": old["link"]}
        return {**new, **alert, "kind": "alert"}
    probe = ("failed", "tries", "fault", "is_stopped")
    return {**new, **{n: old[n] for n in probe}, "kind": "probe"}


def _split_entry(old: Json) -> Json:
    kind = old["kind"]
    names = ("at", "kind", *ENTRY_FIELDS.get(kind, ()))
    new = {name: old[name] for name in names if name in old}
    if kind == "recovered" and not new["tenants"]:
        new["tenants"] = [old["problem"]["tenant"]]
    return new


MESSAGE = {
    "message": "ref",
    "posts": "posts",
    "replies": "replies",
    "edits": "edits",
    "message_updated_at": "updated_at",
}
HISTORY = {
    "evidence_since": "evidence_since",
    "verdict_history": "verdicts",
    "detected_at": "detected_at",
}
"""Fields of an incident that a part of it has now, and their names there."""
NOTIFICATION = ("is_muted", "has_mentioned", "mentioned", "escalation")
LIFE = (
    *("state", "opened_at", "acknowledged_by", "acknowledged_at", "reopen_count"),
    *("resolved_at", "resolved_by", "sticky_resolve", "merged_into"),
)


def _build_incident(old: Json) -> Json:
    """Build its parts, and put a mention to come in the escalation's place."""
    parts = {"mention_at", "paged_contact_points", *LIFE, *NOTIFICATION, *MESSAGE, *HISTORY}
    new = {name: value for name, value in old.items() if name not in parts}
    new["message"] = {new_name: old[name] for name, new_name in MESSAGE.items()}
    new["history"] = {new_name: old[name] for name, new_name in HISTORY.items()}
    new["notification"] = {name: old[name] for name in NOTIFICATION if name in old}
    if old["mention_at"] is not None:
        mention = {"at": old["mention_at"], "begun": old.get("escalation")}
        new["notification"]["escalation"] = mention
    # When they were paged is not known: long ago.
    new["notification"]["paged_at"] = dict.fromkeys(old.get("paged_contact_points", ()), 0.0)
    life = {"opened_at": old["opened_at"], "reopen_count": old["reopen_count"]}
    by, at = old.get("acknowledged_by", ""), old.get("acknowledged_at")
    if by or old["state"] == "acknowledged":  # 0.1.0 kept neither who did it nor when
        life["acknowledged"] = {"by": by, "at": old["opened_at"] if at is None else at}
    if old["resolved_at"] is not None:
        life["resolved"] = {
            "at": old["resolved_at"],
            "by": old.get("resolved_by", ""),
            "still_failing": [name.split(".", 1) for name in old.get("sticky_resolve", ())],
            "merged_into": old["merged_into"],
        }
    return {**new, "life": life}


def _target_silence(silence: Json) -> Json:
    """Put what a silence is about in place of a kind and a name: signals, or an incident."""
    scope, name = silence["scope"], silence["name"]
    owner, _, signal = name.rpartition(".")
    signals = {"tenant": [name, ""], "signal": [owner, signal], "all": ["", ""]}
    about = int(name) if scope == "incident" else signals[scope]
    rest = {key: value for key, value in silence.items() if key not in {"scope", "name"}}
    return {**rest, "about": about}


def _drop_due(desk: Json) -> Json:
    """Drop when the targets of the desk are due: a start makes all of them due."""
    return {name: value for name, value in desk.items() if name != "due"}


def _join_data_state(tenant: Json) -> Json:
    old = ("last_data_at", "no_data_since", "data_again_since")
    last_at, since, again_since = (tenant.get(name) for name in old)
    data = None if last_at is None else {"last_at": last_at}
    if data is not None and since is not None:
        data |= {"since": since, "again_since": again_since}
    return {**{n: value for n, value in tenant.items() if n not in old}, "data": data}


EVIDENCE_BY_RULE = Record({"text": "values"}, convert=_keep_sentence)
VERDICT_BY_RULE = Record(
    each={"evidence_for": EVIDENCE_BY_RULE, "evidence_against": EVIDENCE_BY_RULE},
    convert=_settle_by_code,
)
SILENCE_BY_TARGET = Record(convert=_target_silence)
REQUEST_BY_KIND = Record({"argument": "words"}, convert=_type_command)
ASKED_BY_KIND = Record(one={"request": REQUEST_BY_KIND})
TENANT_BY_KIND = Record(convert=_join_data_state)
INCIDENT_BY_KIND = Record(
    one={
        "verdict": VERDICT_BY_RULE,
        "history": Record(each={"verdicts": Record(one={"verdict": VERDICT_BY_RULE})}),
    },
    each={"problems": Record(convert=_split_problem)},
    convert=_build_incident,
)
DESK_STATE_BY_KIND = Record(
    each={
        "incidents": INCIDENT_BY_KIND,
        "checks": ASKED_BY_KIND,
        "silences": SILENCE_BY_TARGET,
    },
    convert=_drop_due,
)
ENTRY_BY_KIND = Record(
    one={"verdict": VERDICT_BY_RULE}, each={"new_evidence": EVIDENCE_BY_RULE}, convert=_split_entry
)
REPLY_BY_KIND = Record(one={"entry": ENTRY_BY_KIND})
WITH_SILENCE = Record(one={"silence": SILENCE_BY_TARGET})
ANSWER_BY_KIND = Record(one={"request": REQUEST_BY_KIND, "result": WITH_SILENCE})
BODY_BY_KIND = Record(
    one={"reply": REPLY_BY_KIND, "answer": ANSWER_BY_KIND, "silenceannouncement": WITH_SILENCE}
)
DELIVERY_BY_KIND = Record(one={"body": BODY_BY_KIND})


def upgrade() -> None:
    """Migrate all bodies but those of the audit log, which do not change."""
    connection = op.get_bind()
    # The thread no longer begins with the facts of the verdict: they stand in the message.
    op.execute("""DELETE FROM outbox WHERE body LIKE '%"kind": "why"%'""")
    partitions = {"desk": DESK_STATE, "tenant": TENANT_STATE}
    migrate_bodies(connection, "partition", "name", lambda name: partitions[name.split(":")[0]])
    migrate_bodies(connection, "incident", "id", lambda _: INCIDENT)
    migrate_bodies(connection, "outbox", "key", lambda _: DELIVERY)
    migrate_bodies(connection, "inbox", "id", lambda _: RECEIVED)
    by_kind = {"desk": DESK_STATE_BY_KIND, "tenant": TENANT_BY_KIND}
    migrate_bodies(connection, "partition", "name", lambda name: by_kind[name.split(":")[0]])
    migrate_bodies(connection, "incident", "id", lambda _: INCIDENT_BY_KIND)
    migrate_bodies(connection, "outbox", "key", lambda _: DELIVERY_BY_KIND)
    migrate_bodies(connection, "inbox", "id", lambda _: REQUEST_BY_KIND)
