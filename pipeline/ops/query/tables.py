"""The lake's tables as DuckDB sees them: one view per event type.

A view has the schema's columns, also those that the files lack, and then what else the files have.
Every timestamp is TIMESTAMP WITH TIME ZONE, an instant, unless the schema says that it is local:
files from before 0.3 do not mark theirs as UTC, and they are. Those in nanoseconds keep them, and
nested values are as DuckDB reads them: no file from before 0.3 has any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from connectors.sql import literal
from pipeline.collect.columns import lake_schema
from pipeline.config.model import Config
from pipeline.events.event_types import EventTypes
from pipeline.ops.query.duckdb_types import READ_TIME, duckdb_type_of
from pipeline.ops.reconcile.database import name

Columns = Mapping[str, str]
"""The DuckDB types of a table's columns, in their order."""

_LOCAL: Final = ("TIMESTAMP", "TIMESTAMP_NS")


def schema_columns(config: Config, types: EventTypes) -> dict[str, Columns]:
    """Return the columns that the configuration gives each event type's table."""
    keep_unknown = config.decode.unknown_fields == "keep"
    schemas = {
        event_type.name: lake_schema(event_type, config.source, keep_unknown=keep_unknown)
        for event_type in types
    }
    return {
        table: {column.name: duckdb_type_of(column.type) for column in schema}
        for table, schema in schemas.items()
    }


def files_relation(addresses: list[str]) -> str:
    """Return SQL for Parquet files as one table; partition columns, from the paths, are text."""
    return f"""read_parquet([{", ".join(map(literal, addresses))}], union_by_name = true,
        hive_partitioning = true, hive_types_autocast = false)"""


def files_view(table: str, columns: Columns, relation: str, found: Columns) -> str:
    """Return the CREATE statement of a table whose files have the columns `found`."""
    present = {
        column: _column(column, kind, columns.get(column, "")) for column, kind in found.items()
    }
    return _view(table, _nulls(columns) | present, relation)


def _column(column: str, found: str, expected: str) -> str:
    """Return SQL for a column of files; nothing of its value is lost."""
    if found == READ_TIME and expected == "TIME":
        return f"{name(column)}::TIME"
    if found in _LOCAL and expected not in _LOCAL:
        # A cast of nanoseconds to an instant would cut them off.
        return f"timezone('UTC', {name(column)})"
    return name(column)


def empty_view(table: str, columns: Columns) -> str:
    """Return the CREATE statement of a table without rows."""
    return _view(table, _nulls(columns), "(SELECT 1) WHERE false")


def unopened_view(table: str, columns: Columns) -> str:
    """Return the CREATE statement of a table that can be listed and described, and not read."""
    problem = literal(f"the table {table} was not opened; name it in the SQL")
    return _view(table, _nulls(columns), f"(SELECT 1) WHERE error({problem})")


def _nulls(columns: Columns) -> dict[str, str]:
    return {column: f"NULL::{kind}" for column, kind in columns.items()}


def _view(table: str, expressions: Mapping[str, str], relation: str) -> str:
    selected = ", ".join(f"{text} AS {name(column)}" for column, text in expressions.items())
    return f"CREATE VIEW {name(table)} AS SELECT {selected} FROM {relation}"
