"""Follows a Kinesis stream from its end: what arrives, as it arrives.

All readers of a shard share five reads and two megabytes a second. So each shard is read once a
second and a hundred records at a time, which leaves the rest to the job.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

from connectors.aws import reported
from connectors.kinesis.reader import Record, record_of, shards

_READERS: Final = 8
_WAIT_SECONDS: Final = 0.2


@dataclass(slots=True)
class _Place:
    """Where a shard is read next: after a record, else from `start` on."""

    shard: str
    start: dict[str, Any]
    iterator: str = ""
    last: str = ""
    caught_up: bool = False


class Tail:
    """Follows all open shards of a stream; those that resharding adds are read whole.

    What arrives after the constructor returned is never left out. Methods raise UserError if the
    stream is absent or Kinesis fails.
    """

    def __init__(
        self,
        client: Any,
        stream: str,
        *,
        since_ms: int | None = None,
        records: int = 100,
        pause_seconds: float = 1.0,
    ) -> None:
        """Begin at the present end, or at the first record of `since_ms` (epoch milliseconds)."""
        self._client, self._stream = client, stream
        self._records, self._pause_seconds = records, pause_seconds
        self._due = time.monotonic()
        self._started_ms = time.time_ns() // 1_000_000
        self._pool = ThreadPoolExecutor(_READERS, thread_name_prefix="get-records")
        start: dict[str, Any] = {"ShardIteratorType": "LATEST"}
        if since_ms is not None:
            start = {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": since_ms / 1000}
        self._places = [_Place(shard, start) for shard in shards(client, stream)]
        self._known = {place.shard for place in self._places}
        with reported(f"follow the stream {stream}"):
            self._open(self._places)
        if since_ms is None:
            # For an iterator that expires before the first record; LATEST would leave some out.
            start |= {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": self._started_ms / 1000}

    @property
    def shards(self) -> int:
        """How many shards are followed now."""
        return len(self._places)

    @property
    def caught_up(self) -> bool:
        """Whether each shard was read up to the time when the tail was made."""
        return all(place.caught_up for place in self._places)

    def poll(self) -> list[Record]:
        """Return what has arrived in all shards; wait up to 0.2 s until a shard may be read."""
        ahead = self._due - time.monotonic()
        if ahead > 0:
            time.sleep(min(ahead, _WAIT_SECONDS))
            return []
        self._due = time.monotonic() + self._pause_seconds
        with reported(f"follow the stream {self._stream}"):
            pages = list(self._pool.map(self._read, self._places))
            ended = {place.shard for place in self._places if not place.iterator}
            if ended:
                self._places = [place for place in self._places if place.shard not in ended]
                self._add_shards()
        return [record for page in pages for record in page]

    def close(self) -> None:
        """End the threads that read."""
        self._pool.shutdown()

    def _open(self, places: Iterable[_Place]) -> None:
        for place, iterator in zip(places, self._pool.map(self._iterator, places), strict=True):
            place.iterator = iterator

    def _iterator(self, place: _Place) -> str:
        start = place.start
        if place.last:
            start = {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "StartingSequenceNumber": place.last,
            }
        request = {"StreamName": self._stream, "ShardId": place.shard}
        return str(self._client.get_shard_iterator(**request, **start)["ShardIterator"])

    def _read(self, place: _Place) -> list[Record]:
        errors = self._client.exceptions
        try:
            response = self._client.get_records(ShardIterator=place.iterator, Limit=self._records)
        except errors.ProvisionedThroughputExceededException:
            return []  # The job and other readers come first.
        except errors.ExpiredIteratorException:
            place.iterator = self._iterator(place)
            return []
        found = [record_of(record, place.shard) for record in response["Records"]]
        place.last = found[-1].sequence_number if found else place.last
        place.iterator = response.get("NextShardIterator") or ""
        # The local server returns MillisBehindLatest 0 with a page that is not the last one.
        at_end = not found and not response["MillisBehindLatest"]
        place.caught_up |= at_end or (bool(found) and found[-1].arrival_ms >= self._started_ms)
        return found

    def _add_shards(self) -> None:
        """Follow the shards that took the place of those that ended."""
        names = [name for name in shards(self._client, self._stream) if name not in self._known]
        added = [_Place(name, {"ShardIteratorType": "TRIM_HORIZON"}) for name in names]
        self._open(added)
        self._places += added
        self._known.update(names)
