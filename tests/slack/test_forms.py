"""Forms: what they offer, and that a submitted form parses as if it had been typed."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from bot.core.commands.parse import parse_silence
from bot.core.model.access import CommandOutcome, Person, Verb
from bot.core.model.command import AddSilence, Request, ShowHelp, UnclearCommand
from bot.core.model.observation import Cause, Scope, Severity, Verdict
from bot.core.state.incident import Incident, IncidentKind, IncidentLife, Resolution
from bot.core.state.problem import ProbeProblem
from bot.core.state.rules import Rules, TenantRules
from bot.simulator.workspace.blocks import Surface, check
from bot.slack.actions import ASK, SILENCE_FORM, WORDS_FORM
from bot.slack.inbound.forms import FormError, Forms
from bot.slack.render.modals import SHORTCUT_VERBS, SPANS

if TYPE_CHECKING:
    from bot.slack.web_api import SlackWeb

NOW = datetime(2026, 3, 2, 10, 0, 30, tzinfo=UTC).timestamp()
"""A Monday, 11:00:30 in Berlin."""
DANA = Person("U1", "Europe/Berlin")
HOUR = 3600.0


class FixedClock:
    speed = 1.0

    def now(self) -> float:
        return NOW


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def forms(api: SlackWeb, known: Any) -> Forms:
    return Forms(api, known.view)


def incident(number: int, tenant: str = "prod", *, is_open: bool = True) -> Incident:
    return Incident(
        id=number,
        kind=IncidentKind.FAILING,
        severity=Severity.CRITICAL,
        tenants=(tenant,),
        since=NOW - HOUR,
        life=IncidentLife(NOW - HOUR, resolved=None if is_open else Resolution(NOW - 60)),
        verdict=Verdict(Cause.AUTH0, Scope.TENANT, 0.9),
        problems=(ProbeProblem(tenant, "login", NOW - HOUR, 5, 5),),
    )


def asked(verb: Verb, argument: str = "", channel: str = "C1") -> Request:
    number = int(argument[1:]) if argument.startswith("#") else None
    unclear = UnclearCommand(verb, CommandOutcome.INVALID, number)
    command = ShowHelp() if verb is Verb.HELP else unclear
    return Request("r", NOW, command, argument, user="U1", channel=channel, person=DANA)


def chosen(value: str) -> dict[str, Any]:
    return {"type": "static_select", "selected_option": {"value": value}}


def text(text: str) -> dict[str, Any]:
    return {"type": "plain_text_input", "value": text}


def at(moment: float | None) -> dict[str, Any]:
    return {"type": "datetimepicker", "selected_date_time": moment}


def values_of(form: dict[str, Any], name: str) -> list[str]:
    (field,) = (block for block in form["blocks"] if block.get("block_id") == name)
    select = field["element"]
    groups = select.get("option_groups") or [select]
    return [option["value"] for group in groups for option in group["options"]]


def silence(forms: Forms, payloads: Any, **fields: Any) -> Request:
    form = forms.build_form(asked(Verb.SILENCE, "prod"))
    filled = {"what": chosen("prod"), "span": chosen("2h"), "until": at(None), **fields}
    return forms.parse_submission(payloads.submission(form, **filled), NOW, DANA)


def test_a_silence_reads_as_typed(forms: Forms, payloads: Any, known: Any) -> None:
    """What, how long and why become the arguments of the command, in the channel of the click."""
    request = silence(forms, payloads, reason=text("planned upgrade"))

    assert (request.command.verb, request.words) == (Verb.SILENCE, "prod 2h planned upgrade")
    assert (request.id, request.user, request.channel) == ("view:V1:h1", "U1", "C1")
    assert request.person == DANA
    assert request.command == parse_silence(request.words, NOW, DANA.zone, known.rules, ())


@pytest.mark.parametrize(
    ("until", "typed"),
    [
        (datetime(2026, 3, 2, 13, 0, tzinfo=UTC), "until mon 14:00"),
        (datetime(2026, 3, 3, 8, 15, tzinfo=UTC), "until tue 09:15"),
        (datetime(2026, 3, 9, 10, 0, tzinfo=UTC), "until mon 11:00"),
        (datetime(2026, 3, 12, 10, 0, tzinfo=UTC), "14400m"),
        (datetime(2026, 3, 31, 10, 0, tzinfo=UTC), "41760m"),
    ],
)
def test_until(forms: Forms, payloads: Any, known: Any, until: datetime, typed: str) -> None:
    """A chosen date and time overrides the span, and is kept to the minute."""
    end = until.timestamp()

    request = silence(forms, payloads, until=at(end), reason=text("x"))

    assert request.words == f"prod {typed} x"
    read = parse_silence(request.words, NOW, DANA.zone, known.rules, ())
    assert isinstance(read, AddSilence)
    assert abs(read.until - end) <= 30
    assert isinstance(request.command, AddSilence)
    assert request.command.until == end


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"what": chosen("#77")}, "what"),
        ({"until": at(NOW - HOUR)}, "until"),
        ({"until": at(NOW + 31 * 24 * HOUR)}, "until"),
        ({"until": at(NOW + 400 * 24 * HOUR)}, "until"),
        ({"reason": text("   ")}, "reason"),
        ({"span": {}}, "span"),
    ],
)
def test_wrong(forms: Forms, payloads: Any, fields: dict[str, Any], field: str) -> None:
    """An error is shown under the field that causes it."""
    with pytest.raises(FormError) as caught:
        silence(forms, payloads, **{"reason": text("x"), **fields})

    assert caught.value.field == field


@pytest.mark.parametrize("verb", [Verb.NOTE, Verb.FALSE_ALARM])
def test_words(forms: Forms, payloads: Any, verb: Verb) -> None:
    """A note or a reason goes to the incident whose button was clicked."""
    form = forms.build_form(asked(verb, "#12"))

    read = forms.parse_submission(
        payloads.submission(form, reason=text(" rolled back ")), NOW, DANA
    )

    assert (read.command.verb, read.words, read.channel) == (verb, "#12 rolled back", "C1")
    assert form["callback_id"] == WORDS_FORM


def test_no_form_takes_words_that_would_be_lost(forms: Forms) -> None:
    """`note` opens a form only about an incident, and the form keeps its number."""
    body = {"trigger_id": "t"}
    none = replace(asked(Verb.NOTE), command=UnclearCommand(Verb.NOTE, CommandOutcome.NO_SUCH))
    about = UnclearCommand(Verb.NOTE, CommandOutcome.INVALID, 12)
    one = replace(asked(Verb.NOTE), command=about)

    assert not forms.is_needed(none, body)
    assert forms.is_needed(one, body)
    assert json.loads(forms.build_form(one)["private_metadata"])["incident"] == 12


@pytest.mark.parametrize(
    ("verb", "tenant", "argument"),
    [("status", "", ""), ("run", "prod", "prod"), ("run", "", ""), ("alerts", "prod", "")],
)
def test_ask(forms: Forms, payloads: Any, verb: str, tenant: str, argument: str) -> None:
    """The shortcut's form asks any question; a tenant counts only for verbs that take one."""
    form = forms.build_form(asked(Verb.HELP, channel="U1"))
    picked = {"tenant": chosen(tenant)} if tenant else {}

    read = forms.parse_submission(payloads.submission(form, verb=chosen(verb), **picked), NOW, DANA)

    assert (read.command.verb, read.words) == (verb, argument)
    assert form["callback_id"] == ASK
    assert values_of(form, "verb") == [*SHORTCUT_VERBS]


