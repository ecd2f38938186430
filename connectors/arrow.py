"""The one module that imports pyarrow's file readers, so that nothing is read without their guard.

pyarrow 11, which PyFlink 1.20 requires, has CVE-2023-47248: a Parquet, Feather or IPC file can name
a Python type for a column, and reading the file runs what it names. `pyarrow_hotfix` makes pyarrow
refuse such types in the whole process from its import on. `pipeline.operators` imports this module
too, for the Arrow batches that Flink's Python workers read.
"""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow_hotfix  # noqa: F401  # First: see above.
from pyarrow.parquet import ParquetFile
from pyarrow.parquet import ParquetWriter as ParquetWriter
from pyarrow.parquet import write_table as write_table


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
