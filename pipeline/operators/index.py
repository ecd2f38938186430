"""index: documents to OpenSearch, and its rejects back."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext

from connectors.opensearch.bulk import Document, Limits, Outcome, Rejected
from connectors.opensearch.options import Index, index_name
from connectors.opensearch.templates import careful_sender
from pipeline.decode.decoder import wall_clock
from pipeline.events.derive import mapping
from pipeline.events.event_types import EventTypes
from pipeline.index.indexer import Counts, Indexer, RetryPolicy
from pipeline.metrics import StepMetrics
from pipeline.operators.step import Step, known, vectorised

_REJECTION = {"reason": DataTypes.STRING(), "detail": DataTypes.STRING()}


class IndexFunction(Step):
    """Sends events to OpenSearch; returns the reason of each reject, null for the rest.

    Flink completes a batch before it passes a checkpoint barrier, so an event whose checkpoint
    completed was acknowledged by OpenSearch or is a reject.
    """

    def __init__(self, settings: Index, types: EventTypes) -> None:
        self._settings = settings
        self._types = types
        self._mappings = {event_type.name: mapping(event_type) for event_type in types}

    def open(self, function_context: FunctionContext) -> None:
        self._metrics = StepMetrics("index", function_context.get_metric_group())
        settings = self._settings
        self._indexer = Indexer(
            careful_sender(settings, self._mappings),
            limits=Limits(documents=settings.max_documents, bytes=settings.max_bytes),
            retry=RetryPolicy(
                seconds=settings.retry_seconds, breaker_seconds=settings.breaker_seconds
            ),
            clock=time.monotonic,
            sleep=time.sleep,
            random=random.random,
        )
        self._counted = Counts()
        self._names = {name: index_name(settings.prefix, name) for name in self._types.names}

    def eval(
        self,
        event_type: pd.Series,
        document_id: pd.Series,
        document_version: pd.Series,
        document: pd.Series,
        arrival_ms: pd.Series,
    ) -> pd.DataFrame:
        started = time.monotonic()
        columns = zip(event_type, document_id, document_version, document, strict=True)
        documents = [Document(self._names[kind], *rest) for kind, *rest in columns]
        outcomes = self._indexer.index(documents)
        self._metrics.count("bulk_ms", round((time.monotonic() - started) * 1000))
        self._metrics.count("in", len(outcomes))
        self._count(self._indexer.counts)
        self._metrics.lag(known(arrival_ms), wall_clock())
        return _rejections(outcomes)

    def _count(self, counts: Counts) -> None:
        for name in ("indexed", "stale", "retries", "requests", "bytes"):
            self._metrics.count(name, getattr(counts, name) - getattr(self._counted, name))
        self._metrics.count_rejects(counts.rejected - self._counted.rejected)
        self._counted = copy.deepcopy(counts)


def _rejections(outcomes: Sequence[Outcome]) -> pd.DataFrame:
    rejected = [outcome if isinstance(outcome, Rejected) else None for outcome in outcomes]
    columns = {name: [row and getattr(row, name) for row in rejected] for name in _REJECTION}
    return pd.DataFrame(columns, dtype=object)


def index_function(settings: Index, types: EventTypes) -> Any:
    """`index_step(…)`: a row of reason and detail, both null when the document is in the index."""
    return vectorised(IndexFunction(settings, types), _REJECTION)
