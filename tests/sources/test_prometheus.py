"""The real Prometheus where it is installed; its broken and its rarer answers from a double."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import subprocess
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, start_http_server
from pydantic import SecretStr

from bot.app.clock import SystemClock
from bot.config.settings_sources import Metric, Prometheus
from bot.core.model.measurement import Measurement
from bot.core.model.observation import Target
from bot.http import Fetcher, HttpResult, LoopLag
from bot.sources.answer import NoUsableAnswer
from bot.sources.prometheus import (
    REMEDIES,
    PrometheusRate,
    otel_expressions,
    request_headers,
    sum_values,
)
from tests.ports import find_free_port
from tests.sources.conftest import Direct
from tests.steady import pass_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CHECKOUT = Target("prod", "checkout")
HOSTS = ("acme.us.auth0.com", "login.acme.example")
STRANGER = "acmexus.auth0.com"
"""One character away: a dot in a host is no wildcard."""
PATIENCE_S = 200.0
NEVER_LATE = 60.0


class Make(Protocol):
    def __call__(self, url: str, failed: str, total: str, **rest: Any) -> PrometheusRate: ...


@pytest.fixture
def make() -> Make:
    """Builds a source that queries a URL."""
    fetcher = Fetcher(SystemClock(), Direct(), LoopLag(NEVER_LATE))

    def build(
        url: str, failed: str, total: str, window: float = 60.0, **rest: Any
    ) -> PrometheusRate:
        metric = Metric(name=CHECKOUT.name, failed=failed, all=total, window=window)
        # Some of the rest no configuration would let through.
        server = Prometheus(url=url).model_copy(update={"timeout": 5.0, **rest})
        return PrometheusRate(CHECKOUT, server, metric, HOSTS, fetcher=fetcher)

    return build


# --- the real program


@dataclass
class Application:
    """Exposes its calls to Auth0 as OpenTelemetry's exporter for Prometheus does."""

    calls: Histogram
    service: str = ""

    def called(self, times: int, status: str, **other: str) -> None:
        """Call Auth0 this often; an empty status is no answer."""
        failed = {"": "TimeoutError", "200": ""}
        labels = {
            "service_name": self.service,
            "server_address": HOSTS[0],
            "http_request_method": "POST",
            "http_response_status_code": status,
            "error_type": failed.get(status, status),
        }
        series = self.calls.labels(**{**labels, **other})
        for _ in range(times):
            series.observe(0.2)

    def begin(self) -> None:
        """Begin all series at 0, as after a start: the first value of a series is no increase."""
        self.calls.clear()
        for status in ("200", "403", "429", "503", ""):
            self.called(0, status)
        for host in (HOSTS[1], STRANGER):
            self.called(0, "503", server_address=host)
        self.called(0, "503", service_name="other")


