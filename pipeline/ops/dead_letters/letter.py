"""A dead letter of any back end, its identity, and the filters of the commands."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from connectors.block import Headers
from connectors.errors import UserError
from connectors.positions import Position
from pipeline.decode.reasons import REASONS, STEPS
from pipeline.decode.timestamps import EPOCH, MILLISECOND
from pipeline.terminal import printable

_REPLICA: Final = re.compile(r"replica ([a-z][a-z0-9_]*): ")
_DIGEST_BYTES: Final = 16
_SHA256_DIGITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A rejected record with its position in the source, and why it was rejected.

    For a large record, `raw` is only its head; the whole record, of `raw_bytes` bytes and with that
    `sha256`, is in the folder `full_record`. `place` is where the dead letter itself is stored.
    `arrival_ms` is in epoch milliseconds, None if unknown. `headers` are the record's own, in their
    order; dead letters of earlier revisions have none.
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
    headers: Headers = ()

    @property
    def size(self) -> int:
        """Bytes of `raw`, key and headers."""
        headers = sum(len(name.encode()) + len(value or b"") for name, value in self.headers)
        return len(self.raw or b"") + len(self.key or b"") + headers

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
        """A text that all copies of this dead letter share, and no other dead letter has.

        The records of one KPL aggregate share a position; the hash tells them apart.
        """
        sha256 = self.sha256 or (
            "none" if self.raw is None else hashlib.sha256(self.raw).hexdigest()
        )
        return f"{self.step} {self.replica or '-'} {self.where} {sha256[:_SHA256_DIGITS]}"

    @property
    def digest(self) -> bytes:
        """The identity's digest of 16 bytes, so that millions fit into memory."""
        return digest_of(self.identity)


Matches = Callable[[Letter], bool]
"""Returns whether a dead letter is chosen."""


def chosen_by(
    steps: list[str] | None = None,
    reasons: list[str] | None = None,
    event_types: list[str] | None = None,
    partitions: list[str] | None = None,
    since: str = "",
    until: str = "",
) -> Matches:
    """Return a command's filters, which must all match; an empty one matches everything.

    A dead letter of unknown arrival time is in no interval.

    Raises:
        UserError: a value can match nothing.
    """
    _check("--step", steps, STEPS)
    _check("--reason", reasons, REASONS)
    for partition in partitions or ():
        if partition.count("/") != 1:
            raise UserError(f"--partition {partition}: give topic/partition or stream/shard.")
    first, end = instant_ms("--since", since), instant_ms("--until", until)

    def matches(letter: Letter) -> bool:
        arrived = letter.arrival_ms
        return (
            (not steps or letter.step in steps)
            and (not reasons or letter.reason in reasons)
            and (not event_types or letter.event_type in event_types)
            and (not partitions or letter.partition in partitions)
            and (first is None or (arrived is not None and arrived >= first))
            and (end is None or (arrived is not None and arrived < end))
        )

    return matches


def _check(option: str, values: list[str] | None, allowed: Collection[str]) -> None:
    for value in values or ():
        if value not in allowed:
            raise UserError(f"{option} {value}: unknown; give one of {', '.join(allowed)}.")


def instant_ms(option: str, text: str) -> int | None:
    """Return an ISO-8601 date or time in epoch milliseconds; UTC unless it has an offset."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            f"{option} {text}: give ISO-8601, such as 2018-01-31 or 2018-01-31T08:00:00Z."
        ) from error
    return millis_of(moment)


def millis_of(moment: datetime) -> int:
    """Return epoch milliseconds; a time without a zone is UTC."""
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - EPOCH) // MILLISECOND


def digest_of(identity: str) -> bytes:
    """Return 16 bytes of BLAKE2b."""
    return hashlib.blake2b(identity.encode(), digest_size=_DIGEST_BYTES).digest()


def position_text(position: Position) -> str:
    """Return topic/partition/offset or stream/shard/sequence number; empty if neither is known."""
    fields = position[:3] if None not in position[:3] else position[3:]
    return "" if None in fields else "/".join(map(str, fields))


def escaped(text: str | bytes | None) -> str:
    """Return text that is safe to print: other characters are escaped as in Python's literals."""
    decoded = text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text or ""
    return printable(decoded)
