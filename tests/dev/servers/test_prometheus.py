"""A real Prometheus reads the translated metrics; every query of the dashboard has an answer."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import psutil
import pytest
import yaml

from connectors.errors import UserError
from dev.servers import layout, ports, process, prometheus
from dev.servers.cache import ServerCache
from dev.servers.metrics_server import Handler, process_url
from dev.servers.prerequisites import apt_problem
from dev.servers.server import Server, fetch
from dev.servers.setup import prometheus_part
from dev.servers.stack import Stack
from pipeline.deploy.builds import bring_up_to_date

ROOT = Path(__file__).parents[3]
REPORTED = Path(__file__).with_name("reported.txt").read_text()
BOARD = json.loads((ROOT / "conf" / "grafana" / "streaming-etl.json").read_text())
QUERIES = [target["expr"] for panel in BOARD["panels"] for target in panel["targets"]]
USEFUL = re.findall(
    r"^\| [^|`]+ \| `([^`|]+)` \|$", (ROOT / "docs" / "metrics.md").read_text(), re.MULTILINE
)
"""The queries that the page offers."""
# Of these the reporter had nothing to tell.
EMPTY = {query for query in QUERIES if "claim_check" in query}
PATIENCE_SECONDS = 60

pytestmark = pytest.mark.server


def silent(_: str) -> None:
    """Progress that nobody reads."""


def wait_for(condition: Callable[[], bool]) -> None:
    """Come back when the condition holds; fail after a while."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cache() -> ServerCache:
    """Prometheus unpacked; without apt, or without its package, the tests are skipped."""
    made = ServerCache(ROOT)
    if problem := apt_problem():
        pytest.skip(f"Prometheus is fetched with apt: {problem}")
    try:
        bring_up_to_date(made, silent, [prometheus_part(made)])
    except UserError as error:
        pytest.skip(str(error))
    return made


@pytest.fixture(scope="module")
def metrics_url() -> Iterator[str]:
    """The metrics server, after Flink's processes pushed."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        push(url, REPORTED)
        yield url
        server.shutdown()


@pytest.fixture(scope="module")
def running(
    cache: ServerCache, metrics_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, process.Started]]:
    """Prometheus over the metrics server, started as `make up` does."""
    folder = tmp_path_factory.mktemp("prometheus")
    (port,) = ports.unused(1)
    server = prometheus.server(
        cache, folder=folder, port=port, metrics_url=metrics_url, scrape_seconds=1
    )
    server.prepare()
    log = folder / "log"
    started = process.start(
        server.command, environment=server.environment, log=log, pid_file=folder / "pid"
    )
    try:
        wait_for(lambda: server.is_ready() or not process.is_alive(started))
        assert process.is_alive(started), process.log_tail(log)
        push(metrics_url, grown(REPORTED))
        wait_for(lambda: value(server, "streaming_etl_decode_events_total") != "")
        before = value(server, "sum(streaming_etl_decode_events_total)")
        push(metrics_url, grown(grown(REPORTED)))
        wait_for(lambda: value(server, "sum(streaming_etl_decode_events_total)") != before)
        yield server, started
    finally:
        process.stop(started, patience=20)
    assert process.family(started) == set()


def push(url: str, text: str) -> None:
    """Replace what the TaskManager published."""
    address = process_url(url, "taskmanager-1")
    request = urllib.request.Request(address, text.encode(), method="PUT")
    urllib.request.urlopen(request, timeout=10).close()


def grown(text: str) -> str:
    """The same metrics some seconds later: everything has increased by one."""
    return re.sub(r" (\S+)$", lambda match: f" {plus_one(match[1])}", text, flags=re.MULTILINE)


def plus_one(number: str) -> str:
    """The number after one; what is none, such as a type, is left as it is."""
    try:
        return str(float(number) + 1)
    except ValueError:
        return number


def address(server: Server) -> str:
    """The root of its pages; its own address leads to the dashboard."""
    return f"http://127.0.0.1:{server.port}"


def ask(server: Server, path: str, **parameters: str) -> Any:
    """What Prometheus answers; it must be a success."""
    query = urllib.parse.urlencode(parameters)
    with urllib.request.urlopen(f"{address(server)}/api/v1/{path}?{query}", timeout=10) as response:
        answer = json.load(response)
    assert answer["status"] == "success" and not answer.get("warnings"), answer
    return answer["data"]


def value(server: Server, query: str) -> str:
    """The first value of a query's result; empty if there is none."""
    result = ask(server, "query", query=query)["result"]
    return str(result[0]["value"][1]) if result else ""


def test_its_target_is_up(running: tuple[Server, process.Started]) -> None:
    server, _ = running
    assert value(server, 'up{job="streaming-etl"}') == "1"


