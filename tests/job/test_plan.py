"""The plan: one scan, one decode, one index call; every sink can be left out; names are stable."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import UserError
from connectors.flink import table_environment as flink
from pipeline import job, plan
from pipeline.config import load as load_config
from pipeline.config.flink_settings import flink_settings
from pipeline.config.model import Config
from pipeline.decode.redriven import HEADERS
from pipeline.events.event_types import EventTypes, load
from pipeline.flow import Flow

ROOT = Path(__file__).parents[2]
OPERATORS = ROOT / "tests" / "data" / "golden" / "operators.txt"
STATELESS = re.compile(
    r"-(columns|union|exchange|partition|streams|file|too_large|end|shared)(-\d+)?$"
)
SECTIONS: dict[str, dict[str, Any]] = {
    "kafka": {"bootstrap_servers": "127.0.0.1:1"},
    "kinesis": {"region": "eu-west-1"},
    "source": {"kafka_topics": ["a", "b"]},
    "archive": {"path": "s3a://bucket/archive"},
    "lake": {"path": "s3a://bucket/lake"},
    "index": {"url": "http://127.0.0.1:1"},
    "dead_letters": {"kafka_topic": "dead"},
}
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning")


@pytest.fixture(scope="module")
def types() -> EventTypes:
    return load(ROOT / "schemas")


def step_names(config: Config, types: EventTypes) -> list[str]:
    """Return the operators' uids, sources first."""
    stream, tables = flink.environment(flink_settings(config.job))
    return job.build(Flow.of(stream, tables, config), config, types).attach(stream, config)


def config(*without: str, **changed: dict[str, Any]) -> Config:
    kept = {name: keys for name, keys in SECTIONS.items() if name not in without}
    return load_config.check({**kept, **changed}, where="test")


def operators(text: str, call: str) -> list[str]:
    """Return the lines of the operators that call a function; a line may print its call twice."""
    return [line for line in text.splitlines() if "+- Python" in line and call in line]


def test_source_decode_and_index_stand_in_the_plan_once(types: EventTypes) -> None:
    text = plan.explain(config(), types)
    assert text.count("TableSourceScan(") == 1
    assert text.count("decode_step(") == 1
    assert len(operators(text, "index_step(")) == 1
    flattened = r"Calc.*f0.files AS files.*\(reuse_id=\[\d+\]\)\n\+- PythonCalc.*decode_step"
    assert len(re.findall(flattened, text)) == 1


def test_only_batches_are_given_to_index_and_collector(types: EventTypes) -> None:
    lines = plan.explain(config(), types).splitlines()
    for below, column in (("index_step(", "index_batch"), (".collect]", "files")):
        line = lines[next(i for i, line in enumerate(lines) if below in line) + 1]
        assert f"Calc(select=[{column}], where=[{column} IS NOT NULL])" in line


def test_nothing_but_batches_leaves_decode_where_only_files_are_written(types: EventTypes) -> None:
    text = plan.explain(config("index", dead_letters={"path": "s3a://bucket/dead"}), types)
    [call] = operators(text, "decode_step(")
    assert re.search(r"PythonCalc\(select=\[decode_step\([^)]*\) AS f0\]\)", call)
    assert "Calc(select=[f0.files AS files], where=[f0.files IS NOT NULL])" in text


def test_the_plan_shows_what_is_written_of_the_batches(types: EventTypes) -> None:
    text = plan.explain(config(lake={"path": "s3a://bucket/lake", "buckets": 3}), types)
    assert "+- lake: FileSink(path=s3a://bucket/lake) of 3 buckets" in text
    assert "+- archive: FileSink(path=s3a://bucket/archive) of 2 buckets" in text
    assert "each closed after 60 s or 24 MiB" in text
    assert "dead_letters: FileSink" not in text


@pytest.mark.parametrize("without", ["archive", "lake", "index", "dead_letters"])
def test_every_sink_can_be_left_out(types: EventTypes, without: str) -> None:
    names = step_names(config(without), types)
    assert not [name for name in names if name.split("-")[0].startswith(without)]
    assert "records_kafka" in names


def test_operator_names_are_our_step_names(types: EventTypes) -> None:
    names = step_names(config(), types)
    assert len(names) == len(set(names))
    expected = {"records_kafka", "decode", "index", "dead_letters", "collect"}
    assert expected | {"archive-files", "lake-files"} <= set(names)


