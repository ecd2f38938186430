"""SQL for the checksum of an event's values: of a row of the lake, or of raw JSON.

Both give the same 64-bit number exactly if the values are equal. Integers, doubles, texts,
booleans and times in milliseconds are flat: their numbers are compared as doubles, which is exact
for integers below 2**53, instants in microseconds, and an empty text is the same as null. Values of
all other kinds, and what is in them, are compared exactly: see `digests`.

DuckDB's JSON reader casts a text to a number where it can, so each member is read as raw JSON
first, and a type other than the schema's never matches.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from connectors.sql import literal
from pipeline.events.event_types import EventType, EventTypes
from pipeline.events.model import PLAIN, Field
from pipeline.ops.reconcile.column_values import column_digest, column_type, fits
from pipeline.ops.reconcile.database import Database, name
from pipeline.ops.reconcile.digests import of_default
from pipeline.ops.reconcile.nested_values import (
    exact_json,
    exact_name,
    is_exact,
    json_digest,
    lacks,
)
from pipeline.ops.reconcile.record_text import OF_BYTES

UNKNOWN: Final = "unknown_fields"
_UNKNOWN_MEMBERS: Final = "unknown_members"
_NOT_COMPARED: Final = "NULL::UBIGINT"
_NUMBERS: Final = ("int32", "int64", "double")
_NUMERIC: Final = (
    *("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"),
    *("UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "FLOAT", "DOUBLE"),
)
_INSTANTS: Final = (
    *("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
    "TIMESTAMP WITH TIME ZONE",
)
_OFFSET: Final = "[+-][0-9][0-9]:[0-9][0-9]$"
# A type other than the schema's becomes a value that the other side never has.
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
    """SQL for checksums of the values of events; with `keep_unknown`, also of unknown members.

    Without `compare`, all checksums are NULL, and only the member `tag`, which tells an event's
    type, is read from JSON, if there is one.
    """

    def __init__(
        self,
        types: EventTypes,
        *,
        compare: bool = True,
        keep_unknown: bool = False,
        tag: str = "",
    ) -> None:
        self.compare = compare
        self._keep_unknown = compare and keep_unknown
        self._types = types
        self._members: dict[str, str] = {tag: "JSON"} if tag else {}
        self._exact: dict[str, str] = {}
        for field in (field for event_type in types for field in event_type.fields if compare):
            if is_exact(field):
                self._exact[exact_name(field.name)] = "JSON"
                continue
            # A field that is a timestamp in one type and something else in another stays JSON.
            kind = "VARCHAR" if field.kind == "timestamp" and _is_flat(field) else "JSON"
            known = self._members.setdefault(field.name, kind)
            self._members[field.name] = kind if known == kind else "JSON"

        # DuckDB refuses a structure without any member.
        self._members = self._members or {"__none": "JSON"}

    def prepare(self, database: Database) -> None:
        """Register the function that the SQL below calls."""
        if self._keep_unknown:
            database.function(_UNKNOWN_MEMBERS, _unknown_members(self._types))

    def members(self, rows: str, wanted: str = "true", text: str = OF_BYTES) -> str:
        """Return SQL that adds `raw` as text (`document`) and as a struct of JSON (`members`).

        Both are NULL where `wanted` is false, or `raw` isn't UTF-8 or no JSON. Members with
        decimals are in `exact_members`, with all their digits. `text` is SQL for the text of `raw`.
        """
        exact = "NULL"
        if self._exact:
            exact = f"from_json({exact_json('document')}, {literal(json.dumps(self._exact))})"
        # Check validity first: an error would show the record's text, and TRY would then process
        # the whole vector row by row.
        return f"""
        SELECT *, CASE WHEN json_valid(document) THEN
            from_json(document, {literal(json.dumps(self._members))}) END AS members,
            CASE WHEN json_valid(document) THEN {exact} END AS exact_members
        FROM (SELECT *, CASE WHEN {wanted} THEN {text} END AS document FROM ({rows}))"""

    def of_json(self, event_type: str) -> str:
        """Return SQL for the checksum of `members` as an event of the type; NULL if unknown."""
        if not self.compare:
            return _NOT_COMPARED
        cases = " ".join(
            f"WHEN {literal(known.name)} THEN {self._of(known)}" for known in self._types
        )
        return f"CASE {event_type} {cases} END"

    def unknown_of_json(self, event_type: str) -> str:
        """Return SQL for what unknown members of `document` add to the checksum, by `xor`."""
        return self._unknown("document", f"{event_type}::VARCHAR")

    def of_columns(self, event_type: EventType, columns: Mapping[str, str]) -> str:
        """Return SQL for the checksum of a row of the lake; `columns` are DuckDB types by name."""
        if not self.compare:
            return _NOT_COMPARED
        return _hash([_column_value(field, columns.get(field.name)) for field in event_type.fields])

    def unknown_of_columns(self, columns: Mapping[str, str]) -> str:
        """Return SQL for what a lake row's unknown members add to the checksum."""
        return self._unknown(UNKNOWN if UNKNOWN in columns else "NULL::VARCHAR", "''")

    def agrees(self, event_type: EventType, columns: Mapping[str, str]) -> bool:
        """Return whether all columns that are compared have types that their fields can have."""
        fields = [field for field in event_type.fields if field.name in columns and self.compare]
        return all(_agrees(field, columns[field.name]) for field in fields)

    def _of(self, event_type: EventType) -> str:
        return _hash([_with_default(field, self._member(field)) for field in event_type.fields])

    def _member(self, field: Field) -> str:
        if is_exact(field):
            value = f"exact_members.{name(exact_name(field.name))}"
            return json_digest(value, field, exact=True)
        value = f"members.{name(field.name)}"
        if not _is_flat(field):
            return json_digest(value, field)
        if field.kind == "timestamp" and self._members[field.name] == "JSON":
            value = f"({value} ->> '$')"
        return _json_value(value, field)

    def _unknown(self, document: str, event_type: str) -> str:
        if not self._keep_unknown:
            return "0::UBIGINT"
        call = f"{_UNKNOWN_MEMBERS}({document}, {event_type})"
        return f"coalesce(hash(nullif({call}, '')), 0::UBIGINT)"


