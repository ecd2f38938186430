"""Replicas on Kinesis: bytes as they are, under a partition key of their own. At least once.

The SQL sink can do one or the other: with a format that leaves bytes alone it has no column left
for the partition key. So the statement ends in a placeholder, and Flink's own Kinesis sink is put
in its place when the statements have become a stream. Records the stream refuses are sent again;
what is not acknowledged at a checkpoint is part of it.
"""

from __future__ import annotations

from typing import Any

from pyflink.java_gateway import get_gateway

from connectors.kinesis.options import Kinesis
from connectors.kinesis.table import SINK, Stream, client_options
from connectors.sql import create_table


def placeholder_table(name: str) -> str:
    """The table that a replica's statement writes to: the bytes and the partition key."""
    columns = {"raw": "BYTES", "partition_key": "STRING"}
    return create_table(name, columns, {"connector": "blackhole"})


def replace_placeholder(stream_env: Any, root: Any, name: str, sink: Any) -> Any:
    """Take the placeholder off the stream and put the sink there; the sink's transformation."""
    j_env = stream_env._j_stream_execution_environment
    jvm = get_gateway().jvm
    rows = jvm.org.apache.flink.streaming.api.datastream.DataStream(j_env, root.getInputs()[0])
    j_env.getTransformations().remove(root)
    return rows.sinkTo(sink).name(name).getTransformation()


def sink(stream: Stream, settings: Kinesis) -> Any:
    """Flink's Kinesis sink (Java) for rows of `placeholder_table`."""
    jvm = get_gateway().jvm
    runtime = jvm.org.apache.flink
    connector = runtime.connector.kinesis
    row_type = _row_type(jvm)
    builder = (
        connector.sink.KinesisStreamsSink.builder()
        .setSerializationSchema(
            runtime.formats.raw.RawFormatSerializationSchema(row_type.getTypeAt(0), "UTF-8", True)
        )
        .setPartitionKeyGenerator(
            connector.table.RowDataFieldsKinesisPartitionKeyGenerator(row_type, ["partition_key"])
        )
        .setKinesisClientProperties(_properties(jvm, stream, settings))
        .setFailOnError(False)
        .setMaxBatchSize(int(SINK["sink.batch.max-size"]))
        .setMaxInFlightRequests(int(SINK["sink.requests.max-inflight"]))
        .setMaxBufferedRequests(int(SINK["sink.requests.max-buffered"]))
        .setMaxTimeInBufferMS(int(SINK["sink.flush-buffer.timeout"]))
    )
    named = builder.setStreamArn(stream.arn) if stream.arn else builder.setStreamName(stream.name)
    return named.build()


def _row_type(jvm: Any) -> Any:
    types = jvm.org.apache.flink.table.api.DataTypes
    fields = [types.FIELD("raw", types.BYTES()), types.FIELD("partition_key", types.STRING())]
    array = get_gateway().new_array(types.Field, len(fields))
    for place, field in enumerate(fields):
        array[place] = field
    return types.ROW(array).getLogicalType()


def _properties(jvm: Any, stream: Stream, settings: Kinesis) -> Any:
    properties = jvm.java.util.Properties()
    for name, value in client_options(stream, settings).items():
        properties.setProperty(name.replace("sink.http-client.", "aws.http."), value)
    return properties
