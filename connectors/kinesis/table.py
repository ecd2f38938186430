"""Kinesis: a source of raw records, and streams for archive, dead letters and replicas.

Source: exactly once into Flink's state (shard and sequence number); parent shards are read to their
end before their children, so a resharding loses and doubles nothing. KPL-aggregated records are
taken apart by the connector; the parts share their record's sequence number.
Sinks: at least once, in no order; a copy has the same content and, where there is an envelope, the
same position. Credentials come from AWS's default chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from connectors.kinesis.options import Kinesis
from connectors.sql import create_table

# A record's data and partition key together; larger records are an option of the stream's owner.
RECORD_BYTES = 1_048_576
PARTITION_KEY_BYTES = 256


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as a client asks for it."""

    name: str
    region: str
    arn: str = ""


class KinesisSource(Protocol):
    """What a source reads from Kinesis; see the section `source` of the configuration."""

    @property
    def kinesis_start(self) -> str: ...
    @property
    def kinesis_start_timestamp(self) -> str: ...
    @property
    def kinesis_reader(self) -> str: ...
    @property
    def kinesis_consumer(self) -> str: ...
    @property
    def kinesis_poll_milliseconds(self) -> int: ...
    @property
    def kinesis_discover_shards_seconds(self) -> float: ...


def stream_of(name_or_arn: str, settings: Kinesis) -> Stream:
    """A stream by its name, in the configured region, or by its ARN, which has its own.

    >>> stream_of("arn:aws:kinesis:eu-west-1:123456789012:stream/trips", Kinesis()).region
    'eu-west-1'
    """
    if not name_or_arn.startswith("arn:"):
        return Stream(name_or_arn, settings.region)
    return Stream(name_or_arn.rpartition("/")[2], name_or_arn.split(":")[3], name_or_arn)


def records_table(name: str, stream: Stream, source: KinesisSource, settings: Kinesis) -> str:
    """The table of raw records: bytes, position and the stream's approximate arrival time."""
    columns = {
        "raw": "BYTES",
        "shard": "STRING NOT NULL METADATA FROM 'shard-id' VIRTUAL",
        "sequence_number": "STRING NOT NULL METADATA FROM 'sequence-number' VIRTUAL",
        "arrival_time": "TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL",
    }
    return create_table(
        name,
        columns,
        {
            "connector": "kinesis",
            "stream": stream.name,
            "format": "raw",
            "scan.shard.discovery.intervalmillis": _millis(source.kinesis_discover_shards_seconds),
            "scan.shard.getrecords.intervalmillis": str(source.kinesis_poll_milliseconds),
            **_start(source),
            **_reader(source),
            **client_options(stream, settings),
        },
    )


def _start(source: KinesisSource) -> Mapping[str, str]:
    start = {"scan.stream.initpos": source.kinesis_start.upper()}
    if source.kinesis_start != "at_timestamp":
        return start
    seconds = start_seconds(source.kinesis_start_timestamp)
    # The connector takes epoch seconds, or a text in a format of its own.
    return start | {"scan.stream.initpos-timestamp": f"{seconds:.3f}"}


def start_seconds(text: str) -> float | None:
    """Return ISO-8601 date, time and offset as epoch seconds (UTC); None for any other text.

    >>> start_seconds("2018-01-01T00:00:00Z")
    1514764800.0
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo and "T" in text else None


def _reader(source: KinesisSource) -> Mapping[str, str]:
    if source.kinesis_reader == "polling":
        return {"scan.stream.recordpublisher": "POLLING"}
    return {
        "scan.stream.recordpublisher": "EFO",
        "scan.stream.efo.consumername": source.kinesis_consumer,
        "scan.stream.efo.registration": "LAZY",
    }


def envelope_table(
    name: str, columns: Mapping[str, str], partition_key: str, stream: Stream, settings: Kinesis
) -> str:
    """A stream of JSON objects of these columns, bytes in base64; one column is the partition key.

    A Kinesis record has no headers, so what is known about the raw bytes goes round them.
    """
    return create_table(
        name,
        columns,
        {
            "connector": "kinesis",
            "stream": stream.name,
            "format": "json",
            "json.timestamp-format.standard": "ISO-8601",
            "json.encode.ignore-null-fields": "true",
            **SINK,
            **client_options(stream, settings),
        },
        partitioned_by=f"PARTITIONED BY (`{partition_key}`) ",
    )


# Retries of what the stream refuses (throttling) go on inside the sink; it holds the checkpoint.
SINK: Mapping[str, str] = {
    "sink.batch.max-size": "500",
    "sink.requests.max-inflight": "16",
    "sink.requests.max-buffered": "10000",
    "sink.flush-buffer.size": "5242880",
    "sink.flush-buffer.timeout": "200",
    "sink.fail-on-error": "false",
}


def client_options(stream: Stream, settings: Kinesis) -> dict[str, str]:
    """Region, credentials and, for a local server, the endpoint."""
    options = {"aws.region": stream.region, "aws.credentials.provider": "AUTO"}
    if not settings.endpoint:
        return options
    local = {"sink.http-client.protocol.version": "HTTP1_1"}
    return options | {"aws.endpoint": settings.endpoint} | local


def _millis(seconds: float) -> str:
    return str(round(seconds * 1000))
