"""Flink SQL tables on Kinesis: the source of raw records, and streams that sinks write to.

Source: exactly once into Flink's state (shard and sequence number). Resharding neither loses nor
duplicates records, but the children of a shard are read beside the rest of their parent. The
connector unpacks KPL aggregates; the records of one share its sequence number.
Sinks: at least once, unordered. A duplicate has the same content and, in an envelope, the same
position. Credentials come from AWS's default chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from connectors.kinesis.options import Kinesis
from connectors.sql import create_table

# Limit of data and partition key together, unless the stream's owner allows more.
RECORD_BYTES = 1_048_576
# The most that an owner can allow: MaxRecordSizeInKiB, 1024 to 10240 in botocore's model.
LARGEST_RECORD_BYTES = 10 * RECORD_BYTES
PARTITION_KEY_BYTES = 256


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream's name and region, and its ARN if the configuration has it."""

    name: str
    region: str
    arn: str = ""


class KinesisSource(Protocol):
    """The keys of the configuration's section `source` that are about Kinesis."""

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
    """Return the stream of a name, in the configured region, or of an ARN, which has its own.

    >>> stream_of("arn:aws:kinesis:eu-west-1:123456789012:stream/trips", Kinesis()).region
    'eu-west-1'
    """
    if not name_or_arn.startswith("arn:"):
        return Stream(name_or_arn, settings.region)
    return Stream(name_or_arn.rpartition("/")[2], name_or_arn.split(":")[3], name_or_arn)


def max_record_bytes(described: Mapping[str, Any]) -> int:
    """Return a stream's limit of data and partition key together, from DescribeStreamSummary.

    >>> max_record_bytes({"StreamDescriptionSummary": {"MaxRecordSizeInKiB": 2048}})
    2097152
    """
    limit = described["StreamDescriptionSummary"].get("MaxRecordSizeInKiB")
    return RECORD_BYTES if limit is None else int(limit) * 1024


def records_table(name: str, stream: Stream, source: KinesisSource, settings: Kinesis) -> str:
    """Return the CREATE statement of raw records: bytes, position, approximate arrival time."""
    columns = {
        "raw": "BYTES",
        "shard": "STRING NOT NULL METADATA FROM 'shard-id' VIRTUAL",
        "sequence_number": "STRING NOT NULL METADATA FROM 'sequence-number' VIRTUAL",
        "arrival_time": "TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL",
    }
    discovery = round(source.kinesis_discover_shards_seconds * 1000)
    options = {
        "connector": "kinesis",
        "stream": stream.name,
        "format": "raw",
        "scan.shard.discovery.intervalmillis": str(discovery),
        "scan.shard.getrecords.intervalmillis": str(source.kinesis_poll_milliseconds),
        "scan.stream.initpos": source.kinesis_start.upper(),
        "scan.stream.recordpublisher": "POLLING",
        **client_options(stream, settings),
    }
    if source.kinesis_start == "at_timestamp":
        # The connector takes epoch seconds, or a string in a format of its own.
        seconds = start_seconds(source.kinesis_start_timestamp)
        options["scan.stream.initpos-timestamp"] = f"{seconds:.3f}"
    if source.kinesis_reader != "polling":
        options["scan.stream.recordpublisher"] = "EFO"
        options["scan.stream.efo.consumername"] = source.kinesis_consumer
        options["scan.stream.efo.registration"] = "LAZY"
    return create_table(name, columns, options)


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


def envelope_table(
    name: str, columns: Mapping[str, str], partition_key: str, stream: Stream, settings: Kinesis
) -> str:
    """Return the CREATE statement of a stream of JSON objects with bytes in base64.

    A Kinesis record has no headers, so the raw bytes are wrapped in an envelope with the metadata.
    `partition_key` is one of the columns.
    """
    options = {
        "connector": "kinesis",
        "stream": stream.name,
        "format": "json",
        "json.timestamp-format.standard": "ISO-8601",
        "json.encode.ignore-null-fields": "true",
        **SINK,
        **client_options(stream, settings),
    }
    partitioned_by = f"PARTITIONED BY (`{partition_key}`) "
    return create_table(name, columns, options, partitioned_by=partitioned_by)


# The sink retries records that the stream rejects (throttling); a checkpoint waits for them.
SINK: Mapping[str, str] = {
    "sink.batch.max-size": "500",
    "sink.requests.max-inflight": "16",
    "sink.requests.max-buffered": "10000",
    "sink.flush-buffer.size": "5242880",
    "sink.flush-buffer.timeout": "200",
    "sink.fail-on-error": "false",
}


def client_options(stream: Stream, settings: Kinesis) -> dict[str, str]:
    """Return the client's region, credentials and, for a local server, endpoint."""
    options = {"aws.region": stream.region, "aws.credentials.provider": "AUTO"}
    if not settings.endpoint:
        return options
    local = {"sink.http-client.protocol.version": "HTTP1_1"}
    return options | {"aws.endpoint": settings.endpoint} | local
