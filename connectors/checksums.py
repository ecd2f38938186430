"""A hash of bytes, and timestamps as numbers."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def digest(raw: bytes | None) -> int:
    """Return 64 bits of BLAKE2b over the bytes; 0 for a record without a value."""
    if raw is None:
        return 0
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")


def millis(values: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a timestamp column as epoch milliseconds; a null becomes the smallest int64."""
    return counts(pc.cast(values, pa.timestamp("ms", tz="UTC")))


def counts(values: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a timestamp column as counts of its unit; a null becomes the smallest int64."""
    lowest = pa.scalar(np.iinfo(np.int64).min, pa.int64())
    return np.asarray(pc.fill_null(pc.cast(values, pa.int64()), lowest), dtype=np.int64)
