"""What Flink's reporter tells becomes metrics that have their types, our names and base units."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.parser import text_string_to_metric_families

from connectors.flink.metrics import STEP_SCOPE, parse
from dev.pages import exposition_table
from dev.servers import metrics_server
from dev.servers.exposition import METRICS_TABLE, exposed_as, translate
from dev.servers.metrics_server import Handler, process_url
from dev.templates.promql import query
from pipeline.deploy.monitoring.local import LOCAL
from pipeline.metrics import LAG_BUCKETS_MS, METRICS

REPORTED = Path(__file__).with_name("reported.txt").read_text()
ROOT = Path(__file__).parents[3]
# Of these the run, of 0.2, had nothing to report: it compared no dead letter with a limit, and
# collected no rows.
NOT_SEEN = ("claim_check", "archive", "lake", "dead_letters")


def exposed(*texts: str) -> dict[str, Family]:
    """The metrics of an exposition by the name that their samples begin with."""
    families = text_string_to_metric_families(translate(texts).decode())
    return {family.name: family for family in families}


def sample(family: Family, suffix: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    return sum(
        each.value
        for each in family.samples
        if each.name == family.name + suffix and labels.items() <= each.labels.items()
    )


def test_the_reporter_calls_everything_a_gauge() -> None:
    """If it ever stops to, the translation can go."""
    assert set(re.findall(r"^# TYPE \S+ (\S+)$", REPORTED, re.MULTILINE)) == {"gauge"}


def test_each_metric_of_the_table_is_exposed_with_its_type_and_help() -> None:
    families = exposed(REPORTED)
    wanted = {each.name: (each.kind, each.help) for each in METRICS_TABLE}
    found = {
        name + ("_total" if family.type == "counter" else ""): (family.type, family.documentation)
        for name, family in families.items()
    }
    not_seen = tuple(f"streaming_etl_{step}_" for step in NOT_SEEN)
    assert found == {name: kind for name, kind in wanted.items() if not name.startswith(not_seen)}


def test_every_metric_of_ours_has_one_name() -> None:
    names = {
        (each.step, each.name): exposed_as(f"{STEP_SCOPE}_{each.name}", each.step)
        for each in METRICS
    }
    assert len(set(names.values())) == len(names)
    assert names["decode", "events"] == ("streaming_etl_decode_events_total", (), 1)


def test_every_signal_that_is_measured_here_has_a_name() -> None:
    assert all(query(signal).series for signal in LOCAL)


def test_rejects_have_their_reason_as_a_label_and_add_up() -> None:
    rejected = exposed(REPORTED)["streaming_etl_decode_rejected"]
    told = parse([REPORTED])
    of_one = told[f"{STEP_SCOPE}_rejected_missing_field"].values()
    assert sample(rejected, "_total", reason="missing_field") == sum(of_one) > 0
    (whole,) = (value for at, value in told[f"{STEP_SCOPE}_rejected"].items() if of_decode(at))
    assert sample(rejected, "_total", subtask_index="0") == whole


def test_the_buckets_of_the_lag_are_a_histogram_in_seconds() -> None:
    lag = exposed(REPORTED)["streaming_etl_decode_lag_seconds"]
    told = parse([REPORTED])
    buckets = [
        sample(lag, "_bucket", le=f"{bound / 1000:g}", subtask_index="0")
        for bound in LAG_BUCKETS_MS
    ]
    assert buckets == sorted(buckets)
    everything = sample(lag, "_bucket", le="+Inf", subtask_index="0")
    records = sample(exposed(REPORTED)["streaming_etl_decode_in"], "_total", subtask_index="0")
    assert sample(lag, "_count", subtask_index="0") == everything == records > buckets[0]
    millis = sum(value for at, value in told[f"{STEP_SCOPE}_lag_ms"].items() if of_decode(at))
    assert sample(lag, "_sum") == pytest.approx(millis / 1000)


def of_decode(labels: frozenset[tuple[str, str]]) -> bool:
    """Whether a series of the reporter is of the step decode."""
    return ("step", "decode") in labels


def test_a_histogram_that_lacks_a_bucket_is_left_out() -> None:
    lines = [line for line in REPORTED.splitlines() if "_lag_le_250" not in line]
    lines = [line for line in lines if "_lag_le_25{" not in line]
    assert "streaming_etl_decode_lag_seconds" not in exposed("\n".join(lines))


def test_a_restarted_task_and_another_process_stay_apart_only_by_what_is_kept() -> None:
    """A new attempt adds to the same series; another TaskManager has series of its own."""
    again = REPORTED.replace('task_attempt_num="0"', 'task_attempt_num="1"')
    assert again != REPORTED
    once, twice = (exposed(*texts) for texts in ([REPORTED], [REPORTED, again]))
    name = "streaming_etl_decode_events"
    assert len(twice[name].samples) == len(once[name].samples)
    assert sample(twice[name], "_total") == 2 * sample(once[name], "_total")
    gauge = "flink_task_busy_ratio"
    assert sample(twice[gauge], "") == sample(once[gauge], "")

    (worker,) = set(re.findall(r'tm_id="([^"]+)"', REPORTED))
    both = exposed(REPORTED, REPORTED.replace(worker, "127_0_0_1:1_other"))
    assert len(both[name].samples) == 2 * len(once[name].samples)


def test_other_metrics_and_steps_stay_with_the_reporter() -> None:
    foreign = f'{STEP_SCOPE}_events{{step="foreign",}} 1.0\nflink_other{{}} 1.0\n'
    assert exposed(foreign) == {}
    assert translate([]) == b""


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The metrics server, after a TaskManager pushed."""
    monkeypatch.setattr(metrics_server, "_pushed", {})
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever).start()
        address = f"http://127.0.0.1:{server.server_port}"
        pushed = process_url(address, "taskmanager-1")
        request = urllib.request.Request(pushed, REPORTED.encode(), method="PUT")
        urllib.request.urlopen(request, timeout=10).close()
        yield address
        server.shutdown()


def test_the_metrics_server_translates_what_was_pushed(url: str) -> None:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as response:
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert response.read() == translate([REPORTED])


def test_a_process_that_pushes_no_more_is_forgotten(url: str) -> None:
    ((at, _),) = metrics_server._pushed.values()
    assert metrics_server.recent(at + metrics_server.SILENT_SECONDS) == [REPORTED]
    assert metrics_server.recent(at + metrics_server.SILENT_SECONDS + 1) == []


def test_the_page_has_the_table() -> None:
    assert exposition_table() in (ROOT / "docs" / "metrics.md").read_text()
