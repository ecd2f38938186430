"""Several records in one of Kinesis's, as the Kinesis Producer Library (KPL) packs them.

The format is of https://github.com/awslabs/amazon-kinesis-producer, aggregation-format.md: four
magic bytes, a protocol buffer with a table of partition keys and the records, an MD5 of it. A
consumer (Amazon's own, and Flink's by its code) drops them all if the key of one does not belong
to the shard that it reads, so only records of one shard may go together.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.kinesis.put_records import Entry, Member

MAGIC: Final = b"\xf3\x89\x9a\xc2"
AGGREGATE_BYTES: Final = 51_200
"""KPL's own limit: larger ones gain nothing and make a shard's share of them uneven."""
_RECORD_OVERHEAD: Final = 16
"""At most so many bytes round the data of a record: tags, lengths, the place of its key."""
_KEY: Final = "a"
"""Of the aggregate itself, as of KPL's; the explicit hash key decides."""


@dataclass(frozen=True, slots=True)
class Shard:
    """An open shard: which hash keys are its own."""

    id: str
    first: int
    last: int

    def has(self, key: str) -> bool:
        """Whether records of a partition key belong to it."""
        return self.first <= hash_of(key) <= self.last


@dataclass(frozen=True, slots=True)
class ShardMap:
    """The open shards of a stream, in the order of their hash keys."""

    shards: tuple[Shard, ...]
    firsts: tuple[int, ...]

    @classmethod
    def of(cls, described: Sequence[dict[str, Any]]) -> ShardMap:
        """From what ListShards says; closed shards are left out."""
        shards = tuple(sorted(map(_shard, filter(_is_open, described)), key=lambda s: s.first))
        return cls(shards, tuple(shard.first for shard in shards))

    def of_key(self, key: str) -> Shard:
        """The shard that takes records of a partition key."""
        return self.shards[max(0, bisect_right(self.firsts, hash_of(key)) - 1)]

    def named(self, shard_id: str) -> Shard | None:
        """The open shard of that id."""
        return next((shard for shard in self.shards if shard.id == shard_id), None)


class Aggregate:
    """Records of one shard that will be one Kinesis record."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.members: list[Member] = []
        self._keys: dict[str, int] = {}
        self._size = len(MAGIC) + 16

    def takes(self, member: Member) -> bool:
        """Whether there is room for one more; an empty one takes what fits at all."""
        return self._size + _weight(member) <= AGGREGATE_BYTES

    def add(self, member: Member) -> None:
        """Pack one more, in order."""
        self.members.append(member)
        self._keys.setdefault(member.key, len(self._keys))
        self._size += _weight(member)

    def entry(self) -> Entry:
        """The record to put: a lone member goes as it is."""
        if len(self.members) == 1:
            (member,) = self.members
            return Entry(member.raw, member.key, (member,))
        packed = packed_record([(self._keys[m.key], m.raw) for m in self.members], list(self._keys))
        return Entry(packed, _KEY, tuple(self.members), str(self.shard.first), self.shard.id)


def packed_record(records: Sequence[tuple[int, bytes]], keys: Sequence[str]) -> bytes:
    """The bytes of an aggregate: each record is the place of its key and its data."""
    message = b"".join(
        (
            *(_member(1, key.encode()) for key in keys),
            *(_member(3, b"\x08" + varint(place) + _member(3, data)) for place, data in records),
        )
    )
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


def hash_of(key: str) -> int:
    """The hash key that Kinesis gives a partition key."""
    digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big")


def varint(value: int) -> bytes:
    """A number as protocol buffers write it: seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _member(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def _weight(member: Member) -> int:
    return len(member.raw) + len(member.key) + 2 * _RECORD_OVERHEAD


def _is_open(described: dict[str, Any]) -> bool:
    return "EndingSequenceNumber" not in described["SequenceNumberRange"]


def _shard(described: dict[str, Any]) -> Shard:
    found = described["HashKeyRange"]
    return Shard(described["ShardId"], int(found["StartingHashKey"]), int(found["EndingHashKey"]))
