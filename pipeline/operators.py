"""The only glue between steps and Flink: wraps a step as a vectorised function and counts.

Each function is called with one Arrow batch. It is declared non-deterministic, which is true (the
clock decides what is an absurd time) and which keeps the planner from calling it twice per event.
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext, ScalarFunction, udf

from connectors import opensearch
from pipeline import config, metrics
from pipeline.event_types import EventTypes
from pipeline.index_settings import index_settings
from pipeline.steps.bulk import Document, Limits, Outcome, Rejected
from pipeline.steps.decode import Decoded, Decoder, wall_clock
from pipeline.steps.index import Counts, Indexer, Retry

_KINDS = {
    "int32": DataTypes.INT(),
    "int64": DataTypes.BIGINT(),
    "double": DataTypes.DOUBLE(),
    "string": DataTypes.STRING(),
    "boolean": DataTypes.BOOLEAN(),
    # PyFlink's vectorised functions take no TIMESTAMP_LTZ inside a row; SQL makes it of the millis.
    "timestamp": DataTypes.BIGINT(),
}
# What decode says of a record beside the event's own fields.
_VERDICT = {
    "kind": DataTypes.STRING(),
    "event_type": DataTypes.STRING(),
    "schema_version": DataTypes.INT(),
    "pickup_location": DataTypes.STRING(),
    "year": DataTypes.STRING(),
    "month": DataTypes.STRING(),
    "document_id": DataTypes.STRING(),
    "document_version": DataTypes.BIGINT(),
    "document": DataTypes.BYTES(),
    "reason": DataTypes.STRING(),
    "detail": DataTypes.STRING(),
}


class StepMetrics:
    """The metrics of one step, made from the table in `pipeline.metrics` and nowhere else."""

    def __init__(self, step: str, group: Any) -> None:
        scope = group.add_group("kinesisanalytics").add_group("step", step)
        self._made = {name: scope.counter(name) for name in metrics.names(step)}

    def count(self, name: str, by: int = 1) -> None:
        """Add to a counter."""
        if by:
            self._made[name].inc(int(by))

    def lag(self, arrived_millis: np.ndarray[Any, Any], now: int) -> None:
        """Sort the time from arrival until now into the buckets."""
        if not len(arrived_millis):
            return
        lags = now - arrived_millis
        bounds = metrics.LAG_BUCKETS_MS
        filled = np.bincount(np.searchsorted(bounds, lags), minlength=len(bounds) + 1)
        for bound, number in zip([*bounds, "inf"], filled, strict=True):
            self.count(f"lag_le_{bound}", number)
        self.count("lag_ms", max(0, int(lags.sum())))


class Decode(ScalarFunction):  # type: ignore[misc]
    """Raw bytes to event, control or reject. Never raises for what is in a record."""

    def __init__(self, settings: config.Decode, types: EventTypes, *, documents: bool) -> None:
        self._settings = settings
        self._types = types
        self._documents = documents

    def open(self, function_context: FunctionContext) -> None:
        self._metrics = StepMetrics("decode", function_context.get_metric_group())
        self._decoder = Decoder(
            self._types,
            max_record_bytes=self._settings.max_record_bytes,
            unknown_fields=self._settings.unknown_fields,
            documents=self._documents,
        )

    def is_deterministic(self) -> bool:
        return False

    def eval(self, raw: pd.Series, arrival_time: pd.Series) -> pd.DataFrame:
        raws = raw.to_numpy()
        decoded = decode_guarded(self._decoder.decode_batch, raws)
        self._count(raws, decoded)
        self._metrics.lag(_millis(arrival_time), wall_clock())
        verdict = {name: getattr(decoded, name) for name in _VERDICT}
        names = [column.name for column in self._decoder.columns]
        columns = {name: _plain(decoded.columns[name]) for name in names}
        return pd.DataFrame({**verdict, **columns}, copy=False)

    def _count(self, raws: Sequence[bytes | None], decoded: Decoded) -> None:
        self._metrics.count("in", len(raws))
        self._metrics.count("bytes", sum(len(raw) for raw in raws if raw is not None))
        self._metrics.count("events", int((decoded.kind == "event").sum()))
        self._metrics.count("control", int((decoded.kind == "control").sum()))
        rejected = decoded.reason[decoded.kind == "reject"]
        self._metrics.count("rejected", len(rejected))
        for reason, number in zip(
            *np.unique(rejected.astype(str), return_counts=True), strict=True
        ):
            self._metrics.count(f"rejected_{reason}", number)


def decode_guarded(
    decode_batch: Callable[[Sequence[bytes | None]], Decoded], raws: Sequence[bytes | None]
) -> Decoded:
    """Decode a batch; should our own code fail on a record, that record alone becomes a reject.

    The named place where every exception is caught: a fault of ours must not stop the stream, and
    must be seen, so it becomes a dead letter `internal_error`, which alarms at the first one.
    """
    try:
        return decode_batch(raws)
    except Exception as error:  # noqa: BLE001
        if len(raws) == 1:
            return _internal_error(decode_batch([b""]), error)
        half = len(raws) // 2
        parts = [decode_guarded(decode_batch, part) for part in (raws[:half], raws[half:])]
        return _joined(parts)


def _internal_error(empty_payload: Decoded, error: Exception) -> Decoded:
    reason, detail = (np.array([text], dtype=object) for text in _described(error))
    return replace(empty_payload, reason=reason, detail=detail)


def _described(error: Exception) -> tuple[str, str]:
    """Only the kind of exception: its message could hold a value of the record."""
    return "internal_error", f"decode failed with {type(error).__name__}"


def _joined(parts: Sequence[Decoded]) -> Decoded:
    attributes = {
        name: np.concatenate([getattr(part, name) for part in parts]) for name in _VERDICT
    }
    columns = {
        name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns
    }
    return Decoded(**attributes, columns=columns)


class Index(ScalarFunction):  # type: ignore[misc]
    """Events to OpenSearch; returns the reason for what did not get there, null for the rest.

    Flink completes a batch before it lets a checkpoint barrier by, so an event whose checkpoint
    completed has been acknowledged by OpenSearch or is a reject.
    """

    def __init__(self, settings: config.Index, types: EventTypes) -> None:
        self._settings = settings
        self._types = types

    def open(self, function_context: FunctionContext) -> None:
        self._metrics = StepMetrics("index", function_context.get_metric_group())
        settings = self._settings
        self._indexer = Indexer(
            opensearch.bulk_sender(index_settings(settings)),
            limits=Limits(documents=settings.max_documents, bytes=settings.max_bytes),
            retry=Retry(seconds=settings.retry_seconds, breaker_seconds=settings.breaker_seconds),
            clock=time.monotonic,
            sleep=time.sleep,
            random=random.random,
        )
        self._counted = Counts()
        self._names = {
            name: opensearch.index_name(settings.prefix, name) for name in self._types.names
        }

    def is_deterministic(self) -> bool:
        return False

    def eval(
        self,
        event_type: pd.Series,
        document_id: pd.Series,
        document_version: pd.Series,
        document: pd.Series,
        arrival_time: pd.Series,
    ) -> pd.DataFrame:
        started = time.monotonic()
        columns = zip(event_type, document_id, document_version, document, strict=True)
        documents = [Document(self._names[kind], *rest) for kind, *rest in columns]
        outcomes = self._indexer.index(documents)
        self._metrics.count("bulk_ms", round((time.monotonic() - started) * 1000))
        self._metrics.count("in", len(outcomes))
        self._count(self._indexer.counts)
        self._metrics.lag(_millis(arrival_time), wall_clock())
        return _rejections(outcomes)

    def _count(self, counts: Counts) -> None:
        for name in ("indexed", "stale", "retries", "requests", "bytes"):
            self._metrics.count(name, getattr(counts, name) - getattr(self._counted, name))
        for reason, number in (counts.rejected - self._counted.rejected).items():
            self._metrics.count("rejected", number)
            self._metrics.count(f"rejected_{reason}", number)
        self._counted = copy.deepcopy(counts)


def _rejections(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    rejected = [outcome if isinstance(outcome, Rejected) else None for outcome in outcomes]
    columns = {
        "reason": [each.reason if each else None for each in rejected],
        "detail": [each.detail if each else None for each in rejected],
    }
    return pd.DataFrame(columns, dtype=object)


def decode_function(settings: config.Decode, types: EventTypes, *, documents: bool) -> Any:
    """`decode_step(raw, arrival_time)`: a row of the verdict and every event type's columns."""
    columns = Decoder(types, unknown_fields=settings.unknown_fields).columns
    row = {**_VERDICT, **{column.name: _KINDS[column.kind] for column in columns}}
    fields = [DataTypes.FIELD(name, kind) for name, kind in row.items()]
    return udf(
        Decode(settings, types, documents=documents),
        result_type=DataTypes.ROW(fields),
        func_type="pandas",
    )


def index_function(settings: config.Index, types: EventTypes) -> Any:
    """`index_step(…)`: a row of reason and detail, both null when the document is in the index."""
    row = [DataTypes.FIELD(name, DataTypes.STRING()) for name in ("reason", "detail")]
    return udf(Index(settings, types), result_type=DataTypes.ROW(row), func_type="pandas")


def _plain(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Timestamps as epoch milliseconds, a missing one as None; everything else as it is."""
    if values.dtype.kind != "M":
        return values
    millis: np.ndarray[Any, Any] = values.astype("datetime64[ms]").view(np.int64)
    missing = np.isnat(values)
    if missing.any():
        millis = millis.astype(object)
        millis[missing] = None
    return millis


def _millis(arrival_time: pd.Series) -> np.ndarray[Any, Any]:
    utc = arrival_time.dt.tz_convert(None) if arrival_time.dt.tz else arrival_time
    millis: np.ndarray[Any, Any] = utc.to_numpy().astype("datetime64[ms]").astype(np.int64)
    return millis
