"""A Kinesis stream to send to: PutRecords in full batches, several requests at once."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from zlib import crc32

from connectors import checksums as content
from connectors.block import Block
from connectors.errors import UserError
from connectors.kinesis.aggregation import Aggregate, ShardMap
from connectors.kinesis.put_records import (
    BATCH_BYTES,
    BATCH_RECORDS,
    Entry,
    Member,
    Requests,
    Stored,
)
from connectors.kinesis.table import PARTITION_KEY_BYTES, RECORD_BYTES
from connectors.producer import Acknowledged, Outgoing

_LANES: Final = 4
_LINGER_SECONDS: Final = 0.05
_REFRESH_SECONDS: Final = 10.0
_CONTROL_KEY: Final = "watermark"


@dataclass(slots=True)
class _Lane:
    """Records that must keep their order: one request of them at a time."""

    batch: list[Entry] = field(default_factory=list)
    bytes: int = 0
    since: float = 0.0
    going: Future[list[Stored]] | None = None


class KinesisTarget:
    """See `Target`. At least once: a request whose answer was lost is sent again.

    Records of one key keep their order as long as Kinesis refuses none: one that it throttles is
    sent again after the others of its batch. With `aggregate` records are packed as the Kinesis
    Producer Library does; those of one pack share a position.
    """

    def __init__(
        self, client: Any, stream: str, aggregate: bool = False, *, timeout_seconds: float = 60.0
    ) -> None:
        self._requests = Requests(client, stream, timeout_seconds)
        self._aggregates: dict[str, Aggregate] | None = {} if aggregate else None
        self._lanes = [_Lane() for _ in range(_LANES)]
        self._acknowledged = 0
        self._misplaced = 0
        self._failed = False
        self._packed = 0.0
        self._read_shards()
        self._pool = ThreadPoolExecutor(_LANES, thread_name_prefix="put-records")

    @property
    def name(self) -> str:
        """For messages."""
        return f"the stream {self._requests.stream}"

    @property
    def acknowledged_records(self) -> int:
        """How many records are stored, as far as it has been noticed."""
        return self._acknowledged

    @property
    def retries(self) -> int:
        """How many records Kinesis refused, each time counted."""
        return self._requests.retries

    @property
    def throttled(self) -> int:
        """How many of the retries were for a shard's limits."""
        return self._requests.throttled

    @property
    def misplaced_records(self) -> int:
        """How many aggregated records were sent again because their shard was split meanwhile."""
        return self._misplaced

    def send(self, record: Outgoing, acknowledged: Acknowledged | None = None) -> None:
        """Hands a record over. Headers can't be kept; a missing value goes as no bytes."""
        self._send(Member(record.raw or b"", partition_key(record.key, record.raw), acknowledged))
        self.poll()

    def send_block(self, block: Block) -> None:
        """Hands all records over."""
        for raw, key in zip(block.raws, block.keys, strict=True):
            self._send(Member(raw or b"", partition_key(key, raw), None))
        self.poll()

    def send_everywhere(self, raw: bytes) -> int:
        """To every open shard, when everything before it is stored: a retry would come behind."""
        self.flush()
        if time.monotonic() - self._read > _REFRESH_SECONDS:
            self._read_shards()
        for shard in self._shards.shards:
            self._add(self._lane(shard.id), Entry(raw, _CONTROL_KEY, (), str(shard.first)))
        self._dispatch_all()
        return len(self._shards.shards)

    def poll(self) -> None:
        """Sends batches that have waited long enough, and notices what is stored."""
        now = time.monotonic()
        if self._aggregates is not None and now - self._read > _REFRESH_SECONDS:
            self._read_shards()
        for lane in self._lanes:
            if lane.going is not None and lane.going.done():
                self._collect(lane)
            if lane.going is None and lane.batch and now - lane.since > _LINGER_SECONDS:
                self._dispatch(lane)
        if self._aggregates and now - self._packed > _LINGER_SECONDS:
            self._close_aggregates()

    def flush(self) -> None:
        """Waits until everything is stored, records of misplaced aggregates too."""
        self._close_aggregates()
        while any(lane.batch or lane.going for lane in self._lanes):
            self._dispatch_all()
            for lane in self._lanes:
                self._collect(lane)

    def close(self, *, flush: bool = True) -> None:
        """Flushes, unless a request failed before; then what waits is given up."""
        try:
            if flush and not self._failed:
                self.flush()
        finally:
            self._requests.given_up.set()
            self._pool.shutdown(cancel_futures=True)

    def _send(self, member: Member) -> None:
        size = len(member.raw) + len(member.key)
        if size > RECORD_BYTES:
            raise self._requests.too_large(size)
        if self._aggregates is None:
            self._add(self._lane(member.key), Entry(member.raw, member.key, (member,)))
        else:
            self._pack(member)

    def _pack(self, member: Member) -> None:
        shard = self._shards.of_key(member.key)
        assert self._aggregates is not None
        if not self._aggregates:
            self._packed = time.monotonic()
        aggregate = self._aggregates.get(shard.id)
        if aggregate is None or not aggregate.takes(member):
            if aggregate:
                self._add(self._lane(shard.id), aggregate.entry())
            aggregate = self._aggregates[shard.id] = Aggregate(shard)
        aggregate.add(member)

    def _close_aggregates(self) -> None:
        for aggregate in (self._aggregates or {}).values():
            self._add(self._lane(aggregate.shard.id), aggregate.entry())
        if self._aggregates:
            self._aggregates.clear()

    def _lane(self, of: str) -> _Lane:
        return self._lanes[crc32(of.encode()) % _LANES]

    def _add(self, lane: _Lane, entry: Entry) -> None:
        size = entry.size
        if len(lane.batch) == BATCH_RECORDS or lane.bytes + size > BATCH_BYTES:
            self._dispatch(lane)
        if not lane.batch:
            lane.since = time.monotonic()
        lane.batch.append(entry)
        lane.bytes += size

    def _dispatch(self, lane: _Lane) -> None:
        """Sends a lane's batch as soon as the one before it is stored."""
        self._collect(lane)
        batch, lane.batch, lane.bytes = lane.batch, [], 0
        lane.going = self._pool.submit(self._requests.put, batch)

    def _dispatch_all(self) -> None:
        for lane in self._lanes:
            if lane.batch:
                self._dispatch(lane)

    def _collect(self, lane: _Lane) -> None:
        if lane.going is None:
            return
        going, lane.going = lane.going, None
        try:
            stored = going.result()
        except UserError:
            self._failed = True
            raise
        for one in stored:
            self._note(one)

    def _note(self, stored: Stored) -> None:
        entry, position = stored
        members = entry.members
        if entry.shard and entry.shard != position.shard:
            members = self._well_placed(members, str(position.shard))
        elif not members and not self._shards.named(str(position.shard)):
            self._read = 0.0  # Resharded: the next control record must go to the new shards.
        self._acknowledged += len(members)
        for member in members:
            if member.told is not None:
                member.told(position)

    def _well_placed(self, members: tuple[Member, ...], shard_id: str) -> tuple[Member, ...]:
        """The members of an aggregate that lies in another shard than was meant, or none.

        The stream was resharded. Consumers drop a whole aggregate for one member whose key is not
        of the shard that they read; then all of them are sent again, singly.
        """
        self._read_shards()
        shard = self._shards.named(shard_id)
        if shard and all(shard.has(member.key) for member in members):
            return members
        for member in members:
            self._add(self._lane(member.key), Entry(member.raw, member.key, (member,)))
        self._misplaced += len(members)
        return ()

    def _read_shards(self) -> None:
        requests = self._requests
        pages = requests.client.get_paginator("list_shards").paginate
        found = requests.ask(
            lambda: [s for page in pages(StreamName=requests.stream) for s in page["Shards"]]
        )
        self._close_aggregates()
        self._shards = ShardMap.of(found)
        self._read = time.monotonic()


def partition_key(key: bytes | None, raw: bytes | None) -> str:
    """A record's key as its partition key; of bytes that can't be one, or of none, a hash."""
    if key and len(key) <= PARTITION_KEY_BYTES and key.isascii():
        return key.decode()
    return f"{content.digest(key or raw):016x}"
