"""Several records in one Kinesis record, in the format of the Kinesis Producer Library (KPL).

The format (aggregation-format.md in https://github.com/awslabs/amazon-kinesis-producer) is four
magic bytes, a protocol buffer with a table of partition keys and the records, and its MD5.
Consumers, Amazon's and Flink's, drop a whole aggregate if the key of one record does not belong to
the shard that they read. So an aggregate holds records of one shard only.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

from connectors.kinesis.put_records import Entry, Member

MAGIC: Final = b"\xf3\x89\x9a\xc2"
_MD5_BYTES: Final = 16
# Fields of the protocol buffer, as a tag with the wire type "length and bytes".
_RECORDS, _DATA = 3 << 3 | 2, 3 << 3 | 2
_BYTES, _VARINT = 2, 0
# KPL's default limit. Larger aggregates gain nothing and load shards less evenly.
_AGGREGATE_BYTES: Final = 51_200
# Upper bound in bytes of the tags and lengths of a record and its key, and the key's index.
_RECORD_OVERHEAD: Final = 32
# Partition key of an aggregate, as KPL's; the explicit hash key selects the shard.
_KEY: Final = "a"


class Shard(NamedTuple):
    """An open shard and its range of hash keys, both ends inclusive."""

    id: str
    first: int
    last: int

    def owns(self, key: str) -> bool:
        """Return whether records of a partition key belong to this shard."""
        return self.first <= hash_of(key) <= self.last


class ShardMap:
    """The open shards of a stream, in the order of their hash keys."""

    def __init__(self, described: Sequence[dict[str, Any]]) -> None:
        """Build the map from the response of ListShards, without closed shards."""
        self.shards = sorted(map(_shard, filter(_is_open, described)), key=_first)

    def of_key(self, key: str) -> Shard:
        """Return the shard to which records of a partition key belong."""
        return self.shards[max(0, bisect_right(self.shards, hash_of(key), key=_first) - 1)]

    def named(self, shard_id: str) -> Shard | None:
        """Return the open shard of that id; None if there is none."""
        return next((shard for shard in self.shards if shard.id == shard_id), None)


class Aggregate:
    """Records of one shard, to be sent as one Kinesis record."""

    def __init__(self, shard: Shard) -> None:
        self.shard = shard
        self.members: list[Member] = []
        self._keys: dict[str, int] = {}
        self._size = len(MAGIC) + 16

    def has_room(self, member: Member) -> bool:
        """Return whether the record fits within KPL's limit."""
        return self._size + _weight(member) <= _AGGREGATE_BYTES

    def add(self, member: Member) -> None:
        """Append a record."""
        self.members.append(member)
        self._keys.setdefault(member.key, len(self._keys))
        self._size += _weight(member)

    def entry(self) -> Entry:
        """Return the record to put; a single record is not wrapped."""
        if len(self.members) == 1:
            (member,) = self.members
            return Entry(member.raw, member.key, (member,))
        packed = packed_record([(self._keys[m.key], m.raw) for m in self.members], list(self._keys))
        return Entry(packed, _KEY, tuple(self.members), str(self.shard.first), self.shard.id)


def packed_record(records: Sequence[tuple[int, bytes]], keys: Sequence[str]) -> bytes:
    """Return the bytes of an aggregate; each record is the index of its key, and its data."""
    fields = [_member(1, key.encode()) for key in keys]
    fields += [_member(3, b"\x08" + varint(key) + _member(3, data)) for key, data in records]
    message = b"".join(fields)
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


def is_aggregated(data: bytes) -> bool:
    """Return whether a record aggregates several, which share its position."""
    if not data.startswith(MAGIC):
        return False
    body, checksum = data[len(MAGIC) : -_MD5_BYTES], data[-_MD5_BYTES:]
    return hashlib.md5(body, usedforsecurity=False).digest() == checksum


def unpacked(data: bytes) -> list[bytes]:
    """Return the records of an aggregate; the record itself if it is none, as consumers do."""
    if not is_aggregated(data):
        return [data]
    try:
        fields = _fields(data[len(MAGIC) : -_MD5_BYTES])
        records = [value for tag, value in fields if tag == _RECORDS]
        return [value for record in records for tag, value in _fields(record) if tag == _DATA]
    except IndexError:
        return [data]


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and bytes of each field of a protocol buffer; IndexError if it is damaged.

    Numbers are left out.
    """
    at = 0
    while at < len(message):
        tag, at = _number(message, at)
        length, at = _number(message, at)
        if tag & 7 == _VARINT:
            continue  # The number was the value.
        if tag & 7 != _BYTES or at + length > len(message):
            raise IndexError("the protocol buffer is damaged")
        yield tag, message[at : at + length]
        at += length


def _number(message: bytes, at: int) -> tuple[int, int]:
    """Return a variable-length number and where the next part begins."""
    number = 0
    for shift in range(0, 64, 7):
        byte, at = message[at], at + 1
        number |= (byte & 0x7F) << shift
        if byte <= 0x7F:
            return number, at
    raise IndexError("a number is too long")


def hash_of(key: str) -> int:
    """Return the hash key that Kinesis computes of a partition key."""
    digest = hashlib.md5(key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big")


def varint(value: int) -> bytes:
    """Encode a number as protocol buffers do: seven bits a byte, the lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _member(number: int, value: bytes) -> bytes:
    return bytes([number << 3 | 2]) + varint(len(value)) + value


def _weight(member: Member) -> int:
    return len(member.raw) + len(member.key) + _RECORD_OVERHEAD


_first = attrgetter("first")


def _is_open(described: dict[str, Any]) -> bool:
    return "EndingSequenceNumber" not in described["SequenceNumberRange"]


def _shard(described: dict[str, Any]) -> Shard:
    keys = described["HashKeyRange"]
    return Shard(described["ShardId"], int(keys["StartingHashKey"]), int(keys["EndingHashKey"]))
