"""A Kinesis producer: full PutRecords batches, several requests in flight."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final
from zlib import crc32

from connectors import checksums
from connectors.block import Block
from connectors.errors import UserError
from connectors.kinesis.aggregation import Aggregate, ShardMap
from connectors.kinesis.put_records import BATCH_BYTES, BATCH_RECORDS, Entry, Member, Requests
from connectors.kinesis.table import PARTITION_KEY_BYTES, RECORD_BYTES, max_record_bytes
from connectors.positions import Position
from connectors.producer import Acknowledged, Outgoing

_QUEUES: Final = 4
_LINGER_SECONDS: Final = 0.05
_REFRESH_SECONDS: Final = 10.0
_CONTROL_KEY: Final = "watermark"


@dataclass(slots=True)
class _Queue:
    """Records that must keep their order: one request of them at a time."""

    batch: list[Entry] = field(default_factory=list)
    bytes: int = 0
    since: float = 0.0
    in_flight: Future[list[tuple[Entry, Position]]] | None = None


class KinesisProducer:
    """See `Producer`. At least once: a request whose response was lost is sent again.

    Records of one key keep their order unless Kinesis throttles: a throttled record is stored
    behind the others of its batch. With `aggregate`, records are packed as the Kinesis Producer
    Library does it; those of one aggregate share a position.
    """

    def __init__(
        self, client: Any, stream: str, aggregate: bool = False, *, timeout_seconds: float = 60.0
    ) -> None:
        self._requests = Requests(client, stream, timeout_seconds)
        self._aggregates: dict[str, Aggregate] | None = {} if aggregate else None
        self._queues = [_Queue() for _ in range(_QUEUES)]
        self.acknowledged_records = 0
        self.misplaced_records = 0
        self._failed = False
        self._record_bytes = 0
        self._packed_since = 0.0
        self._read_shards()
        self._pool = ThreadPoolExecutor(_QUEUES, thread_name_prefix="put-records")

    @property
    def name(self) -> str:
        """The stream, for messages."""
        return f"the stream {self._requests.stream}"

    @property
    def retries(self) -> int:
        """Number of rejected records; one that is rejected twice counts twice."""
        return self._requests.retries

    @property
    def throttled(self) -> int:
        """Number of retries that were due to a shard's limits."""
        return self._requests.throttled

    def send(self, record: Outgoing, acknowledged: Acknowledged | None = None) -> None:
        """Queue a record, without its headers; a null value becomes an empty one."""
        self._send(Member(record.raw or b"", partition_key(record.key, record.raw), acknowledged))
        self.poll()

    def send_block(self, block: Block) -> None:
        """Queue all records."""
        for raw, key in zip(block.raws, block.keys, strict=True):
            self._send(Member(raw or b"", partition_key(key, raw), None))
        self.poll()

    def send_everywhere(self, raw: bytes) -> int:
        """Send to every open shard when all records are stored, since a retry would be behind."""
        self.flush()
        if time.monotonic() - self._shards_read > _REFRESH_SECONDS:
            self._read_shards()
        for shard in self._shards.shards:
            self._add(shard.id, Entry(raw, _CONTROL_KEY, (), str(shard.first)))
        self._dispatch_all()
        return len(self._shards.shards)

    def takes(self, size: int) -> bool:
        """Return whether the stream takes a record of this size in bytes, its key included.

        The stream's own limit is read when the first record is larger than the default.
        """
        if size > RECORD_BYTES and not self._record_bytes:
            requests = self._requests
            describe = partial(requests.client.describe_stream_summary, StreamName=requests.stream)
            self._record_bytes = max_record_bytes(requests.call(describe))
        return size <= max(RECORD_BYTES, self._record_bytes)

    def poll(self) -> None:
        """Send batches that have waited long enough, and process acknowledgements."""
        now = time.monotonic()
        if self._aggregates is not None and now - self._shards_read > _REFRESH_SECONDS:
            self._read_shards()
        for queue in self._queues:
            if queue.in_flight is not None and queue.in_flight.done():
                self._collect(queue)
            if queue.in_flight is None and queue.batch and now - queue.since > _LINGER_SECONDS:
                self._dispatch(queue)
        if self._aggregates and now - self._packed_since > _LINGER_SECONDS:
            self._close_aggregates()

    def flush(self) -> None:
        """Wait until everything is stored, including the records of misplaced aggregates."""
        self._close_aggregates()
        while any(queue.batch or queue.in_flight for queue in self._queues):
            self._dispatch_all()
            for queue in self._queues:
                self._collect(queue)

    def close(self, *, flush: bool = True) -> None:
        """Flush, unless a request failed before; then drop what is queued."""
        try:
            if flush and not self._failed:
                self.flush()
        finally:
            self._requests.cancelled.set()
            self._pool.shutdown(cancel_futures=True)

    def _send(self, member: Member) -> None:
        size = len(member.raw) + len(member.key)
        if not self.takes(size):
            raise self._requests.failure(
                f"a record of {size} bytes with its key; the stream takes {self._record_bytes}."
                " Leave it out, send it to Kafka, or raise the stream's maximum record size"
            )
        if self._aggregates is None:
            self._add(member.key, Entry(member.raw, member.key, (member,)))
        else:
            self._pack(member, self._aggregates)

    def _pack(self, member: Member, aggregates: dict[str, Aggregate]) -> None:
        shard = self._shards.of_key(member.key)
        if not aggregates:
            self._packed_since = time.monotonic()
        aggregate = aggregates.get(shard.id)
        if aggregate is None or not aggregate.has_room(member):
            if aggregate:
                self._add(shard.id, aggregate.entry())
            aggregate = aggregates[shard.id] = Aggregate(shard)
        aggregate.add(member)

    def _close_aggregates(self) -> None:
        for aggregate in (self._aggregates or {}).values():
            self._add(aggregate.shard.id, aggregate.entry())
        if self._aggregates:
            self._aggregates.clear()

    def _add(self, key_or_shard: str, entry: Entry) -> None:
        queue = self._queues[crc32(key_or_shard.encode()) % _QUEUES]
        size = entry.size
        is_full = len(queue.batch) == BATCH_RECORDS or queue.bytes + size > BATCH_BYTES
        if queue.batch and is_full:  # a record above 5 MiB is a request of its own
            self._dispatch(queue)
        if not queue.batch:
            queue.since = time.monotonic()
        queue.batch.append(entry)
        queue.bytes += size

    def _dispatch(self, queue: _Queue) -> None:
        """Send a queue's batch when its request in flight has completed."""
        self._collect(queue)
        batch, queue.batch, queue.bytes = queue.batch, [], 0
        queue.in_flight = self._pool.submit(self._requests.put, batch)

    def _dispatch_all(self) -> None:
        for queue in self._queues:
            if queue.batch:
                self._dispatch(queue)

    def _collect(self, queue: _Queue) -> None:
        """Wait for a queue's request in flight and process its acknowledgements."""
        if queue.in_flight is None:
            return
        request, queue.in_flight = queue.in_flight, None
        try:
            stored = request.result()
        except UserError:
            self._failed = True
            raise
        for entry, position in stored:
            self._acknowledge(entry, position)

    def _acknowledge(self, entry: Entry, position: Position) -> None:
        members = entry.members
        if entry.shard and entry.shard != position.shard:
            members = self._readable(members, str(position.shard))
        elif not members and not self._shards.named(str(position.shard)):
            self._shards_read = 0.0  # Resharded: the next control record goes to the new shards.
        self.acknowledged_records += len(members)
        for member in members:
            if member.acknowledged is not None:
                member.acknowledged(position)

    def _readable(self, members: tuple[Member, ...], shard_id: str) -> tuple[Member, ...]:
        """Return the members of an aggregate that was stored in another shard than intended.

        The stream was resharded. Consumers drop a whole aggregate if one member's key does not
        belong to the shard that they read; then send all of them again, singly, and return none.
        """
        self._read_shards()
        shard = self._shards.named(shard_id)
        if shard and all(shard.owns(member.key) for member in members):
            return members
        for member in members:
            self._add(member.key, Entry(member.raw, member.key, (member,)))
        self.misplaced_records += len(members)
        return ()

    def _read_shards(self) -> None:
        requests = self._requests
        pages = requests.client.get_paginator("list_shards").paginate
        described = requests.call(
            lambda: [s for page in pages(StreamName=requests.stream) for s in page["Shards"]]
        )
        self._close_aggregates()
        self._shards = ShardMap(described)
        self._shards_read = time.monotonic()


def partition_key(key: bytes | None, raw: bytes | None) -> str:
    """Return a record's key as partition key; a hash if there is none or it cannot be one."""
    if key and len(key) <= PARTITION_KEY_BYTES and key.isascii():
        return key.decode()
    return f"{checksums.digest(key or raw):016x}"
