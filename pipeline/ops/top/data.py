"""What a job's metrics say of each step: its counters, its meters, and how far it is behind.

A step is called as in `docs/metrics.md`: `records_kafka`, `archive`, `decode`, `lake`, `index`,
`replicate_<name>`, `dead_letters`. Rows of a step that are collected for files are counted by our
function `collect`, which counts each step's; Flink's own metrics of their sinks are of files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final, NamedTuple

from connectors.flink.job_metrics import Aggregate, Reading

_OPERATOR: Final = re.compile(
    r"Source__records_.+"
    r"|(archive|decode|lake|index|dead_letters|collect|(replicate|claim_check)_[a-z0-9_]+)"
    r"(__Writer|-too_large)?"
)
_SOURCE: Final = "Source__"
_WRITER: Final = "__Writer"
_TOO_LARGE: Final = "-too_large"
_PYTHON: Final = "kinesisanalytics.step."
_PER_SECOND: Final = "PerSecond"
_NAMES: Final = frozenset(
    {
        *("numRecordsIn", "numRecordsOut", "numRecordsSend", "pendingRecords"),
        *(f"{name}{_PER_SECOND}" for name in ("numRecordsIn", "numRecordsOut")),
    }
)
_MILLIS_BEHIND: Final = "millisBehindLatest"
_ORDER: Final = ("records", "archive", "decode", "lake", "index", "replicate", "dead_letters")

IN, OUT, REJECTED = COLUMNS = ("in", "out", "rejected")
_REJECTED_FOR: Final = "rejected_"
_REPLICA_TOO_LARGE: Final = f"{_REJECTED_FOR}replica_too_large"
_OURS: Final = ("decode", "index")
_COLLECT: Final = "collect"
_OUT_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "decode.events": (f"decode.{OUT}",),
    "index.indexed": (f"index.{OUT}",),
    "index.stale": (f"index.{OUT}",),
}
_NONE: Final = Aggregate(0.0, 0.0)
_UNKNOWN: Final = Aggregate(inf, inf)


class Behind(NamedTuple):
    """How far a source is behind: a number of records, or of ms."""

    number: int
    unit: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """A job's numbers at one time.

    `counters` are by step and name, such as `decode.in`, since the tasks started; `meters` are
    Flink's means over the last minute in records per second, by the same names. What is not known
    is absent. `columns` says which of in, out and rejected each step has, in the order of the flow.
    """

    columns: Mapping[str, tuple[str, ...]]
    counters: Mapping[str, float]
    meters: Mapping[str, float]
    behind: Mapping[str, Behind]


def wanted(metric: str) -> bool:
    """Return whether `numbers` needs a metric, `<operator>.<name>`."""
    operator, _, name = metric.partition(".")
    is_ours = name in _NAMES or name.startswith(_PYTHON) or name.endswith(_MILLIS_BEHIND)
    return is_ours and _OPERATOR.fullmatch(operator) is not None


def numbers(reading: Reading) -> Numbers:
    """Return what a reading's metrics say of each step."""
    metrics = reading.metrics
    columns = dict(sorted(_columns(metrics), key=_place))
    meters = {
        f"{step}.{name}": metrics[source + _PER_SECOND].sum
        for step, names in columns.items()
        for name in names
        if (source := _flinks(step, name, metrics)) and source + _PER_SECOND in metrics
    }
    return Numbers(columns, _counters(columns, metrics), meters, dict(_behind(metrics)))


def rejects(counters: Mapping[str, float]) -> Iterator[tuple[str, str, str]]:
    """Yield step, reason and counter for every reason of which there were rejects."""
    for name, number in counters.items():
        step, _, counter = name.partition(".")
        if counter.startswith(_REJECTED_FOR) and number:
            yield step, counter.removeprefix(_REJECTED_FOR), name


def _columns(metrics: Mapping[str, Aggregate]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield every step of the job, and which columns it has."""
    operators = {metric.partition(".")[0] for metric in metrics}
    for operator in operators:
        name = operator.removeprefix(_SOURCE).removesuffix(_WRITER)
        if operator.startswith(_SOURCE):
            yield name, (IN, OUT)
        elif name in _OURS:
            yield name, COLUMNS
        elif name.startswith("replicate_"):
            yield name.removesuffix(_TOO_LARGE), COLUMNS
        elif name in ("archive", "lake", "dead_letters"):
            yield name, (IN, OUT) if operator.endswith(_WRITER) else (IN,)


def _place(step: tuple[str, tuple[str, ...]]) -> tuple[int, str]:
    name = step[0]
    return next(n for n, kind in enumerate(_ORDER) if name.startswith(kind)), name


def _counters(
    columns: Mapping[str, tuple[str, ...]], metrics: Mapping[str, Aggregate]
) -> dict[str, float]:
    """Return the counters of our own functions, and of steps that have none those of Flink."""
    counters: dict[str, float] = defaultdict(float)
    for metric, value in metrics.items():
        operator, _, name = metric.partition(f".{_PYTHON}")
        if name and not _is_stale(operator, metrics):
            counters[name] += value.sum
            for out in _OUT_OF.get(name, ()):
                counters[out] += value.sum
    for step, names in columns.items():
        if step in _OURS:
            continue
        too_large = metrics.get(f"{step}{_TOO_LARGE}.numRecordsOut", _NONE).sum
        if REJECTED in names:
            counters |= {f"{step}.{name}": too_large for name in (REJECTED, _REPLICA_TOO_LARGE)}
        for name in names:
            if (source := _flinks(step, name, metrics)) in metrics:
                counters[f"{step}.{name}"] = metrics[source].sum + (name == IN) * too_large
    return dict(counters)


def _is_stale(operator: str, metrics: Mapping[str, Aggregate]) -> bool:
    """Return whether our counters of an operator are surely of a task before its last restart.

    Flink keeps them until the new task's first batch is through, while its own begin at 0.
    """
    begun = metrics.get(f"{operator}.numRecordsIn", _UNKNOWN)
    if operator != "decode":  # Flink counts the batches that the others get
        return not begun.sum
    counted = metrics.get(f"{operator}.{_PYTHON}{operator}.in", _NONE)
    return counted.sum > begun.sum


def _flinks(step: str, name: str, metrics: Mapping[str, Aggregate]) -> str:
    """Return which of Flink's metrics is a step's `in` or `out`; empty if none is."""
    if step == "decode":
        return f"{step}.numRecordsIn" if name == IN else ""
    if step in ("index", "lake") or f"{_COLLECT}.{_PYTHON}{step}.{IN}" in metrics:
        return ""
    if step.startswith("records_"):
        return f"{_SOURCE}{step}.numRecords{'In' if name == IN else 'Out'}"
    writer = f"{step}{_WRITER}.numRecords"
    if name == IN:
        return f"{writer}In" if f"{writer}In" in metrics else f"{step}.numRecordsIn"
    return f"{writer}Send" if name == OUT else ""


def _behind(metrics: Mapping[str, Aggregate]) -> Iterator[tuple[str, Behind]]:
    """Yield how far each source is behind: records of a topic, ms of the slowest of shards."""
    for metric, value in sorted(metrics.items(), key=lambda each: each[1].max):
        operator, _, name = metric.partition(".")
        if name == "pendingRecords":
            yield operator.removeprefix(_SOURCE), Behind(int(value.sum), "records")
        elif name.endswith(_MILLIS_BEHIND):
            yield operator.removeprefix(_SOURCE), Behind(int(value.max), "ms")
