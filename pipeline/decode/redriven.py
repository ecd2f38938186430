"""Redrive marks: headers that keep a redriven record out of the sinks that have its event already.

Whoever can write to the source must not choose that, so a mark counts only with a signature by the
configured key. The signature covers the digest of the record's bytes: it fits no other record. A
mark of the step `decode` keeps a record out of nothing and needs no signature.

A mark is passed on as one string, the values of `HEADERS` with a space between them.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from pipeline.decode.columns import Array

STEP: Final = "redrive_step"
HEADERS: Final = (STEP, "redrive_position", "redrive_replica", "redrive_signature")
"""The headers of a redriven record. Of a header with several values, the last counts."""
SEPARATOR: Final = " "
"""Between the values of a mark; no position, step or replica contains it."""
UNSIGNED_STEP: Final = "decode"

Verdict = Literal["genuine", "forged", "none"]
"""none: the record goes through all steps, as without headers."""
_VERSION: Final = b"streaming-etl redrive 1"


class Mark(NamedTuple):
    """What a redrive says of a record: its first position, the step to repeat, and the replica."""

    position: str
    step: str
    replica: str = ""


class Verified(NamedTuple):
    """The genuine marks of a batch, by row."""

    marks: dict[int, Mark]
    forged: int
    """How many marks were not genuine; their records go through all steps."""


def content_digest(raw: bytes | None) -> str:
    """Return the SHA-256 of a record's bytes in lower-case hex; a tombstone has none."""
    return hashlib.sha256(raw or b"").hexdigest()


def sign(key: str, mark: Mark, sha256: str) -> str:
    """Return the HMAC-SHA256 in lower-case hex of a mark on a record with this digest."""
    # Each part's length comes first, so no two marks give the same message.
    parts = [_VERSION, *(text.encode() for text in (*mark, sha256))]
    message = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hmac.new(key.encode(), message, hashlib.sha256).hexdigest()


def packed(values: Iterable[str | None]) -> str | None:
    """Return the mark in the values of `HEADERS`; None without a step."""
    step, *others = values
    return None if step is None else SEPARATOR.join([step, *(text or "" for text in others)])


def verdict(key: str, mark: str, sha256: str) -> Verdict:
    """Return whether the key's owner put this mark on the record with this digest.

    Without a key, no mark is genuine.
    """
    if mark.split(SEPARATOR, 1)[0] == UNSIGNED_STEP:
        return "none"
    return "genuine" if _genuine(key, mark, sha256) else "forged"


def judge(key: str, values: Iterable[str | None], raw: bytes | None) -> Verdict | None:
    """Return the verdict on one record with these values of `HEADERS`; None without a mark."""
    mark = packed(values)
    return None if mark is None else verdict(key, mark, content_digest(raw))


def verify(key: str, marks: Array, raws: Sequence[bytes | None]) -> Verified:
    """Verify the marks of a batch, None for records without one. Never raises.

    Only a record with a mark costs anything: its bytes are hashed.
    """
    genuine: dict[int, Mark] = {}
    forged = 0
    for row in np.flatnonzero(marks).tolist():
        mark, sha256 = marks[row], content_digest(raws[row])
        found = verdict(key, mark, sha256)
        forged += found == "forged"
        if found == "genuine":
            step, position, replica, _ = mark.split(SEPARATOR)
            genuine[row] = Mark(position, step, replica)
    return Verified(genuine, forged)


def _genuine(key: str, mark: str, sha256: str) -> bool:
    values = mark.split(SEPARATOR)
    if not key or len(values) != len(HEADERS):
        return False
    step, position, replica, signature = values
    expected = sign(key, Mark(position, step, replica), sha256)
    return hmac.compare_digest(expected.encode(), signature.encode())
