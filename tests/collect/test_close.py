"""Streams become one Parquet file for each folder: every row once, sorted, and readable by all."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.arrow import open_parquet
from pipeline.collect import memory, sorted_rows
from pipeline.collect.close import File, files
from pipeline.collect.errors import CollectError
from pipeline.collect.stream import FOLDER, encode
from tests import every_kind

SCHEMA = pa.schema(
    [
        pa.field("trip_id", pa.int64()),
        pa.field("time", pa.timestamp("ms", "UTC")),
        pa.field("topic", pa.string()),
        pa.field("offset", pa.int64()),
        pa.field("fare", pa.float64()),
        pa.field("flag", pa.bool_()),
        pa.field("raw", pa.binary()),
        pa.field("names", pa.list_(pa.string())),
        pa.field("values", pa.list_(pa.binary())),
    ]
)
ORDER = ("time", "topic", "offset")
SECRET = "s3cr3t"
BUCKET_BYTES = 24 << 20

Row = dict[str, Any]


def stream(found: Sequence[tuple[str, Row]], schema: pa.Schema = SCHEMA) -> bytes:
    """A stream of rows, each with its folder."""
    batch = pa.RecordBatch.from_pylist([row for _, row in found], schema)
    folders = pa.array([folder for folder, _ in found], pa.string()).dictionary_encode()
    return encode(batch, folders, [name for name in ORDER if name in schema.names])


def row(number: int, **values: Any) -> Row:
    return {
        "trip_id": number, "time": number % 7 * 1000, "topic": "trips", "offset": number,
        "fare": number / 4, "flag": number % 2 == 0, "raw": b"{}", "names": ["a"], "values": [b"b"],
    } | values  # fmt: skip


def read(file: File) -> pa.Table:
    return open_parquet(io.BytesIO(file.data)).read()


def metadata(file: File) -> Any:
    return open_parquet(io.BytesIO(file.data)).metadata


def closed(streams: Iterable[bytes]) -> list[File]:
    return list(files("lake", streams, "ZSTD", BUCKET_BYTES))


TIMES = st.one_of(st.none(), st.integers(-(2**40), 2**42))
ROWS = st.fixed_dictionaries(
    {
        "trip_id": st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)),
        "time": TIMES.map(lambda ms: None if ms is None else pa.scalar(ms, SCHEMA[1].type).as_py()),
        "topic": st.sampled_from([None, "", "a", "b", "é"]),
        "offset": st.one_of(st.none(), st.integers(-(2**62), 2**62)),
        "fare": st.one_of(st.none(), st.floats(allow_nan=False)),
        "flag": st.one_of(st.none(), st.booleans()),
        "raw": st.one_of(st.none(), st.binary(max_size=9)),
        "names": st.one_of(st.none(), st.lists(st.sampled_from(["a", "b", ""]), max_size=3)),
        "values": st.one_of(st.none(), st.lists(st.one_of(st.none(), st.binary(max_size=3)))),
    }
)
PLACED = st.tuples(st.sampled_from(["t/p=1", "t/p=2", "u/p=unknown"]), ROWS)
STREAMS = st.lists(st.lists(PLACED, min_size=1, max_size=6), max_size=5)


def key(values: Row) -> str:
    return repr(sorted(values.items(), key=lambda item: item[0]))


@settings(deadline=None)
@given(
    STREAMS,
    st.sampled_from([1, 4, sorted_rows.ROW_GROUP]),
    st.sampled_from([0, 100, 1 << 28]),
    st.sampled_from([1, 200, 1 << 28]),
)
def test_files_hold_the_rows_of_the_streams(
    given_streams: list[list[tuple[str, Row]]], row_group: int, large: int, bucket_bytes: int
) -> None:
    expected = defaultdict(list)
    for folder, values in (each for found in given_streams for each in found):
        expected[folder].append(key(values))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sorted_rows, "ROW_GROUP", row_group)
        patch.setattr(sorted_rows, "_LARGE", large)
        written = list(files("lake", map(stream, given_streams), "ZSTD", bucket_bytes))
    found: dict[str, list[str]] = defaultdict(list)
    for file in written:
        table = read(file)
        assert table.schema.remove_metadata() == parquet_schema()
        assert table.num_rows == file.rows
        found[file.path] += [key(values) for values in table.to_pylist()]
        numbers = table.select(ORDER).to_pylist()
        assert numbers == sorted(numbers, key=nulls_first)
    assert {path: sorted(keys) for path, keys in found.items()} == {
        path: sorted(keys) for path, keys in expected.items()
    }


def nulls_first(values: Row) -> list[tuple[bool, Any]]:
    return [(value is not None, value) for value in values.values()]


def parquet_schema() -> pa.Schema:
    """As Parquet's own types give it: the elements of lists have another name."""
    kinds = {"names": pa.string(), "values": pa.binary()}
    fields = [
        pa.field(field.name, pa.list_(pa.field("element", kinds[field.name])))
        if field.name in kinds
        else field
        for field in SCHEMA
    ]
    return pa.schema(fields)


def test_one_file_a_folder_in_order_of_time_then_position() -> None:
    first = stream([("a", row(5)), ("a", row(3)), ("b", row(1))])
    second = stream([("a", row(12)), ("a", row(4)), ("c", row(2))])
    written = closed([first, second])
    assert [(file.path, file.rows) for file in written] == [("a", 4), ("b", 1), ("c", 1)]
    assert read(written[0]).column("offset").to_pylist() == [3, 4, 5, 12]


