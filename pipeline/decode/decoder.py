"""Decode raw records into events, a batch at a time: strict, without coercion, never raising.

msgspec parses and checks types. What it can't see (duplicate keys, control characters, timestamps)
is prescreened for the whole batch. Suspicious records go to the reference decoder in
`pipeline.decode.reference`, whose verdict is final.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from msgspec import UNSET, Struct

from pipeline.config.model import Decode, Native, Source
from pipeline.decode.assembly import Assembly, Part
from pipeline.decode.batch import Group, Grouping, long_ids, part, read_others, without_folder
from pipeline.decode.columns import Array
from pipeline.decode.fault import Fault
from pipeline.decode.native import NativeDecoder
from pipeline.decode.nested import column_of
from pipeline.decode.origins import NONE, Origins
from pipeline.decode.outcome import Control, Decoded, Event, Reject
from pipeline.decode.parser import parser
from pipeline.decode.partition import Partitioner
from pipeline.decode.prescreen import expected_quotes, suspicious_rows
from pipeline.decode.reference import Rule, UnknownFields, examine
from pipeline.decode.structs import shapes
from pipeline.decode.times import read_times
from pipeline.decode.type_rule import BY_TYPE, TypeRule
from pipeline.events.model import EventType, EventTypes

__all__ = ["Control", "Decoded", "Decoder", "Event", "Reject", "UnknownFields", "wall_clock"]

UNKNOWN_FIELDS: Final = "unknown_fields"
"""The lake's column that keeps unknown members as JSON text; null where there are none."""

_AT_ONCE: Final = 256
"""Events that fit into the CPU cache together."""


