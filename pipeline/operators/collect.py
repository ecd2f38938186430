"""Flink's keyed function around the collector: its state and its metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pyflink.common import Row
from pyflink.common.typeinfo import Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor, ValueStateDescriptor

from pipeline.collect import memory
from pipeline.collect.buckets import Target
from pipeline.collect.collector import Collector
from pipeline.collect.stream import END, TICK
from pipeline.decode.decoder import wall_clock
from pipeline.metrics import StepMetrics
from pipeline.operators.step import name_process

_BYTES: Final = Types.PRIMITIVE_ARRAY(Types.BYTE())
OUT: Final = Types.ROW_NAMED(["step", "path", "file"], [Types.STRING(), Types.STRING(), _BYTES])
"""A file: its step, the folder relative to the step's path, and its bytes."""


class CollectFunction(KeyedProcessFunction):  # type: ignore[misc]
    """Collects streams by key and answers files as rows of `OUT`.

    The state of a key is bytes only, so that no serializer of Flink's ever changes.
    """

    def __init__(self, targets: Mapping[str, Target]) -> None:
        self._targets = dict(targets)

    def open(self, runtime_context: RuntimeContext) -> None:
        name_process("etl-collect")
        memory.keep_freed()
        group = runtime_context.get_metrics_group()
        metrics = {step: StepMetrics(step, group) for step in self._targets}
        self._collector = Collector(
            self._targets, lambda step, name, by: metrics[step].count(name, by), wall_clock
        )
        self._meta = runtime_context.get_state(ValueStateDescriptor("meta", _BYTES))
        self._streams = runtime_context.get_map_state(
            MapStateDescriptor("streams", Types.LONG(), _BYTES)
        )

    def process_element(self, value: bytes, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        bucket = _Bucket(ctx.get_current_key(), self._meta, self._streams)
        if value == TICK:
            found = self._collector.tick(bucket)
        elif value == END:
            found = self._collector.end(bucket)
        else:
            found = self._collector.add(bucket, value)
        return (Row(step, file.path, file.data) for step, file in found)


class _Bucket:
    """The current key's state; valid until Flink's next call."""

    def __init__(self, key: str, meta: Any, streams: Any) -> None:
        self.key = key
        self._meta = meta
        self._streams = streams

    def meta(self) -> bytes | None:
        data: bytes | None = self._meta.value()
        return data

    def set_meta(self, data: bytes) -> None:
        self._meta.update(data)

    def put(self, number: int, stream: bytes) -> None:
        self._streams.put(number, stream)

    def take(self, number: int) -> bytes:
        stream: bytes = self._streams.get(number)
        self._streams.remove(number)
        return stream

    def streams(self) -> Iterable[bytes]:
        streams: Iterable[bytes] = self._streams.values()
        return streams

    def clear(self) -> None:
        self._meta.clear()
        self._streams.clear()
