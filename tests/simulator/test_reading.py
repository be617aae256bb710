from __future__ import annotations

import json
import math
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.core.model.observation import Cause
from bot.simulator.happening import HttpAnswer, InjectedFault
from bot.simulator.reading import example_names, load_example, load_file
from bot.simulator.scenario import (
    CallSpan,
    Metric,
    Presence,
    Row,
    Scenario,
    ScenarioError,
    StatusUpdate,
    Tenant,
    UserInput,
    Window,
)
from tests.simulator.conftest import HEAD

if TYPE_CHECKING:
    from pathlib import Path

Make = Callable[..., Scenario]

FULL = """\
bot:
  thresholds: {fail_count: 3}
  notify: [{name: pager, pagerduty: {routing_key: kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk}}]
timeline:
  - {target: prod.login, from: 0m, to: 35m, is: {http: 503}}
  - {target: [prod.wellknown, "*.custom"], from: -90s, share: 0.8, is: {http: 502, body: html}}
  - {target: eu.m2m, to: 1.5h, is: {latency: 900ms}}
  - {target: feed, is: {feed: old}}
  - {target: bot, from: 1m, to: 2m, is: {clock: +1h}}
  - {target: notify.pager, is: {http: 429, headers: {Retry-After: "10"}}}
  - {target: slack, is: {http: 429, headers: {Retry-After: "10"}, latency: 2s}}
feed:
  - {at: 41m, incident: k2v9, status: Resolved, text: It is over.}
  - {at: 5m, incident: k2v9, title: Errors, status: Investigating, environments: [US-1]}
metrics:
  - {signal: checkout, tenant: prod, requests: 200/min, errors: 1%}
  - {signal: checkout, tenant: prod, from: 0m, to: 35m, errors: 97.5%}
errors:
  - {signal: web, tenant: prod, from: 0.5m, events: 55/min, title: token exchange failed}
logs:
  - {tenant: prod, rows: {s: 2/s, f: {rate: 12/min, description: invalid state, connection: ""}}}
changes:
  - {at: -2m, tenant: prod, what: client updated}
  - {at: -8m, app: checkout, what: deploy 4711}
people:
  - {at: 4m, user: U1, say: /auth0-check ack 1}
  - {at: 5m, user: U2, click: take_over, incident: 1}
users: {U0GONE: missing, U0GUEST: guest, U0ASLEEP: dnd}
answer:
  cause: auth0
  accept: [tenant]
  decidable: 2m
  alert: true
  called: [{from: 0m, by: 4m}, {by: 9m, tenant: eu, why: wider}]
  quiet: [{from: 5m, to: 29m}]
  calls_most: 4
"""


def problems_of(make: Make, *lines: str) -> list[str]:
    """Return the problems, without the file's name."""
    with pytest.raises(ScenarioError) as caught:
        make(*lines)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return [problem.partition("case.yml:")[2] for problem in caught.value.problems]


@pytest.mark.parametrize("name", example_names())
def test_every_example_can_be_read(name: str) -> None:
    """The scenarios that ship with the package are valid."""
    assert load_example(name).name == name


def test_there_are_examples() -> None:
    """The default story of the demo is among them."""
    assert len(example_names()) == 8
    assert "region-503" in example_names()


def test_unknown_example_names_the_nearest() -> None:
    """The error suggests the right name for a misspelt one."""
    with pytest.raises(ScenarioError, match=r"region-502.*did you mean region-503\?"):
        load_example("region-502")


