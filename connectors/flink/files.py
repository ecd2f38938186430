"""Flink's sinks of whole files that Python has made, and the keyed function that makes them.

Exactly once: what the function keeps is Flink's state, and Flink's own sink commits the files when
a checkpoint completes. SQL has no keyed function in Python, so the SQL statement ends in a
placeholder table, which is replaced once the statements are translated: the scan and decode stay
the same operators, which a table turned into a stream by itself would not share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from pyflink.common.typeinfo import RowTypeInfo, Types
from pyflink.datastream import KeyedProcessFunction, KeyedStream
from pyflink.java_gateway import get_gateway

from connectors.sql import create_table

COLLECT: Final = "collect"
"""The placeholder's table and the function's operator."""


class FileStep(NamedTuple):
    """A step whose files the function makes, and the path below which they lie.

    With `success_file`, each commit of files to a folder writes `_SUCCESS` into it.
    """

    step: str
    path: str
    success_file: bool = False


def placeholder_table() -> str:
    """Return the CREATE statement of the table that a statement writes its cells of streams to."""
    return create_table(COLLECT, {"files": "BYTES"}, {"connector": "blackhole"})


def replace_placeholder(
    stream_env: Any,
    root: Any,
    function: KeyedProcessFunction,
    out_type: RowTypeInfo,
    steps: Sequence[FileStep],
) -> list[Any]:
    """Replace the placeholder's transformation `root` by the function and each step's sink.

    The function gets streams (bytes) by key, and the ticks and ends of `streaming.etl.files.Ticks`;
    it yields rows of `out_type`: step, folder and file.
    Return the sinks' transformations. Every operator has its name and uid; a sink's uid is not its
    step's alone, which had other state before version 0.3.
    """
    j_env = stream_env._j_stream_execution_environment
    flink = get_gateway().jvm.org.apache.flink.streaming.api
    ours = get_gateway().jvm.streaming.etl.files
    cells = flink.datastream.DataStream(j_env, root.getInputs()[0])
    j_env.getTransformations().remove(root)
    streams = _named(cells.flatMap(ours.SplitStreams()), f"{COLLECT}-streams")
    by_key = flink.functions.python.KeyByKeySelector()
    key_type = Types.ROW([Types.STRING()]).get_java_type_info()
    ticked = _named(streams.keyBy(by_key, key_type).process(ours.Ticks()), f"{COLLECT}-ticks")
    keyed = flink.datastream.DataStreamUtils.reinterpretAsKeyedStream(ticked, by_key, key_type)
    made = KeyedStream(keyed, None, None).process(function, out_type)
    files = _named(made._j_data_stream, COLLECT)
    ends = []
    for step, path, success_file in steps:
        own = _named(files.filter(ours.OfStep(step)), f"{step}-file")
        sink = ours.SuccessSink(path) if success_file else ours.WholeFileSink(path)
        ends.append(own.sinkTo(sink).name(step).uid(f"{step}-files").getTransformation())
    return ends


def key_group(max_parallelism: int) -> Callable[[str], int]:
    """Return the function from a key of `replace_placeholder`'s to its key group."""
    jvm = get_gateway().jvm
    assign = jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment.assignToKeyGroup
    row = jvm.org.apache.flink.types.Row

    def of(key: str) -> int:
        fields = get_gateway().new_array(jvm.java.lang.Object, 1)
        fields[0] = key
        return int(assign(row.of(fields), max_parallelism))

    return of


def _named(stream: Any, name: str) -> Any:
    return stream.name(name).uid(name)
