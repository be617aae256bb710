"""The report: how logins and alerts went in the last day or week. Pure."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

from bot.core.model.wall_clock import WEEK_S, until
from bot.core.reports import report as past
from bot.core.reports.availability import Availability, together
from bot.core.signals.history import share
from bot.slack.render.chart import sparkline
from bot.slack.render.silences import hid, over
from bot.slack.render.text import (
    CAUSES,
    Block,
    Rendered,
    context,
    plain,
    quoted,
    section,
    signal_name,
    span,
    unmarked,
    when,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bot.core.reports.report import Report, Singles, Spread
    from bot.core.state.silence import Silence
    from bot.ports import View

ROWS = 40
"""Tenants in the table; the others are one row. Slack takes 100 rows, but about 13,000 characters
of blocks."""
ROWS_READ = 10
"""Tenants in the text, which is all that a screen reader reads."""
TEXT_CHARS = 3900
"""chat.postEphemeral refuses more than 4,000 characters."""
SHOWN = 5
"""Lines of one kind."""
NAME_CHARS = 40
WORDS = 100
"""Characters of what a person wrote."""
COLUMNS = ("Tenant", "Up", "Degraded", "Down", "Not seen", "Incidents")
MEANING = (
    "Down: a critical incident was open; degraded: a warning. Up is the rest of the time that was "
    "seen. Not seen: blind, stopped, or not yet watched."
)


def span_of(argument: str) -> float | None:
    """Read `24h` or `7d` in seconds; a week where nothing is said, None for anything else."""
    if not argument:
        return WEEK_S
    read = until((argument,), 0.0, "UTC")
    return read[0] if read and read[0] > 0 else None


def report(view: View, span_s: float) -> Rendered:
    """Look back over a span, as far as is remembered."""
    figures = past.report(view.desk, view.world, view.rules, view.now - span_s, view.now)
    ranked = sorted(figures.tenants, key=_rank)
    lines = [_head(figures), _availability(ranked), *_incidents(figures), *_people(figures)]
    texts = [_singles(figures.singles), _false_alarms(figures), _silences(figures.silences)]
    paragraphs = ["\n".join(line for line in lines if line), *(text for text in texts if text)]
    blocks = [section(text) for text in paragraphs]
    blocks += [_table(ranked), context(MEANING)]
    read = [*paragraphs, *(_read(each) for each in ranked[:ROWS_READ])]
    return Rendered("\n".join(unmarked(text) for text in read)[:TEXT_CHARS], blocks)


def _rank(tenant: Availability) -> tuple[float, float, str]:
    """Put the worst first, and before it what was not seen at all."""
    up = -1.0 if tenant.share is None else tenant.share
    return up, -tenant.down_s, tenant.tenant


def _head(figures: Report) -> str:
    cut = " More is not remembered." if figures.is_cut else ""
    lasted = span(figures.until - figures.since)
    return f"*Report of the last {lasted}*, until {when(figures.until)}.{cut}"


def _availability(tenants: Sequence[Availability]) -> str:
    everything = together(tenants)
    if everything.share is None:
        return "Nothing was watched in this time."
    over = f" ({len(tenants)} tenants, added up)" if len(tenants) > 1 else ""
    return f"*{_up(everything)} up*{over}: {_lost(everything)}"


def _up(tenant: Availability) -> str:
    """Say the share to two digits, rounded down: 100 % is without any trouble."""
    if tenant.share is None:
        return "unknown"
    return f"{floor(tenant.share * 10_000 + 1e-6) / 100:.2f} %"


def _lost(tenant: Availability) -> str:
    spans = {
        "down": tenant.down_s,
        "degraded": tenant.degraded_s,
        "not seen": tenant.unseen_s,
    }
    said = [f"{what} for {span(seconds)}" for what, seconds in spans.items() if seconds]
    return ", ".join(said) or "no trouble"


def _incidents(figures: Report) -> list[str]:
    if not figures.causes:
        return ["No incident."]
    causes = [f"{count} {CAUSES[cause].split(':')[0]}" for cause, count in figures.causes.items()]
    muted = ", ".join(f"#{number}" for number in figures.muted[:SHOWN])
    more = f" and {len(figures.muted) - SHOWN} more" if len(figures.muted) > SHOWN else ""
    lines = [f"*Incidents: {sum(figures.causes.values())}* ({', '.join(causes)})"]
    return [*lines, f"*Muted, told to nobody:* {muted}{more}"] if muted else lines


def _people(figures: Report) -> list[str]:
    spreads = {
        "detect": figures.detected,
        "acknowledge": figures.acknowledged,
        "resolve": figures.resolved,
    }
    times = [f"to {what} {_spread(spread)}" for what, spread in spreads.items() if spread]
    pages = [f"{count} by {way}" for way, count in figures.paged.items()]
    return [
        f"*Times:* {' · '.join(times)}" if times else "",
        _lead(figures),
        f"*Incidents paged:* {' · '.join(pages)}" if pages else "",
    ]


def _spread(spread: Spread) -> str:
    if spread.of == 1:
        return span(spread.median_s)
    return f"{span(spread.median_s)} (median of {spread.of}, longest {span(spread.worst_s)})"


def _lead(figures: Report) -> str:
    lead = figures.lead
    if lead is None:
        return ""
    order = "before" if lead.median_s > 0 else "after"
    first = f"we were first {lead.first} of {lead.of} times"
    return f"*Status page:* {first}, {span(abs(lead.median_s))} {order} its post (median)"


def _singles(singles: Sequence[Singles]) -> str:
    if not singles:
        return ""
    worst = sorted(singles, key=lambda each: -share(each.days))
    lines = [_single(each) for each in worst[:SHOWN]]
    if len(worst) > SHOWN:
        lines.append(f"… and {len(worst) - SHOWN} more logins")
    return "\n".join(["*Single failures* (never alerted; day by day)", *lines])


def _single(single: Singles) -> str:
    parts = [day.singles / day.tries if day.tries else 0.0 for day in single.days]
    count, tries = sum(d.singles for d in single.days), sum(d.tries for d in single.days)
    drawn = sparkline(parts, max(parts))
    return (
        f"• {single.tenant} {signal_name(single.login)}: {count} of {tries} "
        f"({100 * share(single.days):.2f} %) {drawn}"
    )


def _false_alarms(figures: Report) -> str:
    alarms = figures.false_alarms
    lines = [f"• #{i.id} {quoted(i.false_alarm, WORDS)}" for i in alarms[:SHOWN]]
    if len(alarms) > SHOWN:
        lines.append(f"… and {len(alarms) - SHOWN} more")
    return "\n".join([f"*False alarms: {len(alarms)}*", *lines]) if alarms else ""


def _silences(silences: Sequence[Silence]) -> str:
    if not silences:
        return ""
    hidden = sum(silence.suppressed for silence in silences)
    ranked = sorted(silences, key=lambda silence: -silence.suppressed)
    lines = [
        f"• {over(silence)}: {hid(silence)}; {quoted(silence.reason, WORDS)}"
        for silence in ranked[:SHOWN]
    ]
    if len(ranked) > SHOWN:
        lines.append(f"… and {len(ranked) - SHOWN} more")
    return "\n".join([f"*Silences: {len(ranked)}* (alerts suppressed: {hidden})", *lines])


def _table(ranked: Sequence[Availability]) -> Block:
    rows = [COLUMNS, *map(_row, ranked[:ROWS])]
    rest = ranked[ROWS:]
    if rest:
        rows.append((f"{len(rest)} others", *_row(together(rest))[1:]))
    right = {"align": "right"}
    return {
        "type": "table",
        "column_settings": [{"align": "left"}, *[right] * (len(COLUMNS) - 1)],
        "rows": [[{"type": "raw_text", "text": text} for text in row] for row in rows],
    }


def _row(tenant: Availability) -> tuple[str, ...]:
    spans = (tenant.degraded_s, tenant.down_s, tenant.unseen_s)
    lost = (span(seconds) if seconds else "-" for seconds in spans)
    name = plain(tenant.tenant, NAME_CHARS) or "-"
    return name, _up(tenant), *lost, str(tenant.incidents)


def _read(tenant: Availability) -> str:
    return f"{tenant.tenant} {_up(tenant)} up: {_lost(tenant)}"
