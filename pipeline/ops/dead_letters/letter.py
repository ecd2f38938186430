"""A dead letter, whichever system holds it, and its identity."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from connectors.positions import Position

_REPLICA: Final = re.compile(r"replica ([a-z][a-z0-9_]*): ")
_MARK_BYTES: Final = 16
_SHA256_SHOWN: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A rejected record: the reason, its position, its bytes.

    For a large record, `raw` is only the head and `full_record` the folder of the whole, which has
    `raw_bytes` bytes and that `sha256`. `place` is where the dead letter itself is stored.
    `arrival_ms` is in epoch milliseconds, None where it is unknown.
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
        """Whether the bytes here are only the head."""
        return bool(self.full_record)

    @property
    def replica(self) -> str:
        """The replica that the detail names, as in `replica airport: 1234567 bytes`."""
        match = _REPLICA.match(self.detail) if self.step == "replicate" else None
        return match[1] if match else ""

    @property
    def where(self) -> str:
        """The position as one string, topic/partition/offset or stream/shard/sequence number."""
        return position_text(self.position)

    @property
    def partition(self) -> str:
        """The part of the source, topic/partition or stream/shard."""
        return self.where.rpartition("/")[0]

    @property
    def identity(self) -> str:
        """A string equal for all copies of this dead letter, and different for all others.

        The parts of one KPL-aggregated record share a position: the digest tells them apart.
        """
        digest = self.sha256 or _sha256(self.raw)
        return f"{self.step} {self.replica or '-'} {self.where} {digest[:_SHA256_SHOWN]}"


def log_key(identity: str) -> bytes:
    """Hash an identity to 16 bytes, so that millions fit into memory."""
    return hashlib.blake2b(identity.encode(), digest_size=_MARK_BYTES).digest()


def position_text(position: Position) -> str:
    """Return topic/partition/offset or stream/shard/sequence number; empty if neither is known."""
    first, second = position[:3], position[3:]
    if None not in first:
        return "/".join(map(str, first))
    return "/".join(map(str, second)) if None not in second else ""


def escaped(text: str | bytes | None) -> str:
    """Return text that is safe to print on a terminal: unprintable characters are escaped."""
    if text is None:
        return ""
    known = text if isinstance(text, str) else text.decode("utf-8", "backslashreplace")
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in known
    )


def _sha256(raw: bytes | None) -> str:
    return "none" if raw is None else hashlib.sha256(raw).hexdigest()
