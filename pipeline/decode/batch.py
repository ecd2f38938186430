"""The columnar part of decoding: events grouped by type, timestamps parsed as columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from itertools import compress
from typing import Any, Final, cast

import msgspec
import numpy as np
from msgspec import UNSET, Struct

from pipeline.decode import columns, timestamps
from pipeline.decode.columns import Array, objects
from pipeline.decode.outcome import Decoded
from pipeline.decode.partition import Partitioner
from pipeline.decode.reference import Fault
from pipeline.decode.structs import Shape
from pipeline.events.folders import text_fields, unfit
from pipeline.events.model import LONGEST_ID_BYTES, Column, EventType, Field


@dataclass(slots=True)
class Group:
    """The batch's events of one type, their rows, members by field, and times (int64 ms, or NaT).

    `members` has `UNSET` where an event lacks an optional field.
    """

    shape: Shape
    rows: Array
    events: list[Struct]
    members: dict[str, list[Any]]
    times: dict[str, Array] = dataclass_field(default_factory=dict)

    def without(self, rows: Collection[int]) -> Group:
        """Return the group without the events in those rows."""
        keep = ~np.isin(self.rows, np.fromiter(rows, np.int64, len(rows)))
        if keep.all():
            return self
        kept = keep.tolist()
        events = list(compress(self.events, kept))
        members = {name: list(compress(values, kept)) for name, values in self.members.items()}
        times = {name: millis[keep] for name, millis in self.times.items()}
        return Group(self.shape, self.rows[keep], events, members, times)


class Grouping:
    """Groups parsed events by type, a few at a time.

    While an event is in the CPU cache, its members become columns: later, each of them would be a
    wait for memory.
    """

    def __init__(self, shapes: Mapping[type[Struct], Shape]) -> None:
        self._shapes = shapes
        self._groups: dict[type[Struct], Group] = {}
        self._rows: dict[type[Struct], list[int]] = {}
        self._end = 0

    def add(self, parsed: Sequence[Struct | None]) -> None:
        """Add the events of the next rows; None is a row without an event, and in no group."""
        start, self._end = self._end, self._end + len(parsed)
        kinds = list(map(type, parsed))
        for kind in dict.fromkeys(kinds):
            if kind is type(None):
                continue
            rows: Sequence[int] = range(start, self._end)
            events = parsed
            if kinds.count(kind) < len(kinds):
                at = [row for row, each in enumerate(kinds) if each is kind]
                rows, events = [start + row for row in at], [parsed[row] for row in at]
            self._add(cast("type[Struct]", kind), rows, cast("Sequence[Struct]", events))

    def groups(self) -> list[Group]:
        """Return the groups of all rows."""
        for kind, group in self._groups.items():
            group.rows = np.array(self._rows[kind])
        return list(self._groups.values())

    def _add(self, kind: type[Struct], rows: Sequence[int], events: Sequence[Struct]) -> None:
        if kind not in self._groups:
            members: dict[str, list[Any]] = {name: [] for name in kind.__struct_fields__}
            self._groups[kind] = Group(self._shapes[kind], np.empty(0), [], members)
            self._rows[kind] = []
        group = self._groups[kind]
        self._rows[kind] += rows
        group.events += events
        for column, values in zip(group.members.values(), columns.members(events), strict=True):
            column.extend(values)


def read_times(groups: Sequence[Group], now: int) -> list[int]:
    """Fill the groups' times, make their texts canonical; return the rows with a bad timestamp.

    All timestamps of a batch are parsed in one array: a small array costs as much as a large one.
    """
    texts: list[str] = []
    spans: list[tuple[Group, str, list[int]]] = []
    for group in groups:
        for field in group.shape.timestamps:
            field_texts = _canonical_texts(group, field)
            missing = []
            if field.nullable:
                missing = [at for at, text in enumerate(field_texts) if text is None]
            for at in missing:
                field_texts[at] = _EPOCH_TEXT
            texts += cast("list[str]", field_texts)
            spans.append((group, field.name, missing))
    millis, good = timestamps.parse_canonical(texts)
    good &= millis <= now + timestamps.AHEAD
    bad: list[int] = []
    end = 0
    for group, name, missing in spans:
        start, end = end, end + len(group.events)
        bad += _set_times(group, name, millis[start:end], good[start:end], missing)
    return bad


def _set_times(
    group: Group, name: str, millis: Array, good: Array, missing: Sequence[int]
) -> list[int]:
    if group.shape.event_type is not None:
        good &= millis >= timestamps.EARLIEST
    times = millis.view("M8[ms]")
    if missing:
        good[missing] = True
        times[missing] = np.datetime64("NaT")
    group.times[name] = times
    return [] if good.all() else group.rows[~good].tolist()


_EPOCH_TEXT: Final = "1970-01-01T00:00:00.000Z"


def _canonical_texts(group: Group, field: Field) -> list[str | None]:
    length, canonical = timestamps.CANONICAL_LENGTH, timestamps.canonical
    texts: list[str | None] = columns.values(group.members[field.name], field)
    if not field.nullable and set(map(len, cast("list[str]", texts))) == {length}:
        return texts
    result = [text if text is None or len(text) == length else canonical(text) for text in texts]
    for event, original, text in zip(group.events, texts, result, strict=True):
        if text is not original:
            setattr(event, field.name, text)
    return result


def long_ids(group: Group) -> list[int]:
    """Return the rows whose id may have more bytes than OpenSearch accepts."""
    event_type = group.shape.event_type
    if event_type is None or event_type.field(event_type.id).kind != "string":
        return []
    ids = group.members[event_type.id]
    long = [at for at, text in enumerate(ids) if len(text) * 4 > LONGEST_ID_BYTES]
    return [int(group.rows[at]) for at in long]


def without_folder(group: Group) -> list[int]:
    """Return the rows of which a text can't name a partition."""
    event_type = group.shape.event_type
    if event_type is None:
        return []
    rows: list[int] = []
    for field in text_fields(event_type):
        texts = columns.values(group.members[field.source], event_type.field(field.source))
        bad = {text for text in set(texts) if text is not None and unfit(field, text)}
        if bad:
            rows += [int(group.rows[at]) for at, text in enumerate(texts) if text in bad]
    return rows


