"""A dead letter, whatever back end holds it, and its identity."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from connectors.positions import Position

_REPLICA: Final = re.compile(r"replica ([a-z][a-z0-9_]*): ")
_DIGEST_BYTES: Final = 16
_SHA256_DIGITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A rejected record with its position in the source, and why it was rejected.

    `raw` of a large record is only its head; the whole record, of `raw_bytes` bytes and that
    `sha256`, is in the folder `full_record`. `place` is where the dead letter itself is stored.
    `arrival_ms` is in epoch milliseconds, None if unknown.
    """

    raw: bytes | None
    key: bytes | None
    step: str
    reason: str
    detail: str
    position: Position
    arrival_ms: int | None
    event_type: str
    schema_version: int
    raw_bytes: int
    sha256: str
    full_record: str
    place: str

    @property
    def is_large(self) -> bool:
        """Whether `raw` is only the head of the record."""
        return bool(self.full_record)

    @property
    def replica(self) -> str:
        """The replica that rejected the record, from a detail `replica airport: 1234567 bytes`."""
        match = _REPLICA.match(self.detail) if self.step == "replicate" else None
        return match[1] if match else ""

    @property
    def where(self) -> str:
        """The position: topic/partition/offset or stream/shard/sequence number."""
        return position_text(self.position)

    @property
    def partition(self) -> str:
        """The partition of the source: topic/partition or stream/shard."""
        return self.where.rpartition("/")[0]

    @property
    def identity(self) -> str:
        """Equal for all copies of this dead letter, different from any other's.

        The records of one KPL aggregate share a position; the hash tells them apart.
        """
        sha256 = self.sha256 or _sha256(self.raw)
        return f"{self.step} {self.replica or '-'} {self.where} {sha256[:_SHA256_DIGITS]}"

    @property
    def digest(self) -> bytes:
        """The identity in 16 bytes, of which millions fit into memory."""
        return digest_of(self.identity)


def digest_of(identity: str) -> bytes:
    """Return 16 bytes of BLAKE2b."""
    return hashlib.blake2b(identity.encode(), digest_size=_DIGEST_BYTES).digest()


def position_text(position: Position) -> str:
    """Return topic/partition/offset or stream/shard/sequence number; empty if neither is known."""
    kafka, kinesis = position[:3], position[3:]
    if None not in kafka:
        return "/".join(map(str, kafka))
    return "/".join(map(str, kinesis)) if None not in kinesis else ""


def escaped(text: str | bytes | None) -> str:
    """Return text that is safe to print: other characters are escaped as in Python's literals."""
    if text is None:
        return ""
    decoded = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in decoded
    )


def _sha256(raw: bytes | None) -> str:
    return "none" if raw is None else hashlib.sha256(raw).hexdigest()