def test_every_part_of_the_format_arrives(make_scenario: Make, start_at: float) -> None:
    """All keys of the format are read, in seconds and shares of 1."""
    read = make_scenario(FULL)
    assert (read.start_at, read.warmup_s, read.duration_s) == (start_at, 1800.0, 3600.0)
    assert (read.seed, read.about) == (7, "A case.")
    assert read.tenants[0] == Tenant("prod", "acme.us.auth0.com", "US-1", "login.acme.example")
    assert read.tenants[1].m2m is True
    assert read.controls == ("neutral",)
    assert read.bot["thresholds"] == {"fail_count": "3"}
    assert read.metrics[1] == Metric("checkout", "prod", Window(0, 2100), None, 0.975)
    assert (read.errors[0].events_s, read.errors[0].title) == (55 / 60, "token exchange failed")
    assert read.logs[0].rows == (Row("s", 2.0), Row("f", 0.2, "invalid state", ""))
    assert [(c.at_s, c.tenant, c.app) for c in read.changes] == [
        (-120, "prod", None),
        (-480, None, "checkout"),
    ]
    assert (read.people[0].user, read.people[0].say) == ("U1", "/auth0-check ack 1")
    assert read.answer is not None
    assert (read.answer.cause, read.answer.accept) == (Cause.AUTH0, (Cause.TENANT,))
    assert (read.answer.decidable_s, read.answer.alert) == (120, True)


def test_who_is_called_when_arrives(make_scenario: Make) -> None:
    """What people click, how they are there, and when they must and must not be called."""
    read = make_scenario(FULL)

    assert read.people[1] == UserInput(300, "U2", click="take_over", incident=1)
    assert read.users == {
        "U0GONE": Presence.MISSING,
        "U0GUEST": Presence.GUEST,
        "U0ASLEEP": Presence.DND,
    }
    assert read.answer is not None
    assert read.answer.called == (
        CallSpan(0, 240, None, ""),
        CallSpan(-math.inf, 540, "eu", "wider"),
    )
    assert (read.answer.quiet, read.answer.calls_most) == ((Window(300, 1740),), 4)


def test_a_tenant_says_when_it_calls(make_scenario: Make) -> None:
    """`calls` is always, never or hours; without it nothing is said."""
    head = HEAD.replace("EU-1, m2m: true", "EU-1, calls: never")

    assert [tenant.calls for tenant in make_scenario(head=head).tenants] == [None, "never"]
    with pytest.raises(ScenarioError, match=r"tenants\.eu\.calls: 'maybe' is unknown"):
        make_scenario(head=head.replace("never", "maybe"))


def test_every_kind_of_fault_arrives(make_scenario: Make) -> None:
    """A fault has its kind and its parameters."""
    timeline = make_scenario(FULL).timeline
    assert [entry.fault for entry in timeline] == [
        InjectedFault("http", http=HttpAnswer(503)),
        InjectedFault("http", http=HttpAnswer(502, body="html")),
        InjectedFault("latency", amount=0.9),
        InjectedFault("feed", "old"),
        InjectedFault("clock", amount=3600),
        InjectedFault("http", http=HttpAnswer(429, headers=(("retry-after", "10"),))),
        InjectedFault("http", http=HttpAnswer(429, headers=(("retry-after", "10"),), latency_s=2)),
    ]
    assert timeline[1].targets == ("prod.wellknown", "*.custom")
    assert (timeline[1].share, timeline[1].window) == (0.8, Window(since_s=-90))


def test_later_updates_take_over_from_earlier_ones(make_scenario: Make) -> None:
    """An update without title and environments has those of its incident, in the order of time."""
    posts = make_scenario(FULL).feed
    assert [post.at_s for post in posts] == [300, 2460]
    assert posts[1] == StatusUpdate(2460, "k2v9", "Errors", "Resolved", "It is over.", ("US-1",))


def test_a_further_login_of_the_overrides_is_a_place(make_scenario: Make) -> None:
    """Logins that `bot` configures can be targets, by their names."""
    bot = "bot: {tenants: [{name: prod, logins: [{name: staff}]}]}"
    read = make_scenario(bot, "timeline:", "  - {target: prod.staff, is: ok}")
    assert read.timeline[0].targets == ("prod.staff",)


