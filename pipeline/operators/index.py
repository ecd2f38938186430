"""index: batches of documents to OpenSearch, and its rejects back."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext, TableFunction, udtf

from connectors.opensearch.bulk import Document, Limits, Outcome, Rejected, Send
from connectors.opensearch.options import Index, index_name
from connectors.opensearch.templates import careful_sender
from pipeline.collect import documents
from pipeline.collect.inputs import NO_TIME
from pipeline.collect.letters import Letters
from pipeline.collect.rows import Columns
from pipeline.collect.stream import pack
from pipeline.config.model import Source
from pipeline.decode.columns import objects
from pipeline.decode.decoder import wall_clock
from pipeline.decode.records import NO_NUMBER
from pipeline.events.derive import mapping
from pipeline.events.event_types import EventTypes
from pipeline.index.indexer import Counts, Indexer, RetryPolicy
from pipeline.metrics import StepMetrics
from pipeline.operators.step import name_process

_REJECTION = ("reason", "detail")
_KINDS = {
    "STRING": DataTypes.STRING(),
    "BYTES": DataTypes.BYTES(),
    "INT": DataTypes.INT(),
    "BIGINT": DataTypes.BIGINT(),
}


class IndexFunction(TableFunction):  # type: ignore[misc]
    """Sends a batch of documents to OpenSearch; returns the rejects only.

    They are rows of `documents.reject_columns`; with the keys of the dead letters' files, one cell
    of streams. Flink completes a batch before it passes a checkpoint barrier, so an event whose
    checkpoint completed was acknowledged by OpenSearch or is a reject.
    """

    def __init__(
        self,
        settings: Index,
        types: EventTypes,
        source: Source,
        letters_keys: Sequence[str] = (),
        connect: Callable[[Index, Mapping[str, Any]], Send] = careful_sender,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._source = source
        self._letters_keys = letters_keys
        self._mappings = {event_type.name: mapping(event_type) for event_type in types}

    def is_deterministic(self) -> bool:
        return False

    def open(self, function_context: FunctionContext) -> None:
        name_process("etl-index")
        self._metrics = StepMetrics("index", function_context.get_metric_group())
        settings = self._settings
        self._indexer = Indexer(
            self._connect(settings, self._mappings),
            limits=Limits(documents=settings.max_documents, bytes=settings.max_bytes),
            retry=RetryPolicy(
                seconds=settings.retry_seconds, breaker_seconds=settings.breaker_seconds
            ),
            clock=time.monotonic,
            sleep=time.sleep,
            random=random.random,
        )
        self._counted = Counts()
        self._names = {name: index_name(settings.prefix, name) for name in self._mappings}
        self._letters = Letters(self._source, self._letters_keys) if self._letters_keys else None

    def eval(self, index_batch: bytes) -> Iterator[tuple[Any, ...] | bytes]:
        started = time.monotonic()
        batch = documents.read(index_batch)
        outcomes = self._indexer.index(self._documents(batch))
        self._metrics.count("bulk_ms", round((time.monotonic() - started) * 1000))
        self._metrics.count("in", len(outcomes))
        self._count(self._indexer.counts)
        arrival_ms = documents.column(batch, "arrival_ms")
        self._metrics.lag(arrival_ms[arrival_ms != NO_TIME], wall_clock())
        rejects = _rejects(batch, outcomes)
        if rejects is None:
            return
        if self._letters:
            yield pack(self._letters.streams(rejects)) or b""
        else:
            yield from _rows(rejects, tuple(documents.reject_columns(self._source)))

    def _documents(self, batch: pa.RecordBatch) -> list[Document]:
        names = [self._names[kind] for kind in documents.column(batch, "event_type")]
        columns = ("document_id", "document_version", "document")
        values = (documents.column(batch, name).tolist() for name in columns)
        return list(map(Document, names, *values))

    def _count(self, counts: Counts) -> None:
        for name in ("indexed", "stale", "retries", "requests", "bytes"):
            self._metrics.count(name, getattr(counts, name) - getattr(self._counted, name))
        self._metrics.count_rejects(counts.rejected - self._counted.rejected)
        self._counted = copy.deepcopy(counts)


def _rejects(batch: pa.RecordBatch, outcomes: Sequence[Outcome]) -> Columns | None:
    """Return what OpenSearch rejected as columns of rejects; None if that is nothing."""
    rejected = [
        (row, outcome) for row, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)
    ]
    if not rejected:
        return None
    rows = np.array([row for row, _ in rejected])
    reasons = {
        name: objects([getattr(outcome, name) for _, outcome in rejected]) for name in _REJECTION
    }
    return documents.rejected(batch, rows, reasons)


def _rows(rejects: Columns, names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the rejects as rows of these columns; what stands for no number or time is None."""
    columns = []
    for name in names:
        values = rejects[name].astype(object)
        values[values == (NO_TIME if name == "arrival_ms" else NO_NUMBER)] = None
        columns.append(values.tolist())
    yield from zip(*columns, strict=True)


def index_function(
    settings: Index, types: EventTypes, source: Source, letters_keys: Sequence[str] = ()
) -> Any:
    """`index_step(index_batch)`: the rejects as rows of `documents.reject_columns`.

    With the keys of the dead letters' files: the rejects as one cell of streams.
    """
    kinds = ["BYTES"] if letters_keys else list(documents.reject_columns(source).values())
    return udtf(
        IndexFunction(settings, types, source, letters_keys),
        result_types=[_KINDS[kind] for kind in kinds],
        deterministic=False,
    )