def test_the_page_offers_queries() -> None:
    assert len(USEFUL) == 5


@pytest.mark.parametrize("query", [*QUERIES, *USEFUL])
def test_a_query_of_the_dashboard_and_the_page_has_a_result(
    running: tuple[Server, process.Started], query: str
) -> None:
    server, _ = running
    if query in EMPTY:
        assert value(server, query) == ""
    else:
        wait_for(lambda: value(server, query) != "")


def test_its_own_dashboard_asks_the_same_as_grafana_s(
    running: tuple[Server, process.Started],
) -> None:
    server, _ = running
    page = (fetch(server.url) or b"").decode()
    shown = [json.loads(text) for text in re.findall(r"^  \{\.\.\.(\{.*\}), format: ", page, re.M)]
    assert [query for chart in shown for query in chart["expr"]] == QUERIES
    assert [chart["title"] for chart in shown] == [panel["title"] for panel in BOARD["panels"]]


def test_a_counter_that_grows_has_a_rate(running: tuple[Server, process.Started]) -> None:
    server, _ = running
    assert float(value(server, "sum(rate(streaming_etl_decode_events_total[1m]))")) > 0
    by_reason = "sum by (reason) (streaming_etl_decode_rejected_total)"
    reasons = {each["metric"]["reason"] for each in ask(server, "query", query=by_reason)["result"]}
    assert {"missing_field", "invalid_json", "internal_error"} <= reasons


def test_prometheus_knows_the_types(running: tuple[Server, process.Started]) -> None:
    server, _ = running
    known = ask(server, "metadata")
    found = {name: known[name][0]["type"] for name in known}
    assert found["streaming_etl_decode_events_total"] == "counter"
    assert found["streaming_etl_index_lag_seconds"] == "histogram"
    assert found["flink_taskmanager_heap_used_bytes"] == "gauge"


def test_every_rule_is_evaluated_without_an_error(running: tuple[Server, process.Started]) -> None:
    server, _ = running

    def evaluated() -> bool:
        rules = ask(server, "rules")["groups"][0]["rules"]
        assert [rule for rule in rules if rule["health"] == "err"] == []
        return len(rules) > 15 and all(rule["health"] == "ok" for rule in rules)

    wait_for(evaluated)


def test_its_pages_are_whole(running: tuple[Server, process.Started]) -> None:
    """Each script and style sheet that a page asks for is there, also those of other packages."""
    server, _ = running
    ours = server.url.removeprefix(address(server))
    for page in (ours, "/classic/graph", "/classic/alerts", "/classic/targets"):
        text = (fetch(f"{address(server)}{page}") or b"").decode()
        files = re.findall(r'(?:src|href)="(/classic/static/[^"]+)"', text)
        assert len(files) > 3
        assert [file for file in files if fetch(f"{address(server)}{file}") is None] == []


def test_it_is_reachable_from_this_machine_only(running: tuple[Server, process.Started]) -> None:
    server, started = running
    found = ports.listeners_of([psutil.Process(started.pid)])
    assert {each.port for each in found} == {server.port}
    assert all(each.is_loopback for each in found)


