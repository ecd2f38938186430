"""SQL that tells of a row whether its file lies in the folder that its values name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from connectors.sql import literal
from pipeline.decode.partition import transformed
from pipeline.events.folders import HIVE_NULL
from pipeline.events.model import TIME_TRANSFORMS, EventType, Field, PartitionField
from pipeline.ops.lake.content import COMPACTED
from pipeline.ops.reconcile.identity_sql import EPOCH

Column = Callable[[str, str], str]
"""Returns SQL for a field's column as a type; NULL where the file lacks it."""

_NULL: Final = f"({-(2**63)})::BIGINT"
"""The number of the folder of nulls."""


def folder_columns(event_type: EventType) -> str:
    """Return SQL for a file's folders as columns `__folder_0` and so on, made of its `path`.

    They are numbers where the transform gives numbers, which are quicker to compare, and NULL in an
    odd path.
    """
    folders = "".join(f"/{field.name}=([^/]*)" for field in event_type.partition_by)
    pattern = literal(f"^({COMPACTED}/)?[^/]+{folders}/[^/]+$")
    columns = []
    for number, field in enumerate(event_type.partition_by):
        text = f"TRY(url_decode(nullif(regexp_extract(path, {pattern}, {number + 2}), '')))"
        if _is_number(event_type, field):
            whole = f"TRY_CAST({text} AS BIGINT)"
            text = f"""CASE WHEN {text} = {literal(HIVE_NULL)} THEN {_NULL}
                WHEN {text} = printf({literal(field.format)}, {whole}) THEN {whole} END"""
        columns.append(f"{text} AS __folder_{number}")
    return ", ".join(columns)


def is_placed(event_type: EventType, column: Column) -> str:
    """Return SQL that is true where a row's values name the folders of its file."""
    compared = []
    for number, field in enumerate(event_type.partition_by):
        source = event_type.field(field.source)
        null = _NULL if _is_number(event_type, field) else literal(HIVE_NULL)
        compared.append(f"coalesce({_value(field, source, column)}, {null}) = __folder_{number}")
    return " AND ".join(compared)


def bucket_functions(event_type: EventType) -> dict[str, Callable[[str], str]]:
    """Return the functions that `is_placed` calls, by name: DuckDB has no hash of Iceberg's."""
    return {
        _bucket_name(field, source): _bucket_function(field, source)
        for field in event_type.partition_by
        for source in (event_type.field(field.source),)
        if field.transform == "bucket"
    }


def _value(field: PartitionField, source: Field, column: Column) -> str:
    """Return SQL for the transformed value as a number or a text; see `partition.transformed`."""
    if field.transform in TIME_TRANSFORMS:
        moment = column(field.source, "TIMESTAMP")
        if source.unit == "ns":  # a cast would round
            count = f"epoch_ns({column(field.source, 'TIMESTAMP_NS')})"
            moment = f"make_timestamp(({count} - ({count} % 1000 + 1000) % 1000) // 1000)"
        return f"strftime({moment}, {literal(field.format)})"
    if field.transform == "bucket":
        plain = column(field.source, "VARCHAR")
        if source.kind == "timestamp":
            function, kind = EPOCH[source.unit]
            plain = f"{function}({column(field.source, kind)})::VARCHAR"
        return f"{_bucket_name(field, source)}({plain})::BIGINT"
    if source.kind == "string":
        text = column(field.source, "VARCHAR")
        return f"left({text}, {field.width})" if field.width else text
    if source.kind == "boolean":
        return f"{column(field.source, 'BOOLEAN')}::VARCHAR"
    number = column(field.source, "BIGINT")
    if field.width:
        return f"TRY({number} - (({number} % {field.width}) + {field.width}) % {field.width})"
    return number


def _is_number(event_type: EventType, field: PartitionField) -> bool:
    kind = event_type.field(field.source).kind
    return field.transform == "bucket" or kind in ("int32", "int64")


def _bucket_name(field: PartitionField, source: Field) -> str:
    return f"bucket_{field.width}_of_{source.kind}_{source.unit}"


def _bucket_function(field: PartitionField, source: Field) -> Callable[[str], str]:
    def bucket(text: str) -> str:
        return str(transformed(field, source, text if source.kind == "string" else int(text)))

    return bucket