@pytest.mark.parametrize(
    "change",
    [
        {"callback_id": "another"},
        {"private_metadata": ""},
        {"private_metadata": '{"v":2,"channel":"C1"}'},
        {"private_metadata": '{"v":1,"channel":"C1","verb":"rm"}'},
    ],
)
def test_old_forms(forms: Forms, payloads: Any, change: dict[str, str]) -> None:
    """A form of another version is refused."""
    form = forms.build_form(asked(Verb.NOTE, "#12")) | change

    with pytest.raises(ValueError, match=r"."):
        forms.parse_submission(payloads.submission(form, reason=text("x")), NOW, DANA)


def test_what_can_be_silenced(forms: Forms, known: Any) -> None:
    """The form offers incidents, tenants, signals and everything; what was clicked is chosen."""
    known.desk = replace(known.desk, incidents={n: incident(n) for n in (3, 4)})

    form = forms.build_form(asked(Verb.SILENCE, "#3"))

    assert values_of(form, "what") == ["#4", "#3", "prod", "stage", "login", "wellknown", "all"]
    assert form["blocks"][0]["element"]["initial_option"]["value"] == "#3"
    assert values_of(form, "span") == [*SPANS]
    assert form["callback_id"] == SILENCE_FORM


def test_a_silence_over_what_is_gone(forms: Forms) -> None:
    """A click on the message of a forgotten incident still opens the form."""
    form = forms.build_form(asked(Verb.SILENCE, "#99"))

    assert form["blocks"][0]["element"]["initial_option"]["value"] == "#99"


async def test_the_preview(slack: Any, forms: Forms, known: Any, payloads: Any) -> None:
    """Another choice updates the preview in the same form."""
    incidents = {1: incident(1, is_open=False), 2: incident(2), 3: incident(3, "stage")}
    known.desk = replace(known.desk, incidents=incidents)
    form = forms.build_form(asked(Verb.SILENCE, "#2"))
    assert "1 incident of the last day: #2" in json.dumps(form)
    chosen_now = payloads.submission(form, what=chosen("prod"))["view"]

    await forms.update_preview({"view": chosen_now})

    ((method, sent, _),) = slack.calls
    shown = json.loads(sent["view"])
    assert (method, sent["view_id"], sent["hash"]) == ("views.update", "V1", "h1")
    assert "2 incidents of the last day: #1, #2" in json.dumps(shown)
    assert shown["private_metadata"] == form["private_metadata"]
    assert [b.get("block_id") for b in shown["blocks"]] == [
        b.get("block_id") for b in form["blocks"]
    ]


@pytest.mark.parametrize("verb", [Verb.SILENCE, Verb.NOTE, Verb.FALSE_ALARM, Verb.HELP])
def test_limits(api: SlackWeb, known: Any, verb: Verb) -> None:
    """With 500 tenants and long names every form is within Slack's limits."""
    names = [f"{'t' * 36}-{n:03}"[:40] for n in range(500)]
    tenants = {name: TenantRules(name, "x.us.auth0.com") for name in names}
    known.rules = Rules(tenants)
    known.desk = replace(known.desk, incidents={n: incident(n, names[n]) for n in range(1, 200)})

    form = Forms(api, known.view).build_form(asked(verb, "#7"))

    assert check(form["blocks"], Surface.MODAL) == []
    assert len(json.dumps(form)) < 250_000
    assert len(form["private_metadata"]) < 3000
    assert max(len(form[key]["text"]) for key in ("title", "submit", "close")) <= 24
