"""Batches become streams, and these files that have what the decoder says of each record."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.arrow import open_parquet, read_stream
from pipeline.collect import rows
from pipeline.collect.archive_rows import ArchiveRows
from pipeline.collect.close import files
from pipeline.collect.errors import CollectError
from pipeline.collect.inputs import NO_TIME, Inputs, binary, inputs
from pipeline.collect.lake_rows import LakeRows, bucket_numbers
from pipeline.collect.letters import Letters, decode_verdict, reject_columns
from pipeline.collect.stream import FOLDER, Stream
from pipeline.config.model import Source
from pipeline.decode.columns import objects
from pipeline.decode.decoder import Event
from pipeline.decode.redriven import Mark
from tests.decode.corpus import DECODER, KEEPING, NAUGHTY, TYPES, VALID, WATERMARK, line

BOTH = Source(kafka_topics=("a",), kinesis_streams=("s",))
TOPIC = Source(kafka_topics=("a",))
STREAM = Source(kinesis_streams=("s",))
KEYS = ("lake/2", "lake/5", "lake/7")
BUCKET_BYTES = 24 << 20
ARRIVED = 1_514_766_600_000
"""2018-01-01T00:30:00Z."""
HOUR = 3_600_000

Row = dict[str, Any]


def arguments(
    source: Source, raws: Sequence[bytes | None], arrived: Iterable[int] = ()
) -> list[Any]:
    """Decode's arguments; odd rows of a job that reads both systems come from the stream."""
    at = range(len(raws))
    times = [*arrived] or [ARRIVED + row for row in at]
    columns = [objects(raws), np.array(times, np.int64), objects([b"k%d" % row for row in at])]
    streamed = [not source.kafka_topics or (source is BOTH and row % 2 == 1) for row in at]
    rows = list(zip(at, streamed, strict=True))
    if source.kafka_topics:
        columns.append(objects([None if from_stream else "a" for from_stream in streamed]))
        partitions = [-1 if from_stream else row % 3 for row, from_stream in rows]
        offsets = [-1 if from_stream else 2**40 + row for row, from_stream in rows]
        columns += [np.array(partitions, np.int32), np.array(offsets, np.int64)]
    if source.kinesis_streams:
        for text in ("s", "shard"):
            columns.append(objects([text if from_stream else None for from_stream in streamed]))
        columns.append(objects([f"{row}" if from_stream else None for row, from_stream in rows]))
    if source.kafka_topics:
        columns += [objects([None for _ in at]), objects([None for _ in at])]
    return columns


def records(source: Source, raws: Sequence[bytes | None], **given: Any) -> Inputs:
    return inputs(source, arguments(source, raws, **given))


def position(found: Inputs, row: int, prefix: str = "") -> Row:
    values = {name: column[row] for name, column in found.position.items()}
    return {f"{prefix}{name}": None if value == -1 else value for name, value in values.items()}


def written(step: str, streams: Iterable[Stream]) -> dict[str, list[Row]]:
    """The rows of the files of these streams, by folder; times are epoch milliseconds."""
    found = {}
    for file in files(step, [stream.data for stream in streams], "ZSTD", BUCKET_BYTES):
        table = open_parquet(io.BytesIO(file.data)).read()
        plain = [
            column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
            for column in table.columns
        ]
        found[file.path] = pa.table(plain, table.column_names).to_pylist()
    return found


def lake_rows(source: Source, *, keep_unknown: bool = False) -> LakeRows:
    return LakeRows(TYPES, source, KEYS, keep_unknown=keep_unknown)


RAWS = st.one_of(
    st.sampled_from([None, b"[]", WATERMARK, *VALID.values()]),
    st.builds(
        line,
        pickup_location_id=st.integers(1, 265),
        pickup_datetime=st.sampled_from(["2018-01-01T00:21:05.000Z", "2019-12-31T23:59:59.999Z"]),
        passenger_count=st.one_of(st.none(), st.integers(0, 20)),
        airport_fee=st.one_of(st.none(), st.floats(-10, 10)),
        store_and_fwd_flag=st.sampled_from(["Y", "N", None]),
        padding=st.sampled_from(NAUGHTY),
    ),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(RAWS, max_size=30), st.sampled_from([BOTH, TOPIC, STREAM]))
def test_files_have_what_the_decoder_says(raws: list[bytes | None], source: Source) -> None:
    given_ = records(source, raws)
    found = written("lake", lake_rows(source).streams(DECODER.decode_batch(given_.raw), given_))
    expected: dict[str, list[Row]] = {}
    for row, raw in enumerate(raws):
        event = DECODER.decode(raw)
        if not isinstance(event, Event):
            continue
        values = {
            **event.values,
            **position(given_, row, "source_"),
            "arrival_time": ARRIVED + row,
            "schema_version": event.schema_version,
        }
        expected.setdefault(event.partition, []).append(values)
    assert set(found) == set(expected)
    for folder, due in expected.items():
        assert sorted(found[folder], key=repr) == sorted(due, key=repr)