class Assembly:
    """Builds a `Decoded`, group by group; `partitioners` are by event type."""

    def __init__(
        self, rows: int, union: Sequence[Column], partitioners: Mapping[str, Partitioner]
    ) -> None:
        self._rows = rows
        self._partitioners = partitioners
        self._partitions: list[str] = []
        self._union = {column.name: column for column in union}
        self._columns: dict[str, Array] = {}
        self._arrays = {
            **{name: _texts(rows, "") for name in _TEXTS},
            **{name: _texts(rows, None) for name in ("document", "reason", "detail")},
            "kind": _texts(rows, "reject"),
            "schema_version": np.zeros(rows, np.int32),
            "partition": np.full(rows, -1, np.int64),
            "document_version": np.zeros(rows, np.int64),
        }

    def add_control(self, group: Group) -> None:
        """Mark the group's rows as control; nothing of them is kept."""
        self._put("kind", group.rows, "control")
        self._put("event_type", group.rows, group.shape.name)

    def add_events(self, group: Group, event_type: EventType, *, documents: bool) -> None:
        """Fill the columns of the group's events."""
        rows = group.rows
        self._put("kind", rows, "event")
        self._put("event_type", rows, event_type.name)
        self._put("schema_version", rows, event_type.version)
        for field in event_type.fields:
            self._put_column(field.column, rows, self._values(group, event_type, field.column))
        self._add_position(group, event_type)
        if documents:
            ids = columns.values(group.members[event_type.id], event_type.field(event_type.id))
            self._put("document_id", rows, objects(list(map(str, ids))))
            self._put("document", rows, objects(_documents(group, event_type.fields)))

    def add_rejects(self, faults: dict[int, Fault]) -> None:
        """Fill the rows of rejects."""
        for row, fault in faults.items():
            self._arrays["event_type"][row] = fault.event_type
            self._arrays["schema_version"][row] = fault.schema_version
            self._arrays["reason"][row] = fault.reason
            self._arrays["detail"][row] = fault.detail

    def add_unknown(self, column: str, unknown: dict[int, str]) -> None:
        """Fill the column of unknown members."""
        array = columns.empty(self._union[column], self._rows)
        for row, text in unknown.items():
            array[row] = text
        self._columns[column] = array

    def decoded(self) -> Decoded:
        """Return the batch; columns of types that it doesn't have are empty."""
        for name, column in self._union.items():
            if name not in self._columns:
                self._columns[name] = columns.empty(column, self._rows)
        return Decoded(columns=self._columns, partitions=self._partitions, **self._arrays)

    def _values(self, group: Group, event_type: EventType, column: str) -> Any:
        field = next(field for field in event_type.fields if field.column == column)
        if field.name == "type":
            return event_type.name
        if field.kind == "timestamp":
            return group.times[field.name]
        return columns.array(columns.values(group.members[field.name], field), self._union[column])

    def _add_position(self, group: Group, event_type: EventType) -> None:
        partitioner = self._partitioners[event_type.name]
        places, names = partitioner.partitions(
            lambda name: self._columns[event_type.field(name).column][group.rows]
        )
        self._put("partition", group.rows, places + len(self._partitions))
        self._partitions += names
        version = group.times[event_type.version_time].view(np.int64)
        self._put("document_version", group.rows, version)

    def _put_column(self, name: str, rows: Array, values: Any) -> None:
        if len(rows) == self._rows and isinstance(values, np.ndarray):
            self._columns[name] = values
            return
        if name not in self._columns:
            self._columns[name] = columns.empty(self._union[name], self._rows)
        self._columns[name][rows] = values

    def _put(self, name: str, rows: Array, values: Any) -> None:
        if len(rows) == self._rows and isinstance(values, np.ndarray):
            self._arrays[name] = values
        elif len(rows) == self._rows:
            self._arrays[name][:] = values
        else:
            self._arrays[name][rows] = values


def _documents(group: Group, fields: Sequence[Field]) -> list[bytes]:
    """Return the canonical JSON of events of one type, which the decoder can read back.

    It has the type first, then the schema's order, no white space, timestamps as
    2018-01-01T00:21:05.000Z, and no member that equals its default: equal events, equal JSON.
    """
    for field in fields:
        if field.optional:
            given = columns.values(group.members[field.name], field)
            for event, value in zip(group.events, given, strict=True):
                if value == field.default:
                    setattr(event, field.name, UNSET)
    return list(map(_ENCODE, group.events))


_ENCODE: Final = msgspec.json.Encoder().encode
_TEXTS: Final = ("event_type", "document_id")


def _texts(rows: int, value: str | None) -> Array:
    array = np.empty(rows, object)  # of None
    if value is not None:
        array[:] = value
    return array
