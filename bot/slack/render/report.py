"""The report: how logins and alerts went in the last day or week. Pure."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

from bot.core.model.wall_clock import WEEK_S, parse_until
from bot.core.reports import report as past
from bot.core.reports.availability import Availability, combine_availability
from bot.core.signals.history import single_failure_share
from bot.slack.render.chart import sparkline
from bot.slack.render.silences import silence_target, suppressed_text
from bot.slack.render.text import (
    CAUSES,
    Block,
    RenderedMessage,
    clean_text,
    context,
    date_and_time,
    duration,
    quote,
    section,
    signal_name,
    strip_markup,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.reports.report import DurationStats, Report, SingleFailures
    from bot.core.state.silence import Silence
    from bot.ports import View

ROWS = 40
"""Tenants in the table; the others are one row. Slack takes 100 rows, but about 13,000 characters
of blocks."""
ROWS_IN_TEXT = 10
"""Tenants in the text, which is all that a screen reader reads."""
TEXT_CHARS = 3900
"""chat.postEphemeral refuses more than 4,000 characters."""
MAX_LINES = 5
"""Lines of one kind."""
NAME_CHARS = 40
QUOTE_CHARS = 100
"""Characters of what a person wrote."""
COLUMNS = ("Tenant", "Up", "Degraded", "Down", "Not seen", "Incidents")
LEGEND = (
    "Down: a critical incident was open; degraded: a warning. Up is the rest of the time that was "
    "seen. Not seen: blind, stopped, or not yet watched."
)


def parse_span(argument: str) -> float | None:
    """Read `24h` or `7d` in seconds; a week where nothing is said, None for anything else."""
    if not argument:
        return WEEK_S
    read = parse_until((argument,), 0.0, "UTC")
    return read[0] if read and read[0] > 0 else None


def render_report(view: View, span_s: float) -> RenderedMessage:
    """Look back over a span, as far as is remembered."""
    figures = past.build_report(view.desk, view.tenants, view.rules, view.now - span_s, view.now)
    ranked = sorted(figures.tenants, key=_rank)
    lines = [_head(figures), _availability(ranked), *_incidents(figures), *_response_times(figures)]
    texts = [
        _single_failures(figures.single_failures),
        _false_alarms(figures),
        _silences(figures.silences),
    ]
    paragraphs = ["\n".join(line for line in lines if line), *(text for text in texts if text)]
    blocks = [section(text) for text in paragraphs]
    blocks += [_table(ranked), context(LEGEND)]
    read = [*paragraphs, *(_tenant_text(each) for each in ranked[:ROWS_IN_TEXT])]
    return RenderedMessage("\n".join(strip_markup(text) for text in read)[:TEXT_CHARS], blocks)


def _rank(tenant: Availability) -> tuple[float, float, str]:
    """Put the worst first, and before it what was not seen at all."""
    up = -1.0 if tenant.share is None else tenant.share
    return up, -tenant.down_s, tenant.tenant


def _head(figures: Report) -> str:
    cut = " More is not remembered." if figures.is_truncated else ""
    lasted = duration(figures.until - figures.since)
    return f"*Report of the last {lasted}*, until {date_and_time(figures.until)}.{cut}"


def _availability(tenants: Sequence[Availability]) -> str:
    everything = combine_availability(tenants)
    if everything.share is None:
        return "Nothing was watched in this time."
    over = f" ({len(tenants)} tenants, added up)" if len(tenants) > 1 else ""
    return f"*{_uptime(everything)} up*{over}: {_downtime(everything)}"


def _uptime(tenant: Availability) -> str:
    """Say the share to two digits, rounded down: 100 % is without any trouble."""
    if tenant.share is None:
        return "unknown"
    return f"{floor(tenant.share * 10_000 + 1e-6) / 100:.2f} %"


def _downtime(tenant: Availability) -> str:
    spans = {
        "down": tenant.down_s,
        "degraded": tenant.degraded_s,
        "not seen": tenant.unobserved_s,
    }
    said = [f"{what} for {duration(seconds)}" for what, seconds in spans.items() if seconds]
    return ", ".join(said) or "no trouble"


def _incidents(figures: Report) -> list[str]:
    if not figures.causes:
        return ["No incident."]
    causes = [f"{count} {CAUSES[cause].split(':')[0]}" for cause, count in figures.causes.items()]
    muted = ", ".join(f"#{number}" for number in figures.muted[:MAX_LINES])
    more = f" and {len(figures.muted) - MAX_LINES} more" if len(figures.muted) > MAX_LINES else ""
    lines = [f"*Incidents: {sum(figures.causes.values())}* ({', '.join(causes)})"]
    return [*lines, f"*Muted, told to nobody:* {muted}{more}"] if muted else lines


def _response_times(figures: Report) -> list[str]:
    spreads = {
        "detect": figures.time_to_detect,
        "acknowledge": figures.time_to_acknowledge,
        "resolve": figures.time_to_resolve,
    }
    times = [f"to {what} {_duration_stats(spread)}" for what, spread in spreads.items() if spread]
    pages = [f"{count} by {way}" for way, count in figures.pages_by_contact_point.items()]
    return [
        f"*Times:* {' · '.join(times)}" if times else "",
        _lead_time(figures),
        f"*Incidents paged:* {' · '.join(pages)}" if pages else "",
    ]


def _duration_stats(spread: DurationStats) -> str:
    if spread.sample_size == 1:
        return duration(spread.median_s)
    return f"{duration(spread.median_s)} (median of {spread.sample_size}, longest {duration(spread.worst_s)})"


def _lead_time(figures: Report) -> str:
    lead = figures.lead_time
    if lead is None:
        return ""
    order = "before" if lead.median_s > 0 else "after"
    first = f"we were first {lead.times_first} of {lead.sample_size} times"
    return f"*Status page:* {first}, {duration(abs(lead.median_s))} {order} its post (median)"


def _single_failures(singles: Sequence[SingleFailures]) -> str:
    if not singles:
        return ""
    worst = sorted(singles, key=lambda each: -single_failure_share(each.days))
    lines = [_single_failure(each) for each in worst[:MAX_LINES]]
    if len(worst) > MAX_LINES:
        lines.append(f"… and {len(worst) - MAX_LINES} more logins")
    return "\n".join(["*Single failures* (never alerted; day by day)", *lines])


def _single_failure(single: SingleFailures) -> str:
    parts = [day.singles / day.tries if day.tries else 0.0 for day in single.days]
    count, tries = sum(d.singles for d in single.days), sum(d.tries for d in single.days)
    drawn = sparkline(parts, max(parts))
    return (
        f"• {single.tenant} {signal_name(single.login)}: {count} of {tries} "
        f"({100 * single_failure_share(single.days):.2f} %) {drawn}"
    )


def _false_alarms(figures: Report) -> str:
    alarms = figures.false_alarms
    lines = [f"• #{i.id} {quote(i.false_alarm, QUOTE_CHARS)}" for i in alarms[:MAX_LINES]]
    if len(alarms) > MAX_LINES:
        lines.append(f"… and {len(alarms) - MAX_LINES} more")
    return "\n".join([f"*False alarms: {len(alarms)}*", *lines]) if alarms else ""


def _silences(silences: Sequence[Silence]) -> str:
    if not silences:
        return ""
    hidden = sum(silence.suppressed for silence in silences)
    ranked = sorted(silences, key=lambda silence: -silence.suppressed)
    lines = [
        f"• {silence_target(silence)}: {suppressed_text(silence)}; {quote(silence.reason, QUOTE_CHARS)}"
        for silence in ranked[:MAX_LINES]
    ]
    if len(ranked) > MAX_LINES:
        lines.append(f"… and {len(ranked) - MAX_LINES} more")
    return "\n".join([f"*Silences: {len(ranked)}* (alerts suppressed: {hidden})", *lines])


def _table(ranked: Sequence[Availability]) -> Block:
    rows = [COLUMNS, *map(_row, ranked[:ROWS])]
    rest = ranked[ROWS:]
    if rest:
        rows.append((f"{len(rest)} others", *_row(combine_availability(rest))[1:]))
    right = {"align": "right"}
    return {
        "type": "table",
        "column_settings": [{"align": "left"}, *[right] * (len(COLUMNS) - 1)],
        "rows": [[{"type": "raw_text", "text": text} for text in row] for row in rows],
    }


def _row(tenant: Availability) -> tuple[str, ...]:
    spans = (tenant.degraded_s, tenant.down_s, tenant.unobserved_s)
    lost = (duration(seconds) if seconds else "-" for seconds in spans)
    name = clean_text(tenant.tenant, NAME_CHARS) or "-"
    return name, _uptime(tenant), *lost, str(tenant.incidents)


def _tenant_text(tenant: Availability) -> str:
    return f"{tenant.tenant} {_uptime(tenant)} up: {_downtime(tenant)}"
