"""Reads a Kinesis stream from end to end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import boto3
from botocore.config import Config as Settings
from botocore.exceptions import BotoCoreError, ClientError

from connectors.errors import UserError
from connectors.kinesis.table import Stream

_READ_RECORDS: Final = 10_000
_SETTINGS: Final = Settings(
    connect_timeout=5, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 8}
)


class Record(NamedTuple):
    """One record of a stream, and where it stands."""

    key: str
    data: bytes
    shard: str
    sequence_number: str
    arrival_ms: int


def connect(stream: Stream, endpoint: str, environment: Mapping[str, str]) -> Any:
    """A boto3 client; credentials come from the environment, else from AWS's default chain."""
    return boto3.client(
        "kinesis",
        region_name=stream.region,
        endpoint_url=endpoint or None,
        aws_access_key_id=environment.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=environment.get("AWS_SECRET_ACCESS_KEY"),
        aws_session_token=environment.get("AWS_SESSION_TOKEN"),
        config=_SETTINGS,
    )


def records(client: Any, stream: str) -> Iterator[Record]:
    """Every record of every shard, closed ones too, from the oldest to the present end."""
    try:
        pages = client.get_paginator("list_shards").paginate(StreamName=stream)
        for shard in [shard["ShardId"] for page in pages for shard in page["Shards"]]:
            yield from _of_shard(client, stream, shard)
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"cannot read the stream {stream}: {error}") from error


def shards(client: Any, stream: str) -> list[str]:
    """The ids of all shards that the stream still knows, closed ones too."""
    try:
        pages = client.get_paginator("list_shards").paginate(StreamName=stream)
        return [shard["ShardId"] for page in pages for shard in page["Shards"]]
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"cannot read the stream {stream}: {error}") from error


def _of_shard(client: Any, stream: str, shard: str) -> Iterator[Record]:
    last, iterator = "", _iterator(client, stream, shard, "")
    while iterator:
        try:
            answer = client.get_records(ShardIterator=iterator, Limit=_READ_RECORDS)
        except client.exceptions.ExpiredIteratorException:
            # It lives for five minutes, and who reads may be slower.
            iterator = _iterator(client, stream, shard, last)
            continue
        for found in answer["Records"]:
            arrival = round(found["ApproximateArrivalTimestamp"].timestamp() * 1000)
            last = found["SequenceNumber"]
            yield Record(found["PartitionKey"], found["Data"], shard, last, arrival)
        # Kinesis may give nothing before the end; the local server says 0 before the end.
        if not answer["Records"] and not answer["MillisBehindLatest"]:
            return
        iterator = answer.get("NextShardIterator")


def _iterator(client: Any, stream: str, shard: str, after: str) -> str:
    start = {"ShardIteratorType": "TRIM_HORIZON"}
    if after:
        start = {
            "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
            "StartingSequenceNumber": after,
        }
    found: str = client.get_shard_iterator(StreamName=stream, ShardId=shard, **start)[
        "ShardIterator"
    ]
    return found
