from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from bot.app.rules import rules_of
from bot.config.settings_sources import Metric

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bot.config import Settings

    Refused = Callable[..., list[str]]
    LoadText = Callable[[str], Settings]

LEAST = """\
slack: {bot_token: xoxb-1, app_token: xapp-1, channel: C1}
tenants:
  - name: prod
    domain: acme.us.auth0.com
    logins: [{client_id: id, username: u, password: pw}]
"""
PROMETHEUS = "prometheus: {url: https://a.b}\n"
SENTRY = "sentry: {organization: acme, token: t}\n"
LISTEN = "server: {listen: 'a:1'}\n"
REPORT = LISTEN + "hooks: {report: {token: secret-1}}\n"


def hooks(written: str) -> str:
    return f"{LEAST}{LISTEN}hooks: {written}\n"


def metric(written: str, rest: str = PROMETHEUS) -> str:
    return f"{LEAST}    metrics: [{{name: shop, {written}}}]\n{rest}"


def errors(written: str, rest: str = SENTRY) -> str:
    return f"{LEAST}    errors: [{{name: web, project: 1, query: q, {written}}}]\n{rest}"


def logs(written: str) -> str:
    return f"{LEAST}    logs: {written}\n{LISTEN}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (metric("preset: otel", ""), "1: prometheus: is missing, and tenants[0].metrics[0] needs"),
        (metric("failed: a, all: b", ""), "1: prometheus: is missing, and tenants[0].metrics[0]"),
        (metric("share: 2%"), "1: hooks.report: is missing, and tenants[0].metrics[0] needs it"),
        (metric("all: b"), "6: tenants[0].metrics[0].failed: is missing, and tenants[0].metrics"),
        (metric("failed: b"), "6: tenants[0].metrics[0].all: is missing, and tenants[0].metrics"),
        (metric("preset: otel, all: b"), "6: tenants[0].metrics[0].all: stands beside preset: g"),
        (metric("preset: k8s"), "6: tenants[0].metrics[0].preset: must be 'otel'"),
        (metric("match: a, failed: a, all: b"), "6: tenants[0].metrics[0].match: belongs to pre"),
        (metric("failed: a, all: 'b[$__range]'"), "6: tenants[0].metrics[0].all: must be PromQL"),
        (metric("preset: otel, share: 5"), "6: tenants[0].metrics[0].share: is no share: write"),
        (metric("preset: otel, share: 0%"), "6: tenants[0].metrics[0].share: must be from 0.1%"),
        (metric("preset: otel, share: 101%"), "6: tenants[0].metrics[0].share: must be from 0.1"),
        (errors("times: 4", ""), "1: sentry: is missing, and tenants[0].errors[0] needs it: A s"),
        (errors("times: 0"), "6: tenants[0].errors[0].times: must be at least 1"),
        (
            errors("times: 4").replace("project: 1", "project: web"),
            "6: tenants[0].errors[0].project: must be the project's number",
        ),
        (logs("{client_id: a}"), "6: tenants[0].logs.client_secret: is missing, and tenants[0]"),
        (
            logs("{client_id: a, client_secret: b, stream_token: secret-1}"),
            "6: tenants[0].logs.stream_token: stands beside client_id and client_secret",
        ),
        (logs("{stream_token: Bearer}"), "6: tenants[0].logs.stream_token: must be at least 8 l"),
        (
            logs("{stream_token: secret-1}").replace(LISTEN, ""),
            "1: server.listen: is missing, and tenants[0].logs.stream_token needs it: Public",
        ),
        (
            hooks("{change: {token: secret-1}}").replace(LISTEN, ""),
            "1: server.listen: is missing, and hooks.change.token needs it: Public, for",
        ),
        (hooks("{change: {token: secret}}"), "7: hooks.change.token: must be at least 8 letters"),
        (hooks("{pingdom: {path_secret: 0123456789abcde}}"), "7: hooks.pingdom.path_secret: mus"),
        (hooks("{pingdom: {path_secret: 0123456789/abcdef}}"), "7: hooks.pingdom.path_secret: m"),
        (
            hooks("{change: {token: secret-1}, report: {token: secret-1}}"),
            "7: hooks.change.token: is used twice: give each its own",
        ),
        (
            hooks("{change: {token: secret-1}}").replace("a:1'", "a:1', status_token: secret-1"),
            "6: server.status_token: is used twice: give each its own",
        ),
        (
            hooks("{alertmanager: {token: secret-1, tenant: Prod}}"),
            "7: hooks.alertmanager.tenant: is no tenant's name",
        ),
        (hooks("{report: {tenant: prod}}"), "7: hooks.report.token: is missing: Long"),
        (hooks(""), "7: hooks: is empty"),
    ],
)
def test_a_wrong_source_is_refused(refused: Refused, text: str, problem: str) -> None:
    """One mistake gives one line, with the remedy."""
    (line,) = refused(text)

    assert line.startswith(f"bot.yml:{problem}")


