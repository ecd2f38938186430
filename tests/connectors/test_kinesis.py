"""What is said to Flink's Kinesis connector, and what an aggregate is."""

from __future__ import annotations

import hashlib

import pytest

from connectors.kinesis.aggregation import MAGIC, is_aggregated, packed_record, unpacked
from connectors.kinesis.options import Kinesis
from connectors.kinesis.table import (
    Stream,
    client_options,
    max_record_bytes,
    records_table,
    stream_of,
)
from pipeline.config.model import Source

ARN = "arn:aws:kinesis:eu-central-1:123456789012:stream/trips"
LOCAL = Kinesis(region="us-east-1", endpoint="http://127.0.0.1:4568")


def options(source: Source, settings: Kinesis = LOCAL) -> str:
    return records_table("records", stream_of("trips", settings), source, settings)


@pytest.mark.parametrize(
    ("limit", "size"), [({}, 1 << 20), ({"MaxRecordSizeInKiB": 10_240}, 10 << 20)]
)
def test_a_stream_s_own_limit_is_used_else_1_mib(limit: dict[str, int], size: int) -> None:
    assert max_record_bytes({"StreamDescriptionSummary": {"StreamName": "a", **limit}}) == size


def test_an_arn_has_its_own_region() -> None:
    assert stream_of("trips", LOCAL) == Stream("trips", "us-east-1")
    assert stream_of(ARN, LOCAL) == Stream("trips", "eu-central-1", ARN)


def test_nothing_is_lost_by_default() -> None:
    made = options(Source(kinesis_streams=("trips",)))
    assert "'scan.stream.initpos' = 'TRIM_HORIZON'" in made
    assert "'scan.stream.recordpublisher' = 'POLLING'" in made
    assert "'scan.shard.getrecords.intervalmillis' = '500'" in made
    assert "'scan.shard.discovery.intervalmillis' = '10000'" in made


def test_a_start_time_is_given_in_seconds() -> None:
    at = "2018-01-01T00:00:00.250+01:00"
    made = options(Source(kinesis_start="at_timestamp", kinesis_start_timestamp=at))
    assert "'scan.stream.initpos' = 'AT_TIMESTAMP'" in made
    assert "'scan.stream.initpos-timestamp' = '1514761200.250'" in made


def test_enhanced_fan_out_names_its_consumer() -> None:
    made = options(Source(kinesis_reader="enhanced_fan_out", kinesis_consumer="etl"))
    assert "'scan.stream.recordpublisher' = 'EFO'" in made
    assert "'scan.stream.efo.consumername' = 'etl'" in made


@pytest.mark.parametrize("settings", [LOCAL, Kinesis(region="us-east-1")])
def test_credentials_come_from_the_default_chain(settings: Kinesis) -> None:
    made = client_options(stream_of("trips", settings), settings)
    assert made["aws.credentials.provider"] == "AUTO"
    assert ("aws.endpoint" in made) == bool(settings.endpoint)


def aggregate(message: bytes) -> bytes:
    return MAGIC + message + hashlib.md5(message).digest()


def test_only_a_whole_aggregate_is_one() -> None:
    whole = aggregate(b"protobuf")
    assert is_aggregated(whole)
    assert not is_aggregated(whole[:-1] + b"x")
    assert not is_aggregated(b"protobuf")


def test_an_aggregate_is_taken_apart() -> None:
    members = [b"first", b"", b"x" * 300, b"\xf3\x89\x9a\xc2"]
    packed = packed_record([(0, members[0]), *((1, one) for one in members[1:])], ["a", "b"])
    assert unpacked(packed) == members
    assert unpacked(b"plain") == [b"plain"]


@pytest.mark.parametrize(
    "message", [b"\x1a", b"\x1a\x05\x1a\x09ab", b"\x1a\xff", b"\xff" * 100_000, b"\x1d\x00"]
)
def test_a_damaged_aggregate_stays_whole(message: bytes) -> None:
    assert unpacked(aggregate(message)) == [aggregate(message)]