def _hash(values: list[str]) -> str:
    return f"hash({', '.join(values)})"


def _is_flat(field: Field) -> bool:
    if field.kind == "timestamp":
        return field.unit == "ms" and field.wire in ("", "iso-8601")
    return field.kind in PLAIN


def _agrees(field: Field, column: str) -> bool:
    if _is_flat(field):
        return _kind_of(column) == _kind(field)
    return fits(field, column_type(column))


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
    """Replace a missing field by its default, as decode does for the lake; null stays null."""
    if not field.optional or field.default in (None, ""):
        return value
    default = _flat_default(field) if _is_flat(field) else of_default(field)
    return f"CASE WHEN {lacks('document', field)} THEN {default} ELSE {value} END"


def _flat_default(field: Field) -> str:
    kind = _kind(field)
    if kind == "number":
        return f"{field.default}::DOUBLE"
    return literal(str(field.default).lower() if kind == "boolean" else str(field.default))


def _column_value(field: Field, found: str | None) -> str:
    kind, column = _kind(field), name(field.name)
    if not _is_flat(field):
        return column_digest(column, field, column_type(found) if found else None)
    if found is None:
        return f"CASE WHEN false THEN {_ODD_COLUMN[kind]} END"
    if _kind_of(found) != kind:
        return f"CASE WHEN {column} IS NOT NULL THEN {_ODD_COLUMN[kind]} END"
    return {
        "number": f"{column}::DOUBLE",
        "instant": f"epoch_us({column})",
        "text": f"nullif({column}, '')",
        "boolean": f"{column}::VARCHAR",
    }[kind]


def _unknown_members(types: EventTypes) -> Callable[[str, str], str]:
    """Return a function for the members that no field reads, as canonical JSON; "" if none."""
    known = {event_type.name: {field.name for field in event_type.fields} for event_type in types}

    def unknown_members(document: str, event_type: str) -> str:
        try:
            members = msgspec.json.decode(document, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return ""
        fields = known.get(event_type, ())
        unknown = {key: value for key, value in members.items() if key not in fields}
        return json.dumps(unknown, sort_keys=True) if unknown else ""

    return unknown_members