def timeline(entry: str, problem: str) -> tuple[str, str]:
    """A wrong entry as the first of the timeline, in line 13."""
    return f"timeline:\n  - {{{entry}}}", f"13: timeline[0]{problem}"


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        timeline("target: prod.lgin, is: ok", ".target: 'prod.lgin' is no place here; did you"),
        timeline("target: eu.custom, is: ok", ".target: 'eu.custom' is no place here: the tenant"),
        timeline("target: prod.m2m, is: ok", ".target: 'prod.m2m' is no place here: the tenant"),
        timeline("target: control.other, is: ok", ".target: 'control.other' is no place here"),
        timeline("target: [feed, '*.lgin'], is: ok", ".target[1]: '*.lgin' is no place here"),
        timeline("target: 'pr*.login', is: ok", ".target: 'pr*.login' is no place here"),
        timeline("target: [], is: ok", ".target: must name at least one place"),
        timeline("is: ok", ".target: is missing"),
        timeline("target: feed", ".is: is missing"),
        timeline("target: feed, is: fine", ".is: 'fine' is unknown: write ok, or one fault of"),
        timeline("target: feed, is: {htpp: 503}", ".is.htpp: unknown key; did you mean http?"),
        timeline("target: feed, is: {}", ".is: names no fault; there are: http"),
        timeline("target: feed, is: {dns: nxdomain, hang: true}", ".is: dns and hang are 2 faults"),
        timeline("target: feed, is: {dns: nxdomain, latency: 1s}", ".is: dns and latency are 2"),
        timeline("target: feed, is: {dns: gone}", ".is.dns: 'gone' is unknown; there are: nxdom"),
        timeline("target: feed, is: {hang: false}", ".is.hang: must be true"),
        timeline("target: feed, is: {latency: 1}", ".is.latency: '1' is no time: write a number"),
        timeline("target: feed, is: {latency: 0s}", ".is.latency: '0s' must be above zero"),
        timeline("target: feed, is: {trickle: 0/s}", ".is.trickle: '0/s' must be above zero"),
        timeline("target: feed, is: {http: 99}", ".is.http: '99' is no HTTP status"),
        timeline("target: feed, is: {http: 503, code: 1}", ".is.code: unknown key; there are"),
        timeline("target: feed, is: {http: 503, body: xml}", ".is.body: 'xml' is unknown"),
        timeline("target: feed, is: {http: 503, headers: [a]}", ".is.headers: must be a mapping"),
        timeline("target: feed, is: {http: 503, headers: {a b: c}}", ".is.headers.a b: is no head"),
        timeline(
            "target: prod.login, is: {feed: old}", ".is.feed: this happens to the target feed"
        ),
        timeline("target: prod.login, is: {paused: true}", ".is.paused: paused cannot happen to"),
        timeline("target: bot, is: {http: 503}", ".is.http: http cannot happen to bot"),
        timeline("target: '*.wellknown', is: {token: expired}", ".is.token: *.wellknown gives no"),
        timeline("target: 'control.*', is: {token: expired}", ".is.token: control.* gives no tok"),
        timeline("target: feed, is: ok, share: 1.01", ".share: '1.01' is no share"),
        timeline("target: feed, is: ok, share: 80%", ".share: '80%' is no share"),
        timeline("target: feed, is: ok, from: 5m, to: 5m", ".to: must be later than from"),
        timeline("target: feed, is: ok, form: 5m", ".form: unknown key; did you mean from?"),
        timeline("target: feed, is: ok, from: 0", ".from: '0' is no time: write a number and"),
        timeline("target: feed, is: ok, from: 1h30m", ".from: '1h30m' is no time"),
        timeline("target: feed, is: ok, from: 2d", ".from: '2d' is no time"),
        timeline("target: feed, is: ok, from: 9999h", ".from: '9999h' is more than a year"),
        timeline("target: feed, is: ok, from:", ".from: is empty: write a value, or leave"),
        ("timeline: {}", "12: timeline: {} must be a list"),
        ("timeline: [ok]", "12: timeline[0]: must be a mapping of keys to values"),
        ("about: again", "12: about: is written twice"),
        ("bot: [1]", "12: bot: must be a mapping of keys to values"),
        ("whatever: 1", "12: whatever: unknown key; there are: about, answer"),
        (
            "feed: [{at: 1m, incident: a, status: Resolved, title: T}]",
            "12: feed[0].environments: is",
        ),
        (
            "feed: [{at: 1m, incident: a/b, title: T, status: R, environments: [X]}]",
            "12: feed[0].incident: 'a/b' is no incid",
        ),
        ("metrics: [{signal: a, tenant: prd, errors: 1%}]", "12: metrics[0].tenant: 'prd' is unkn"),
        ("metrics: [{signal: a, tenant: prod}]", "12: metrics[0]: must name requests or errors"),
        ("metrics: [{signal: a, tenant: prod, errors: 101%}]", "12: metrics[0].errors: '101%' is"),
        (
            "metrics: [{signal: a, tenant: prod, requests: 5/h}]",
            "12: metrics[0].requests: '5/h' is",
        ),
        ("errors: [{signal: a, tenant: prod, events: 5}]", "12: errors[0].events: '5' is no rate"),
        ("logs: [{tenant: prod}]", "12: logs[0].rows: must be a mapping"),
        ("logs: [{tenant: prod, rows: {s: 5}}]", "12: logs[0].rows.s: '5' is no rate"),
        ("logs: [{tenant: prod, rows: {f: {}}}]", "12: logs[0].rows.f.rate: is missing"),
        ("changes: [{at: 1m, what: x}]", "12: changes[0]: must name either a tenant or an app"),
        ("people: [{at: 1m, user: U1}]", "12: people[0]: must name either what they say"),
        (
            "people: [{at: 1m, user: U1, say: a, click: resolve, incident: 1}]",
            "12: people[0]: must name either what they say",
        ),
        ("people: [{at: 1m, user: U1, click: resolve}]", "12: people[0].incident: is missing"),
        (
            "people: [{at: 1m, user: U1, click: resolve, incident: 0}]",
            "12: people[0].incident: '0' is no incident's number",
        ),
        (
            "people: [{at: 1m, user: U1, click: takeover, incident: 1}]",
            "12: people[0].click: 'takeover' is unknown; did you mean take_over?",
        ),
        (
            "people: [{at: 1m, user: U1, say: a, incident: 1}]",
            "12: people[0].incident: unknown key",
        ),
        ("users: {U1: away}", "12: users.U1: 'away' is unknown"),
        ("users: {dana: guest}", "12: users.dana: 'dana' is no member's id"),
        (
            "timeline: [{target: notify.pager, is: {hang: true}}]",
            "12: timeline[0].target: 'notify.pager' is no place here",
        ),
        (
            "answer: {cause: auth, alert: false}",
            "12: answer.cause: 'auth' is unknown; did you mean",
        ),
        ("answer: {cause: auth0, alert: true}", "12: answer.decidable: is missing"),
        ("answer: {cause: auth0, alert: maybe}", "12: answer.alert: 'maybe' is unknown"),
        ("answer: {cause: auth0, alert: false, accept: [x]}", "12: answer.accept[0]: 'x' is unkn"),
        (
            "answer: {cause: none, alert: false, called: [{from: 1m}]}",
            "12: answer.called[0].by: is missing",
        ),
        (
            "answer: {cause: none, alert: false, called: [{from: 2m, by: 1m}]}",
            "12: answer.called[0].by: must not be before from",
        ),
        (
            "answer: {cause: none, alert: false, called: [{by: 1m, tenant: us}]}",
            "12: answer.called[0].tenant: 'us' is unknown",
        ),
        (
            "answer: {cause: none, alert: false, quiet: [{from: 2m, to: 1m}]}",
            "12: answer.quiet[0].to: must be later than from",
        ),
        (
            "answer: {cause: none, alert: false, calls_most: -1}",
            "12: answer.calls_most: '-1' must not be below zero",
        ),
    ],
)
def test_a_problem_is_reported_with_its_place(
    make_scenario: Make, lines: str, problem: str
) -> None:
    """Each mistake is one problem with line, key and what was expected."""
    found = problems_of(make_scenario, lines)
    assert [each[: len(problem)] for each in found] == [problem]


