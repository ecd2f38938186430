"""Checks a Kinesis stream, and reads it from its oldest record to its present end.

Functions raise UserError if the stream cannot be read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

from connectors import aws
from connectors.aws import explain, reported
from connectors.kinesis.table import Stream, max_record_bytes

_PAGE_RECORDS: Final = 10_000


class Record(NamedTuple):
    """A record of a stream, and its position."""

    key: str
    data: bytes
    shard: str
    sequence_number: str
    arrival_ms: int


def connect(
    stream: Stream, endpoint: str, environment: Mapping[str, str], *, impatient: bool = False
) -> Any:
    """Return a boto3 client with credentials of the environment, else of AWS's default chain.

    An impatient one fails soon: for checks before the start, and for whoever watches.
    """
    return aws.client(
        "kinesis", environment, region=stream.region, endpoint=endpoint, impatient=impatient
    )


def problem(key: str, stream: Stream, endpoint: str) -> Iterator[str]:
    """Yield why a stream, named by the configuration's `key`, cannot be used.

    It does not exist, is not active, or belongs to another account: Flink's source looks a stream
    up by its name, in the account of the credentials, so another account's ARN would silently mean
    a stream of this one.
    """
    where = f"in {stream.region}" + (f" at {endpoint}" if endpoint else "")
    client = connect(stream, endpoint, {}, impatient=True)
    try:
        response = client.describe_stream_summary(StreamName=stream.name)
    except client.exceptions.ResourceNotFoundException:
        yield f"{key}: there is no such stream {where}; create it first."
        return
    except ClientError as error:
        yield f"{key}: Kinesis {where} refuses the request: {explain(error)}."
        return
    except BotoCoreError as error:
        yield f"{key}: Kinesis {where} does not answer ({error}); is it up, are there credentials?"
        return
    summary = response["StreamDescriptionSummary"]
    if summary["StreamStatus"] not in ("ACTIVE", "UPDATING"):
        yield f"{key}: the stream is {summary['StreamStatus']} {where}; wait until it is ACTIVE."
    if stream.arn and summary["StreamARN"] != stream.arn:
        yield (
            f"{key}: our credentials lead to {summary['StreamARN']}, another account's stream; use"
            " credentials of the stream's account."
        )


def largest_record(stream: Stream, endpoint: str) -> int:
    """Return how many bytes a record of the stream may have, its partition key included."""
    client = connect(stream, endpoint, {}, impatient=True)
    with reported(f"look at the stream {stream.name}"):
        return max_record_bytes(client.describe_stream_summary(StreamName=stream.name))


def records(client: Any, stream: str) -> Iterator[Record]:
    """Yield every record of every shard, also of closed ones."""
    with reported(f"read the stream {stream}"):
        for shard in _shard_ids(client, stream):
            yield from _records_of(client, stream, shard)


def shards(client: Any, stream: str) -> list[str]:
    """Return the ids of all shards that the stream still has, also of closed ones."""
    with reported(f"read the stream {stream}"):
        return _shard_ids(client, stream)


def record_of(record: Mapping[str, Any], shard: str) -> Record:
    """Return a record of the response of GetRecords."""
    arrival = round(record["ApproximateArrivalTimestamp"].timestamp() * 1000)
    return Record(record["PartitionKey"], record["Data"], shard, record["SequenceNumber"], arrival)


def _shard_ids(client: Any, stream: str) -> list[str]:
    pages = client.get_paginator("list_shards").paginate(StreamName=stream)
    return [shard["ShardId"] for page in pages for shard in page["Shards"]]


def _records_of(client: Any, stream: str, shard: str) -> Iterator[Record]:
    last, iterator = "", _iterator(client, stream, shard, "")
    while iterator:
        try:
            response = client.get_records(ShardIterator=iterator, Limit=_PAGE_RECORDS)
        except client.exceptions.ExpiredIteratorException:
            # An iterator expires after five minutes; the caller may take longer with a page.
            iterator = _iterator(client, stream, shard, last)
            continue
        for record in response["Records"]:
            last = record["SequenceNumber"]
            yield record_of(record, shard)
        # Kinesis may return an empty page before the end; the local server returns
        # MillisBehindLatest 0 with a page that is not the last one.
        if not response["Records"] and not response["MillisBehindLatest"]:
            return
        iterator = response.get("NextShardIterator")


def _iterator(client: Any, stream: str, shard: str, after: str) -> str:
    start = {"ShardIteratorType": "TRIM_HORIZON"}
    if after:
        start = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
    response = client.get_shard_iterator(StreamName=stream, ShardId=shard, **start)
    return str(response["ShardIterator"])
