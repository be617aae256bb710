from __future__ import annotations

from bot.core.model.access import AuditEntry, CommandOutcome, Verb
from bot.core.model.command import ExplainVerdict, Request


def test_entry_of_a_request() -> None:
    """It holds who, when, what and the result; a long argument is cut, secrets are left out."""
    request = Request(
        "T1.1", 5.0, ExplainVerdict(), "x" * 999, user="U1", channel="C1", response_url="hunter2"
    )

    line = request.to_audit_entry(CommandOutcome.TOO_LATE, incident=42)

    assert line == AuditEntry(5.0, "U1", Verb.WHY, "x" * 200, 42, CommandOutcome.TOO_LATE)
    assert "hunter2" not in repr(line)