def test_columns_are_in_the_order_of_the_schema_and_say_how_to_sort() -> None:
    given_ = records(BOTH, list(VALID.values()))
    streams = lake_rows(BOTH).streams(DECODER.decode_batch(given_.raw), given_)
    schemas = {
        batch[FOLDER][0].as_py().split("/")[0]: batch.schema
        for batch in (read_stream(stream.data) for stream in streams)
    }
    assert set(schemas) == set(TYPES.names)
    for event_type in TYPES:
        names = schemas[event_type.name].names
        assert names[: len(event_type.fields)] == [field.name for field in event_type.fields]
        assert names[len(event_type.fields) :] == [
            *("source_topic", "source_partition", "source_offset"),
            *("source_stream", "source_shard", "source_sequence_number"),
            *("arrival_time", "schema_version", FOLDER),
        ]
        order = schemas[event_type.name].metadata[b"order"].decode().split(",")
        assert order == [event_type.event_time, *names[-9:-3]]
        assert str(schemas[event_type.name].field("arrival_time").type) == "timestamp[ms, tz=UTC]"


def test_a_partition_is_always_in_the_same_bucket_and_its_rows_are_together() -> None:
    raws = [line(pickup_location_id=row * 7 % 265 + 1) for row in range(500)]
    given_ = records(TOPIC, raws)
    decoded = DECODER.decode_batch(given_.raw)
    of_folder: dict[str, set[str]] = {}
    for stream in lake_rows(TOPIC).streams(decoded, given_):
        folders = read_stream(stream.data)[FOLDER].to_pylist()
        runs = 1 + sum(after != before for before, after in zip(folders, folders[1:], strict=False))
        assert runs == len(set(folders))
        for folder in folders:
            of_folder.setdefault(folder, set()).add(stream.key)
    assert len(of_folder) == 265
    assert all(len(keys) == 1 for keys in of_folder.values())
    assert set.union(*of_folder.values()) == set(KEYS)


def test_buckets_are_those_of_earlier_versions_and_filled_alike() -> None:
    """A partition whose bucket changed with a version would have one more file."""
    partitions = [
        f"trip/pickup_location={place:03d}/year=2018/month={month:02d}"
        for place in range(265)
        for month in range(1, 13)
    ]
    assert bucket_numbers(partitions[41 * 12 :][:12], 8).tolist() == PINNED
    for buckets, most in ((3, 1.1), (8, 1.2), (64, 1.5)):  # as even as a hash by name can be
        filled = np.bincount(bucket_numbers(partitions, buckets), minlength=buckets)
        assert filled.max() < most * filled.mean()


PINNED = [5, 0, 7, 5, 1, 7, 7, 1, 0, 0, 6, 1]


def test_unknown_fields_are_a_column_where_they_are_kept() -> None:
    given_ = records(STREAM, [VALID["trip"], line(new=1)])
    decoded = KEEPING.decode_batch(given_.raw)
    found = written("lake", lake_rows(STREAM, keep_unknown=True).streams(decoded, given_))
    (both,) = found.values()
    assert sorted(map(repr, (row["unknown_fields"] for row in both))) == ["'{\"new\":1}'", "None"]


def test_redriven_events_are_in_the_lake_already() -> None:
    given_ = records(TOPIC, [VALID["trip"]] * 4)
    decoded = DECODER.decode_batch(given_.raw)
    streams = lake_rows(TOPIC).streams(decoded, given_, {1: Mark("", ""), 2: Mark("", "")})
    (found,) = written("lake", streams).values()
    assert [row["source_offset"] for row in found] == [2**40, 2**40 + 3]


def test_a_fault_of_ours_names_step_and_folder_and_no_value() -> None:
    given_ = records(TOPIC, [line(pickup_location_id=place) for place in (7, 41, 132)])
    decoded = DECODER.decode_batch(given_.raw)
    broken = {**given_.position, "topic": objects(["a", {"s3cr3t": 1}, "a"])}
    with pytest.raises(CollectError) as raised:
        records_ = Inputs(given_.raw, given_.arrival_ms, given_.key, broken, given_.own_headers)
        list(lake_rows(TOPIC).streams(decoded, records_))
    assert "lake: rows of trip/pickup_location=041/year=2018/month=01 " in str(raised.value)
    assert "s3cr3t" not in str(raised.value)
    assert raised.value.__suppress_context__
    given_.key[2] = 5
    with pytest.raises(
        CollectError, match="archive: rows of arrival_date=2018-01-01/arrival_hour=00"
    ):
        list(ArchiveRows(TOPIC, ("archive/0",)).streams(given_))


