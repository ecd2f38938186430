"""The checksum of the values in raw bytes, to compare with what a row of the lake holds.

Parsed by Arrow's JSON reader, not by the job's: the type of each column is the schema's.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pj

from connectors import checksums as content
from connectors.checksums import Hashes
from pipeline.events.event_types import EventType, EventTypes, Kind

UNREADABLE: Final = 1
"""The checksum of bytes that aren't an event of the type; no row has it but by a rare chance."""
UNKNOWN: Final = "unknown_fields"

_KINDS: Final[dict[Kind, pa.DataType]] = {
    "int32": pa.int64(),
    "int64": pa.int64(),
    "double": pa.float64(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "timestamp": pa.string(),
}
_TIME: Final = pa.timestamp("ms", tz="UTC")
_FINE: Final = pa.timestamp("ns", tz="UTC")


class Values:
    """Checksums of events by their type; with `keep_unknown` of unknown members too."""

    def __init__(self, types: EventTypes, *, keep_unknown: bool = False) -> None:
        self.keep_unknown = keep_unknown
        self._types = list(types)
        self._schemas = [
            pa.schema({field.name: _KINDS[field.kind] for field in one.fields}) for one in types
        ]

    def of_raws(self, code: int, raws: Sequence[bytes | None]) -> Hashes:
        """The checksum of each raw record as an event of the type with that code."""
        known = self.of_documents(code, raws)
        return known + self._extras(code, raws) if self.keep_unknown else known

    def of_documents(self, code: int, raws: Sequence[bytes | None]) -> Hashes:
        """As `of_raws`, of the schema's fields alone."""
        if not len(raws):
            return np.zeros(0, np.uint64)
        try:
            return self._together(code, raws)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            if len(raws) == 1:
                return np.full(1, UNREADABLE, np.uint64)
        half = len(raws) // 2
        parts = [self.of_documents(code, part) for part in (raws[:half], raws[half:])]
        return np.concatenate(parts)

    def of_table(self, code: int, table: pa.Table) -> Hashes:
        """The checksum of each row of the lake, of the schema's fields alone."""
        names = {field.name for field in self._types[code].fields}
        return content.of_table(
            table.select([name for name in table.column_names if name in names])
        )

    def extras_of_table(self, table: pa.Table) -> Hashes:
        """What the unknown members of each row add to the checksum."""
        if not self.keep_unknown or UNKNOWN not in table.column_names:
            return np.zeros(len(table), np.uint64)
        texts = table.column(UNKNOWN).to_pylist()
        return _of_texts([_canonical(json.loads(text)) if text else "" for text in texts])

    def _together(self, code: int, raws: Sequence[bytes | None]) -> Hashes:
        data = b"\n".join(raw or b"" for raw in raws)
        found = pj.read_json(
            pa.BufferReader(data),
            pj.ReadOptions(use_threads=False, block_size=len(data) + 64),
            pj.ParseOptions(
                explicit_schema=self._schemas[code],
                unexpected_field_behavior="ignore",
                newlines_in_values=True,
            ),
        )
        if len(found) != len(raws):
            raise pa.ArrowInvalid("not one object each")
        return content.of_table(_as_the_lake_has_it(found, self._types[code]))

    def _extras(self, code: int, raws: Sequence[bytes | None]) -> Hashes:
        names = {field.name for field in self._types[code].fields}
        return _of_texts([_unknown(raw, names) for raw in raws])


def _as_the_lake_has_it(table: pa.Table, event_type: EventType) -> pa.Table:
    """Times as instants, and a field that was left out with its default."""
    for number, field in enumerate(event_type.fields):
        column = table.column(field.name)
        if field.kind == "timestamp":
            # By way of nanoseconds, since trailing zeros are fine and Arrow counts digits.
            column = column.cast(_FINE).cast(_TIME)
        if field.optional and field.default not in (None, "") and column.null_count:
            column = pc.fill_null(column, pa.scalar(field.default, column.type))
        table = table.set_column(number, field.name, column)
    return table


def _unknown(raw: bytes | None, names: set[str]) -> str:
    try:
        found = msgspec.json.decode(raw or b"", type=dict[str, Any])
    except msgspec.MsgspecError:
        return ""
    extras = {name: value for name, value in found.items() if name not in names}
    return _canonical(extras) if extras else ""


def _canonical(members: Any) -> str:
    return json.dumps(members, sort_keys=True)


def _of_texts(texts: list[str]) -> Hashes:
    return content.of_table(pa.table({UNKNOWN: pa.array(texts, pa.string())}))
