"""A Parquet file with a column of a Python type, made with pyarrow's documented `PyExtensionType`.

The type is harmless: reading it without the guard calls `Celsius()`.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

REFUSAL = r"a column has a Python type \(arrow\.py_extension_type\)"


class Celsius(pa.PyExtensionType):  # type: ignore[misc]
    """A temperature."""

    def __init__(self) -> None:
        super().__init__(pa.float64())

    def __reduce__(self) -> tuple[Callable[[], Celsius], tuple[()]]:
        return Celsius, ()


def parquet(table: pa.Table | None = None) -> bytes:
    """Return the table as Parquet, with a column `temperature` of the Python type added."""
    if table is None:
        table = pa.table({"trip_id": [1]})
    numbers = pa.array([21.5] * len(table))
    column = pa.ExtensionArray.from_storage(Celsius(), numbers)
    content = io.BytesIO()
    pq.write_table(table.append_column("temperature", column), content)
    return content.getvalue()


def guard_is_active() -> bool:
    """Whether pyarrow itself, in this process, refuses such a file."""
    try:
        pq.ParquetFile(io.BytesIO(parquet()))  # No threads: pyarrow 11 can abort as they end.
    except RuntimeError as error:
        return str(error).startswith("Disallowed deserialization of 'arrow.py_extension_type'")
    return False
