"""A batch's documents on their way to the index step, with what a dead letter needs of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pyarrow as pa

from connectors.arrow import read_stream, stream_bytes
from pipeline.collect.inputs import Inputs, binary
from pipeline.collect.rows import Columns
from pipeline.config.model import Source
from pipeline.decode.columns import Array, objects
from pipeline.decode.decoder import Decoded
from pipeline.decode.records import ARRIVAL_TIME, OWN_HEADERS, position, strings

STEP: Final = "index"
_DOCUMENT: Final = {
    "document_id": pa.string(),
    "document_version": pa.int64(),
    "document": pa.binary(),
    "schema_version": pa.int32(),
}
_RECORD: Final = {
    "raw": pa.binary(),
    "key": pa.binary(),
    "own_headers": pa.binary(),
    "arrival_ms": pa.int64(),
}


def batch(decoded: Decoded, inputs: Inputs) -> bytes | None:
    """Return the documents of a batch's events, in order; None if it has no event.

    Events that were redriven are among them: to write a document again changes nothing.
    """
    rows = np.flatnonzero(decoded.partition >= 0)
    if not len(rows):
        return None
    types = pa.array(decoded.event_type[rows], pa.string())
    columns = {"event_type": types.dictionary_encode()}
    for name, kind in _DOCUMENT.items():
        columns[name] = _array(getattr(decoded, name)[rows], kind)
    for name, kind in _RECORD.items():
        columns[name] = _array(getattr(inputs, name)[rows], kind)
    # Numbers and times stay as in `Inputs`, where one of their values stands for none.
    columns |= {name: _position(values[rows]) for name, values in inputs.position.items()}
    return stream_bytes(pa.RecordBatch.from_arrays(list(columns.values()), list(columns)))


def _array(values: Array, kind: pa.DataType) -> pa.Array:
    return binary(values) if kind == pa.binary() else pa.array(values, kind)


def read(data: bytes) -> pa.RecordBatch:
    """Read what `batch` returned."""
    return read_stream(data)


def column(documents: pa.RecordBatch, name: str) -> Array:
    """Return a column of documents as `Decoded` and `Inputs` have it."""
    values: pa.Array = documents.column(name)
    if isinstance(values, pa.DictionaryArray):
        texts = objects(values.dictionary.to_pylist())
        chosen: Array = texts[values.indices.to_numpy()]
        return chosen
    array: Array = values.to_numpy(zero_copy_only=False)
    return array


def reject_columns(source: Source) -> dict[str, str]:
    """Return the columns of rejects as rows of `index_step`, in Flink's words."""
    return {
        **dict.fromkeys(("raw", "key", OWN_HEADERS), "BYTES"),
        **strings(("reason", "detail")),
        **{name: kind for name, kind in position(source).items() if name not in ARRIVAL_TIME},
        "arrival_ms": "BIGINT",  # Python's rows have no TIMESTAMP_LTZ of any year.
        "event_type": "STRING",
        "schema_version": "INT",
    }


def _position(values: Array) -> pa.Array:
    return pa.array(values, pa.string() if values.dtype.hasobject else None)


def rejected(documents: pa.RecordBatch, rows: Array, reasons: Mapping[str, Array]) -> Columns:
    """Return rejected documents as columns of rejects; see `letters.reject_columns`.

    `reasons` has `reason` and `detail` of each of the rows.
    """
    chosen = documents.take(pa.array(rows))
    columns = {name: column(chosen, name) for name in documents.schema.names}
    for name in ("document_id", "document_version", "document"):
        del columns[name]
    return {**columns, "step": objects([STEP] * len(rows)), **reasons}
