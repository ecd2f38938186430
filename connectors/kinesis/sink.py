"""Flink's Kinesis sink for raw bytes with a chosen partition key. At least once.

The SQL connector cannot do both: with the format `raw` there is no column for the partition key. So
the SQL statement ends in a placeholder table, which is replaced by Flink's Kinesis sink (DataStream
API) once the statements are translated. The sink retries records that the stream rejects; records
that are not acknowledged at a checkpoint are stored in it.
"""

from __future__ import annotations

from typing import Any

from pyflink.java_gateway import get_gateway

from connectors.kinesis.options import Kinesis
from connectors.kinesis.table import RECORD_BYTES, SINK, Stream, client_options
from connectors.sql import create_table


def placeholder_table(name: str) -> str:
    """Return the CREATE statement of the table that a statement writes to in the sink's stead."""
    columns = {"raw": "BYTES", "partition_key": "STRING"}
    return create_table(name, columns, {"connector": "blackhole"})


def replace_placeholder(stream_env: Any, root: Any, name: str, sink: Any) -> list[Any]:
    """Replace the placeholder's transformation `root` by the sink; return the sink's alone."""
    j_env = stream_env._j_stream_execution_environment
    jvm = get_gateway().jvm
    rows = jvm.org.apache.flink.streaming.api.datastream.DataStream(j_env, root.getInputs()[0])
    j_env.getTransformations().remove(root)
    return [rows.sinkTo(sink).name(name).getTransformation()]


def sink(stream: Stream, settings: Kinesis, largest_bytes: int) -> Any:
    """Return Flink's Kinesis sink (Java) for rows of `placeholder_table`.

    `largest_bytes` is the largest `raw`; Flink's own limit is 1 MiB, in requests of 5 MiB.
    """
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
        .setMaxRecordSizeInBytes(max(RECORD_BYTES, largest_bytes))
        .setMaxBatchSizeInBytes(max(int(SINK["sink.flush-buffer.size"]), largest_bytes))
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
    for index, field in enumerate(fields):
        array[index] = field
    return types.ROW(array).getLogicalType()


def _properties(jvm: Any, stream: Stream, settings: Kinesis) -> Any:
    properties = jvm.java.util.Properties()
    for name, value in client_options(stream, settings).items():
        properties.setProperty(name.replace("sink.http-client.", "aws.http."), value)
    return properties
