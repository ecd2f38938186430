"""Checks that a Kinesis stream can be used, before the job starts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import boto3
from botocore.config import Config as Settings
from botocore.exceptions import BotoCoreError, ClientError

from connectors.kinesis.table import Stream

_SETTINGS: Final = Settings(connect_timeout=5, read_timeout=10, retries={"max_attempts": 3})


def problem(key: str, stream: Stream, endpoint: str) -> Iterator[str]:
    """Yield why a stream, named by the configuration's `key`, cannot be used.

    It does not exist, is not active, or belongs to another account: Flink's source looks a stream
    up by its name, in the account of the credentials, so another account's ARN would silently mean
    a stream of this one.
    """
    where = f"in {stream.region}" + (f" at {endpoint}" if endpoint else "")
    client = boto3.client(
        "kinesis", region_name=stream.region, endpoint_url=endpoint or None, config=_SETTINGS
    )
    try:
        response = client.describe_stream_summary(StreamName=stream.name)
    except client.exceptions.ResourceNotFoundException:
        yield f"{key}: there is no such stream {where}; create it first."
        return
    except (BotoCoreError, ClientError) as error:
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
