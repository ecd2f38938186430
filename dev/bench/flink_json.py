"""The lake written with Flink's own lenient JSON format, without Python: the JVM's ceiling.

Submitted by `flink run`: `flink_json.py SERVERS TOPIC OUTPUT CHECKPOINT_SECONDS SCHEMAS`. The sink
is Flink's filesystem table, with the columns and partitions of our lake; its options are those that
served this writer best: no dictionary, small pages, one writer for each partition.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from connectors.flink import table_environment as flink
from connectors.flink.filesystem import parquet_table
from connectors.sql import create_table, identifier
from pipeline.collect.columns import lake_position
from pipeline.config.flink_settings import flink_settings
from pipeline.config.model import Job, Source
from pipeline.decode.records import position, strings
from pipeline.events import event_types
from pipeline.events.model import EventType

TYPES = {
    "int32": "INT",
    "int64": "BIGINT",
    "double": "DOUBLE",
    "string": "STRING",
    "timestamp": "TIMESTAMP_LTZ(3)",
}

POSITION = {
    "topic": "STRING NOT NULL METADATA VIRTUAL",
    "partition": "INT NOT NULL METADATA VIRTUAL",
    "offset": "BIGINT NOT NULL METADATA VIRTUAL",
    "arrival_time": "TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL",
}

PARQUET = {
    "parquet.page.size": "65536",
    "sink.rolling-policy.file-size": "134217728 b",
    "sink.shuffle-by-partition.enable": "true",
}


def main(servers: str, topic: str, output: str, checkpoint_seconds: str, schemas: str) -> None:
    """Submit the job."""
    trip = event_types.load(Path(schemas))["trip"]
    job = Job(name="flink-json", parallelism=2, checkpoint_seconds=float(checkpoint_seconds))
    stream, environment = flink.environment(flink_settings(job))
    fields = _fields(trip)
    options = {
        "connector": "kafka",
        "topic": topic,
        "properties.bootstrap.servers": servers,
        "properties.group.id": "flink-json",
        "scan.startup.mode": "earliest-offset",
        "format": "json",
        "json.timestamp-format.standard": "ISO-8601",
    }
    environment.execute_sql(create_table("records", {**fields, **POSITION}, options))
    environment.execute_sql(_lake(f"{output}/trip", trip))
    columns = ", ".join(map(_selected, fields))
    keys = (
        "LPAD(CAST(pickup_location_id AS STRING), 3, '0'), "
        "DATE_FORMAT(pickup_datetime, 'yyyy'), DATE_FORMAT(pickup_datetime, 'MM')"
    )
    select = f"{columns}, {_names(POSITION)}, 1, {keys}"
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO lake_trip SELECT {select} FROM records")
    statements.attach_as_datastream()
    stream.execute_async("flink-json")


def _fields(trip: EventType) -> dict[str, str]:
    """Return the types of the fields in Flink's SQL."""
    return {field.name: TYPES[field.kind] for field in trip.fields}


def _lake(path: str, trip: EventType) -> str:
    """Return the CREATE statement of a lake with the columns of ours."""
    origin = position(Source(kafka_topics=("any",)))
    columns = {
        **_fields(trip),
        **{lake_position(name): kind for name, kind in origin.items()},
        "schema_version": "INT",
        **strings(trip.partition_names),
    }
    return parquet_table("lake_trip", columns, path, trip.partition_names, PARQUET)


def _selected(name: str) -> str:
    """Return a field's expression: a padding that is absent is empty text."""
    return "COALESCE(padding, '')" if name == "padding" else identifier(name)


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(identifier, columns))


if __name__ == "__main__":
    main(*sys.argv[1:])
