"""A lake file's rows as JSON has them, whatever types a foreign file has."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec
import pyarrow as pa

from pipeline.events.instants import date_text, text, time_text


def plain_rows(table: pa.Table, local: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return the rows with ISO-8601 for times, also for those that Python's cannot say.

    `local` names the columns of local timestamps: others are UTC even if they aren't marked so.
    Nested timestamps are local if they aren't marked, as no file from before 0.3 has any.
    """
    columns = {
        name: [_plain(value, utc=name not in local) for value in table.column(name)]
        for name in table.column_names
    }
    return [{name: values[row] for name, values in columns.items()} for row in range(len(table))]


def _plain(value: pa.Scalar, *, utc: bool = False) -> Any:
    if not value.is_valid:
        return None
    kind, types = value.type, pa.types
    if types.is_timestamp(kind):
        return text(value.value, kind.unit, local=not (utc or kind.tz))
    if types.is_date32(kind):
        return date_text(value.value)
    if types.is_time(kind):
        return time_text(value.value, kind.unit)
    if types.is_struct(kind):
        return {name: _plain(each) for name, each in value.items()}
    if types.is_map(kind):
        entries = [(each["key"].as_py(), _plain(each["value"])) for each in value.values]
        return dict(entries) if types.is_string(kind.key_type) else entries
    if types.is_list(kind):
        return [_plain(each) for each in value.values]
    return msgspec.to_builtins(value.as_py())
