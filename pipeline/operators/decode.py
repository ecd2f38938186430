"""decode: raw bytes to events, control or rejects, and these to batches for the files."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from pyflink.table import DataTypes
from pyflink.table.udf import FunctionContext

from connectors.errors import UserError
from connectors.schema_registry.client import FOR_EVER
from connectors.schema_registry.options import SchemaRegistry
from pipeline.collect import documents, memory
from pipeline.collect.archive_rows import ArchiveRows
from pipeline.collect.buckets import Target
from pipeline.collect.inputs import NO_TIME, Inputs, inputs
from pipeline.collect.lake_rows import LakeRows
from pipeline.collect.letters import Letters, decode_verdict, reject_columns
from pipeline.collect.record_origins import RecordOrigins
from pipeline.collect.stream import Stream, pack
from pipeline.config import model as config
from pipeline.decode.avro_input import AvroInput
from pipeline.decode.columns import Array, objects
from pipeline.decode.decoder import Decoded, decoder_of, wall_clock
from pipeline.decode.origins import NONE, Origins
from pipeline.decode.outcome import joined
from pipeline.decode.partition_limit import PartitionLimit
from pipeline.decode.redriven import Mark, verify
from pipeline.decode.reject_limit import RejectLimit
from pipeline.events.event_types import EventTypes
from pipeline.metrics import StepMetrics
from pipeline.operators.row_columns import RowColumns
from pipeline.operators.step import Step, name_process, vectorised


@dataclass(frozen=True, slots=True)
class Answer:
    """What decode returns: the steps with files, whether there is an index, and row columns.

    `max_partitions` is the lake's limit; without a lake there is none.
    """

    targets: Mapping[str, Target]
    index: bool
    rows: RowColumns
    max_partitions: int | None = None


class DecodeFunction(Step):
    """Turns raw bytes into events, control or rejects. Never raises for the content of a record.

    Rows keep their order, since Flink matches the columns that bypass the function by row. What
    goes to files or the index is one cell for the whole batch, in its first row. Where a limit is
    set, too many rejects raise `RejectLimitExceeded`: the job stops before it emits the batch that
    exceeded it. A `redrive_key` may be empty; see `pipeline.decode.redriven`.
    """

    def __init__(
        self,
        settings: config.Decode,
        source: config.Source,
        types: EventTypes,
        answer: Answer,
        redrive_key: str = "",
        registry: SchemaRegistry | None = None,
    ) -> None:
        self._settings = settings
        self._source = source
        self._types = types
        self._answer = answer
        self._redrive_key = redrive_key
        self._registry = registry

    def open(self, function_context: FunctionContext) -> None:
        name_process("etl-decode")
        memory.keep_freed()
        self._metrics = StepMetrics("decode", function_context.get_metric_group())
        keep_unknown = self._settings.unknown_fields == "keep"
        documents = self._answer.index or self._answer.rows.replicas
        self._decoder = decoder_of(
            self._settings,
            self._source,
            self._types,
            documents=documents,
            on_native_failure=partial(self._metrics.count, "native_failures"),
        )
        self._origins = RecordOrigins(self._source, self._types)
        waits = partial(self._metrics.count, "registry_waits")
        self._avro = AvroInput.of(
            self._settings,
            self._source,
            self._registry,
            self._types,
            patience=FOR_EVER,
            on_wait=waits,
        )
        self._limit = _reject_limit(self._settings)
        self._partition_limit = _partition_limit(self._answer)
        keys = {step: target.keys for step, target in self._answer.targets.items()}
        source, types = self._source, self._types
        lake = LakeRows(types, source, keys.get("lake", ()), keep_unknown=keep_unknown)
        self._lake = lake if "lake" in keys else None
        self._archive = ArchiveRows(source, keys["archive"]) if "archive" in keys else None
        self._letters = Letters(source, keys["dead_letters"]) if "dead_letters" in keys else None

    def eval(self, raw: pd.Series, *others: Any) -> pd.DataFrame:
        arguments = [raw.to_numpy(), *(_array(other, len(raw)) for other in others)]
        records = inputs(self._source, arguments)
        redriven = self._redriven(arguments[-1], records)
        origins = self._origins.of(records, redriven)
        decoded = decode_guarded(self._decode, records.raw, origins)
        if self._partition_limit:
            self._partition_limit.apply(decoded, redriven)
        rejects = np.flatnonzero(decoded.reason)
        self._count(records, decoded, rejects)
        columns: dict[str, Array] = {}
        if self._answer.targets:
            files = pack(self._streams(records, decoded, redriven, rejects))
            columns["files"] = _first(files, len(decoded))
        if self._answer.index:
            batch = documents.batch(decoded, records)
            columns["index_batch"] = _first(batch, len(decoded))
        columns |= self._answer.rows.columns(decoded, records, redriven, rejects)
        return pd.DataFrame(columns, copy=False)

    def _decode(self, raws: Sequence[bytes | None], origins: Origins) -> Decoded:
        if self._avro:
            raws, origins = self._avro.read(raws, origins)
        return self._decoder.decode_batch(raws, origins)

    def _streams(
        self, records: Inputs, decoded: Decoded, redriven: Mapping[int, Mark], rejects: Array
    ) -> Iterator[Stream]:
        if self._archive:
            yield from self._archive.streams(records)
        if self._lake:
            yield from self._lake.streams(decoded, records, redriven)
        if self._letters and len(rejects):
            verdict = decode_verdict(decoded, rejects, redriven)
            yield from self._letters.streams(reject_columns(records, rejects, verdict))

    def _count(self, records: Inputs, decoded: Decoded, rejects: Array) -> None:
        rejected = Counter(decoded.reason[rejects].tolist())
        events = int((decoded.partition >= 0).sum())
        self._metrics.count("in", len(decoded))
        self._metrics.count("bytes", sum(map(len, filter(None, records.raw))))
        self._metrics.count("events", events)
        self._metrics.count("native", decoded.native)
        self._metrics.count("control", len(decoded) - events - len(rejects))
        self._metrics.count_rejects(rejected)
        self._metrics.lag(records.arrival_ms[records.arrival_ms != NO_TIME], wall_clock())
        if self._limit:
            self._limit.add(len(decoded), rejected)

    def _redriven(self, marks: Array, records: Inputs) -> dict[int, Mark]:
        """Return the genuine redrive marks by row; only records of topics can have one."""
        if not self._source.kafka_topics:
            return {}
        verified = verify(self._redrive_key, marks, records.raw)
        self._metrics.count("forged_redrives", verified.forged)
        return verified.marks


def _array(argument: Any, rows: int) -> Array:
    """Return an argument as an array.

    PyFlink passes a constant as the value itself: a stream's name, or the key that streams lack.
    findings/pyflink_constant_is_no_series.sh shows it.
    """
    is_column = isinstance(argument, pd.Series)
    array: Array = argument.to_numpy() if is_column else np.full(rows, argument, object)
    return array


def _first(cell: bytes | None, rows: int) -> Array:
    """Return a column with this cell in its first row."""
    column = np.full(rows, None, object)
    column[:1] = cell
    return column


def _reject_limit(settings: config.Decode) -> RejectLimit | None:
    if settings.reject_limit_ratio is None:
        return None
    return RejectLimit(
        settings.reject_limit_ratio,
        seconds=settings.reject_limit_seconds,
        records=settings.reject_limit_records,
        clock=time.monotonic,
    )


def _partition_limit(answer: Answer) -> PartitionLimit | None:
    lake = answer.targets.get("lake")
    if lake is None or answer.max_partitions is None:
        return None
    return PartitionLimit(answer.max_partitions, seconds=lake.file_seconds, clock=time.monotonic)


Decode = Callable[[Sequence[bytes | None], Origins], Decoded]


def decode_guarded(
    decode: Decode, raws: Sequence[bytes | None], origins: Origins = NONE
) -> Decoded:
    """Decode a batch; if the decoder raises on a record, that record alone becomes a reject.

    This is the one place where every exception is caught: a bug must not stop the stream, and must
    be seen, so the record becomes a dead letter `internal_error`, which alarms at once.

    Raises:
        UserError: the configuration is wrong, which is no fault of a record.
    """
    try:
        return decode(raws, origins)
    except UserError:
        raise
    except Exception as error:  # noqa: BLE001
        if len(raws) == 1:
            # Only the exception's type: its message could hold a value of the record.
            detail = objects([f"decode failed with {type(error).__name__}"])
            empty = replace(origins, faults={})
            return replace(decode([b""], empty), reason=objects(["internal_error"]), detail=detail)
        half = len(raws) // 2
        parts = ((0, half), (half, len(raws)))
        return joined([decode_guarded(decode, raws[a:b], origins.part(a, b)) for a, b in parts])


def decode_function(
    settings: config.Config, types: EventTypes, targets: Mapping[str, Target]
) -> Any:
    """`decode_step(…)`: a row of `decode_row`.

    Its arguments are those of `query.arguments`, and of Kafka sources only the redrive mark.
    """
    step = DecodeFunction(
        settings.decode,
        settings.source,
        types,
        Answer(
            targets,
            bool(settings.index),
            RowColumns.of(settings, types),
            settings.lake.max_partitions if settings.lake else None,
        ),
        settings.redrive_key,
        settings.schema_registry,
    )
    return vectorised(step, decode_row(settings, types))


def decode_row(settings: config.Config, types: EventTypes) -> dict[str, Any]:
    """Return the types of decode's result.

    `files` and `index_batch` are batches, in the first row of each; for the other columns, which
    are row by row, see `RowColumns`. There is always one: a function must return something.
    """
    row: dict[str, Any] = {}
    if settings.file_sinks:
        row["files"] = DataTypes.BYTES()
    if settings.index:
        row["index_batch"] = DataTypes.BYTES()
    row |= RowColumns.of(settings, types).row()
    return row or {"files": DataTypes.BYTES()}
