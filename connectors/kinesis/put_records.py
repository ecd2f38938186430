"""One PutRecords request, with the records that Kinesis refuses sent again until it takes them."""

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
_PASSING: Final = frozenset(
    {
        *("ProvisionedThroughputExceededException", "LimitExceededException"),
        *("KMSThrottlingException", "ThrottlingException", "RequestTimeout"),
        *("InternalFailure", "InternalServerError", "ServiceUnavailable"),
    }
)
_THROTTLED: Final = "ProvisionedThroughputExceededException"

Found = TypeVar("Found")


class Member(NamedTuple):
    """A record as it was given to us: its bytes, its partition key, and who asked to be told."""

    raw: bytes
    key: str
    told: Acknowledged | None


class Entry(NamedTuple):
    """A record of a request: one member or, aggregated, several; a control record has none."""

    data: bytes
    key: str
    members: tuple[Member, ...]
    hash_key: str = ""
    shard: str = ""
    """Where an aggregate must come to lie."""

    @property
    def size(self) -> int:
        """As the limits count it."""
        return len(self.data) + len(self.key.encode())


class Stored(NamedTuple):
    """An entry and where it lies."""

    entry: Entry
    position: Position


@dataclass
class Requests:
    """Requests to one stream, from any thread; it counts what had to be sent again.

    Waits between two tries grow from 50 ms to 2 s, with jitter, for `timeout_seconds` in all.
    """

    client: Any
    stream: str
    timeout_seconds: float
    retries: int = 0
    throttled: int = 0
    given_up: Event = field(default_factory=Event)
    _lock: Lock = field(default_factory=Lock)

    def put(self, entries: list[Entry]) -> list[Stored]:
        """Stores all entries. A refused one comes to lie behind later ones of its batch.

        Raises UserError when Kinesis stays away, refuses for good, or throttles for too long.
        """
        waiting, stored, tries = entries, list[Stored](), self._tries()
        while True:
            answers = self.ask(partial(self._put, waiting))
            refused = [n for n, answer in enumerate(answers) if "SequenceNumber" not in answer]
            stored += [
                Stored(entry, self._position(answer))
                for entry, answer in zip(waiting, answers, strict=True)
                if "SequenceNumber" in answer
            ]
            if not refused:
                return stored
            codes = [answers[n].get("ErrorCode", "unknown") for n in refused]
            self._count(codes)
            tries.pause(codes[0])
            waiting = [waiting[n] for n in refused]

    def ask(self, call: Callable[[], Found]) -> Found:
        """What a call answers, tried again while Kinesis is away or busy."""
        tries = self._tries()
        while True:
            try:
                return call()
            except ClientError as error:
                if error.response["Error"]["Code"] not in _PASSING:
                    raise self.failure(str(error)) from error
                tries.pause(str(error))
            except (NoConnection, HTTPClientError) as error:
                tries.pause(str(error))
            except BotoCoreError as error:
                raise self.failure(str(error)) from error

    def failure(self, why: str) -> UserError:
        """The error of this stream."""
        return UserError(f"cannot produce to the stream {self.stream}: {why}")

    def too_large(self, size: int) -> UserError:
        """The error of a record beyond Kinesis's limit."""
        return self.failure(
            f"a record of {size} bytes with its key; Kinesis takes {RECORD_BYTES}. Leave it out or"
            " send it to Kafka"
        )

    def _put(self, entries: list[Entry]) -> list[dict[str, Any]]:
        records = [_plain(entry) for entry in entries]
        answer = self.client.put_records(StreamName=self.stream, Records=records)
        found: list[dict[str, Any]] = answer["Records"]
        return found

    def _position(self, answer: dict[str, Any]) -> Position:
        return Position(
            stream=self.stream,
            shard=answer["ShardId"],
            sequence_number=answer["SequenceNumber"],
        )

    def _count(self, codes: list[str]) -> None:
        with self._lock:
            self.retries += len(codes)
            self.throttled += codes.count(_THROTTLED)

    def _tries(self) -> _Tries:
        return _Tries(self, time.monotonic() + self.timeout_seconds)


@dataclass
class _Tries:
    """The pauses between the tries of one request, until its time is over."""

    requests: Requests
    deadline: float
    longest: float = _FIRST_PAUSE

    def pause(self, why: str) -> None:
        seconds = self.longest * random.uniform(0.5, 1.0)
        self.longest = min(2 * self.longest, _LONGEST_PAUSE)
        if time.monotonic() + seconds > self.deadline:
            limit = f"{self.requests.timeout_seconds:.0f} s"
            raise self.requests.failure(f"not stored in {limit} ({why})")
        if self.requests.given_up.wait(seconds):
            raise self.requests.failure(f"given up ({why})")


def _plain(entry: Entry) -> dict[str, Any]:
    plain: dict[str, Any] = {"Data": entry.data, "PartitionKey": entry.key}
    if entry.hash_key:
        plain["ExplicitHashKey"] = entry.hash_key
    return plain
