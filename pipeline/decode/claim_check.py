"""The claim check: a record too large for its target leaves only its head and its hash there.

Length and SHA-256 prove later that the whole record, kept elsewhere, is the one meant.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence

import numpy as np

from pipeline.decode.columns import Array

# Of a header beside name and value: two lengths and a prefix on Kafka, base64's padding, quotes and
# commas in an envelope.
_HEADER_BYTES = 20


def claim_check(
    raws: Sequence[bytes | None], *, max_bytes: int, head_bytes: int, beside: Array | int = 0
) -> dict[str, Array]:
    """Mark the records of more than `max_bytes` bytes and keep `head_bytes` of each. Never raises.

    `beside` is the number of bytes that go with each record, its key and headers; they count
    towards the limit. Only a large record is hashed or copied.

    Returns columns with one row for each record, in order: `large` (bool), `bytes` (int32, length
    of the whole record, 0 for None), and for large ones only, else None, `head` (the first bytes)
    and `sha256` (the lower-case hex digest of the whole record).
    """
    lengths = byte_lengths(raws)
    large = lengths + beside > max_bytes
    head, sha256 = np.full(len(raws), None, object), np.full(len(raws), None, object)
    for row in np.flatnonzero(large):
        raw = raws[row] or b""
        head[row] = raw[:head_bytes]
        sha256[row] = hashlib.sha256(raw).hexdigest()
    return {"large": large, "head": head, "bytes": lengths, "sha256": sha256}


def header_bytes(
    names: Iterable[Sequence[str] | None], values: Iterable[Sequence[bytes | None] | None]
) -> Array:
    """Return what each record's headers take beside it at most, as int32; 0 for None.

    Names count as in JSON, where control characters are longer, with a constant for each header.
    """
    pairs = zip(names, values, strict=True)
    return np.array([_header_bytes(*pair) for pair in pairs], np.int32)


def _header_bytes(names: Sequence[str] | None, values: Sequence[bytes | None] | None) -> int:
    if names is None or values is None:
        return 0
    of_names = sum(len(json.dumps(name)) + _HEADER_BYTES for name in names)
    return of_names + int(byte_lengths(values).sum())


def byte_lengths(values: Iterable[bytes | None]) -> Array:
    """Return the length of each value in bytes, as int32; 0 for None."""
    return np.array([0 if value is None else len(value) for value in values], np.int32)