def test_a_fourth_event_type_renames_no_operator(types: EventTypes, tmp_path: Path) -> None:
    for path in (ROOT / "schemas").glob("*.avsc"):
        (tmp_path / path.name).write_text(path.read_text())
    scooter = (ROOT / "schemas" / "fhv_trip.avsc").read_text().replace("fhv_trip", "scooter_trip")
    (tmp_path / "scooter_trip.avsc").write_text(scooter)
    before, after = step_names(config(), types), step_names(config(), load(tmp_path))
    assert before == after


EVERYTHING: dict[str, dict[str, Any]] = {
    "source": {"kafka_topics": ["a"], "kinesis_streams": ["s-one"]},
    "archive": {"kafka_topic": "archive", "large_path": "s3a://bucket/large-archive"},
    "dead_letters": {"path": "s3a://bucket/dead-letters"},
    "replicate": {"airport": {"kafka_topic": "airport"}, "mirror": {"kinesis_stream": "mirror"}},
}


def test_operators_have_the_names_by_which_savepoints_know_them(types: EventTypes) -> None:
    """A name that changes here makes savepoints of released versions lose that operator's state."""
    names = {*step_names(config(), types), *step_names(config(**EVERYTHING), types)}
    stateful = sorted(name for name in names if not STATELESS.search(name))
    assert stateful == OPERATORS.read_text().splitlines()


MIXED = {"kafka_topics": ["a"], "kinesis_streams": ["s-one", "two"]}


def test_mixed_sources_are_each_scanned_once(types: EventTypes) -> None:
    text = plan.explain(config(source=MIXED), types)
    scans = re.findall(r"TableSourceScan\(table=\[\[\w+, \w+, (records_[\w-]+)", text)
    assert sorted(scans) == ["records_kafka", "records_s-one", "records_two"]
    assert text.count("decode_step(") == len(operators(text, "index_step(")) == 1


def operators_run(config: Config, types: EventTypes) -> list[str]:
    """Return the names of the operators that Flink would run."""
    stream, tables = flink.environment(flink_settings(config.job))
    job.build(Flow.of(stream, tables, config), config, types).attach(stream, config)
    graph = stream._j_stream_execution_environment.getStreamGraph(False)
    return [str(node["type"]) for node in json.loads(graph.getStreamingPlanAsJSON())["nodes"]]


def test_what_is_for_the_planner_alone_does_not_run(types: EventTypes) -> None:
    mixed = config(source=MIXED)
    assert "records_shared" in plan.explain(mixed, types)
    assert not [name for name in operators_run(mixed, types) if "shared" in name]


@pytest.mark.parametrize("success_file", [False, True])
def test_a_success_file_is_written_after_the_commit(types: EventTypes, success_file: bool) -> None:
    lake = {"path": "s3a://bucket/lake", "success_file": success_file}
    names = [name for name in operators_run(config(lake=lake), types) if name.startswith("lake: ")]
    assert names == ["lake: Writer", "lake: Committer", *["lake: success"] * success_file]


def test_a_stream_beside_the_topics_renames_no_operator_with_state(types: EventTypes) -> None:
    before, after = (set(step_names(each, types)) for each in (config(), config(source=MIXED)))
    stateful = {name for name in before if not name.endswith("columns")}
    assert stateful <= after


def test_replicas_add_no_decode_and_each_has_its_own_sink(types: EventTypes) -> None:
    replicas = {
        "airport": {"kafka_topic": "airport", "filter": "pickup_location_id = 132"},
        "mirror": {"kinesis_stream": "mirror", "value": "raw", "event_types": ["trip"]},
    }
    changed = config(replicate=replicas)
    text = plan.explain(changed, types)
    assert text.count("decode_step(") == 1
    assert "(d_field_pickup_location_id = 132)" in text
    names = step_names(changed, types)
    assert {"replicate_airport", "replicate_mirror"} <= set(names)
    assert {"replicate_airport-too_large", "replicate_mirror-too_large"} <= set(names)


def row_columns(text: str) -> set[str]:
    """Return the columns of decode's answer, as the view `decoded` has them."""
    return set(re.findall(r"\bf0\.(\w+) AS", text))


