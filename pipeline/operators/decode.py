"""decode: raw bytes to events, control or rejects."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext

from pipeline.config import model as config
from pipeline.decode.claim_check import byte_lengths
from pipeline.decode.columns import objects
from pipeline.decode.decoder import Decoded, Decoder, wall_clock
from pipeline.decode.query import Forwarded
from pipeline.decode.redriven import verify
from pipeline.decode.reject_limit import RejectLimit
from pipeline.events.event_types import EventTypes
from pipeline.events.model import Kind
from pipeline.metrics import StepMetrics
from pipeline.operators.step import Step, known, vectorised

_KINDS = {
    "int32": DataTypes.INT(),
    "int64": DataTypes.BIGINT(),
    "double": DataTypes.DOUBLE(),
    "string": DataTypes.STRING(),
    "boolean": DataTypes.BOOLEAN(),
    # PyFlink's vectorised functions accept no TIMESTAMP_LTZ inside a row; SQL converts the millis.
    "timestamp": DataTypes.BIGINT(),
}
_SQL = {
    "STRING": DataTypes.STRING(),
    "BYTES": DataTypes.BYTES(),
    "INT": DataTypes.INT(),
    "BIGINT": DataTypes.BIGINT(),
}
# What decode returns beside the event's own fields. A reject has a reason; a row that is neither
# event nor reject is control. Strings are expensive: each is copied several times between Python
# and the JVM.
_VERDICT = {
    "is_event": DataTypes.BOOLEAN(),
    "event_type": DataTypes.STRING(),
    "schema_version": DataTypes.INT(),
    "pickup_location": DataTypes.STRING(),
    "year": DataTypes.STRING(),
    "month": DataTypes.STRING(),
    "reason": DataTypes.STRING(),
    "detail": DataTypes.STRING(),
}
# What index and replicas need as well. Sizes are in bytes, 0 for null: Flink's SQL has no length of
# BYTES to compare with a target's limit.
_DOCUMENT = {
    "document_id": DataTypes.STRING(),
    "document_version": DataTypes.BIGINT(),
    "document": DataTypes.BYTES(),
    "document_bytes": DataTypes.INT(),
    "raw_bytes": DataTypes.INT(),
}
# What a Kafka source needs as well: null but in records with a signed redrive mark.
_REDRIVE = {"redrive_step": DataTypes.STRING(), "redrive_replica": DataTypes.STRING()}


class DecodeFunction(Step):
    """Turns raw bytes into events, control or rejects. Never raises for the content of a record.

    Where a limit is set, too many rejects raise `RejectLimitExceeded`: the job stops before it
    emits the batch that exceeded it. With `forwarded` columns the rows are grouped by lake
    partition; without, they keep their order. With a `redrive_key`, which may be empty, the last
    argument is each record's redrive mark; see `pipeline.decode.redriven`.
    """

    def __init__(
        self,
        settings: config.Decode,
        types: EventTypes,
        *,
        documents: bool,
        forwarded: Sequence[Forwarded] = (),
        redrive_key: str | None = None,
    ) -> None:
        self._settings = settings
        self._types = types
        self._documents = documents
        self._forwarded = forwarded
        self._redrive_key = redrive_key

    def open(self, function_context: FunctionContext) -> None:
        self._metrics = StepMetrics("decode", function_context.get_metric_group())
        self._decoder = Decoder(
            self._types,
            max_record_bytes=self._settings.max_record_bytes,
            unknown_fields=self._settings.unknown_fields,
            documents=self._documents,
        )
        self._limit = _reject_limit(self._settings)

    def eval(self, raw: pd.Series, arrival_ms: pd.Series, *others: pd.Series) -> pd.DataFrame:
        raws = raw.to_numpy()
        redriven = self._redriven(others[-1], raws) if self._redrive_key is not None else {}
        decoded = decode_guarded(self._decoder.decode_batch, raws)
        rejected = Counter(decoded.reason[decoded.kind == "reject"].tolist())
        is_event = decoded.kind == "event"
        self._metrics.count("in", len(decoded))
        self._metrics.count("bytes", sum(map(len, filter(None, raws))))
        self._metrics.count("events", int(is_event.sum()))
        self._metrics.count("control", int((decoded.kind == "control").sum()))
        self._metrics.count_rejects(rejected)
        self._metrics.lag(known(arrival_ms), wall_clock())
        if self._limit:
            self._limit.add(len(raws), rejected)
        verdict = {"is_event": is_event}
        verdict |= {name: getattr(decoded, name) for name in _VERDICT if name not in verdict}
        if self._documents:
            bytes_of = {"document_bytes": decoded.document, "raw_bytes": raws}
            sizes = {name: byte_lengths(values) for name, values in bytes_of.items()}
            verdict |= {name: sizes.get(name, getattr(decoded, name, None)) for name in _DOCUMENT}
        columns = {name: _plain(decoded.columns[name]) for name in _columns(self._decoder)}
        frame = {**verdict, **redriven, **columns}
        if self._forwarded:
            arguments = (raw, arrival_ms, *others)[: len(self._forwarded)]
            frame = {**_forward(self._forwarded, arguments, decoded.kind == "reject"), **frame}
            # By lake partition, so that a Parquet writer finds its buffers in the CPU cache.
            order = np.argsort(decoded.partition, kind="stable")
            frame = {name: values[order] for name, values in frame.items()}
        return pd.DataFrame(frame, copy=False)

    def _redriven(
        self, marks: pd.Series, raws: Sequence[bytes | None]
    ) -> dict[str, np.ndarray[Any, Any]]:
        verified = verify(self._redrive_key or "", marks.to_numpy(), raws)
        self._metrics.count("forged_redrives", verified.forged)
        return {name: getattr(verified, name) for name in _REDRIVE}


def _forward(
    forwarded: Sequence[Forwarded], values: Sequence[pd.Series], rejected: np.ndarray[Any, Any]
) -> dict[str, np.ndarray[Any, Any]]:
    """Return the forwarded columns; those for rejects only are None in other rows."""
    columns = {column.name: rows.to_numpy() for column, rows in zip(forwarded, values, strict=True)}
    for column in forwarded:
        if column.rejects_only:
            of_rejects = np.full(len(rejected), None, object)
            of_rejects[rejected] = columns[column.name][rejected]
            columns[column.name] = of_rejects
    return columns


def _reject_limit(settings: config.Decode) -> RejectLimit | None:
    if settings.reject_limit_ratio is None:
        return None
    return RejectLimit(
        settings.reject_limit_ratio,
        seconds=settings.reject_limit_seconds,
        records=settings.reject_limit_records,
        clock=time.monotonic,
    )


def decode_guarded(
    decode_batch: Callable[[Sequence[bytes | None]], Decoded], raws: Sequence[bytes | None]
) -> Decoded:
    """Decode a batch; if the decoder raises on a record, that record alone becomes a reject.

    This is the one place where every exception is caught: a bug must not stop the stream, and must
    be seen, so the record becomes a dead letter `internal_error`, which alarms at once.
    """
    try:
        return decode_batch(raws)
    except Exception as error:  # noqa: BLE001
        if len(raws) == 1:
            # Only the exception's type: its message could hold a value of the record.
            detail = objects([f"decode failed with {type(error).__name__}"])
            return replace(decode_batch([b""]), reason=objects(["internal_error"]), detail=detail)
        half = len(raws) // 2
        return _joined([decode_guarded(decode_batch, part) for part in (raws[:half], raws[half:])])


def _joined(parts: Sequence[Decoded]) -> Decoded:
    names = [attribute.name for attribute in fields(Decoded) if attribute.name != "columns"]
    attributes = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    columns = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns
    }
    return Decoded(**attributes, columns=columns)


def decode_function(
    settings: config.Decode,
    types: EventTypes,
    documents: bool,
    forwarded: Sequence[Forwarded] = (),
    redrive_key: str | None = None,
) -> Any:
    """`decode_step(raw, arrival_ms[, …])`: a row of the forwarded columns, then of `decode_row`."""
    row = {column.name: _SQL[column.kind] for column in forwarded}
    row |= decode_row(settings, types, documents=documents, redrive_key=redrive_key)
    step = DecodeFunction(
        settings, types, documents=documents, forwarded=forwarded, redrive_key=redrive_key
    )
    return vectorised(step, row)


def decode_row(
    settings: config.Decode, types: EventTypes, *, documents: bool, redrive_key: str | None = None
) -> dict[str, Any]:
    """Return the types of decode's result: the verdict and every event type's columns.

    `documents=True` adds the document, its id, version and size, which index and replicas need;
    a redrive key, even an empty one, the step and replica of redriven records.
    """
    columns = _columns(Decoder(types, unknown_fields=settings.unknown_fields))
    kinds = {name: _KINDS[kind] for name, kind in columns.items()}
    added = (_DOCUMENT if documents else {}) | ({} if redrive_key is None else _REDRIVE)
    return {**_VERDICT, **added, **kinds}


def _columns(decoder: Decoder) -> dict[str, Kind]:
    """Return the events' columns without `type`, which the verdict has."""
    return {column.name: column.kind for column in decoder.columns if column.name != "type"}


def _plain(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return timestamps as epoch milliseconds, NaT as None, and other values unchanged."""
    if values.dtype.kind != "M":
        return values
    millis: np.ndarray[Any, Any] = values.astype("datetime64[ms]").view(np.int64)
    missing = np.isnat(values)
    if missing.any():
        millis = millis.astype(object)
        millis[missing] = None
    return millis
