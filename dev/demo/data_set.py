"""The made records as an archive that `replay --archive` sends, and where the source has them.

Only an archive keeps records that no line of text can: without a value, without a time, broken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from connectors import checksums as content
from connectors import positions
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.kinesis import reader as kinesis_stream
from connectors.positions import Position
from dev.demo.ledger import Ledger
from dev.demo.made import Made
from dev.demo.writer import Facts

_ROWS: Final = 20_000
_FIRST_MS: Final = int(np.datetime64("2018-03-01", "ms").astype(np.int64))
_MADE: Final = "made"


def write(made: Iterable[Made], folder: Path, *, nulls: bool = True) -> Facts:
    """Writes the archive, one record a millisecond from March 2018 on; what is known of each.

    Without `nulls` a record without a value has no bytes, which is all that Kinesis can say.
    """
    facts, remaining, done = Facts(), iter(made), 0
    while page := list(islice(remaining, _ROWS)):
        if not nulls:
            page = [msgspec.structs.replace(one, raw=one.raw or b"") for one in page]
        for one in page:
            facts.sent(one)
        _write_page(page, done, folder)
        done += len(page)
    return facts


def on_kafka(facts: Facts, cluster: Kafka, topic: str) -> Ledger:
    """The ledger of a topic that holds those records and no other.

    Raises UserError when one is missing or there twice.
    """
    found = (
        (Position(topic, message.partition(), message.offset()), _bytes(message.value()))
        for message in kafka_topic.messages(cluster, topic)
    )
    return _ledger(facts, found)


def on_kinesis(facts: Facts, client: Any, stream: str) -> Ledger:
    """The same of a stream."""
    found = (
        (Position(None, None, None, stream, record.shard, record.sequence_number), record.data)
        for record in kinesis_stream.records(client, stream)
    )
    return _ledger(facts, found)


def _ledger(facts: Facts, found: Iterable[tuple[Position, bytes | None]]) -> Ledger:
    tables, digests = [positions.table_of(())], [np.zeros(0, np.uint64)]
    remaining: Iterator[tuple[Position, bytes | None]] = iter(found)
    while page := list(islice(remaining, _ROWS)):
        tables.append(positions.table_of(position for position, _ in page))
        digests.append(content.digests(raw for _, raw in page))
    return facts.found(pa.concat_tables(tables), np.concatenate(digests))


def _bytes(value: Any) -> bytes | None:
    return None if value is None else bytes(value)


def _write_page(page: list[Made], done: int, folder: Path) -> None:
    count = len(page)
    arrival = (_FIRST_MS + done + np.arange(count)).astype("datetime64[ms]")
    hour = str(arrival[0].astype("datetime64[h]"))
    table = pa.table(
        {
            "raw": pa.array([one.raw for one in page], pa.binary()),
            "key": pa.array([one.key for one in page], pa.binary()),
            "header_names": pa.array([[]] * count, pa.list_(pa.string())),
            "header_values": pa.array([[]] * count, pa.list_(pa.binary())),
            "topic": pa.array([_MADE] * count, pa.string()),
            "partition": pa.array([0] * count, pa.int32()),
            "offset": pa.array(range(done, done + count), pa.int64()),
            "arrival_time": pa.array(arrival).cast(pa.timestamp("ms", tz="UTC")),
        }
    )
    place = folder / f"arrival_date={hour[:10]}" / f"arrival_hour={hour[11:13]}"
    place.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, place / f"part-{done // _ROWS:05d}.parquet", compression="zstd")
