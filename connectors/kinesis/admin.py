"""What Kinesis is asked before the job starts."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
from botocore.config import Config as Settings
from botocore.exceptions import BotoCoreError, ClientError

from connectors.kinesis.table import Stream

_SETTINGS = Settings(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3})


def problem(key: str, stream: Stream, endpoint: str) -> Iterator[str]:
    """Why a stream can't be used: it isn't there, isn't active, or is another account's.

    Flink's source asks for a stream by its name, in the account of the credentials, so an ARN of
    another account would silently mean a stream of ours.
    """
    where = f"in {stream.region}" + (f" at {endpoint}" if endpoint else "")
    client = boto3.client(
        "kinesis", region_name=stream.region, endpoint_url=endpoint or None, config=_SETTINGS
    )
    try:
        found = client.describe_stream_summary(StreamName=stream.name)["StreamDescriptionSummary"]
    except client.exceptions.ResourceNotFoundException:
        yield f"{key}: there is no such stream {where}; make it first."
        return
    except (BotoCoreError, ClientError) as error:
        yield f"{key}: Kinesis {where} does not answer ({error}); is it up, are there credentials?"
        return
    if found["StreamStatus"] not in ("ACTIVE", "UPDATING"):
        yield f"{key}: the stream is {found['StreamStatus']} {where}; wait until it is ACTIVE."
    if stream.arn and found["StreamARN"] != stream.arn:
        yield f"{key}: our credentials lead to {found['StreamARN']}, another account's stream."