HEADERS = bytes.fromhex("08 026b 0261 026b 01 02ff 0262 00 00")
"""k=a, k=null, a name that is no UTF-8, and an empty name and value."""


def test_the_archive_has_every_record_as_it_came() -> None:
    hours = [ARRIVED + HOUR, ARRIVED, NO_TIME, 253_402_300_800_000, ARRIVED + HOUR]
    given_ = records(BOTH, [b"{", None, VALID["trip"], b"", b"\xff"], arrived=hours)
    given_.key[0] = None
    given_.own_headers[4] = HEADERS
    found = written("archive", ArchiveRows(BOTH, ("archive/0",)).streams(given_))
    assert {folder: [row["raw"] for row in rows_] for folder, rows_ in found.items()} == {
        "arrival_date=2018-01-01/arrival_hour=01": [b"{", b"\xff"],
        "arrival_date=2018-01-01/arrival_hour=00": [None],
        "arrival_date=unknown/arrival_hour=unknown": [VALID["trip"], b""],
    }
    late, early = (found[f"arrival_date=2018-01-01/arrival_hour={hour}"] for hour in ("01", "00"))
    assert [row["key"] for row in late + early] == [None, b"k4", b"k1"]
    assert late[1]["header_names"] == ["k", "k", "\ufffd", ""]
    assert late[1]["header_values"] == [b"a", None, b"b", b""]
    assert (late[0]["header_names"], late[0]["header_values"]) == (None, None)
    assert early[0]["partition"] is early[0]["offset"] is late[0]["stream"] is None
    times = [row["arrival_time"] for row in found["arrival_date=unknown/arrival_hour=unknown"]]
    assert times == [None, 253_402_300_800_000]


def test_letters_have_the_record_and_the_reason() -> None:
    raws = [b"[]", VALID["trip"], line(trip_id=1.5), None]
    given_ = records(
        TOPIC, raws, arrived=[ARRIVED, ARRIVED, 253_402_300_800_000, ARRIVED + 25 * HOUR]
    )
    given_.own_headers[0] = HEADERS
    decoded = DECODER.decode_batch(given_.raw)
    rejected = np.flatnonzero(decoded.reason)
    redriven = {0: Mark("a/0/1", "index"), 2: Mark("a/0/2", "replicate", "airport")}
    columns = reject_columns(given_, rejected, decode_verdict(decoded, rejected, redriven))
    found = written("dead_letters", Letters(TOPIC, ("dead_letters/0",)).streams(columns))
    one, two, three = (
        found[f"arrival_date={date}"][0] for date in ("2018-01-01", "unknown", "2018-01-02")
    )
    assert [row["step"] for row in (one, two, three)] == ["index", "replicate", "decode"]
    assert two["detail"] == f"replica airport: {decoded.detail[2]}"
    assert (one["detail"], three["detail"]) == (decoded.detail[0], decoded.detail[3])
    assert (one["raw"], one["header_names"][0], three["raw"]) == (b"[]", "k", None)
    assert (two["event_type"], two["schema_version"]) == ("trip", TYPES["trip"].version)
    assert (one["arrival_time"], two["arrival_time"]) == (ARRIVED, None)
    assert [row["offset"] for row in (one, two, three)] == [2**40 + row for row in (0, 2, 3)]


def test_no_rejects_are_no_stream() -> None:
    given_ = records(TOPIC, [])
    nothing = dict.fromkeys(("step", "reason", "detail", "event_type"), objects([]))
    columns = reject_columns(given_, np.arange(0), {**nothing, "schema_version": np.arange(0)})
    assert not list(Letters(TOPIC, ("dead_letters/0",)).streams(columns))


def test_large_records_make_several_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "STREAM_BYTES", 100)
    raws = [b"x" * size for size in (60, 40, 1, 200, 99)] + [None]
    given_ = records(TOPIC, raws)
    streams = list(ArchiveRows(TOPIC, ("archive/0",)).streams(given_))
    sizes = [
        [len(raw or b"") for raw in read_stream(each.data)["raw"].to_pylist()] for each in streams
    ]
    assert sizes == [[60, 40], [1], [200], [99, 0]]
    assert {stream.key for stream in streams} == {"archive/0"}


def test_arguments_beside_nulls_are_doubles_of_pandas() -> None:
    columns = arguments(STREAM, [b"a", b"b"])
    columns[1] = np.array([np.nan, float(ARRIVED)])
    assert inputs(STREAM, columns).arrival_ms.tolist() == [NO_TIME, ARRIVED]


@pytest.mark.parametrize("values", [[], [b""], [b"ab", b"", b"c"], [b"a", None, b"b"], [None]])
def test_bytes_are_a_column(values: list[bytes | None]) -> None:
    column = binary(objects(values))
    column.validate(full=True)
    assert column.equals(pa.array(values, pa.binary()))
    with pytest.raises(pa.ArrowException):
        binary(objects([b"a", 5]))
