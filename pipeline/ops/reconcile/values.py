"""SQL for the checksum of an event's values: of a row of the lake, or of raw JSON.

Both come to the same 64-bit number exactly where the values are equal. Numbers are compared as
doubles, which is exact for integers below 2**53, instants in microseconds, and an empty text is
the same as null. DuckDB's JSON reader casts a text to a number where it can. So each member is read
as raw JSON first, and what has another type than the schema's never matches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from connectors.sql import literal
from pipeline.events.event_types import EventType, EventTypes
from pipeline.events.model import Field
from pipeline.ops.reconcile.database import Database, name

UNKNOWN: Final = "unknown_fields"
_UNKNOWN_MEMBERS: Final = "unknown_members"
_NUMBERS: Final = ("int32", "int64", "double")
_NUMERIC: Final = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE"),
)
_INSTANTS: Final = (
    *("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
    *("TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NS WITH TIME ZONE"),
)
_OFFSET: Final = "[+-][0-9][0-9]:[0-9][0-9]$"
# What has another type than the schema's becomes a value that the other side never has.
_ODD_JSON: Final = {
    "number": "'nan'::DOUBLE",
    "instant": "-1::BIGINT",
    "text": "chr(1)",
    "boolean": "chr(1)",
}
_ODD_COLUMN: Final = {
    "number": "'inf'::DOUBLE",
    "instant": "-2::BIGINT",
    "text": "chr(2)",
    "boolean": "chr(2)",
}


class Values:
    """Checksums of the values of events. With `keep_unknown`, unknown members count too."""

    def __init__(self, types: EventTypes, *, keep_unknown: bool = False) -> None:
        self.keep_unknown = keep_unknown
        self._types = types
        members: dict[str, str] = {"type": "JSON"}
        for field in (field for one in types for field in one.fields):
            # A field that is a timestamp in one type and something else in another stays JSON.
            kind = "VARCHAR" if field.kind == "timestamp" else "JSON"
            members[field.name] = kind if members.get(field.name, kind) == kind else "JSON"
        self.structure = members

    def prepare(self, database: Database) -> None:
        """Define what the SQL below calls."""
        if self.keep_unknown:
            database.function(_UNKNOWN_MEMBERS, _unknown_members(self._types))

    def members(self, rows: str, wanted: str = "true") -> str:
        """SQL for rows with `raw`, with `document` and `members` besides, see `parsed`."""
        return parsed(rows, self.structure, wanted)

    def of_json(self, event_type: str, members: str = "members") -> str:
        """SQL for the checksum of parsed JSON as an event of the type; NULL for no known type."""
        return self._by_type(event_type, lambda one: _hash(self._of_member(members, one)))

    def _of_member(self, members: str, event_type: EventType) -> list[str]:
        return [
            _with_default(field, self._json_value(f"{members}.{name(field.name)}", field))
            for field in event_type.fields
        ]

    def _json_value(self, value: str, field: Field) -> str:
        if field.kind == "timestamp" and self.structure[field.name] == "JSON":
            value = f"({value} ->> '$')"
        return _json_value(value, field)

    def unknown_of_json(self, event_type: str) -> str:
        """SQL for what the unknown members of `document` add to the checksum, by `xor`."""
        if not self.keep_unknown:
            return "0::UBIGINT"
        call = f"{_UNKNOWN_MEMBERS}(document, {event_type}::VARCHAR)"
        return f"coalesce(hash(nullif({call}, '')), 0::UBIGINT)"

    def of_columns(self, event_type: EventType, columns: Mapping[str, str]) -> str:
        """SQL for the checksum of a row of the lake; `columns` are their names and DuckDB types."""
        return _hash([_column_value(field, columns.get(field.name)) for field in event_type.fields])

    def unknown_of_columns(self, columns: Mapping[str, str]) -> str:
        """SQL for what the unknown members of a row of the lake add to the checksum."""
        if not self.keep_unknown or UNKNOWN not in columns:
            return "0::UBIGINT"
        call = f"{_UNKNOWN_MEMBERS}({UNKNOWN}, '')"
        return f"coalesce(hash(nullif({call}, '')), 0::UBIGINT)"

    def agrees(self, event_type: EventType, columns: Mapping[str, str]) -> bool:
        """Whether all columns have types that their fields can have."""
        return all(_kind_of(columns[field.name]) == _kind(field)
                   for field in event_type.fields if field.name in columns)  # fmt: skip

    def _by_type(self, event_type: str, sql: Callable[[EventType], str]) -> str:
        cases = " ".join(f"WHEN {literal(one.name)} THEN {sql(one)}" for one in self._types)
        return f"CASE {event_type} {cases} END"


def parsed(rows: str, members: Mapping[str, str], wanted: str) -> str:
    """SQL for rows with `raw` as text (`document`) and as a struct of the `members`, a JSON each.

    Both are NULL where `wanted` is false; they are NULL too where `raw` isn't UTF-8, or no JSON.
    """
    # Validity is checked first: an error would show the record's text, and TRY would then go
    # through the whole vector row by row.
    return f"""
    SELECT *, CASE WHEN json_valid(document) THEN
        from_json(document, {literal(json.dumps(members))}) END AS members
    FROM (SELECT *, CASE WHEN {wanted} THEN TRY(decode(raw)) END AS document FROM ({rows}))"""


def _hash(values: list[str]) -> str:
    return f"hash({', '.join(values)})"


def _kind(field: Field) -> str:
    if field.kind in _NUMBERS:
        return "number"
    return {"timestamp": "instant", "boolean": "boolean"}.get(field.kind, "text")


def _kind_of(column_type: str) -> str:
    if column_type in _NUMERIC or column_type.startswith("DECIMAL"):
        return "number"
    if column_type in _INSTANTS:
        return "instant"
    return {"BOOLEAN": "boolean", "VARCHAR": "text"}.get(column_type, "")


def _json_value(value: str, field: Field) -> str:
    kind = _kind(field)
    raw = f"{value}::VARCHAR"
    sql = {
        "number": f"TRY_CAST({raw} AS DOUBLE)",
        "instant": f"CASE WHEN {raw} LIKE '%Z' OR regexp_matches({raw}, '{_OFFSET}')"
        f" THEN epoch_us(TRY_CAST({raw} AS TIMESTAMPTZ)) END",
        "text": f"CASE WHEN {raw} LIKE '\"%' THEN {value} ->> '$' END",
        "boolean": f"CASE WHEN {raw} IN ('true', 'false') THEN {raw} END",
    }[kind]
    known = f"CASE WHEN {value} IS NOT NULL THEN coalesce({sql}, {_ODD_JSON[kind]}) END"
    return f"nullif({known}, '')" if kind == "text" else known


def _with_default(field: Field, value: str) -> str:
    """A field that was left out has its default in the lake."""
    if not field.optional or field.default in (None, ""):
        return value
    kind = _kind(field)
    if kind == "number":
        default = f"{field.default}::DOUBLE"
    elif kind == "instant":
        default = f"{int(field.default) * 1000}"
    else:
        default = literal(str(field.default).lower() if kind == "boolean" else str(field.default))
    return f"coalesce({value}, {default})"


def _column_value(field: Field, column_type: str | None) -> str:
    kind, column = _kind(field), name(field.name)
    if column_type is None:
        return f"CASE WHEN false THEN {_ODD_COLUMN[kind]} END"
    if _kind_of(column_type) != kind:
        return f"CASE WHEN {column} IS NOT NULL THEN {_ODD_COLUMN[kind]} END"
    return {
        "number": f"{column}::DOUBLE",
        "instant": f"epoch_us({column})",
        "text": f"nullif({column}, '')",
        "boolean": f"{column}::VARCHAR",
    }[kind]


def _unknown_members(types: EventTypes) -> Callable[[str, str], str]:
    """The members of JSON that no field of the type reads, as JSON in one form; "" for none."""
    known = {one.name: {field.name for field in one.fields} for one in types}

    def unknown_members(document: str, event_type: str) -> str:
        try:
            members = msgspec.json.decode(document, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return ""
        fields = known.get(event_type, ())
        unknown = {key: value for key, value in members.items() if key not in fields}
        return json.dumps(unknown, sort_keys=True) if unknown else ""

    return unknown_members
