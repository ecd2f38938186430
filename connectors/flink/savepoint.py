"""Which operators a savepoint or checkpoint has: read from its file `_metadata`, without Flink.

Flink names an operator there by its id, the hash murmur3_128 of its uid, and not by the uid itself.
"""

from __future__ import annotations

from typing import Final

METADATA: Final = "_metadata"
"""The file that makes a folder a complete savepoint or checkpoint."""

_DRAINED: Final = b"Terminate Savepoint"
_STOPPED: Final = (b"Suspend Savepoint", _DRAINED)
"""Flink's names of the kinds of savepoints that end a job."""
_PROPERTIES: Final = b"CheckpointProperties"
"""The Java object at the file's end that has the kind. Records may stand before it."""

_MASK: Final = (1 << 64) - 1
_C1: Final = 0x87C37B91114253D5
_C2: Final = 0x4CF5AD432745937F


def holds(metadata: bytes, uid: str) -> bool:
    """Return whether the operator of that uid has a place in the snapshot, with state or without.

    An id has 16 bytes, so that other content is as good as never taken for one.
    """
    return operator_id(uid) in metadata


def has_stopped(metadata: bytes) -> bool:
    """Return whether it is a savepoint that a job stopped with, drained or not.

    Such a one committed all that its sinks had: Flink has answered with its address afterwards. One
    that the job survived, or a checkpoint, may hold what is not committed.
    """
    return any(name in _properties(metadata) for name in _STOPPED)


def is_drained(metadata: bytes) -> bool:
    """Return whether it is a savepoint that a job ended with, and passed on all that it held."""
    return _DRAINED in _properties(metadata)


def _properties(metadata: bytes) -> bytes:
    return metadata.rpartition(_PROPERTIES)[2]


def operator_id(uid: str) -> bytes:
    """Return the id that Flink gives to the operator of a uid.

    >>> operator_id("records_kafka").hex()
    'f3a044a11ad7686e1503cba7c3a88870'
    """
    data = uid.encode()
    h1 = h2 = 0
    whole = len(data) // 16 * 16
    for start in range(0, whole, 16):
        k1, k2 = _word(data[start : start + 8]), _word(data[start + 8 : start + 16])
        h1 = (_rotated(h1 ^ _mixed(k1, _C1, 31, _C2), 27) + h2) * 5 + 0x52DCE729 & _MASK
        h2 = (_rotated(h2 ^ _mixed(k2, _C2, 33, _C1), 31) + h1) * 5 + 0x38495AB5 & _MASK
    tail = data[whole:]
    h1 ^= _mixed(_word(tail[:8]), _C1, 31, _C2) ^ len(data)
    h2 ^= _mixed(_word(tail[8:]), _C2, 33, _C1) ^ len(data)
    h1 = h1 + h2 & _MASK
    h2 = h2 + h1 & _MASK
    h1, h2 = _final(h1), _final(h2)
    h1 = h1 + h2 & _MASK
    h2 = h2 + h1 & _MASK
    return h1.to_bytes(8, "little") + h2.to_bytes(8, "little")


def _word(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _rotated(value: int, bits: int) -> int:
    return (value << bits | value >> 64 - bits) & _MASK


def _mixed(word: int, first: int, bits: int, second: int) -> int:
    return _rotated(word * first & _MASK, bits) * second & _MASK


def _final(value: int) -> int:
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        value = (value ^ value >> 33) * factor & _MASK
    return value ^ value >> 33
