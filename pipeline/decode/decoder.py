"""Decode raw records into events, a batch at a time: strict, without coercion, never raising.

msgspec parses and checks types. What it can't see (duplicate keys, control characters, timestamps)
is prescreened for the whole batch. Suspicious records go to the reference decoder in
`pipeline.decode.reference`, whose verdict is final.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import numpy as np
from msgspec import UNSET, Struct

from pipeline.config.model import Decode, Source
from pipeline.decode.batch import (
    Assembly,
    Group,
    Grouping,
    long_ids,
    read_others,
    without_folder,
)
from pipeline.decode.fault import Fault
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
from pipeline.events.model import Column, EventTypes

__all__ = ["Control", "Decoded", "Decoder", "Event", "Reject", "UnknownFields", "wall_clock"]

UNKNOWN_FIELDS: Final = Column("unknown_fields", "string", nullable=True)
"""The column that keeps unknown members as JSON text; None where there are none."""

_AT_ONCE: Final = 256
"""Events that fit into the CPU cache together."""


def wall_clock() -> int:
    """Return the current time in epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Decoder:
    """Decodes raw records of the given event types; each worker creates one.

    `columns` are the columns of `Decoded.columns`: the union of the types' columns, and with
    `unknown_fields="keep"` also `unknown_fields`. `documents=True` fills `Decoded.document`.
    `now` returns epoch milliseconds and is called once per batch. `type_rule` says how a record
    tells its type.
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
    ) -> None:
        self.types = types
        self.columns = (*types.columns, *((UNKNOWN_FIELDS,) if unknown_fields == "keep" else ()))
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

    def decode(self, raw: bytes | None, origins: Origins = NONE) -> Event | Control | Reject:
        """Decode one raw record as `decode_batch` does; the document is always filled.

        Where an event type has no id of its own, `origins` must have the position.
        """
        groups, faults, unknown = self._verdicts([raw], origins, documents=True)
        decoded = self._assembled(1, origins, groups, faults, unknown, documents=True)
        if faults:
            fault = faults[0]
            return Reject(fault.reason, fault.detail, fault.event_type, fault.schema_version)
        if decoded.kind[0] == "control":
            return _control(groups[0])
        return _event(decoded, self.types)

    def decode_batch(self, raws: Sequence[bytes | None], origins: Origins = NONE) -> Decoded:
        """Decode a batch into columns. Never raises, whatever the bytes are."""
        groups, faults, unknown = self._verdicts(raws, origins, documents=self._documents)
        return self._assembled(
            len(raws), origins, groups, faults, unknown, documents=self._documents
        )

    def _verdicts(
        self, raws: Sequence[bytes | None], origins: Origins, *, documents: bool
    ) -> tuple[list[Group], dict[int, Fault], dict[int, str]]:
        """Return the accepted events by type, the faults by row, and unknown members by row."""
        rule = Rule(
            self.types, self._max_record_bytes, self._unknown_fields, self._now(), self._type_rule
        )
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
        return [group.without(faults) for group in groups] if faults else groups, faults, unknown

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
        groups: Sequence[Group],
        faults: dict[int, Fault],
        unknown: dict[int, str],
        *,
        documents: bool,
    ) -> Decoded:
        assembly = Assembly(origins, rows, self.columns, self._partitioners)
        for group in groups:
            if group.shape.event_type is None:
                assembly.add_control(group)
            else:
                assembly.add_events(group, group.shape.event_type, documents=documents)
        assembly.add_rejects(faults)
        if self._unknown_fields == "keep":
            assembly.add_unknown(UNKNOWN_FIELDS.name, unknown)
        return assembly.decoded()


def decoder_of(
    settings: Decode,
    source: Source,
    types: EventTypes,
    *,
    documents: bool = True,
    now: Callable[[], int] = wall_clock,
) -> Decoder:
    """Return the decoder of a configuration: the job's, and that of every tool."""
    return Decoder(
        types,
        type_rule=TypeRule.of(source),
        max_record_bytes=settings.max_record_bytes,
        unknown_fields=settings.unknown_fields,
        documents=documents,
        now=now,
    )


def _event(decoded: Decoded, types: EventTypes) -> Event:
    event_type = types[decoded.event_type[0]]
    names = [(field.name, field.column) for field in event_type.fields]
    if UNKNOWN_FIELDS.name in decoded.columns:
        names.append((UNKNOWN_FIELDS.name, UNKNOWN_FIELDS.name))
    return Event(
        event_type=event_type.name,
        schema_version=event_type.version,
        values={name: _value(decoded, event_type.name, name, column) for name, column in names},
        partition=decoded.partitions[decoded.partition[0]],
        document_id=decoded.document_id[0],
        document_version=int(decoded.document_version[0]),
        document=decoded.document[0],
    )


def _control(group: Group) -> Control:
    values = {name: found[0] for name, found in group.members.items() if found[0] is not UNSET}
    times = {name: _plain(counts[0]) for name, counts in group.times.items()}
    return Control(group.shape.name, values | times)


def _value(decoded: Decoded, event_type: str, name: str, column: str) -> Any:
    if column:
        return _plain(decoded.columns[column][0])
    return decoded.others[event_type].columns[name][0].as_py()


def _plain(value: Any) -> Any:
    """Convert a numpy value to Python's; a timestamp becomes a number of its unit."""
    if isinstance(value, np.datetime64):
        return None if np.isnat(value) else int(value.astype(np.int64))
    return value.item() if isinstance(value, np.generic) else value
