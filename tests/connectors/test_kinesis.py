"""What is said to Flink's Kinesis connector."""

from __future__ import annotations

import pytest

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
