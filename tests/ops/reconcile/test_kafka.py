"""A Kafka topic with everything as files, damaged in one way or another, on a real broker."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from rich.console import Console

from connectors.errors import UserError
from pipeline.ops.reconcile.options import span
from pipeline.progress import Steps
from tests.ops.compact.lakes import Lakes
from tests.ops.reconcile.plant import (
    MADE,
    Plant,
    World,
    apart,
    found,
    is_event,
    is_reject,
    on_topic,
    place,
    places,
    send_letters,
)
from tests.ops.reconcile.sinks import Record


def in_file(plant: Plant, path: Path) -> list[Record]:
    """The records whose rows lie in a file of the lake."""
    table = pq.read_table(path, columns=["source_partition", "source_offset"]).to_pylist()
    where = {(row["source_partition"], row["source_offset"]) for row in table}
    return plant.of(lambda r: (r.position.partition, r.position.offset) in where)


def test_a_faultless_run_is_faultless(plant: Plant) -> None:
    report = plant.reconcile()
    assert report.problems() == []
    assert report.ok
    events, rejects = plant.of(is_event), plant.of(is_reject)
    assert (report.row("lake").due, report.row("lake").observed) == (len(events), len(events))
    assert report.row("dead_letters").observed == len(rejects) > 20
    assert report.row("archive").due == report.row("archive").observed == len(MADE)
    figures = report.row("source").figures
    assert figures["dead_letters"] == len(rejects)
    assert figures["control"] == len(MADE) - len(events) - len(rejects)
    assert figures["pending"] == 0
    assert "values_not_compared" not in report.row("lake").figures
    assert report.peak_rss_bytes > 0
    assert report.rejects is not None and report.lake_files is not None
    counted = {(each.step, each.reason): each.count for each in report.rejects}
    assert counted == Counter(("decode", record.made.expect) for record in rejects)
    assert report.lake_files.files == report.row("lake").figures["files"]
    assert report.lake_files.bytes == report.row("lake").figures["bytes"]


def test_a_compacted_lake_is_as_faultless(world: World, tmp_path: Path) -> None:
    plant = on_topic(world, tmp_path, events_a_file=1)
    merged = Lakes(plant.config["lake"]["path"]).run().merged_files
    assert merged > 0
    report = plant.reconcile()
    assert report.problems() == []
    assert report.row("lake").observed == len(plant.of(is_event))


def test_files_from_before_0_3_hold_the_same_values(plant: Plant) -> None:
    for path in plant.lake_files()[::2]:
        table = pq.read_table(path)
        for number, column in enumerate(table.schema):
            if pa.types.is_timestamp(column.type):
                unmarked = table.column(number).cast(pa.timestamp("ms"))
                table = table.set_column(number, column.name, unmarked)
        path.unlink()
        pq.write_table(table, path.with_suffix(""))
    report = plant.reconcile()
    assert report.problems() == report.notes == []


def test_a_deleted_lake_file_names_its_positions(plant: Plant) -> None:
    path = plant.lake_files()[3]
    lost = in_file(plant, path)
    path.unlink()
    report = plant.reconcile()
    assert found(report) == {("lake", "missing"): places(lost)}
    assert any("in open files of the job's savepoint" in note for note in report.notes)
    assert found(plant.reconcile(from_archive=True)) == {("lake", "missing"): places(lost)}


def test_a_duplicated_lake_file_names_each_copy(plant: Plant) -> None:
    path = plant.lake_files()[5]
    path.with_name("copy.parquet").write_bytes(path.read_bytes())
    assert found(plant.reconcile()) == {("lake", "doubled"): places(in_file(plant, path))}


def test_a_file_in_another_month_is_misplaced(plant: Plant) -> None:
    path = plant.lake_files()[0]
    rows = in_file(plant, path)
    other = path.parent.parent / "month=07"
    other.mkdir()
    path.rename(other / path.name)
    assert found(plant.reconcile()) == {("lake", "misplaced"): places(rows)}


def test_a_file_of_another_type_is_misplaced(plant: Plant) -> None:
    path = next(path for path in plant.lake_files() if "/green_trip/" in str(path))
    rows = in_file(plant, path)
    other = Path(str(path.parent).replace("/green_trip/", "/trip/"))
    other.mkdir(parents=True, exist_ok=True)
    path.rename(other / "moved")
    errors = found(plant.reconcile())
    assert errors[("lake", "misplaced")] == places(rows)
    assert set(errors) <= {("lake", "misplaced"), ("lake", "wrong")}


def test_another_value_in_the_lake_is_wrong(plant: Plant) -> None:
    path = plant.lake_files()[0]
    table = pq.read_table(path)
    column = table.column_names.index("dropoff_location_id")
    other = pa.array([value % 265 + 1 for value in table.column(column).to_pylist()])
    pq.write_table(table.set_column(column, "dropoff_location_id", other), path)
    assert found(plant.reconcile()) == {("lake", "wrong"): places(in_file(plant, path))}
    assert found(plant.reconcile(values=False)) == {}


def test_a_row_of_no_record_is_unexpected(plant: Plant) -> None:
    path = plant.lake_files()[0]
    table = pq.read_table(path)
    column = table.column_names.index("source_offset")
    beyond = pa.array([999_000 + number for number in range(len(table))])
    moved = table.set_column(column, "source_offset", beyond)
    pq.write_table(moved, path.with_name("stray"))
    assert found(plant.reconcile()) == {}  # Beyond the bounds, it may be of the next checkpoint.
    topic = table.column_names.index("source_topic")
    foreign = moved.set_column(topic, "source_topic", pa.array(["elsewhere"] * len(table)))
    pq.write_table(foreign, path.with_name("stray"))
    partitions = table.column("source_partition").to_pylist()
    expected = {f"elsewhere/{p}@{999_000 + n}" for n, p in enumerate(partitions)}
    assert found(plant.reconcile()) == {("lake", "unexpected"): expected}


def test_a_lost_dead_letter_is_named_with_its_reason(plant: Plant, world: World) -> None:
    rejects = plant.of(is_reject)
    dead = world.topic(partitions=1)
    send_letters(world, dead, rejects[2:])
    plant.config["dead_letters"]["kafka_topic"] = dead
    report = plant.reconcile()
    assert found(report) == {("dead_letters", "missing"): places(rejects[:2])}
    findings = report.row("dead_letters").findings
    told = {
        name: finding.reason
        for finding in findings
        for each in finding.names()
        for name in apart(each)
    }
    assert told == {place(record): record.made.expect for record in rejects[:2]}


def test_copies_and_strange_dead_letters(own: Plant, world: World) -> None:
    rejects, events = own.of(is_reject), own.of(is_event)
    dead = own.config["dead_letters"]["kafka_topic"]
    send_letters(world, dead, rejects[:3])
    both = events[0]
    send_letters(world, dead, [both], reason="wrong_type")
    stray = Record(both.made, both.position._replace(topic="elsewhere"))
    send_letters(world, dead, [stray])
    altered = Record(MADE[0], rejects[5].position)
    send_letters(world, dead, [altered])
    send_letters(world, dead, [events[1]], step="index", reason="index_unavailable")
    report = own.reconcile()
    assert found(report) == {
        ("lake", "doubled"): places([both]),
        ("dead_letters", "unexpected"): places([stray]),
        ("dead_letters", "wrong"): places([altered]),
    }
    copies = [
        finding for finding in report.row("dead_letters").findings if finding.kind == "doubled"
    ]
    assert [(copy.count, copy.is_error) for copy in copies] == [(4, False)]
    assert report.row("dead_letters").figures["of_index"] == 1


def test_damage_in_the_archive_is_named(plant: Plant) -> None:
    paths = sorted(path for path in plant.sinks.archive.rglob("*") if path.is_file())
    table = pq.read_table(paths[0])
    raws = table.column("raw").to_pylist()
    raws[3] = (raws[3] or b"") + b" "
    pq.write_table(table.set_column(0, "raw", pa.array(raws, pa.binary())).slice(2), paths[0])
    other = paths[1].parent.parent / "arrival_hour=06"
    other.mkdir()
    paths[1].rename(other / paths[1].name)
    by_partition = [plant.of(lambda r, p=p: r.position.partition == p) for p in (0, 1)]  # type: ignore[misc]
    assert found(plant.reconcile()) == {
        ("archive", "missing"): places(by_partition[0][:2]),
        ("archive", "wrong"): places(by_partition[0][3:4]),
        ("archive", "misplaced"): places(by_partition[1]),
    }


def test_what_left_the_source_is_judged_by_the_archive(own: Plant, world: World) -> None:
    lost = next(r for r in own.of(is_event) if r.position.partition == 0)
    cut = {0: (lost.position.offset or 0) + 10, 1: 15}
    admin = AdminClient({"bootstrap.servers": world.brokers})
    asked = [TopicPartition(own.topic, p, offset) for p, offset in cut.items()]
    for future in admin.delete_records(asked).values():
        future.result()
    report = own.reconcile()
    assert report.ok, report.problems()
    assert report.row("source").due == len(MADE)
    assert any("no longer in the source" in note for note in report.notes)
    path = next(path for path in own.lake_files() if lost in in_file(own, path))
    gone = in_file(own, path)
    path.unlink()
    assert found(own.reconcile()) == {("lake", "missing"): places(gone)}
    del own.config["archive"]
    held = [r for r in gone if (r.position.offset or 0) >= cut.get(r.position.partition or 0, 0)]
    report = own.reconcile()
    assert found(report) == ({("lake", "missing"): places(held)} if held else {})
    assert any("they aren't judged" in note for note in report.notes)


def test_without_an_archive_the_source_is_compared_directly(plant: Plant) -> None:
    del plant.config["archive"]
    path = plant.lake_files()[1]
    lost = in_file(plant, path)
    path.unlink()
    report = plant.reconcile()
    assert found(report) == {("lake", "missing"): places(lost)}
    with pytest.raises(UserError, match="has no archive"):
        plant.reconcile(from_archive=True)


def test_a_running_job_is_judged_as_far_as_it_committed(plant: Plant) -> None:
    plant.config["source"]["kafka_group_id"] = plant.topic
    with pytest.raises(UserError, match="has committed nothing"):
        plant.reconcile(complete=False)
    plant.commit({0: 10, 1: 20}, group=plant.topic)
    report = plant.reconcile(complete=False)
    assert report.ok, report.problems()
    assert report.row("source").due == 30
    assert report.row("source").figures["pending"] == len(MADE) - 30
    assert report.bounds == [f"{plant.topic}/0@0..9", f"{plant.topic}/1@0..19"]
    for path in plant.lake_files():
        path.unlink()
    due = plant.of(
        lambda r: (
            is_event(r)
            and (r.position.offset or 0) < {0: 10, 1: 20}.get(r.position.partition or 0, 0)
        )
    )
    assert found(plant.reconcile(complete=False)) == {("lake", "missing"): places(due)}


class Late(Steps):
    """Makes a hidden file visible when a reconciliation looks again for what is missing."""

    def __init__(self, hidden: Path, path: Path) -> None:
        super().__init__(Console(quiet=True))
        self._hidden = hidden
        self._path = path

    @contextmanager
    def step(
        self, what: str, *, unit: str = "", total: int | None = None
    ) -> Iterator[Callable[[int], None]]:
        if what == "looking again for what is missing" and self._hidden.exists():
            self._hidden.rename(self._path)
        with super().step(what, unit=unit, total=total) as progress:
            yield progress


def test_what_comes_a_moment_later_is_waited_for(plant: Plant) -> None:
    path = plant.lake_files()[2]
    hidden = path.with_name("." + path.name)
    path.rename(hidden)
    report = plant.reconcile(steps=Late(hidden, path), settle_seconds=30.0)
    assert report.ok, report.problems()
    assert report.row("lake").observed == len(plant.of(is_event))
    assert "values_not_compared" not in report.row("lake").figures
    assert "looking again for what is missing" in report.seconds


def test_what_comes_late_is_compared_too(plant: Plant) -> None:
    path = plant.lake_files()[2]
    hidden = path.with_name("." + path.name)
    table = pq.read_table(path)
    column = table.column_names.index("dropoff_location_id")
    other = pa.array([value % 265 + 1 for value in table.column(column).to_pylist()])
    pq.write_table(table.set_column(column, "dropoff_location_id", other), hidden)
    wrong = places(in_file(plant, path))
    path.unlink()
    report = plant.reconcile(steps=Late(hidden, path), settle_seconds=30.0)
    assert found(report) == {("lake", "wrong"): wrong}


def test_ranges_and_times_bound_what_is_judged(plant: Plant) -> None:
    for path in plant.lake_files():
        path.unlink()
    asked = (span(f"{plant.topic}/0@5..14"), span(f"{plant.topic}/2@..3"))
    due = plant.of(
        lambda r: (
            is_event(r)
            and (r.position.partition, r.position.offset)
            in {*((0, n) for n in range(5, 15)), *((2, n) for n in range(4))}
        )
    )
    report = plant.reconcile(spans=asked)
    assert report.row("source").due == 14
    assert found(report) == {("lake", "missing"): places(due)}
    arrived = 1_519_882_200_000
    assert plant.reconcile(since=arrived + 1).row("source").due == 0
    assert plant.reconcile(until=arrived).row("source").due == 0
    assert plant.reconcile(since=arrived, until=arrived + 1).row("source").due == len(MADE)
    with pytest.raises(UserError, match="reads no 'other'"):
        plant.reconcile(spans=(span("other/0@1..2"),))


def test_the_command_exits_with_what_it_found(plant: Plant, tmp_path: Path) -> None:
    program = [str(Path(sys.executable).parent / "streaming-etl"), "reconcile", "--complete"]
    page = tmp_path / "page.html"
    options = ["--config", str(plant.written()), "--html", str(page)]
    fine = subprocess.run([*program, *options], capture_output=True, text=True, check=False)
    assert fine.returncode == 0, fine.stderr
    assert f"lake out: {len(plant.of(is_event))}" in fine.stdout.splitlines()
    assert "Nothing is missing" in page.read_text()
    path = plant.lake_files()[3]
    lost = in_file(plant, path)
    path.unlink()
    out = tmp_path / "found.json"
    more = ["--settle", "0", "--json", "--show", "1", "--out", str(out)]
    bad = subprocess.run([*program, *options, *more], capture_output=True, text=True, check=False)
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["ok"] is False
    assert f"lake: {len(lost)} missing" in page.read_text()
    whole = json.loads(out.read_text())
    lake = next(step for step in whole["steps"] if step["step"] == "lake")
    assert lake["missing"] == len(lost)
    assert {n for name in lake["findings"][0]["names"] for n in apart(name)} == places(lost)
    wrong = [*program, *options, "--range", "nonsense"]
    told = subprocess.run(wrong, capture_output=True, text=True, check=False)
    assert told.returncode == 2
    assert "TOPIC/PARTITION@FIRST..LAST" in told.stderr
