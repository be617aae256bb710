"""The report: availability, incidents, alerts and silences of the last day or week. Pure."""

from __future__ import annotations

from dataclasses import replace
from math import floor
from typing import TYPE_CHECKING

from bot.core.reports import Availability, build_report, combine_availability
from bot.core.signals.history import single_failure_share
from bot.slack.render.chart import sparkline
from bot.slack.render.silences import silence_target, suppressed_text
from bot.slack.render.text import (
    CAUSES,
    Block,
    RenderedMessage,
    clean_text,
    context,
    count_rest,
    date_and_time,
    duration,
    join_names,
    quote,
    section,
    signal_name,
    strip_markup,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.reports import Report, SingleFailures
    from bot.ports import View

ROWS = 40
"""Tenants in the table; the others are one row. Slack takes 100 rows, but only about 13,000
characters of blocks."""
ROWS_IN_TEXT = 10
"""Tenants in the text, which is all that a screen reader reads."""
TEXT_CHARS = 3900
"""chat.postEphemeral refuses more than 4,000 characters."""
MAX_LINES = 5
"""Lines of each list."""
NAME_CHARS = 40
QUOTE_CHARS = 100
"""Characters of what a person wrote."""
COLUMNS = ("Tenant", "Up", "Degraded", "Down", "Not seen", "Incidents")
LEGEND = (
    "Down: a critical incident was open; degraded: a warning. Up is the rest of the time that was "
    "seen. Not seen: no check got through, the bot was stopped, or it did not watch yet."
)


def render_report(view: View, span_s: float) -> RenderedMessage:
    """Render the report of the last `span_s` seconds, or of as much as is remembered."""
    report = build_report(view.desk, view.tenants, view.rules, view.now - span_s, view.now)
    # The worst first; before them those without any data.
    tenants = sorted(
        report.tenants,
        key=lambda one: (-1.0 if one.share is None else one.share, -one.down_s, one.tenant),
    )
    lines = [*_summary(report, tenants), *_incidents(report), *_response_times(report)]
    alarms = [f"• #{i.id} {quote(i.false_alarm, QUOTE_CHARS)}" for i in report.false_alarms]
    suppressed = sum(one.suppressed for one in report.silences)
    silences = [
        f"• {silence_target(one)}: {suppressed_text(one)}; {quote(one.reason, QUOTE_CHARS)}"
        for one in sorted(report.silences, key=lambda one: -one.suppressed)
    ]
    texts = [
        "\n".join(filter(None, lines)),
        _single_failures(report.single_failures),
        _list(f"*False alarms: {len(alarms)}*", alarms),
        _list(f"*Silences: {len(silences)}* (alerts suppressed: {suppressed})", silences),
    ]
    paragraphs = list(filter(None, texts))
    blocks = [*map(section, paragraphs), _table(tenants), context(LEGEND)]
    texts = paragraphs + [
        f"{one.tenant} {_uptime(one)} up: {_downtime(one)}" for one in tenants[:ROWS_IN_TEXT]
    ]
    return RenderedMessage("\n".join(map(strip_markup, texts))[:TEXT_CHARS], blocks)


def _list(head: str, lines: Sequence[str], what: str = "") -> str:
    """Put the first lines below a heading and count the others. Without lines it is empty."""
    shown = [head, *lines[:MAX_LINES], *count_rest(lines, MAX_LINES, what)]
    return "\n".join(shown) if lines else ""


def _summary(report: Report, tenants: Sequence[Availability]) -> list[str]:
    span, until = duration(report.until - report.since), date_and_time(report.until)
    cut = " More is not remembered." if report.is_truncated else ""
    head = f"*Report of the last {span}*, until {until}.{cut}"
    everything = combine_availability(tenants)
    if everything.share is None:
        return [head, "Nothing was watched in this time."]
    if len(tenants) > 1:
        return [head, f"*{_uptime(everything)} up*, over {len(tenants)} tenants"]
    return [head, f"*{_uptime(everything)} up*: {_downtime(everything)}"]


def _uptime(tenant: Availability) -> str:
    """Say the share to two digits, rounded down: 100 % means no problem at all."""
    if tenant.share is None:
        return "unknown"
    return f"{floor(tenant.share * 10_000 + 1e-6) / 100:.2f} %"


def _downtime(tenant: Availability) -> str:
    spans = {
        "down": tenant.down_s,
        "degraded": tenant.degraded_s,
        "not seen": tenant.unobserved_s,
    }
    texts = [f"{what} for {duration(seconds)}" for what, seconds in spans.items() if seconds]
    return ", ".join(texts) or "no problem"


def _incidents(report: Report) -> list[str]:
    causes = [f"{count} {CAUSES[cause].split(':')[0]}" for cause, count in report.causes.items()]
    times = "once" if report.relapses == 1 else f"{report.relapses} times"
    again = f", which came back {times}" if report.relapses else ""
    muted = join_names([f"#{number}" for number in report.muted])
    count = sum(report.causes.values())
    lines = [f"*Incidents: {count}* ({', '.join(causes)}){again}" if count else "No incident."]
    return [*lines, f"*Muted, nobody was notified:* {muted}"] if muted else lines


def _response_times(report: Report) -> list[str]:
    stats = {
        "detect": report.response.to_detect,
        "acknowledge": report.response.to_acknowledge,
        "resolve": report.response.to_resolve,
    }
    times = []
    for what, one in stats.items():
        if one:
            spread = f" (median of {one.sample_size}, longest {duration(one.worst_s)})"
            more = spread if one.sample_size > 1 else ""
            times.append(f"to {what} {duration(one.median_s)}{more}")
    lines = [f"*Times:* {' · '.join(times)}"] if times else []
    if lead := report.response.lead:
        order = "before" if lead.median_s > 0 else "after"
        first = f"we were first {lead.times_first} of {lead.sample_size} times"
        span = duration(abs(lead.median_s))
        lines.append(f"*Status page:* {first}, {span} {order} its post (median)")
    pages = [f"{count} by {name}" for name, count in report.pages_by_contact_point.items()]
    return [*lines, f"*Incidents paged:* {' · '.join(pages)}"] if pages else lines


def _single_failures(singles: Sequence[SingleFailures]) -> str:
    worst = sorted(singles, key=lambda one: -single_failure_share(one.days))
    lines = []
    for one in worst:
        shares = [day.singles / day.tries if day.tries else 0.0 for day in one.days]
        count, tries = sum(d.singles for d in one.days), sum(d.tries for d in one.days)
        lines.append(
            f"• {one.tenant} {signal_name(one.login)}: {count} of {tries} "
            f"({100 * single_failure_share(one.days):.2f} %) {sparkline(shares, max(shares))}"
        )
    return _list("*Single failures* (never alerted; day by day)", lines, " logins")


def _table(tenants: Sequence[Availability]) -> Block:
    rows = [COLUMNS, *map(_row, tenants[:ROWS])]
    if rest := tenants[ROWS:]:
        # A tenant's share of the times: added up they would be longer than the report.
        together = combine_availability(rest)
        each = replace(
            together,
            degraded_s=together.degraded_s / len(rest),
            down_s=together.down_s / len(rest),
            unobserved_s=together.unobserved_s / len(rest),
        )
        _, _, *times, incidents = _row(each)
        rows.append((f"{len(rest)} others, a tenant", _uptime(together), *times, incidents))
    right = {"align": "right"}
    return {
        "type": "table",
        "column_settings": [{"align": "left"}, *[right] * (len(COLUMNS) - 1)],
        "rows": [[{"type": "raw_text", "text": text} for text in row] for row in rows],
    }


def _row(tenant: Availability) -> tuple[str, ...]:
    spans = (tenant.degraded_s, tenant.down_s, tenant.unobserved_s)
    durations = (duration(seconds) if seconds else "-" for seconds in spans)
    name = clean_text(tenant.tenant, NAME_CHARS) or "-"
    return name, _uptime(tenant), *durations, str(tenant.incidents)
