"""The lake written with Flink's own lenient JSON format, without Python: the JVM's ceiling.

Submitted by `flink run`: `flink_json.py SERVERS TOPIC OUTPUT CHECKPOINT_SECONDS`. The sink's table
is the one that our job writes to.
"""

from __future__ import annotations

import sys
from pathlib import Path

from connectors.flink import table_environment as flink
from connectors.sql import create_table
from pipeline.config.flink_settings import flink_settings
from pipeline.config.model import Config, Job, Lake, Source
from pipeline.decode.records import names
from pipeline.events import event_types
from pipeline.events.derive import flink_type
from pipeline.sinks import lake

POSITION = {
    "topic": "STRING NOT NULL METADATA VIRTUAL",
    "partition": "INT NOT NULL METADATA VIRTUAL",
    "offset": "BIGINT NOT NULL METADATA VIRTUAL",
    "arrival_time": "TIMESTAMP_LTZ(3) NOT NULL METADATA FROM 'timestamp' VIRTUAL",
}


def main(servers: str, topic: str, output: str, checkpoint_seconds: str, schemas: str) -> None:
    """Submit the job."""
    trip = event_types.load(Path(schemas))["trip"]
    job = Job(name="flink-json", parallelism=2, checkpoint_seconds=float(checkpoint_seconds))
    stream, environment = flink.environment(flink_settings(job))
    source = Source(kafka_topics=(topic,))
    fields = {field.name: flink_type(field) for field in trip.fields}
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
    sink = lake.sink(Config(source=source), Lake(path=output), trip)
    environment.execute_sql(sink.create)
    columns = names(name for name in fields if name != "padding")
    padding = "COALESCE(padding, '')"
    keys = (
        "LPAD(CAST(pickup_location_id AS STRING), 3, '0'), "
        "DATE_FORMAT(pickup_datetime, 'yyyy'), DATE_FORMAT(pickup_datetime, 'MM')"
    )
    select = f"{columns}, {padding}, {names(POSITION)}, 1, {keys}"
    statements = environment.create_statement_set()
    statements.add_insert_sql(f"INSERT INTO lake_trip SELECT {select} FROM records")
    statements.attach_as_datastream()
    stream.execute_async("flink-json")


if __name__ == "__main__":
    main(*sys.argv[1:])