@pytest.mark.parametrize("site", ["https://elsewhere.example", "http://127.0.0.1:1"])
def test_pages_of_other_sites_cannot_read_it(
    running: tuple[Server, process.Started], site: str
) -> None:
    server, _ = running
    request = urllib.request.Request(
        f"{address(server)}/api/v1/query?query=up", headers={"Origin": site}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.headers["Access-Control-Allow-Origin"] is None


def promtool(cache: ServerCache, *arguments: str, text: bytes = b"") -> str:
    """What promtool says; it must find nothing wrong."""
    command = [str(prometheus.program(cache, "promtool")), "check", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode() + done.stderr.decode()


def test_promtool_is_content_with_the_exposition(cache: ServerCache, metrics_url: str) -> None:
    text = fetch(f"{metrics_url}/metrics")
    assert text
    assert promtool(cache, "metrics", text=text) == ""


def test_promtool_is_content_with_the_configuration(cache: ServerCache, tmp_path: Path) -> None:
    settings = prometheus.configuration(ROOT / prometheus.RULES, "http://127.0.0.1:9249", 5)
    prometheus.write_configuration(tmp_path, settings)
    said = promtool(cache, "config", str(tmp_path / "prometheus.yml"))
    assert re.search(r"SUCCESS: \d+ rules found", said)


def fires(cache: ServerCache, folder: Path, alarm: str, at: str, **series: str) -> bool:
    """Whether the rule fires then, with a value of each series every 50 seconds from 0 on."""
    asked = {
        "rule_files": [str(ROOT / prometheus.RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "50s",
                "input_series": [
                    {"series": name, "values": values} for name, values in series.items()
                ],
                "promql_expr_test": [
                    {
                        "expr": f'count(ALERTS{{alertname="{alarm}",alertstate="firing"}})',
                        "eval_time": at,
                        "exp_samples": [{"labels": "{}", "value": 1}],
                    }
                ],
            }
        ],
    }
    (folder / "asked.yml").write_text(yaml.safe_dump(asked))
    command = [str(prometheus.program(cache, "promtool")), "test", "rules", "asked.yml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0 or "got: nil" in done.stderr, done.stdout + done.stderr
    return done.returncode == 0


def test_a_level_fires_while_it_is_breached(cache: ServerCache, tmp_path: Path) -> None:
    name = "flink_job_last_checkpoint_duration_seconds"
    assert not fires(cache, tmp_path, "CheckpointSlow", "10m", **{name: "29x20"})
    assert fires(cache, tmp_path, "CheckpointSlow", "10m", **{name: "31x20"})


def test_a_level_of_more_periods_must_last(cache: ServerCache, tmp_path: Path) -> None:
    name = "flink_task_backpressured_ratio"
    assert not fires(cache, tmp_path, "BackPressure", "10m", **{name: "0x9 0.9x9"})
    assert fires(cache, tmp_path, "BackPressure", "14m", **{name: "0x9 0.9x9"})


def test_a_growth_counts_whole_steps(cache: ServerCache, tmp_path: Path) -> None:
    """`increase` alone makes 2.006 of two restarts, which is more than two."""
    name = "flink_job_restarts_total"
    assert not fires(cache, tmp_path, "RestartsRepeat", "61m", **{name: "0x19 1x9 2x59"})
    assert fires(cache, tmp_path, "RestartsRepeat", "61m", **{name: "0x19 1x9 2x9 3x49"})


def test_a_ratio_divides_two_increases(cache: ServerCache, tmp_path: Path) -> None:
    read = {"streaming_etl_decode_in_total": "0+1000x30"}
    name = 'streaming_etl_decode_rejected_total{reason="missing_field"}'
    assert not fires(cache, tmp_path, "DeadLetterRatio", "20m", **read, **{name: "0+0.5x30"})
    assert fires(cache, tmp_path, "DeadLetterRatio", "20m", **read, **{name: "0+2x30"})


def test_a_job_that_is_not_there_is_down(cache: ServerCache, tmp_path: Path) -> None:
    name = "flink_job_downtime_seconds"
    assert not fires(cache, tmp_path, "Down", "10m", **{name: "0x20"})
    assert fires(cache, tmp_path, "Down", "10m", **{name: "0 5 65x20"})
    assert fires(cache, tmp_path, "Down", "10m", other="0x20")


def test_up_starts_it_and_down_stops_it(cache: ServerCache, tmp_path: Path) -> None:
    stack = Stack(ROOT, run_dir=tmp_path, free_ports=True, servers=("dashboards",))
    said: list[str] = []
    with stack.running(said.append):
        (status,) = stack.status()
        assert (status.name, status.ready) == ("prometheus", True)
        assert any(f"prometheus is ready at {status.url}" in line for line in said)
        assert b"streaming-etl" in (fetch(status.url) or b"")
        started = list(stack.started().values())
    assert [each for each in started if process.family(each)] == []
    assert stack.status() == []


def test_a_stack_has_it_when_dashboards_are_asked_for(tmp_path: Path) -> None:
    known = layout.Layout(
        root=str(ROOT),
        servers=("dashboards",),
        slots=1,
        ports={"prometheus": 19090, "metrics": 19249},
        task_managers={},
    )
    (server,) = layout.servers_of(known, tmp_path).values()
    assert server.name == "prometheus"
    assert server.url == "http://127.0.0.1:19090/consoles/streaming-etl.html"
    assert "--web.listen-address=127.0.0.1:19090" in server.command
    server.prepare()
    assert "127.0.0.1:19249" in (tmp_path / "prometheus" / "prometheus.yml").read_text()


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "prometheus_2_amd64.deb"
    file.write_bytes(b"another")
    with pytest.raises(UserError, match=r"prometheus_2_amd64.deb has the SHA-256 [0-9a-f]{64}"):
        prometheus.verify(file, "0" * 64)


@pytest.mark.skipif(apt_problem() is not None, reason="asks apt")
def test_a_version_that_is_gone_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="put the one that `apt-cache policy` shows") as caught:
        prometheus.download(["prometheus=0.0.1-gone"], tmp_path)
    assert "apt-get update" in str(caught.value)
    assert "0.0.1-gone" in str(caught.value)
