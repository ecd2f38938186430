"""Decode's columns for statements that read rows one by one.

Those are replicas, dead letters in Kafka or Kinesis, and discard. A column exists only if some
statement reads it; in rows that none reads it has nulls, or numbers without a meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pyflink.table import DataTypes

from pipeline.collect.inputs import Inputs
from pipeline.collect.letters import decode_verdict
from pipeline.config.filters import read_fields
from pipeline.config.model import Config
from pipeline.decode.claim_check import byte_lengths
from pipeline.decode.columns import Array
from pipeline.decode.decoder import Decoded
from pipeline.decode.records import FIELD
from pipeline.decode.redriven import Mark
from pipeline.decode.union import Union
from pipeline.events.event_types import EventTypes
from pipeline.events.model import Kind

_KINDS: Mapping[Kind, Any] = {
    "int32": DataTypes.INT(),
    "int64": DataTypes.BIGINT(),
    "double": DataTypes.DOUBLE(),
    "string": DataTypes.STRING(),
    "boolean": DataTypes.BOOLEAN(),
    # PyFlink's vectorised functions accept no TIMESTAMP_LTZ inside a row; SQL converts the millis.
    "timestamp": DataTypes.BIGINT(),
}
_TYPE = {"event_type": DataTypes.STRING(), "schema_version": DataTypes.INT()}
_LETTER = {name: DataTypes.STRING() for name in ("step", "reason", "detail")}
_REPLICA = {
    "is_event": DataTypes.BOOLEAN(),
    "redrive_replica": DataTypes.STRING(),
    "document_id": DataTypes.STRING(),
}
# Sizes are in bytes, 0 for null: Flink's SQL has no length of BYTES to compare with a limit.
_EVENT = {"document": DataTypes.BYTES(), "document_bytes": DataTypes.INT()}
_RAW = {"raw_bytes": DataTypes.INT()}
REPLICATE = "replicate"


@dataclass(frozen=True, slots=True)
class RowColumns:
    """Which columns there are, from the configuration; `of` says how.

    `letters`, `discard` and `replicas` tell which statements there are; `documents` and `raws`,
    what replicas write; `replicated`, of which event types; `fields`, what their filters read.
    `is_event` is true in rows that a replica may take: events of its types that are new, or were
    redriven to the replica `redrive_replica`. A reject has a `step`, `reason` and `detail`.
    """

    letters: bool = False
    discard: bool = False
    replicas: bool = False
    documents: bool = False
    raws: bool = False
    replicated: tuple[str, ...] = ()
    fields: Mapping[str, Kind] | None = None
    union: Union | None = None

    @classmethod
    def of(cls, config: Config, types: EventTypes) -> RowColumns:
        """Return what the statements of this configuration read."""
        replicas = config.replicate.values()
        all_types = any(not replica.event_types for replica in replicas)
        chosen = {name for replica in replicas for name in replica.event_types}
        return cls(
            letters=bool(config.dead_letters and not config.dead_letters.path),
            discard=config.job.discard,
            replicas=bool(replicas),
            documents=any(replica.value == "event" for replica in replicas),
            raws=any(replica.value == "raw" for replica in replicas),
            replicated=types.names if all_types else tuple(sorted(chosen)),
            fields=read_fields(config, types),
            union=Union(types),
        )

    def row(self) -> dict[str, Any]:
        """Return the columns' types."""
        row: dict[str, Any] = {}
        if self.letters or self.replicas or self.discard:
            row |= _TYPE
        row |= _LETTER if self.letters else {}
        row |= _REPLICA if self.replicas else {}
        row |= _EVENT if self.documents else {}
        row |= _RAW if self.raws else {}
        fields = {f"{FIELD}{name}": _KINDS[kind] for name, kind in (self.fields or {}).items()}
        return row | fields

    def columns(
        self, decoded: Decoded, inputs: Inputs, redriven: Mapping[int, Mark], rejects: Array
    ) -> dict[str, Array]:
        """Return the columns of a batch, by name; `rejects` are its rejected rows."""
        columns: dict[str, Array] = {}
        read = np.zeros(len(decoded), np.bool_)
        if self.letters:
            read[rejects] = True
            verdict = decode_verdict(decoded, rejects, redriven)
            columns |= {name: _sparse(rejects, verdict[name], len(read)) for name in _LETTER}
        if self.replicas:
            is_event = self._replicated(decoded, redriven)
            read |= is_event
            columns |= self._events(decoded, inputs, redriven, is_event)
        if self.discard:
            read |= decoded.partition >= 0
        columns["event_type"] = _only(read, decoded.event_type)
        columns["schema_version"] = decoded.schema_version
        return {name: columns[name] for name in self.row()}

    def _replicated(self, decoded: Decoded, redriven: Mapping[int, Mark]) -> Array:
        is_event = decoded.partition >= 0
        if set(self.replicated) != set(np.unique(decoded.event_type[is_event]).tolist()):
            is_event &= np.isin(decoded.event_type, self.replicated)
        elsewhere = [row for row, mark in redriven.items() if mark.step != REPLICATE]
        is_event[elsewhere] = False
        return is_event

    def _events(
        self, decoded: Decoded, inputs: Inputs, redriven: Mapping[int, Mark], is_event: Array
    ) -> dict[str, Array]:
        marked = np.full(len(is_event), None, object)
        for row, mark in redriven.items():
            marked[row] = mark.replica
        columns = {
            "is_event": is_event,
            "redrive_replica": _only(is_event, marked),
            "document_id": _only(is_event, decoded.document_id),
        }
        if self.documents:
            columns["document"] = _only(is_event, decoded.document)
            columns["document_bytes"] = byte_lengths(columns["document"])
        if self.raws:
            columns["raw_bytes"] = byte_lengths(_only(is_event, inputs.raw))
        for name in self.fields or {}:
            assert self.union is not None, "`of` gives both"
            values = millis(self.union.column(decoded, name))
            columns[f"{FIELD}{name}"] = _only(is_event, values)
        return columns


def _sparse(rows: Array, values: Array, number: int) -> Array:
    column = np.full(number, None, object)
    column[rows] = values
    return column


def _only(rows: Array, values: Array) -> Array:
    """Return objects with None in other than these rows; numbers are cheap, and stay."""
    if values.dtype.kind != "O" or rows.all():
        return values
    return _sparse(rows, values[rows], len(values))


def millis(values: Array) -> Array:
    """Return timestamps as epoch milliseconds, NaT as None, and other values unchanged."""
    if values.dtype.kind != "M":
        return values
    numbers: Array = values.astype("datetime64[ms]").view(np.int64)
    missing = np.isnat(values)
    if missing.any():
        numbers = numbers.astype(object)
        numbers[missing] = None
    return numbers
