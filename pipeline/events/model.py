"""Event types as plain frozen data that can be pickled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

Kind = Literal[
    "boolean",
    "int32",
    "int64",
    "float",
    "double",
    "decimal",
    "string",
    "bytes",
    "date",
    "time",
    "timestamp",
    "local_timestamp",
    "record",
    "array",
    "map",
    "union",
]
Scalar = int | float | str | bool | tuple[()] | None
"""A default; `()` stands for an empty array or map."""
Unit = Literal["ms", "us", "ns"]
Transform = Literal["identity", "year", "month", "day", "hour", "truncate", "bucket"]

PLAIN: Final[frozenset[Kind]] = frozenset(
    ("int32", "int64", "double", "string", "boolean", "timestamp")
)
"""Kinds whose columns are numpy arrays: partitions, filters and roles know these only.

Columns of all other kinds are Arrow arrays, for the files.
"""

TIME_KINDS: Final = ("date", "time", "timestamp", "local_timestamp")

TIME_TRANSFORMS: Final = ("year", "month", "day", "hour")

EVENT_TYPE_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
"""Event type names are index names and path segments, so both must allow them."""

EXACT_IN_DOUBLE: Final = 2**53
"""Up to here every integer is exact as a double (IEEE 754)."""

LONGEST_TEXT: Final = 8191
"""Default `maxLength` in characters: at 4 bytes each below Lucene's 32,766 bytes a term."""

LONGEST_ID_BYTES: Final = 512
"""OpenSearch rejects a whole bulk request for one longer `_id`."""

# A character that is escaped, a set of characters (`]` at its start is one of them), or `$`.
_DOLLAR: Final = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Field:
    """One field of an event: `optional` may be absent (then `default`), `nullable` may be null.

    `minimum` and `maximum` are inclusive and always set for numbers but decimals; those of a
    timestamp are counted in its `unit` since 1970, where they are None its default bounds hold.
    `max_length` counts characters of a string, where it is always set, and bytes of `bytes`.
    `precision` and `scale` are a decimal's digits, `size` the bytes of a fixed, else 0.

    `wire` says how JSON has the value: see `limits.wire_forms`; empty for kinds of one form.

    `children` are the fields of a record, the only item of an array or value of a map, and the
    branches of a union, which are not nullable and named by their Avro type.

    `column` is its name in the union of all types' columns, "" if its kind is not `PLAIN`.
    """

    name: str
    kind: Kind
    nullable: bool = False
    optional: bool = False
    default: Scalar = None
    minimum: int | float | Decimal | None = None
    maximum: int | float | Decimal | None = None
    max_length: int | None = None
    enum: tuple[str, ...] = ()
    pattern: str | None = None
    doc: str = ""
    aliases: tuple[str, ...] = ()
    column: str = ""
    unit: Unit = "ms"
    wire: str = ""
    precision: int = 0
    scale: int = 0
    size: int = 0
    children: tuple[Field, ...] = ()

    @property
    def regex(self) -> str | None:
        r"""The pattern for Python: `$` matches at the end alone, as in JSON Schema's dialect.

        In Python's it would also match before a line break at the end.

        >>> Field("code", "string", pattern=r"^(a|b$)[$]\$$").regex
        '^(a|b\\Z)[$]\\$\\Z'
        """
        if self.pattern is None:
            return None
        return _DOLLAR.sub(lambda match: r"\Z" if match[0] == "$" else match[0], self.pattern)


@dataclass(frozen=True, slots=True)
class PartitionField:
    """One level of the lake's folders, `<name>=<value>`: a transform of the field `source`.

    `width` is N of `truncate[N]` and `bucket[N]`, else 0. `format` writes numbers (`%03d`) and
    times (`%Y-%m`, UTC); it is empty for texts and booleans.
    """

    name: str
    source: str
    transform: Transform = "identity"
    width: int = 0
    format: str = ""

    def __str__(self) -> str:
        width = f"[{self.width}]" if self.width else ""
        form = f" as {self.format}" if self.format else ""
        return f"{self.name}={self.transform}{width}({self.source}){form}"


@dataclass(frozen=True, slots=True)
class EventType:
    """One event type. `id`, `event_time` and `version_time` name its fields.

    `id` becomes the document's id; without a field, a record's position is the id. `version_time`
    becomes its version; empty: the order of arrival. `partition_by` makes the folders of the lake.
    `mapping_override` is merged over the derived OpenSearch mapping.
    """

    name: str
    version: int
    doc: str
    fields: tuple[Field, ...]
    id: tuple[str, ...]
    event_time: str
    version_time: str
    partition_by: tuple[PartitionField, ...]
    mapping_override: Mapping[str, Any] = field(default_factory=dict)

    @property
    def partition_names(self) -> tuple[str, ...]:
        """The names of the lake's partition columns: they are in a file's path, not in the file."""
        return tuple(field.name for field in self.partition_by)

    def field(self, name: str) -> Field:
        """Return the field of that name; KeyError if there is none."""
        for candidate in self.fields:
            if candidate.name == name:
                return candidate
        raise KeyError(f"event type {self.name} has no field {name}")


@dataclass(frozen=True, slots=True)
class ControlType:
    """A type of records that are counted and never stored, such as watermarks."""

    name: str
    version: int
    doc: str
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the union of all event types' fields; nullable if any of them is."""

    name: str
    kind: Kind
    nullable: bool
    unit: Unit = "ms"


@dataclass(frozen=True, slots=True)
class EventTypes:
    """All event types, in the order of their names, and the union of their `PLAIN` columns."""

    types: tuple[EventType, ...]
    columns: tuple[Column, ...]
    control: tuple[ControlType, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the event types, without control types."""
        return tuple(event_type.name for event_type in self.types)

    def get(self, name: str) -> EventType | None:
        """Return the event type of that name, or None."""
        return next((event_type for event_type in self.types if event_type.name == name), None)

    def __getitem__(self, name: str) -> EventType:
        event_type = self.get(name)
        if event_type is None:
            raise KeyError(f"no event type {name!r}; there are {', '.join(self.names)}")
        return event_type

    def __iter__(self) -> Iterator[EventType]:
        return iter(self.types)

    def __len__(self) -> int:
        return len(self.types)