def test_rows_leave_decode_only_for_replicas_with_what_these_read(types: EventTypes) -> None:
    files = {"dead_letters": {"path": "s3a://bucket/dead"}}
    assert row_columns(plan.explain(config(**files), types)) == {"files", "index_batch"}
    replicas = {"raw": {"kafka_topic": "raw", "value": "raw", "filter": "pickup_location_id = 1"}}
    found = row_columns(plan.explain(config(**files, replicate=replicas), types))
    assert "field_pickup_location_id" in found
    unread = {f"field_{column.name}" for column in types.columns}
    unread -= {"field_pickup_location_id"}
    assert not found & {"document", *unread}


def test_the_index_is_asked_without_dead_letters_too(types: EventTypes) -> None:
    assert "index" in step_names(config("dead_letters"), types)


def test_large_records_are_weighed_once(types: EventTypes) -> None:
    changed = config(
        archive={"kinesis_stream": "archive", "large_path": "s3a://bucket/large-archive"},
        dead_letters={"kafka_topic": "dead", "large_path": "s3a://bucket/large"},
        source=MIXED,
    )
    text = plan.explain(changed, types)
    assert text.count("claim_check_archive(") == text.count("claim_check_dead_letters(") == 1


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("no_such_field = 1", "Column 'no_such_field' not found"),
        ("pickup_location_id +", "Encountered"),
        ("pickup_location_id", "must be a condition"),
    ],
)
def test_a_wrong_filter_is_told_with_its_key(types: EventTypes, condition: str, said: str) -> None:
    replicas = {"airport": {"kafka_topic": "airport", "filter": condition}}
    with pytest.raises(UserError, match=r"replicate.airport.filter is") as caught:
        plan.explain(config(replicate=replicas), types)
    assert said in str(caught.value)


def test_the_command_prints_the_plan_and_no_warning() -> None:
    command = [str(Path(sys.executable).parent / "streaming-etl"), "plan"]
    done = subprocess.run(
        [*command, "--config", "conf/minimal.yaml"], capture_output=True, text=True, cwd=ROOT
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "decode_step(" in done.stdout


def test_events_to_nowhere(types: EventTypes) -> None:
    changed = config("archive", "lake", "index", job={"discard": True})
    names = step_names(changed, types)
    assert "discard" in names and "decode" in names


@pytest.mark.parametrize("without", ["", "index"])
def test_decode_gets_the_redrive_headers_as_one_column(types: EventTypes, without: str) -> None:
    text = plan.explain(config(without), types)
    [packing] = [line for line in text.splitlines() if "CONCAT_WS(' ', " in line]
    assert all(f"ITEM(headers, '{name}')" in packing for name in HEADERS)
    assert "CASE(DECODE(ITEM(headers, 'redrive_step'), 'UTF-8') IS NOT NULL" in packing
    streams = {"kinesis_streams": ["s-one"]}
    assert "redrive_" not in plan.explain(config("kafka", without, source=streams,
        dead_letters={"path": "s3a://bucket/dead"}), types)  # fmt: skip


def test_archived_records_have_the_position_of_their_headers(types: EventTypes) -> None:
    source = {"kafka_topics": ["again"], "archived_from": ["kafka", "kinesis"]}
    text = plan.explain(config("archive", source=source), types)
    assert text.count("TableSourceScan(") == text.count("decode_step(") == 1
    for name in ("topic", "offset", "shard", "sequence_number"):
        assert f"'source.{name}'" in text


def test_replicas_too_large_are_packed_once_for_the_files_of_dead_letters(
    types: EventTypes,
) -> None:
    text = plan.explain(config(**EVERYTHING), types)
    assert len(operators(text, "pack_step(")) == 1


@pytest.mark.parametrize("without", ["index", "lake"])
def test_no_timestamp_is_given_to_python(types: EventTypes, without: str) -> None:
    """pandas' timestamps end in 2262, and a producer's may not: the batch would fail for ever."""
    text = plan.explain(config(without), types)
    calls = [line for line in text.splitlines() if "PythonCalc(" in line and "_step(" in line]
    arguments = [re.findall(r"(?:decode|index)_step\(([^)]*)\)", line)[0] for line in calls]
    assert arguments and not [argument for argument in arguments if "arrival_time" in argument]
