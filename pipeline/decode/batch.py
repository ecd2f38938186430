"""The columnar part of decoding: events grouped by type, and their columns."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from itertools import compress
from typing import Any, Final, cast

import msgspec
import numpy as np
import pyarrow as pa
from msgspec import UNSET, Struct

from pipeline.decode import columns
from pipeline.decode.arrow_types import arrow_type
from pipeline.decode.assembly import Part
from pipeline.decode.columns import Array, objects
from pipeline.decode.nested import Column as Nested
from pipeline.decode.nested import NewColumn, drop_defaults, put_back
from pipeline.decode.outcome import Table
from pipeline.decode.structs import Shape, attribute
from pipeline.events.folders import text_fields, unfit
from pipeline.events.identity import room_for_texts
from pipeline.events.model import PLAIN, EventType, Field


@dataclass(slots=True)
class Group:
    """The batch's events of one type, their rows, and members by field.

    `members` has `UNSET` where an event lacks an optional field. `nested` has the columns of kinds
    that are not plain, of all events; they become `others`. `times` are the plain timestamps
    (datetime64 or NaT), and `quotes` how many quotation marks the others have in each event's JSON.
    """

    shape: Shape
    rows: Array
    events: list[Struct]
    members: dict[str, list[Any]]
    nested: dict[str, Nested] = dataclass_field(default_factory=dict)
    times: dict[str, Array] = dataclass_field(default_factory=dict)
    others: dict[str, pa.Array] = dataclass_field(default_factory=dict)
    quotes: int | Array = 0

    def without(self, rows: Collection[int]) -> Group:
        """Return the group without the events in those rows."""
        keep = ~np.isin(self.rows, np.fromiter(rows, np.int64, len(rows)))
        if keep.all():
            return self
        kept = keep.tolist()
        events = list(compress(self.events, kept))
        members = {name: list(compress(values, kept)) for name, values in self.members.items()}
        times = {name: counts[keep] for name, counts in self.times.items()}
        mask = pa.array(keep)
        others = {name: column.filter(mask) for name, column in self.others.items()}
        return Group(self.shape, self.rows[keep], events, members, times=times, others=others)


class Grouping:
    """Groups parsed events by type, a few at a time.

    While an event is in the CPU cache, its members become columns: later, each of them would be a
    wait for memory.
    """

    def __init__(
        self,
        shapes: Mapping[type[Struct], Shape],
        nested: Mapping[str, Mapping[str, NewColumn]],
        *,
        documents: bool,
    ) -> None:
        """Take shapes by struct, and by type and field how to make columns that are not plain."""
        self._shapes = shapes
        self._nested = nested
        self._documents = documents
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
            members: dict[str, list[Any]] = {name: [] for name in kind.__struct_encode_fields__}
            shape = self._shapes[kind]
            nested = {
                name: make(self._documents) for name, make in self._nested[shape.name].items()
            }
            self._groups[kind] = Group(shape, np.empty(0), [], members, nested)
            self._rows[kind] = []
        group = self._groups[kind]
        self._rows[kind] += rows
        group.events += events
        for column, found in zip(group.members.values(), columns.members(events), strict=True):
            column.extend(found)
        for field in group.shape.others:
            added = group.members[field.name][-len(events) :]
            if field.optional and self._documents:
                drop_defaults(events, field, added)
            group.nested[field.name].add(columns.values(added, field))


def read_others(groups: Sequence[Group], now: int) -> list[int]:
    """Fill the groups' columns of kinds that are not plain; return the rows with a bad value."""
    rows: list[int] = []
    for group in groups:
        for field in group.shape.others:
            found = group.members[field.name]
            read = group.nested[field.name].read(now)
            group.others[field.name] = read.array
            rows += group.rows[read.bad].tolist()
            keys: int | Array = read.quotes + 2
            if field.optional:
                absent = np.array([value is UNSET for value in found], np.bool_)
                keys = np.where(absent, 0, keys)
            group.quotes = group.quotes + keys
            if read.canonical:
                put_back(group.events, field, read.canonical)
    return rows


def long_ids(group: Group) -> list[int]:
    """Return the rows whose id may have more bytes than OpenSearch accepts."""
    event_type = group.shape.event_type
    if event_type is None:
        return []
    tag = {group.shape.tag: group.shape.tag_text} if group.shape.tag else {}
    room = room_for_texts(event_type, tag)
    fields = [event_type.field(name) for name in event_type.id if name not in tag]
    texts = [group.members[field.name] for field in fields if field.kind == "string"]
    if room < 0:
        return list(group.rows.tolist())
    texts = [text for text in texts if text]
    if not texts:
        return []
    # A character has up to four bytes; escaped, it has three characters, of one byte each.
    lengths = np.sum([np.fromiter(map(len, each), np.int64) for each in texts], axis=0)
    return list(group.rows[lengths > room // 4].tolist())


def without_folder(group: Group) -> list[int]:
    """Return the rows of which a text can't name a partition."""
    event_type = group.shape.event_type
    if event_type is None:
        return []
    rows: list[int] = []
    for field in text_fields(event_type):
        if field.source == group.shape.tag:
            if unfit(field, group.shape.tag_text):
                rows += group.rows.tolist()
            continue
        texts = columns.values(group.members[field.source], event_type.field(field.source))
        bad = {text for text in set(texts) if text is not None and unfit(field, text)}
        if bad:
            rows += [int(group.rows[at]) for at, text in enumerate(texts) if text in bad]
    return rows


def part(group: Group, event_type: EventType, *, documents: bool) -> Part:
    """Return the group's events with their columns in the schema's order."""
    columns = {field.name: _column(group, field) for field in event_type.fields}
    made = objects(_documents(group)) if documents else None
    return Part(event_type, Table(group.rows, columns), made)


def _column(group: Group, field: Field) -> pa.Array:
    kind = arrow_type(field)
    if field.name == group.shape.tag:
        return pa.repeat(pa.scalar(group.shape.tag_text, kind), len(group.rows))
    if field.kind not in PLAIN:
        return group.others[field.name]
    if field.kind == "timestamp":
        return pa.array(group.times[field.name], kind)
    return pa.array(columns.values(group.members[field.name], field), kind)


def _documents(group: Group) -> list[bytes]:
    """Return the canonical JSON of events of one type, which the decoder can read back.

    It has the tag first, then the schema's order, no white space, times in full, such as
    2018-01-01T00:21:05.000Z, decimals with their scale, and no member that equals its default:
    equal events, equal JSON.
    """
    fields = group.shape.event_type.fields if group.shape.event_type else ()
    for field in fields:
        if field.optional and field.name in group.members and field.kind in PLAIN:
            name = attribute(field.name)
            default = field.default
            given = columns.values(group.members[field.name], field)
            for event, value in zip(group.events, given, strict=True):
                if value == default:
                    setattr(event, name, UNSET)
    return list(map(_ENCODE, group.events))


_ENCODE: Final = msgspec.json.Encoder(decimal_format="number").encode
