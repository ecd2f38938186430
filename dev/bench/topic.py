"""The topic that all contenders read: yellow trips of about 420 bytes, over zones and months."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from confluent_kafka import Producer

from dev.demo.made import encode, rows_of
from dev.servers.kafka import create_topics
from pipeline.ops.generate.trips import FIRST_ID, Columns, Rows, zone_shares

PARTITIONS: Final = 4
MONTHS: Final = 3
_BLOCK: Final = 10_000
_PLACES: Final = 263
_FIRST_MS: Final = 1_512_086_400_000
"""2017-12-01, the first of three months."""
_SPAN_MS: Final = 90 * 86_400_000
BAD: Final = b'{"type":"trip","trip_id":1.5}'


@dataclass(frozen=True, slots=True)
class Topic:
    """A filled topic: its number of records, of invalid ones, and of bytes."""

    name: str
    records: int
    bad: int
    bytes: int


def fill(
    servers: str,
    name: str,
    events: int,
    *,
    bad_share: float = 0.0,
    payloads: Iterable[bytes] | None = None,
) -> Topic:
    """Create and fill the topic, with a fixed seed; return when every record is acknowledged.

    `given` replaces the valid events of `raws`.
    """
    producer = new_topic(servers, name)
    bad = size = 0
    every = round(1 / bad_share) if bad_share else 0
    for number, raw in enumerate(payloads or raws(events)):
        if every and number % every == 0:
            raw, bad = BAD, bad + 1
        size += len(raw)
        producer.produce(name, raw, partition=number % PARTITIONS)
        if number % 1000 == 0:
            producer.poll(0)
        if len(producer) > 400_000:
            producer.flush(30)
    assert producer.flush(120) == 0
    return Topic(name, events, bad, size)


def new_topic(servers: str, name: str) -> Producer:
    """Create the topic; return its producer."""
    create_topics(servers, source=name, dead_letters=None, partitions=PARTITIONS)
    options = {"linger.ms": 50, "batch.size": 500_000, "queue.buffering.max.messages": 500_000}
    return Producer({"bootstrap.servers": servers, "enable.idempotence": True, **options})


def raws(events: int) -> Iterator[bytes]:
    """Yield trips over all zones, by popularity, and three months."""
    for columns in _blocks(events):
        yield from _encoded(columns)


def spread(events: int, partitions: int) -> Iterator[bytes]:
    """Yield trips spread evenly over so many lake partitions: zones, then months from 2010 on."""
    for columns in _blocks(events):
        chosen = (columns["trip_id"] - FIRST_ID) % partitions
        months = np.datetime64("2010-01") + chosen // _PLACES
        pickup = months.astype("M8[ms]").astype(np.int64) + columns["trip_id"] % _SPAN_MS // MONTHS
        columns["pickup_location_id"] = chosen % _PLACES + 1
        columns["pickup_datetime"], columns["dropoff_datetime"] = pickup, pickup + 600_000
        yield from _encoded(columns)


def _blocks(events: int) -> Iterator[Columns]:
    rng = np.random.default_rng(2018)
    rows = Rows(rng, zone_shares(rng))
    for start in range(0, events, _BLOCK):
        places = np.arange(start, min(start + _BLOCK, events))
        dropoff = _FIRST_MS + (rng.random(len(places)) * _SPAN_MS).astype(np.int64)
        yield rows.of_type("trip", FIRST_ID + places, np.sort(dropoff))


def _encoded(columns: Columns) -> Iterator[bytes]:
    return (encode(row) for row in rows_of(columns))
