"""The one module that imports pyarrow's readers of files and streams, so that none lacks the guard.

pyarrow 11, which PyFlink 1.20 requires, has CVE-2023-47248: a Parquet, Feather or IPC file can name
a Python type for a column, and reading the file runs what it names. `pyarrow_hotfix` makes pyarrow
refuse such types in the whole process from its import on. `pipeline.operators` imports this module
too, for the Arrow batches that Flink's Python workers read.
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow_hotfix  # noqa: F401  # First: see above.
from pyarrow import ipc
from pyarrow.parquet import ParquetFile
from pyarrow.parquet import ParquetWriter as ParquetWriter
from pyarrow.parquet import write_table as write_table

# Without threads of their own: a batch is small, and a worker has about one core.
_WRITE: Final = ipc.IpcWriteOptions(compression="lz4", use_threads=False)
_READ: Final = ipc.IpcReadOptions(use_threads=False)


def open_parquet(source: Any, **options: Any) -> Any:
    """Open a Parquet file; return pyarrow's `ParquetFile`. Its footer and schema are read.

    Raises:
        pyarrow.ArrowException, OSError: the file is not readable Parquet, or a column has a Python
            type. Reading rows raises the same. Errors of `source` pass through.
    """
    try:
        return ParquetFile(source, **options)
    except (pa.ArrowException, OSError):
        raise
    except (RuntimeError, ValueError, LookupError):
        # The guard's own message holds what the file wanted to run: it is neither shown nor logged.
        raise pa.ArrowInvalid(
            "a column has a Python type (arrow.py_extension_type), which could run code and is"
            " never read; write the file again with plain types"
        ) from None


def stream_bytes(batch: pa.RecordBatch) -> bytes:
    """Return an Arrow IPC stream (LZ4) of this one record batch."""
    sink = pa.BufferOutputStream()
    with ipc.new_stream(sink, batch.schema, options=_WRITE) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def read_stream(data: bytes) -> pa.RecordBatch:
    """Read what `stream_bytes` wrote.

    Raises:
        pyarrow.ArrowException, OSError, ValueError: these are not such bytes.
    """
    (batch,) = ipc.open_stream(data, options=_READ)
    return batch


def stream_metadata(data: bytes) -> dict[bytes, bytes]:
    """Return the metadata of the stream's schema; no column is read."""
    return dict(ipc.open_stream(data).schema.metadata or {})