def test_names_of_signals_differ(refused: Refused) -> None:
    """Logins, metrics and errors of one tenant share their names, of which some are taken."""
    text = metric("preset: otel", PROMETHEUS + SENTRY)
    more = "    errors: [{name: Shop, project: 1, query: q}, {name: login, project: 1, query: q},"
    more += " {name: sentry, project: 1, query: q}]\n"

    problems = refused(text.replace(PROMETHEUS, more + PROMETHEUS))

    assert [line.split(": ", 2)[1:] for line in problems] == [
        ["tenants[0].errors[0].name", "is used twice: give each its own"],
        ["tenants[0].errors[1].name", "is used twice: give each its own"],
        ["tenants[0].errors[2].name", problems[2].split(": ", 2)[2]],
    ]
    assert "is reserved (wellknown, custom, m2m, logs, token-endpoint, alertmanager" in problems[2]


def test_logs_need_a_way_to_come(refused: Refused) -> None:
    """Without credentials, the problem says where the usual ones come from."""
    first, second = refused(logs("{}"))

    assert first.startswith("bot.yml:6: tenants[0].logs.client_id: is missing, and tenants[0].logs")
    assert second.startswith("bot.yml:6: tenants[0].logs.client_secret: is missing")


@pytest.mark.parametrize(
    "text",
    [
        metric("preset: otel, match: 'a=\"b\"'"),
        metric("failed: 'a{b=~\"c$\"}', all: 'f(b[5m], \"$1\")'"),
        metric("share: 100%", REPORT),
        errors("times: 1"),
        logs("{client_id: a, client_secret: b}").replace(LISTEN, ""),
        logs("{stream_token: Bearer 1}"),
        hooks("{pingdom: {path_secret: 0123456789-abc_f, tenant: prod}}"),
        f"{LEAST}prometheus: {{url: https://a.b, username: a, password: b}}\n",
    ],
)
def test_each_way_alone_suffices(load_text: LoadText, text: str) -> None:
    """Each alternative on the page is enough by itself."""
    assert load_text(text).tenants[0].name == "prod"


def test_sources_are_read(load_text: LoadText, tmp_path: Path) -> None:
    """Values are converted."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    expressions = "failed: |\n            sum(\n              a[$window])\n        all: sum(b)"

    settings = load_text(
        f"{LEAST}    metrics:\n      - name: shop\n        {expressions}\n        share: 0.1%\n"
        "prometheus: {url: http://127.0.0.1:9090/prom/, ca_file: ca.pem}\n"
    )

    (shop,) = settings.tenants[0].metrics
    assert (shop.failed, shop.all, shop.share) == ("sum(\n  a[$window])\n", "sum(b)", 0.001)
    assert settings.prometheus
    assert settings.prometheus.url == "http://127.0.0.1:9090/prom"
    assert settings.prometheus.ca_file == str(tmp_path / "ca.pem")


def test_python_code_gives_shares() -> None:
    """A bare number is refused in a file, but is a plain share in code."""
    assert Metric(name="shop", share=0.25).share == 0.25


def test_where_messages_may_link_to(load_text: LoadText) -> None:
    """To the status page, the configured sources, Sentry if it is used, and the named hosts."""
    settings = load_text(hooks("{link_hosts: [Grafana.acme.example]}") + PROMETHEUS + SENTRY)

    assert rules_of(load_text(LEAST)).link_hosts == ("status.auth0.com",) * 2
    assert set(rules_of(settings).link_hosts) == {
        "status.auth0.com",
        "a.b",
        "sentry.io",
        ".sentry.io",
        "grafana.acme.example",
    }
