"""PutRecords requests; records that Kinesis rejects for the moment are sent again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Event, Lock
from typing import Any, Final, NamedTuple, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from connectors.errors import UserError
from connectors.kinesis.table import RECORD_BYTES
from connectors.positions import Position
from connectors.producer import Acknowledged

BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 5 * 1024 * 1024 - 1

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_THROTTLED: Final = "ProvisionedThroughputExceededException"
_TRANSIENT: Final = frozenset(
    {
        _THROTTLED,
        *("LimitExceededException", "KMSThrottlingException", "ThrottlingException"),
        *("RequestTimeout", "InternalFailure", "InternalServerError", "ServiceUnavailable"),
    }
)

Result = TypeVar("Result")


class Member(NamedTuple):
    """A record of the caller: its bytes, its partition key and the caller's callback."""

    raw: bytes
    key: str
    acknowledged: Acknowledged | None


class Entry(NamedTuple):
    """A record of a request: one member, several if aggregated, or none: a control record."""

    data: bytes
    key: str
    members: tuple[Member, ...]
    hash_key: str = ""
    shard: str = ""
    """The shard that an aggregate is meant for."""

    @property
    def size(self) -> int:
        """Size in bytes as Kinesis's limits count it."""
        return len(self.data) + len(self.key.encode())


class Stored(NamedTuple):
    """An entry and its position."""

    entry: Entry
    position: Position


@dataclass
class Requests:
    """Sends requests to one stream, from any thread, and counts retries.

    Pauses between two attempts grow from 50 ms to 2 s, with jitter, for `timeout_seconds` in all.
    """

    client: Any
    stream: str
    timeout_seconds: float
    retries: int = 0
    throttled: int = 0
    cancelled: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def put(self, entries: list[Entry]) -> list[Stored]:
        """Store all entries. A retried one is stored behind later ones of its batch.

        Raises:
            UserError: Kinesis is unreachable or throttles for too long, or rejects an entry.
        """
        pending, stored, attempts = entries, list[Stored](), self._attempts()
        while True:
            results = self.call(partial(self._put, pending))
            rejected = [n for n, result in enumerate(results) if "SequenceNumber" not in result]
            stored += [
                Stored(entry, self._position(result))
                for entry, result in zip(pending, results, strict=True)
                if "SequenceNumber" in result
            ]
            if not rejected:
                return stored
            codes = [results[n].get("ErrorCode", "unknown") for n in rejected]
            self._count(codes)
            attempts.pause(codes[0])
            pending = [pending[n] for n in rejected]

    def call(self, request: Callable[[], Result]) -> Result:
        """Return the result of a request, repeated while Kinesis is unreachable or throttles."""
        attempts = self._attempts()
        while True:
            try:
                return request()
            except ClientError as error:
                if error.response["Error"]["Code"] not in _TRANSIENT:
                    raise self.failure(str(error)) from error
                attempts.pause(str(error))
            except (NoConnection, HTTPClientError) as error:
                attempts.pause(str(error))
            except BotoCoreError as error:
                raise self.failure(str(error)) from error

    def failure(self, why: str) -> UserError:
        """Return the error to raise for this stream."""
        return UserError(f"cannot produce to the stream {self.stream}: {why}")

    def too_large(self, size: int) -> UserError:
        """Return the error of a record that exceeds Kinesis's limit."""
        return self.failure(
            f"a record of {size} bytes with its key; Kinesis takes {RECORD_BYTES}. Leave it out or"
            " send it to Kafka"
        )

    def _put(self, entries: list[Entry]) -> list[dict[str, Any]]:
        records = [_request_entry(entry) for entry in entries]
        response = self.client.put_records(StreamName=self.stream, Records=records)
        results: list[dict[str, Any]] = response["Records"]
        return results

    def _position(self, result: dict[str, Any]) -> Position:
        return Position(
            stream=self.stream,
            shard=result["ShardId"],
            sequence_number=result["SequenceNumber"],
        )

    def _count(self, codes: list[str]) -> None:
        with self._lock:
            self.retries += len(codes)
            self.throttled += codes.count(_THROTTLED)

    def _attempts(self) -> _Attempts:
        return _Attempts(self, time.monotonic() + self.timeout_seconds)


@dataclass
class _Attempts:
    """The pauses between the attempts of one request, until its deadline."""

    requests: Requests
    deadline: float
    longest: float = _FIRST_PAUSE

    def pause(self, why: str) -> None:
        """Wait before the next attempt; UserError if there is no time left for one."""
        seconds = self.longest * random.uniform(0.5, 1.0)
        self.longest = min(2 * self.longest, _LONGEST_PAUSE)
        if time.monotonic() + seconds > self.deadline:
            limit = f"{self.requests.timeout_seconds:.0f} s"
            raise self.requests.failure(f"not stored in {limit} ({why})")
        if self.requests.cancelled.wait(seconds):
            raise self.requests.failure(f"cancelled ({why})")


def _request_entry(entry: Entry) -> dict[str, Any]:
    plain: dict[str, Any] = {"Data": entry.data, "PartitionKey": entry.key}
    if entry.hash_key:
        plain["ExplicitHashKey"] = entry.hash_key
    return plain
