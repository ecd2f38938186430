"""64-bit checksums of rows that are equal for numpy arrays, Arrow tables and JSON documents.

So every value of every row is compared while eight bytes a row are kept. A row's checksum is the
sum over its columns, so the order of columns does not matter. A null and an empty string count as
absent. Numbers are compared as doubles, which is exact for integers below 2**53.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

TIME_SUFFIX: Final = "_datetime"
"""Suffix of columns that hold timestamps: strings in JSON, milliseconds everywhere else."""

_SHIFTS: Final = (np.uint64(30), np.uint64(27), np.uint64(31))
_FACTORS: Final = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))


def digest(raw: bytes | None) -> int:
    """Return 64 bits of BLAKE2b over the bytes; 0 for a record without a value."""
    if raw is None:
        return 0
    return int.from_bytes(hashlib.blake2b(raw, digest_size=8).digest(), "little")


def digests(values: Iterable[bytes | None]) -> Hashes:
    """Return the `digest` of each value."""
    return np.fromiter((digest(value) for value in values), dtype=np.uint64)


def of_arrays(columns: Mapping[str, NDArray[Any]]) -> Hashes:
    """Return the checksum of each row of numpy columns: numbers, or strings in an object array."""
    parts = (
        _strings(name, pa.array(values, pa.string()))
        if values.dtype == object
        else _numbers(name, values)
        for name, values in columns.items()
    )
    return _total(parts)


def of_table(table: pa.Table, leave_out: Sequence[str] = ()) -> Hashes:
    """Return the checksum of each row of an Arrow table, without the columns in `leave_out`."""
    names = [name for name in table.column_names if name not in leave_out]
    if table.num_rows == 0 or not names:
        return np.zeros(table.num_rows, dtype=np.uint64)
    return _total(_of_column(name, table.column(name)) for name in names)


def of_documents(documents: Sequence[Mapping[str, Any]]) -> Hashes:
    """Return the checksum of each JSON document; a value of an unknown type matches no other."""
    names = dict.fromkeys(name for document in documents for name in document)
    if not names:
        return np.zeros(len(documents), dtype=np.uint64)
    return _total(_of_json(name, [d.get(name) for d in documents]) for name in names)


def millis(values: pa.ChunkedArray) -> NDArray[np.int64]:
    """Return a timestamp column as epoch milliseconds; a null becomes the smallest int64."""
    numbers = pc.cast(pc.cast(values, pa.timestamp("ms", tz="UTC")), pa.int64())
    lowest = pa.scalar(np.iinfo(np.int64).min, pa.int64())
    return np.asarray(pc.fill_null(numbers, lowest), dtype=np.int64)


def _of_json(name: str, values: list[Any]) -> Hashes:
    try:
        column = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        column = pa.array([value if value is None else repr(value) for value in values])
    if name.endswith(TIME_SUFFIX):
        column = _times(column)
    return _of_column(name, pa.chunked_array([column]))


def _times(column: pa.Array) -> pa.Array:
    if not pa.types.is_string(column.type):
        return pa.array([repr(value) for value in column.to_pylist()])
    try:
        return column.cast(pa.timestamp("ms", tz="UTC"))
    except pa.ArrowInvalid:
        return column


def _of_column(name: str, column: pa.ChunkedArray) -> Hashes:
    kind = column.type
    if pa.types.is_null(kind):
        return np.zeros(len(column), dtype=np.uint64)
    if pa.types.is_dictionary(kind):
        column = pc.cast(column, kind.value_type)
        kind = kind.value_type
    if pa.types.is_timestamp(kind):
        hashes = _numbers(name, millis(column))
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        hashes = _numbers(name, np.asarray(pc.fill_null(column, 0)))
    else:
        return _strings(name, column)
    if column.null_count:
        hashes[np.asarray(column.is_null())] = 0
    return hashes


def _numbers(name: str, values: NDArray[Any]) -> Hashes:
    # Adding 0.0 makes -0.0 and 0.0 the same bits.
    bits = (values.astype(np.float64) + 0.0).view(np.uint64)
    return _mixed(bits ^ np.uint64(digest(name.encode())))


def _strings(name: str, values: pa.Array | pa.ChunkedArray) -> Hashes:
    strings = values if pa.types.is_string(values.type) else pa.array(map(repr, values.to_pylist()))
    encoded = pc.dictionary_encode(pc.fill_null(strings, ""))
    chunks = encoded.chunks if isinstance(encoded, pa.ChunkedArray) else [encoded]
    return np.concatenate([_of_dictionary(name, chunk) for chunk in chunks])


def _of_dictionary(name: str, chunk: pa.DictionaryArray) -> Hashes:
    prefix = name.encode() + b"="
    checksums = np.fromiter(
        (
            digest(prefix + str(string).encode()) if string else 0
            for string in chunk.dictionary.to_pylist()
        ),
        dtype=np.uint64,
    )
    indices = np.asarray(chunk.indices)
    return checksums[indices] if len(indices) else np.zeros(0, dtype=np.uint64)


def _mixed(bits: Hashes) -> Hashes:
    """Mix bits as SplitMix64's finaliser does (Steele, Lea, Flood 2014): each affects all."""
    bits = (bits ^ (bits >> _SHIFTS[0])) * _FACTORS[0]
    bits = (bits ^ (bits >> _SHIFTS[1])) * _FACTORS[1]
    return bits ^ (bits >> _SHIFTS[2])


def _total(parts: Iterable[Hashes]) -> Hashes:
    columns = iter(parts)
    total = next(columns).copy()
    for hashes in columns:
        total += hashes
    return total
