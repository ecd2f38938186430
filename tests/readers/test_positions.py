"""Positions of both back ends as numbers: told apart, and unknown where something is missing."""

from __future__ import annotations

import pyarrow as pa

from connectors import positions
from connectors.checksums import digest
from connectors.positions import UNKNOWN, Position
from tests.position_table import table_of

STREAM = "trip-stream"
SHARD = "shardId-000000000001"
ON_KAFKA = [Position("trips", n % 3, n) for n in range(60)]
ON_KINESIS = [Position(None, None, None, STREAM, SHARD, str(10**55 + n)) for n in range(60)]


def numbers(table: pa.Table, prefix: str = "") -> list[int]:
    found: list[int] = positions.numbers(table, ["trips"], prefix).tolist()
    return found


def test_every_position_has_a_number_of_its_own() -> None:
    found = numbers(table_of([*ON_KAFKA, *ON_KINESIS]))
    assert len(set(found)) == 120
    assert UNKNOWN not in found
    assert [number >= 0 for number in found] == [True] * 60 + [False] * 60


def test_a_number_on_kafka_is_taken_apart_again() -> None:
    for number, at in zip(numbers(table_of(ON_KAFKA)), ON_KAFKA, strict=True):
        assert positions.unpacked(number) == (0, at.partition, at.offset)


def test_a_number_on_kinesis_is_a_hash() -> None:
    text = f"{STREAM}/{SHARD}/{ON_KINESIS[0].sequence_number}"
    assert numbers(table_of(ON_KINESIS[:1])) == [-2 - (digest(text.encode()) >> 2)]


def test_columns_may_be_missing_null_of_another_type_or_prefixed() -> None:
    table = pa.table({"source_topic": ["trips", "other", None], "source_partition": [0, 0, None]})
    table = table.append_column("source_offset", pa.array([0, 0, None], pa.int32()))
    assert numbers(table, "source_") == [numbers(table_of([Position("trips", 0, 0)]))[0], -1, -1]
    half = pa.table({"stream": [STREAM], "shard": pa.nulls(1, pa.string())})
    assert numbers(half) == [UNKNOWN]
    assert numbers(pa.table({"raw": [b""]})) == [UNKNOWN]
