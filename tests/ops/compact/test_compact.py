"""Small files become large ones: the same rows, by event time, and only where it pays."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from connectors.errors import UserError
from pipeline.ops.compact import merge
from pipeline.ops.compact.run import manifest_path
from pipeline.ops.lake.content import record_path
from tests import python_typed
from tests.ops.compact.lakes import GRACE, GREEN, TRIPS, UNMARKED, UTC, Lakes, parquet
from tests.python_typed import REFUSAL

ALL = list(range(12))


def test_small_files_become_one_with_the_same_rows_by_event_time(either: Lakes) -> None:
    report = either.run()
    assert (report.files_before, report.files_after) == (4, 1)
    assert (report.merged_files, report.replaced_files, report.merged_rows) == (1, 4, 12)
    assert report.problems == report.left == []
    assert either.offsets() == ALL
    (path,) = [each.path for each in either.lake.listing()]
    with either.lake.open(path) as file:
        table = pq.ParquetFile(file).read()
    assert table.column("pickup_datetime").to_pylist() == sorted(
        table.column("pickup_datetime").to_pylist()
    )
    assert table.schema.equals(pq.read_schema(pa.BufferReader(parquet([0]))))


def test_new_files_count_at_once_and_are_merged_with_what_was_merged(lakes: Lakes) -> None:
    lakes.run()
    lakes.write("part-9", [100, 101])
    assert lakes.offsets() == [*ALL, 100, 101]
    lakes.run()
    assert lakes.offsets() == [*ALL, 100, 101]
    (name,) = lakes.names()
    assert name.startswith("compacted-000002-")
    assert lakes.run().merged_files == 0


def test_what_is_large_new_or_too_little_stays(lakes: Lakes) -> None:
    size = max(each.size for each in lakes.lake.listing())
    for limit in ({"min_files": 5}, {"older_than_seconds": 60}, {"target_bytes": size}):
        assert lakes.run(**limit).merged_files == 0
    assert lakes.names() == [f"part-{number}" for number in range(4)]


def test_a_merged_file_ends_at_the_target(lakes: Lakes) -> None:
    size = max(each.size for each in lakes.lake.listing())
    for number in (4, 5):
        lakes.write(f"part-{number}", range(3 * number, 3 * number + 3))
    assert lakes.run(target_bytes=2 * size + 100).merged_files == 2
    assert lakes.offsets() == list(range(18))


def test_a_merged_file_ends_where_the_memory_for_it_does(
    lakes: Lakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = pq.read_table(pa.BufferReader(parquet([0, 1, 2]))).nbytes
    monkeypatch.setattr(merge, "DECODED_BYTES", 2 * rows)
    assert lakes.run().merged_files == 2
    assert lakes.offsets() == ALL


def test_files_of_another_schema_are_not_mixed(lakes: Lakes) -> None:
    tip = {"tip": pa.array([1.0, 2.0])}
    lakes.write("part-7", [20, 21], tip)
    lakes.write("part-8", [22, 23], tip)
    report = lakes.run()
    assert (report.merged_files, report.files_after) == (2, 2)
    assert lakes.offsets() == [*ALL, 20, 21, 22, 23]
    contents = [BytesIO(lakes.lake.read(each.path)) for each in lakes.lake.listing()]
    found = [pq.read_schema(content).names for content in contents]
    assert sorted("tip" in names for names in found) == [False, True]


def test_files_from_before_0_3_are_merged_with_newer_ones(lakes: Lakes) -> None:
    for number in (4, 5):
        lakes.write(f"part-{number}", range(3 * number, 3 * number + 3), time=UNMARKED)
    planned = lakes.compaction().plan()
    assert (planned.merged_files, planned.merged_rows) == (1, 18)
    report = lakes.run()
    assert (report.merged_files, report.merged_rows, report.problems) == (1, 18, [])
    (path,) = [each.path for each in lakes.lake.listing()]
    with lakes.lake.open(path) as file:
        table = pq.ParquetFile(file).read()
    times = table.column("pickup_datetime")
    assert times.type == UTC
    assert [each.value for each in times] == sorted(
        each.value
        for offset in range(18)
        for each in pq.read_table(BytesIO(parquet([offset]))).column("pickup_datetime")
    )


def test_doubled_rows_stay_doubled_for_reconcile_to_find(lakes: Lakes) -> None:
    lakes.write("part-5", [3, 4])
    lakes.run()
    assert lakes.offsets() == sorted([*ALL, 3, 4])


def test_what_lies_under_no_event_type_is_left_alone(lakes: Lakes) -> None:
    foreign = TRIPS.replace("trip/", "boats/")
    lakes.write("part-1", [1], partition=foreign)
    lakes.write("part-2", [2], partition=foreign)
    assert lakes.run().left == ["boats: is the folder of no event type"]
    assert lakes.offsets() == sorted([*ALL, 1, 2])


def test_only_what_was_asked_for_is_merged(lakes: Lakes) -> None:
    for number in range(2):
        lakes.write(f"part-{number}", [50 + number], partition=GREEN)
    assert lakes.run(below=("green_trip",)).replaced_files == 2
    assert len(lakes.names()) == 4
    assert lakes.run(below=(TRIPS,)).replaced_files == 4


def test_a_file_with_a_python_type_is_refused(lakes: Lakes) -> None:
    foreign = python_typed.parquet(pq.read_table(pa.BufferReader(parquet([50]))))
    lakes.store.write(f"{TRIPS}/foreign", foreign)
    with pytest.raises(UserError, match=f"foreign isn't a readable Parquet file: {REFUSAL}"):
        lakes.run()


def test_a_merged_file_that_cannot_be_read_back_is_a_problem(lakes: Lakes) -> None:
    lakes.store.write(f"{TRIPS}/merged", b"PAR1 and no more")
    problem = merge.problem(lakes.store, f"{TRIPS}/merged", pq.read_table(BytesIO(parquet([1]))))
    assert problem.startswith(f"{TRIPS}/merged: cannot be read back: ")


def test_a_file_without_the_event_time_is_refused(lakes: Lakes) -> None:
    for number in range(2):
        lakes.write(f"odd-{number}", [50 + number], partition=GREEN)
    other = TRIPS.replace("trip/", "green_trip/").replace("041", "042")
    table = pa.table({"source_offset": pa.array([1], pa.int64())})
    for name in ("a", "b"):
        sink = pa.BufferOutputStream()
        pq.write_table(table, sink)
        lakes.store.write(f"{other}/{name}", sink.getvalue().to_pybytes())
    with pytest.raises(UserError, match="no column 'pickup_datetime'"):
        lakes.run()


def test_a_dry_run_says_what_would_be_done_and_does_nothing(lakes: Lakes) -> None:
    report = lakes.compaction(clean=True).plan()
    assert (report.partitions, report.replaced_files, report.deleted_files) == (1, 4, 0)
    assert len(lakes.names()) == 4
    lakes.run()
    lakes.later = GRACE
    assert lakes.compaction(clean=True).plan().deleted_files == 4


def test_originals_stay_for_the_grace_period_and_their_names_for_another(either: Lakes) -> None:
    either.run()
    assert either.run(clean=True).deleted_files == 0
    folder = f"{TRIPS}/"
    originals = [p.path for p in either.store.listing() if p.path.startswith(folder)]
    assert len(originals) == 4, "readers that only list folders still see them"
    either.later = GRACE
    assert either.run(clean=True).deleted_files == 4
    assert either.store.listing() == []
    assert len(either.lake.partitions()[0].record.replaced) == 4
    either.later = 2 * GRACE
    assert either.run(clean=True).deleted_files == 0
    assert either.lake.partitions()[0].record.replaced == ()
    assert either.offsets() == ALL


def test_merged_files_of_older_generations_go_too(lakes: Lakes) -> None:
    lakes.run()
    lakes.write("part-9", [100])
    lakes.run()
    lakes.later = GRACE
    assert lakes.run(clean=True).deleted_files == 6
    assert [each.path.rpartition("/")[2] for each in lakes.lake.listing()] == lakes.names()
    assert lakes.offsets() == [*ALL, 100]


def test_nothing_is_deleted_when_a_merged_file_is_gone(lakes: Lakes) -> None:
    lakes.run()
    (merged,) = lakes.lake.partitions()[0].record.files
    lakes.store.delete(merged.path)
    lakes.later = GRACE
    report = lakes.run(clean=True)
    assert report.deleted_files == 0
    assert "is in the record of its partition and not there" in report.problems[0]
    with pytest.raises(UserError, match="is gone now"):
        lakes.offsets()


def test_a_merged_file_that_reads_back_otherwise_never_counts(
    lakes: Lakes, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = merge.encoded
    monkeypatch.setattr(merge, "encoded", lambda table: right(table.slice(1)))
    report = lakes.run()
    assert "read back differ" in report.problems[0]
    assert len(lakes.names()) == 4
    assert not any("compacted-" in each.path for each in lakes.store.everything())


def test_a_record_that_is_damaged_is_named(lakes: Lakes) -> None:
    lakes.run()
    lakes.store.write(record_path(TRIPS), b'{"generation": "one"}')
    with pytest.raises(UserError, match="record.json isn't a record"):
        lakes.offsets()


def test_readers_that_list_folders_see_the_originals_until_they_are_deleted(
    lakes: Lakes,
) -> None:
    folder = lakes.uri.removeprefix("file://")
    lakes.run()
    foreign = ds.dataset(f"{folder}/trip", partitioning="hive").to_table()
    assert sorted(foreign.column("source_offset").to_pylist()) == ALL


def test_a_manifest_names_the_files_that_count(lakes: Lakes) -> None:
    lakes.write("part-1", [50], partition=GREEN)
    assert lakes.run(manifests=True).manifests == 2
    (named,) = lakes.store.read(manifest_path(TRIPS)).decode().splitlines()
    assert named.startswith(f"{lakes.uri}/_compacted/{TRIPS}/compacted-")
    assert sorted(pq.read_table(named.removeprefix("file://"))["source_offset"].to_pylist()) == ALL


def test_cleaning_without_the_manifests_that_are_there_is_refused(lakes: Lakes) -> None:
    lakes.run(manifests=True)
    with pytest.raises(UserError, match="give --manifests too"):
        lakes.run(clean=True)


def test_the_record_is_plain_json(lakes: Lakes) -> None:
    lakes.run()
    text = (Path(lakes.uri.removeprefix("file://")) / record_path(TRIPS)).read_text()
    record = json.loads(text)
    assert record["generation"] == 1
    assert [each["rows"] for each in record["replaced"]] == [3, 3, 3, 3]
    assert {each["into"] for each in record["replaced"]} == {record["files"][0]["path"]}