def wall_clock() -> int:
    """Return the current time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Decoder:
    """Decodes raw records of the given event types; each worker creates one.

    `unknown_fields="keep"` fills `Decoded.unknown`, `documents=True` `Decoded.document`. `now`
    returns epoch milliseconds and is called once per batch. `type_rule` says how a record tells its
    type. `native` says whether batches take the fast path in Rust, which changes no answer;
    `on_native_failure` is called when it failed on a batch, which Python then decodes.
    """

    def __init__(
        self,
        types: EventTypes,
        *,
        type_rule: TypeRule = BY_TYPE,
        max_record_bytes: int = 1_000_000,
        unknown_fields: UnknownFields = "refuse",
        documents: bool = False,
        now: Callable[[], int] = wall_clock,
        native: Native = "off",
        on_native_failure: Callable[[], None] = lambda: None,
    ) -> None:
        self.types = types
        self._type_rule = type_rule
        self._max_record_bytes = max_record_bytes
        self._unknown_fields: UnknownFields = unknown_fields
        self._documents = documents
        self._now = now
        self._partitioners = {each.name: Partitioner(each) for each in types}
        made = shapes(types, type_rule, strict=unknown_fields == "refuse")
        self._shapes = {shape.struct: shape for shape in made}
        self._nested = {
            shape.name: {field.name: column_of(field) for field in shape.others} for shape in made
        }
        self._parser = parser(made, type_rule)
        self._native = NativeDecoder.of(
            types,
            type_rule,
            wanted=native,
            max_record_bytes=max_record_bytes,
            documents=documents,
            on_failure=on_native_failure,
        )

    def decode(self, raw: bytes | None, origins: Origins = NONE) -> Event | Control | Reject:
        """Decode one raw record as `decode_batch` does; the document is always filled.

        Where an event type has no id of its own, `origins` must have the position.
        """
        verdicts = self._verdicts([raw], origins, self._now(), documents=True)
        if verdicts.faults:
            fault = verdicts.faults[0]
            return Reject(fault.reason, fault.detail, fault.event_type, fault.schema_version)
        [group] = verdicts.groups
        if group.shape.event_type is None:
            return _control(group)
        decoded = self._assembled(1, origins, verdicts, documents=True)
        return _event(decoded, group.shape.event_type, keep_unknown=self._unknown_fields == "keep")

    def decode_batch(self, raws: Sequence[bytes | None], origins: Origins = NONE) -> Decoded:
        """Decode a batch into columns. Never raises, whatever the bytes are."""
        now, documents = self._now(), self._documents
        accepted = self._native.accepted(raws, origins.names, now) if self._native else None
        if accepted is None:
            verdicts = self._verdicts(raws, origins, now, documents=documents)
            return self._assembled(len(raws), origins, verdicts, documents=documents)
        rest = accepted.rest.tolist()
        others = [raws[row] for row in rest]
        verdicts = self._verdicts(others, origins.of(rest), now, documents=documents)
        return self._assembled(
            len(raws), origins, verdicts.at(accepted.rest), accepted.parts, documents=documents
        )

    def _verdicts(
        self, raws: Sequence[bytes | None], origins: Origins, now: int, *, documents: bool
    ) -> _Verdicts:
        if not len(raws):
            return _Verdicts([], {}, {})
        rule = Rule(self.types, self._max_record_bytes, self._unknown_fields, now, self._type_rule)
        grouping = Grouping(self._shapes, self._nested, documents=documents)
        parsed, groups = self._parsed(raws, origins.names, grouping)
        suspicious = self._suspicious(raws, parsed, groups, rule.now)
        faults: dict[int, Fault] = {}
        unknown: dict[int, str] = {}
        for row in suspicious:
            name = origins.names[row] if origins.names is not None else None
            verdict = origins.faults.get(row) or examine(raws[row], rule, name)
            if isinstance(verdict, Fault):
                faults[row] = verdict
            elif parsed[row] is None:
                faults[row] = self._unexplained(raws[row], name)
            elif verdict.unknown:
                unknown[row] = verdict.unknown
        kept = [group.without(faults) for group in groups] if faults else groups
        return _Verdicts(kept, faults, unknown)

    def _parsed(
        self,
        raws: Sequence[bytes | None],
        names: Sequence[str | None] | None,
        grouping: Grouping,
    ) -> tuple[list[Struct | None], list[Group]]:
        """Return each record's event, None where msgspec refuses it, and the events by type."""
        parsed: list[Struct | None] = []
        for start in range(0, len(raws), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found = self._parser(raws[part], names[part] if names is not None else None)
            grouping.add(found)
            parsed += found
        return parsed, grouping.groups()

    def _suspicious(
        self,
        raws: Sequence[bytes | None],
        parsed: Sequence[Struct | None],
        groups: Sequence[Group],
        now: int,
    ) -> Collection[int]:
        """Return the rows for the reference decoder: refused by msgspec, or prescreened out."""
        refused: list[int] = []
        if sum(len(group.rows) for group in groups) < len(raws):
            refused = [row for row, event in enumerate(parsed) if event is None]
        texts: list[Any] = list(raws)
        for row in refused:
            texts[row] = b""
        quotes = np.zeros(len(raws), np.int32)
        suspicious = {*refused, *read_times(groups, now)}
        suspicious.update(read_others(groups, now))
        for group in groups:
            quotes[group.rows] = expected_quotes(group)
            suspicious.update(long_ids(group))
            suspicious.update(without_folder(group))
        suspicious.update(suspicious_rows(texts, quotes, self._max_record_bytes))
        return sorted(suspicious)

    def _unexplained(self, raw: bytes | None, name: str | None) -> Fault:
        """Return the fault of a record that msgspec refuses and the reference decoder accepts.

        No such record is known.
        """
        [again] = self._parser([raw], None if name is None else [name])
        said = "refused at first, accepted when parsed again" if again else "refused by msgspec"
        return Fault("invalid_json", f"payload: {said}")

    def _assembled(
        self,
        rows: int,
        origins: Origins,
        verdicts: _Verdicts,
        accepted: Sequence[Part] = (),
        *,
        documents: bool,
    ) -> Decoded:
        assembly = Assembly(origins, rows, self._partitioners)
        by_type: dict[str, list[Part]] = {}
        for each in accepted:
            by_type.setdefault(each.event_type.name, []).append(each)
        for group in verdicts.groups:
            event_type = group.shape.event_type
            if event_type is None:
                assembly.add_control(group.shape.name, group.rows)
            elif len(group.rows):
                of_type = by_type.setdefault(event_type.name, [])
                of_type.append(part(group, event_type, documents=documents))
        for parts in by_type.values():
            assembly.add_events(parts)
        assembly.add_rejects(verdicts.faults)
        if self._unknown_fields == "keep":
            assembly.add_unknown(verdicts.unknown)
        return assembly.decoded(sum(len(each.table.rows) for each in accepted))


@dataclass(frozen=True, slots=True)
class _Verdicts:
    """The accepted events and controls by type, the faults by row, and unknown members by row."""

    groups: list[Group]
    faults: dict[int, Fault]
    unknown: dict[int, str]

    def at(self, rows: Array) -> _Verdicts:
        """Return the same of records that have these rows in a larger batch."""
        for group in self.groups:
            group.rows = rows[group.rows]
        of_row = rows.tolist()
        return _Verdicts(
            self.groups,
            {of_row[row]: fault for row, fault in self.faults.items()},
            {of_row[row]: text for row, text in self.unknown.items()},
        )


def decoder_of(
    settings: Decode,
    source: Source,
    types: EventTypes,
    *,
    documents: bool = True,
    now: Callable[[], int] = wall_clock,
    on_native_failure: Callable[[], None] = lambda: None,
) -> Decoder:
    """Return the decoder of a configuration: the job's, and that of every tool."""
    return Decoder(
        types,
        type_rule=TypeRule.of(source),
        max_record_bytes=settings.max_record_bytes,
        unknown_fields=settings.unknown_fields,
        documents=documents,
        now=now,
        native=settings.native,
        on_native_failure=on_native_failure,
    )


def _event(decoded: Decoded, event_type: EventType, *, keep_unknown: bool) -> Event:
    table = decoded.tables[event_type.name]
    values = {name: _value(column) for name, column in table.columns.items()}
    if keep_unknown:
        values[UNKNOWN_FIELDS] = decoded.unknown[0]
    return Event(
        event_type=event_type.name,
        schema_version=event_type.version,
        values=values,
        partition=decoded.partitions[decoded.partition[0]],
        document_id=decoded.document_id[0],
        document_version=int(decoded.document_version[0]),
        document=decoded.document[0],
    )


def _control(group: Group) -> Control:
    values = {name: found[0] for name, found in group.members.items() if found[0] is not UNSET}
    times = {name: _plain(counts[0]) for name, counts in group.times.items()}
    return Control(group.shape.name, values | times)


def _value(column: pa.Array) -> Any:
    is_instant = pa.types.is_timestamp(column.type) and column.type.tz
    return (column.cast(pa.int64()) if is_instant else column)[0].as_py()


def _plain(value: Any) -> Any:
    """Convert a numpy value to Python's; a timestamp becomes a number of its unit."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else int(value.astype(np.int64))
    return value.item() if isinstance(value, np.generic) else value