@pytest.mark.parametrize(
    ("right", "wrong", "problem"),
    [
        ("format: 1", "format: 2", "1: format: '2' is unknown; there are: 1"),
        (
            "name: case",
            "name: other",
            "2: name: 'other' is not the file's name without .yml, 'case'",
        ),
        ("2026-03-02T10:00:00Z", "yesterday", "4: start: 'yesterday' is no date and time such as"),
        ("warmup: 30m", "warmup: -1m", "5: warmup: '-1m' must not be below zero"),
        ("warmup: 30m\n", "", "1: warmup: is missing"),
        ("duration: 60m", "duration: 0m", "6: duration: '0m' must be above zero"),
        ("seed: 7", "seed: x", "7: seed: 'x' must be a whole number"),
        ("  prod:", "  feed:", "9: tenants.feed: is the name of another place"),
        ("  prod:", "  a b:", "9: tenants.a b: 'a b' is no name"),
        ("acme.eu", "acme.us", "8: tenants: acme.us.auth0.com is there twice"),
        ("m2m: true", "m2m: 1", "10: tenants.eu.m2m: '1' is unknown; there are: false, true"),
        ("environment: EU", "enviroment: EU", "10: tenants.eu.enviroment: unknown key; did you"),
        ("[neutral]", "[a b]", "11: controls[0]: 'a b' is no name"),
    ],
)
def test_a_wrong_head_is_reported(
    make_scenario: Make, right: str, wrong: str, problem: str
) -> None:
    """The head of a file is checked as well."""
    from_fixture = make_scenario().document.folder / "case.yml"
    head = from_fixture.read_text()
    assert right in head
    with pytest.raises(ScenarioError) as caught:
        make_scenario(head=head.replace(right, wrong, 1))
    assert f"case.yml:{problem}" in str(caught.value)


