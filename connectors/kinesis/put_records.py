"""PutRecords requests; records that Kinesis rejects for the moment are sent again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from threading import Event, Lock
from typing import Any, Final, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NoConnection

from connectors.aws import explain
from connectors.errors import UserError
from connectors.positions import Position
from connectors.producer import Acknowledged

BATCH_RECORDS: Final = 500
BATCH_BYTES: Final = 5 * 1024 * 1024 - 1

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 2.0
_THROTTLED: Final = "ProvisionedThroughputExceededException"
_TRANSIENT: Final = (
    *(_THROTTLED, "LimitExceededException", "KMSThrottlingException", "ThrottlingException"),
    *("RequestTimeout", "InternalFailure", "InternalServerError", "ServiceUnavailable"),
)


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

    def put(self, entries: list[Entry]) -> list[tuple[Entry, Position]]:
        """Store all entries and return each with its position.

        A retried one is stored behind later ones of its batch.

        Raises:
            UserError: Kinesis is unreachable or throttles for too long, or rejects an entry.
        """
        pending, stored, deadline = entries, list[tuple[Entry, Position]](), self._deadline()
        for attempt in count():
            request = partial(
                self.client.put_records,
                StreamName=self.stream,
                Records=[_request_entry(entry) for entry in pending],
            )
            results = zip(pending, self.call(request)["Records"], strict=True)
            rejected = list[tuple[Entry, str]]()
            for entry, result in results:
                if "SequenceNumber" in result:
                    shard, number = result["ShardId"], result["SequenceNumber"]
                    position = Position(stream=self.stream, shard=shard, sequence_number=number)
                    stored.append((entry, position))
                else:
                    rejected.append((entry, result.get("ErrorCode", "unknown")))
            if not rejected:
                break
            pending, codes = map(list, zip(*rejected, strict=True))
            with self._lock:
                self.retries += len(codes)
                self.throttled += codes.count(_THROTTLED)
            self._pause(attempt, deadline, codes[0])
        return stored

    def call(self, request: Callable[[], Any]) -> Any:
        """Return the response to a request, repeated while Kinesis is unreachable or throttles."""
        deadline = self._deadline()
        for attempt in count():
            try:
                return request()
            except ClientError as error:
                if error.response["Error"]["Code"] not in _TRANSIENT:
                    raise self.failure(explain(error)) from error
                self._pause(attempt, deadline, explain(error))
            except (NoConnection, HTTPClientError) as error:
                self._pause(attempt, deadline, str(error))
            except BotoCoreError as error:
                raise self.failure(str(error)) from error

    def failure(self, why: str) -> UserError:
        """Return the error to raise for this stream."""
        return UserError(f"cannot produce to the stream {self.stream}: {why}")

    def _deadline(self) -> float:
        return time.monotonic() + self.timeout_seconds

    def _pause(self, attempt: int, deadline: float, why: str) -> None:
        """Wait before the next attempt; UserError if there is no time left for one."""
        longest = min(_FIRST_PAUSE * 2 ** min(attempt, 10), _LONGEST_PAUSE)
        seconds = longest * random.uniform(0.5, 1.0)
        if time.monotonic() + seconds > deadline:
            raise self.failure(f"not stored in {self.timeout_seconds:.0f} s ({why})")
        if self.cancelled.wait(seconds):
            raise self.failure(f"cancelled ({why})")


def _request_entry(entry: Entry) -> dict[str, Any]:
    hash_key = {"ExplicitHashKey": entry.hash_key} if entry.hash_key else {}
    return {"Data": entry.data, "PartitionKey": entry.key, **hash_key}