def test_a_folder_that_no_row_has_is_no_file() -> None:
    batch = pa.RecordBatch.from_pylist([row(1)], SCHEMA)
    folders = pa.DictionaryArray.from_arrays(pa.array([1], pa.int32()), ["a", "b"])
    assert [file.path for file in closed([encode(batch, folders, ORDER)])] == ["b"]


def test_streams_of_two_schema_versions_are_two_files_of_a_folder() -> None:
    wider = SCHEMA.append(pa.field("tip", pa.float64()))
    other_type = SCHEMA.set(4, pa.field("fare", pa.float32()))
    old = [stream([("a", row(number))]) for number in (1, 2)]
    new = stream([("a", row(3, tip=0.5))], wider)
    written = closed([old[0], new, old[1], stream([("a", row(4))], other_type)])
    assert [(file.path, file.rows) for file in written] == [("a", 2), ("a", 1), ("a", 1)]
    assert read(written[1]).to_pylist()[0]["tip"] == 0.5


def test_rows_that_do_not_fit_into_memory_are_further_files() -> None:
    streams = [stream([("a", row(number, raw=b"x" * 100_000))]) for number in range(9)]
    assert max(map(len, streams)) < 4000
    written = list(files("archive", streams, "ZSTD", 100_000))
    assert [file.rows for file in written] == [4, 4, 1]


def test_timestamps_are_adjusted_to_utc() -> None:
    (file,) = closed([stream([("a", row(1))])])
    text = str(metadata(file).schema.column(1).logical_type)
    assert "isAdjustedToUTC=true" in text and "milliseconds" in text


def test_row_groups_have_statistics_but_of_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sorted_rows, "ROW_GROUP", 10)
    (file,) = closed([stream([("a", row(number)) for number in range(25)])])
    found = metadata(file)
    assert [found.row_group(i).num_rows for i in range(3)] == [10, 10, 5]
    columns = {found.schema.column(i).path: i for i in range(found.num_columns)}
    times = [found.row_group(i).column(columns["time"]).statistics for i in range(3)]
    assert [times[0].min.second, times[-1].max.second] == [0, 6]
    assert all(a.max <= b.min for a, b in zip(times, times[1:], strict=False))
    assert found.row_group(0).column(columns["raw"]).statistics is None
    assert found.row_group(0).column(columns["topic"]).statistics.max == "trips"


def test_repeated_values_have_a_dictionary_and_ids_have_none() -> None:
    (file,) = closed([stream([("a", row(number, fare=number % 9)) for number in range(400)])])
    chunks = [metadata(file).row_group(0).column(i) for i in range(9)]
    encoded = {chunk.path_in_schema for chunk in chunks if chunk.has_dictionary_page}
    assert {"time", "fare", "flag"} >= encoded >= {"time", "fare"}
    assert {chunk.compression for chunk in chunks} == {"ZSTD"}


@pytest.mark.parametrize("compression", ["SNAPPY", "GZIP"])
def test_other_codecs(compression: str) -> None:
    (file,) = files("lake", [stream([("a", row(1))])], compression, BUCKET_BYTES)
    assert metadata(file).row_group(0).column(0).compression == compression


def test_what_cannot_be_read_names_step_and_error_type() -> None:
    with pytest.raises(
        CollectError, match=r"^lake: rows of a stream can't be written: ArrowInvalid$"
    ):
        closed([SECRET.encode()])


def test_what_cannot_be_written_names_its_folder_and_no_value() -> None:
    data = stream([("trip/x=1", row(1, topic=SECRET))])
    with pytest.raises(
        CollectError, match=r"^lake: rows of trip/x=1 can't be written: \w+$"
    ) as raised:
        list(files("lake", [data], SECRET, BUCKET_BYTES))
    assert SECRET not in str(raised.value) and raised.value.__suppress_context__


def test_no_stream_is_no_file() -> None:
    assert closed([]) == []


def test_the_folder_is_no_column() -> None:
    (file,) = closed([stream([("a", row(1))])])
    assert FOLDER not in read(file).schema.names


def test_memory_is_given_back() -> None:
    allocated = pa.default_memory_pool().bytes_allocated
    rows = [stream([("a", row(number)) for number in range(1000)])]
    before = allocated()
    list(files("lake", rows, "ZSTD", BUCKET_BYTES))
    memory.release()
    assert allocated() <= before


def test_columns_of_all_kinds_come_back() -> None:
    """Values that repeat, so that columns have dictionaries where they can."""
    rows = every_kind.ROWS * 500
    columns = every_kind.columns(rows) | {"offset": pa.array(range(len(rows)), pa.int64())}
    folders = pa.array(["e/day=1"] * len(rows), pa.string()).dictionary_encode()
    batch = pa.RecordBatch.from_arrays(list(columns.values()), list(columns))
    data = encode(batch, folders, ["at_ns", "offset"])
    (file,) = files("lake", [data], "ZSTD", BUCKET_BYTES)
    places = pa.array(read(file)["offset"].to_numpy())
    written = pa.Table.from_batches([batch]).take(places)
    for name, column in columns.items():
        # Parquet's own types have other names for what is in a list or map.
        assert read(file)[name].to_pylist() == written[name].to_pylist()
        assert str(read(file)[name].type).split("<")[0] == str(column.type).split("<")[0]
