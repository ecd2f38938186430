"""Sends the made records to Kinesis and keeps the ledger of what was acknowledged where."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from pipeline.demo.ledger import Ledger
from pipeline.demo.made import Made
from pipeline.demo.produce import Progress
from pipeline.demo.writer import StreamWriter
from pipeline.errors import UserError
from pipeline.readers import content

# What one PutRecords request may hold, some way below the 5 MiB.
_BATCH_RECORDS: Final = 500
_BATCH_BYTES: Final = 4_500_000
_KEY_CHARACTERS: Final = 256
_ENTRY_BYTES: Final = 64
_BATCHES_A_SECOND: Final = 2
"""With a rate: how often a batch goes out; the local server takes long over each, however small."""
_PATIENCE_SECONDS: Final = 60.0
_PAUSE_SECONDS: Final = 0.1


def produce_kinesis(
    made: Iterable[Made],
    *,
    client: Any,
    stream: str,
    rate: float | None = None,
    progress: Progress | None = None,
) -> Ledger:
    """Sends every record, at most `rate` a second, until all are acknowledged.

    Guarantee: each record of the ledger lies in the stream at its position.  One that Kinesis
    refused is sent again, so it may come after later ones of its key.  Kinesis has no null: a
    tombstone is sent, and noted, as no bytes.  Raises UserError if Kinesis stays away.
    """
    writer = StreamWriter(stream)
    started = time.monotonic()
    for batch in _batches(made, rate):
        lines = [writer.sent(each) for each in batch]
        _put(client, writer, dict(zip(lines, batch, strict=True)), stream)
        if progress:
            progress(writer.acknowledged_records)
        if rate:
            time.sleep(max(0.0, started + len(writer) / rate - time.monotonic()))
    return writer.ledger()


def _batches(made: Iterable[Made], rate: float | None) -> Iterator[list[Made]]:
    most = min(_BATCH_RECORDS, int(rate / _BATCHES_A_SECOND) + 1) if rate else _BATCH_RECORDS
    batch: list[Made] = []
    size = 0
    for one in map(_with_bytes, made):
        weight = len(one.raw or b"") + _ENTRY_BYTES
        if batch and (len(batch) == most or size + weight > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(one)
        size += weight
    if batch:
        yield batch


def _with_bytes(made: Made) -> Made:
    return made if made.raw is not None else msgspec.structs.replace(made, raw=b"")


def _put(client: Any, writer: StreamWriter, waiting: dict[int, Made], stream: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while waiting:
        lines = list(waiting)
        entries = [{"Data": one.raw, "PartitionKey": _key(one)} for one in waiting.values()]
        answers = _answers(client, stream, entries)
        for line, answer in zip(lines, answers, strict=True):
            if "SequenceNumber" in answer:
                writer.acknowledged(line, answer["ShardId"], answer["SequenceNumber"])
                del waiting[line]
        if waiting:
            refused = next(answer for answer in answers if "ErrorCode" in answer)
            if time.monotonic() > deadline:
                raise _failure(stream, str(refused))
            time.sleep(_PAUSE_SECONDS)  # Throttled: the shard takes more in a moment.


def _answers(client: Any, stream: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    try:
        found: list[dict[str, Any]] = client.put_records(StreamName=stream, Records=entries)[
            "Records"
        ]
    except (BotoCoreError, ClientError) as error:
        raise _failure(stream, str(error)) from error
    return found


def _failure(stream: str, why: str) -> UserError:
    return UserError(f"cannot produce to the stream {stream}: {why}")


def _key(made: Made) -> str:
    """The Kafka key's text as partition key; of bytes that can't be one, or of none, a hash."""
    key = made.key or b""
    if 0 < len(key) <= _KEY_CHARACTERS and key.isascii():
        return key.decode()
    return f"{content.digest(key or made.raw):016x}"
