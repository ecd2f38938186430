"""What is measured on the local servers, read from the real metrics server, logs and lake."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from dev.servers.metrics_server import Handler, process_url
from pipeline.config.load import check
from pipeline.config.model import Config
from pipeline.deploy.monitoring.alarms import alarm
from pipeline.deploy.monitoring.judge import Sample, fires
from pipeline.deploy.monitoring.local import UNCOMMITTED, measure, measured_here
from tests.deploy.stacks import template

PUSHED = (Path(__file__).parent / "pushed.txt").read_bytes()


@pytest.fixture
def pushed_at() -> Iterator[str]:
    """The address at which one process's metrics are held."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = process_url(f"http://127.0.0.1:{server.server_port}", "taskmanager-1")
    push = urllib.request.Request(url, data=PUSHED, method="PUT")
    urllib.request.urlopen(push).close()
    yield url
    server.shutdown()
    server.server_close()


def _config(folder: Path, **sections: Any) -> Config:
    given = {
        "kinesis": {"region": "eu-west-1"},
        "source": {"kinesis_streams": ["trips"]},
        "lake": {"path": f"file://{folder}/lake"},
        "archive": {"path": f"file://{folder}/archive"},
        **sections,
    }
    return check(given, where="test")


def test_metrics_logs_and_lake_are_one_sample(pushed_at: str, tmp_path: Path) -> None:
    (tmp_path / "taskmanager-1.log").write_text(f"ERROR {UNCOMMITTED} (x)\nINFO all is well\n")
    part = tmp_path / "lake" / "trip" / "part-0.parquet"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"PAR1")
    environment = {"PROMETHEUS_URLS": pushed_at, "FLINK_LOG_DIR": str(tmp_path)}
    values = measure(_config(tmp_path), environment).values
    assert values["uncommitted"] == 1
    assert values["lake_objects"] == 1
    assert values["checkpoint_ms"] == 285


def test_a_process_that_is_gone_makes_the_alarm_down_fire(tmp_path: Path) -> None:
    environment = {"PROMETHEUS_URLS": "http://127.0.0.1:9/", "FLINK_LOG_DIR": str(tmp_path)}
    found = measure(_config(tmp_path, lake=None), environment)
    assert "downtime" not in found.values
    assert fires(alarm("Down"), [found], period_seconds=10)


def test_without_a_cluster_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no local Flink cluster is running"):
        measure(_config(tmp_path), {})


def test_only_what_the_configuration_has_is_judged(tmp_path: Path) -> None:
    names = {each.name for each in measured_here(_config(tmp_path))}
    assert {"Down", "BehindKinesis", "LakeStalled", "Uncommitted", "BackPressure"} <= names
    assert not names & {"BehindKafka", "IndexSlow", "SearchRed", "ReconcileMismatch", "Throughput"}


def test_the_log_filter_looks_for_the_same_words() -> None:
    found = template()["Resources"]["UncommittedTransactions"]["Properties"]["FilterPattern"]
    assert found == f'"{UNCOMMITTED}"'


def test_a_lake_that_gets_no_files_while_events_come_is_stalled() -> None:
    samples = [Sample(at, {"decode.events": at * 100, "lake_objects": 3}) for at in (0.0, 10.0)]
    assert fires(alarm("LakeStalled"), samples, period_seconds=10)