def test_all_mistakes_are_reported_at_once(make_scenario: Make) -> None:
    """One run reports everything, in the order of the file."""
    found = problems_of(
        make_scenario,
        "timeline:",
        "  - {target: prod.lgin, share: 2, is: {htpp: 1}}",
        "  - {target: prod.login, is: {dns: x}}",
        "people: [{}]",
    )
    assert [problem.split(": ")[:2] for problem in found] == [
        ["13", "timeline[0].is.htpp"],
        ["13", "timeline[0].share"],
        ["13", "timeline[0].target"],
        ["14", "timeline[1].is.dns"],
        ["15", "people[0].at"],
        ["15", "people[0].user"],
        ["15", "people[0]"],
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"- 1",
        b"{",
        b"a: b: c",
        b"\xff\xfe",
        b"a: \x00",
        b"a: &x [1]\nb: *x",
        b"a: !!python/object:os.system {}",
        b"? [1]\n: 2",
        b"[" * 5000,
        b"a" * 2_000_000,
        b"a: 1\n---\nb: 2",
    ],
    ids=str,
)
def test_what_is_no_plain_yaml_is_one_clear_line(tmp_path: Path, content: bytes) -> None:
    """Bombs, tags, other encodings and nonsense are problems that name the file."""
    file = tmp_path / "case.yml"
    file.write_bytes(content)
    with pytest.raises(ScenarioError) as caught:
        load_file(file)
    assert all(problem.startswith(str(file)) for problem in caught.value.problems)


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    """The command line shows one kind of error."""
    with pytest.raises(ScenarioError, match="cannot be read"):
        load_file(tmp_path / "none.yml")


SCALARS = st.none() | st.text(max_size=8) | st.sampled_from(["ok", "5m", "1/min", "prod.login"])
KEYS = st.sampled_from(["target", "is", "from", "http", "rows", "at", "tenant", "incident"])
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4)
)


@pytest.mark.no_cover
@given(
    tree=st.dictionaries(
        st.sampled_from(["bot", "timeline", "feed", "metrics", "errors", "logs", "changes"]), TREES
    )
)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_reader_handles_any_document(make_scenario: Make, tree: dict[str, object]) -> None:
    """Any shape of data is a scenario or a list of problems, never another exception."""
    with suppress(ScenarioError):
        make_scenario(*(f"{key}: {json.dumps(value)}" for key, value in tree.items()))
