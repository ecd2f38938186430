"""What people write first: a Kafka consumer, `json`, pyarrow, and a file per batch and partition.

`consumer_job.py SERVERS TOPIC OUTPUT`. At least once, lenient, one process. Prints when it began.
"""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from confluent_kafka import Consumer, KafkaError, Message, TopicPartition

MILLIS = pa.timestamp("ms", tz="UTC")
BATCH = 200_000
ABSENT = dict.fromkeys(("congestion_surcharge", "airport_fee", "cbd_congestion_fee"))
"""Fields of later years, which these events lack and each contender writes as null."""


def main(servers: str, topic: str, output: str) -> None:
    """Read the topic to its present end."""
    options = {"bootstrap.servers": servers, "group.id": "bench", "enable.auto.commit": False}
    consumer = Consumer({**options, "enable.partition.eof": True})
    numbers = consumer.list_topics(topic).topics[topic].partitions
    consumer.assign([TopicPartition(topic, number, 0) for number in numbers])
    began = time.time()
    ended: set[int] = set()
    rows: list[dict[str, Any]] = []
    while len(ended) < len(numbers):
        for message in consumer.consume(10_000, timeout=5.0):
            error = message.error()
            if error and error.code() == KafkaError._PARTITION_EOF:
                ended.add(message.partition() or 0)
            elif error is None:
                rows.append(row(message))
        if len(rows) >= BATCH:
            write(rows, output)
            rows = []
    if rows:
        write(rows, output)
    consumer.close()
    print(json.dumps({"began": began}), flush=True)


def row(message: Message) -> dict[str, Any]:
    """The event and where it came from."""
    event: dict[str, Any] = json.loads(message.value() or b"")
    for name in ("pickup_datetime", "dropoff_datetime"):
        event[name] = datetime.fromisoformat(event[name])
    picked_up = event["pickup_datetime"]
    return {
        **ABSENT,
        **event,
        "padding": event.get("padding", ""),
        "source_topic": message.topic(),
        "source_partition": message.partition(),
        "source_offset": message.offset(),
        "arrival_time": message.timestamp()[1],
        "schema_version": 1,
        "pickup_location": f"{event['pickup_location_id']:03}",
        "year": f"{picked_up:%Y}",
        "month": f"{picked_up:%m}",
    }


def write(rows: list[dict[str, Any]], output: str) -> None:
    """One file a partition."""
    table = pa.Table.from_pylist(rows)
    for name in ("pickup_datetime", "dropoff_datetime", "arrival_time"):
        at = table.column_names.index(name)
        table = table.set_column(at, name, table[name].cast(MILLIS))
    keys = ["pickup_location", "year", "month"]
    pq.write_to_dataset(table, output, partition_cols=keys, compression="zstd")


if __name__ == "__main__":
    main(*sys.argv[1:])