@pytest.fixture(scope="module")
def application() -> Iterator[tuple[Application, int]]:
    registry = CollectorRegistry()
    labels = (
        "service_name",
        "server_address",
        "http_request_method",
        "http_response_status_code",
        "error_type",
    )
    calls = Histogram("http_client_request_duration_seconds", "Calls", labels, registry=registry)
    server, thread = start_http_server(0, "127.0.0.1", registry)
    yield Application(calls), server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def prometheus(
    application: tuple[Application, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of a real Prometheus, below a path, that scrapes the application."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("needs the package prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    jobs = [{"job_name": "app", "static_configs": [{"targets": [f"127.0.0.1:{application[1]}"]}]}]
    scraping = {"global": {"scrape_interval": "200ms"}, "scrape_configs": jobs}
    (folder / "prometheus.yml").write_text(json.dumps(scraping))
    port = find_free_port()
    arguments = [
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.route-prefix=/metrics-of-acme",
        "--log.level=error",
    ]
    with subprocess.Popen([program, *arguments]) as process:  # noqa: S603 - a program of Debian's
        yield f"http://127.0.0.1:{port}/metrics-of-acme"
        process.kill()


Scraped = Callable[[float], Awaitable[None]]


@pytest.fixture
def scraped(prometheus: str, make: Make, request: pytest.FixtureRequest) -> Scraped:
    """Waits until Prometheus has seen this number of calls of the test's application."""
    name = request.node.originalname
    counted = f"sum(http_client_request_duration_seconds_count{{service_name={json.dumps(name)}}})"
    rate = make(prometheus, counted, counted)

    async def wait(calls: float) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while (await rate.measure()).total != calls:  # noqa: ASYNC110 - it cannot be waited on
                await asyncio.sleep(0.1)

    return wait


@pytest.fixture
async def begun(
    application: tuple[Application, int], scraped: Scraped, request: pytest.FixtureRequest
) -> Application:
    """The application after its start, once Prometheus has seen that there were no calls."""
    begun = replace(application[0], service=request.node.originalname)
    begun.begin()
    await scraped(0)
    return begun


def preset(begun: Application) -> tuple[str, str]:
    return otel_expressions(HOSTS, f'service_name="{begun.service}"')


async def test_preset(begun: Application, scraped: Scraped, prometheus: str, make: Make) -> None:
    """5xx, 429 and no answer count as failed, a wrong password does not, others' calls not at all.

    All series are scraped at once, so they are extrapolated alike: the share is exact.
    """
    begun.called(40, "200")
    begun.called(20, "403")
    begun.called(6, "503")
    begun.called(5, "429")
    begun.called(4, "")
    begun.called(5, "503", server_address=HOSTS[1])
    begun.called(100, "503", server_address=STRANGER)
    begun.called(100, "503", service_name="other")
    await scraped(180)
    seen = await make(prometheus, *preset(begun), window=30).measure()
    assert (seen.target, seen.no_data_reason, seen.span_s) == (CHECKOUT, "", 30)
    # `increase` extends what two samples at least show to the window's ends, by 1.1 of their
    # distance on each side at most: promql/functions.go, extrapolatedRate (read 2026-11).
    assert 80 * 0.99 <= (seen.total or 0) <= 80 * 3.2
    assert seen.failed / (seen.total or 1) == pytest.approx(20 / 80, rel=0.01)


async def test_reset(begun: Application, scraped: Scraped, prometheus: str, make: Make) -> None:
    """A restarted application counts from 0 again: its earlier counts remain."""
    begun.called(30, "200")
    await scraped(30)
    begun.begin()
    begun.called(10, "503")
    await scraped(10)
    seen = await make(prometheus, *preset(begun), window=30).measure()
    assert seen.no_data_reason == ""
    assert seen.failed / (seen.total or 1) == pytest.approx(10 / 40, rel=0.01)


async def test_never_failed(
    begun: Application, scraped: Scraped, prometheus: str, make: Make
) -> None:
    """A counter of failures has no series before the first failure: that is 0 failed."""
    begun.called(9, "200")
    await scraped(9)
    rate = make(prometheus, "sum(increase(no_such_total[$window]))", preset(begun)[1])
    seen = await rate.measure()
    assert (seen.no_data_reason, seen.failed) == ("", 0)
    assert seen.total


@pytest.mark.parametrize(
    ("failed", "total", "missing"),
    [
        ("1", "sum(increase(no_such_total[$window]))", "empty result"),
        ("sum(increase(no_such_total[$window]))", "sum(no_such_total)", "empty result"),
        ("1", "sum(increase(", "HTTP 400: bad expression"),
        ('label_replace(vector(1), "", "", "", "")', "1", "HTTP 422: bad expression"),
        ("0 / 0", "1", "not a number"),
        ("1", "vector(1) / 0", "not a number"),
        ("1", "up[$window]", "not a vector"),
        ("1", '"text"', "not a vector"),
    ],
)
@pytest.mark.usefixtures("begun")
async def test_useless_expression(
    prometheus: str, make: Make, failed: str, total: str, missing: str
) -> None:
    """An answer that is no number is no data, with a reason in our own words."""
    seen = await make(prometheus, failed, total).measure()
    assert seen == Measurement(CHECKOUT, seen.at, no_data_reason=missing)


@pytest.mark.parametrize(
    ("failed", "total", "figures"),
    [
        ("3", "vector(10)", (3, 10)),
        ("-0.5", "10", (0, 10)),
        ("12", "10", (12, 12)),
        ('vector(1) or label_replace(vector(2), "a", "b", "", "")', "10", (3, 10)),
        ("scalar(vector(time())) - time()", "10", (0, 10)),
    ],
)
@pytest.mark.usefixtures("begun")
async def test_figures(prometheus: str, make: Make, failed: str, total: str, figures: Any) -> None:
    """Scalars and vectors are added up; failed is never below 0, and never more than all."""
    seen = await make(prometheus, failed, total).measure()
    assert (seen.failed, seen.total, seen.no_data_reason) == (*figures, "")


# --- answers that the program gives rarely


@dataclass
class Double:
    """Answers every query alike, and records the requests."""

    answer: web.Response | None = None
    url: str = ""
    forms: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.forms.append({name: str(value) for name, value in (await request.post()).items()})
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        if self.answer is None:
            await pass_time(60)
            await asyncio.sleep(3600)
        assert self.answer
        return web.Response(
            status=self.answer.status, body=self.answer.body, headers=self.answer.headers
        )


@pytest.fixture
async def double() -> AsyncIterator[Double]:
    made = Double()
    app = web.Application()
    app.router.add_post("/api/v1/query", made.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    await runner.cleanup()


def vector(*values: str, **rest: Any) -> dict[str, Any]:
    rows = [{"metric": {}, "value": [1_790_000_000.123, value]} for value in values]
    return {"status": "success", "data": {"resultType": "vector", "result": rows}, **rest}


async def test_asked(double: Double, make: Make) -> None:
    """Both are queried at the same instant, with the window filled in and the headers set."""
    double.answer = web.json_response(vector("1"))
    headers = {"X-Scope-OrgID": SecretStr("canary-org"), "authorization": SecretStr("other")}
    token = SecretStr("canary")
    rate = make(double.url, "a[$window]", "b[$window]", window=120, token=token, headers=headers)
    seen = await rate.measure()
    assert {form["query"] for form in double.forms} == {"a[120s]", "b[120s]"}
    assert {form["time"] for form in double.forms} == {f"{seen.at:.3f}"}
    assert all(each["authorization"] == "Bearer canary" for each in double.headers)
    assert all(each["x-scope-orgid"] == "canary-org" for each in double.headers)
    assert "canary" not in repr(rate)


NATIVE_HISTOGRAM = json.dumps(
    {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [{"metric": {}, "histogram": [1_790_000_000, {"count": "10", "sum": "5"}]}],
        },
    }
)


@pytest.mark.parametrize(
    ("status", "text", "missing"),
    [
        (200, "<html>Sign in</html>", "not JSON"),
        (200, "[]", "not JSON"),
        (200, "{}", "unexpected answer"),
        (200, '{"status": "success", "data": null}', "unexpected answer"),
        (200, json.dumps(vector("1"))[:-1], "not JSON"),
        (200, json.dumps(vector("one")), "unexpected answer"),
        (200, json.dumps(vector("NaN", "1")), "not a number in one of the groups"),
        (200, json.dumps(vector("NaN")), "not a number"),
        (200, json.dumps(vector("1e308", "1e308")), "not a number"),
        (200, json.dumps(vector()), "empty result"),
        (200, NATIVE_HISTOGRAM, "native histogram: count it with histogram_count()"),
        (200, json.dumps(vector("+Inf", "-Inf")), "not a number"),
        (200, json.dumps(vector("1", warnings=["store-3 is away"])), "partial answer"),
        (200, json.dumps(vector("1", isPartial=True)), "partial answer"),
        (200, json.dumps(vector("1", pad="x" * 1_000_000)), "too large"),
        (204, "", "not JSON"),
        (302, "", "HTTP 302: it has moved, or wants a person to log in"),
        (400, '{"status": "error", "error": "canary"}', "HTTP 400: bad expression"),
        (401, "Unauthorized", "HTTP 401: check the credentials"),
        (403, "", "HTTP 403: check the credentials"),
        (404, "canary", "HTTP 404: check the address"),
        (422, '{"status": "error", "error": "canary"}', "HTTP 422: bad expression"),
        (429, "", "HTTP 429: too many queries"),
        (503, '{"status": "error", "errorType": "timeout"}', "HTTP 503"),
    ],
)
async def test_useless_answer(
    double: Double, make: Make, status: int, text: str, missing: str
) -> None:
    """Each kind of failure has its text, without any words of the answer."""
    double.answer = web.Response(status=status, text=text)
    seen = await make(double.url, "a", "b").measure()
    assert seen == Measurement(CHECKOUT, seen.at, no_data_reason=missing)


async def test_remarks(double: Double, make: Make) -> None:
    """A remark of the engine about an expression does not discard its values."""
    remark = "PromQL info: metric might not be a counter"
    double.answer = web.json_response(vector("1", "2", warnings=[remark], infos=[remark]))
    assert (await make(double.url, "a", "b").measure()).failed == 3


async def test_silence(double: Double, make: Make) -> None:
    """A server that does not answer, or is not there, is reported in time."""
    assert (await make(double.url, "a", "b").measure()).no_data_reason == "timeout read"
    url = f"http://127.0.0.1:{find_free_port()}"
    assert (await make(url, "a", "b").measure()).no_data_reason == "connect refused"


async def test_ca_file(double: Double, make: Make, tmp_path: Path) -> None:
    """An unreadable CA file is our own error, and raises nothing."""
    rate = make(double.url, "a", "b", ca_file=str(tmp_path / "none.pem"))
    assert (await rate.measure()).no_data_reason == "the CA file cannot be read"


# --- pure


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)
SHAPED = st.fixed_dictionaries(
    {
        "status": st.just("success"),
        "data": JSON
        | st.fixed_dictionaries(
            {
                "resultType": st.sampled_from(["vector", "scalar", "matrix"]) | JSON,
                "result": st.lists(st.fixed_dictionaries({"value": st.lists(JSON)}) | JSON) | JSON,
            }
        ),
    },
    optional={"warnings": JSON, "isPartial": JSON},
)
REPLY = HttpResult(at=0, latency_s=0, timings=(), status=200)


@given(body=st.binary() | (JSON | SHAPED).map(lambda document: json.dumps(document).encode()))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_malformed(body: bytes) -> None:
    """Every answer is a finite sum, empty, or no data: never another exception."""
    with suppress(NoUsableAnswer):
        found = sum_values(replace(REPLY, body=body))
        assert found is None or math.isfinite(found)


def test_huge_number() -> None:
    """A number of many digits is no data."""
    for digits in (400, 5000):
        body = json.dumps(vector("@")).replace('"@"', "9" * digits).encode()
        with pytest.raises(NoUsableAnswer):
            sum_values(replace(REPLY, body=body))


def test_expressions() -> None:
    """Hosts are matched literally; quotes, backslashes and line breaks cannot leave a string."""
    failed, total = otel_expressions(["a.b", 'c"\\\n'], ' job="x", ')
    server = r'server_address=~"a\\.b|c\"\\\\\\' + r'\n",job="x"'
    name = "http_client_request_duration_seconds_count"
    assert total == f"sum(increase({name}{{{server}}}[$window]))"
    assert failed == (
        f'sum(increase({name}{{{server},http_response_status_code=~"5..|429"}}[$window])'
        f' or increase({name}{{{server},http_response_status_code="",error_type!=""}}[$window]))'
    )


def test_page() -> None:
    """The page explains each status that has a remedy."""
    page = (Path(__file__).parents[2] / "docs" / "prometheus.md").read_text()
    assert [
        f"HTTP {status}: {told}"
        for status, told in REMEDIES.items()
        if f"`HTTP {status}: {told}`" not in page
    ] == []


def test_authorization() -> None:
    """A token takes precedence over a user name; the pair is encoded by RFC 7617."""
    bare = Prometheus(url="https://prometheus.test")
    named = bare.model_copy(update={"username": "Aladdin", "password": SecretStr("open sesame")})
    assert request_headers(bare) == {}
    assert request_headers(named) == {"authorization": "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}
    both = named.model_copy(update={"token": SecretStr("t")})
    assert request_headers(both) == {"authorization": "Bearer t"}
