"""The demo's variants: which servers, which configuration, and what is sent where."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Lock
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pipeline.demo.generate import Recipe, generate
from pipeline.demo.kinesis_stream import produce_kinesis
from pipeline.demo.ledger import Ledger
from pipeline.demo.produce import Progress, create_topics, produce
from pipeline.errors import UserError
from pipeline.local import kinesis
from pipeline.local.layout import SERVERS

TOPIC: Final = "trips"
STREAM: Final = "trips"
AIRPORTS: Final = (1, 132, 138)
"""The zones of the filter `pickup_location_id IN (...)` in the configurations."""

_DEAD_LETTER_TOPIC: Final = "trips.dead-letters"
_REPLICA_TOPIC: Final = "trips.airport"
_TARGET_STREAMS: Final = ("trips-dead-letters", "trips-airport")
_PARTITIONS: Final = 4

Send = Callable[..., Ledger]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One source or two: its servers and configuration, how much it sends, and how fast live."""

    sources: tuple[str, ...]
    servers: tuple[str, ...]
    config: str
    events: int
    live_rate: float


# The local Kinesis server does everything in one process and slows down as a stream grows, so
# that its variants send less: each is to take no more than five minutes on two cores.
VARIANTS: Final[Mapping[str, Variant]] = {
    "kafka": Variant(
        sources=("kafka",),
        servers=SERVERS,
        config="local.yaml",
        events=205_000,
        live_rate=2_000.0,
    ),
    "kinesis": Variant(
        sources=("kinesis",),
        servers=("s3", "opensearch", "flink", "kinesis"),
        config="local-kinesis.yaml",
        events=40_000,
        live_rate=300.0,
    ),
    "both": Variant(
        sources=("kafka", "kinesis"),
        servers=(*SERVERS, "kinesis"),
        config="local-both.yaml",
        events=60_000,
        live_rate=600.0,
    ),
}


def variant(source: str) -> Variant:
    """The variant of that name; UserError when there is none."""
    if source not in VARIANTS:
        raise UserError(f"the demo has no source {source!r}; there are {', '.join(VARIANTS)}")
    return VARIANTS[source]


def prepare(chosen: Variant, environment: Mapping[str, str]) -> None:
    """Make the topics and streams that aren't there yet."""
    if "kafka" in chosen.servers:
        create_topics(
            environment["KAFKA_BOOTSTRAP_SERVERS"],
            source=TOPIC,
            dead_letters=_DEAD_LETTER_TOPIC,
            partitions=_PARTITIONS,
            others=(_REPLICA_TOPIC,),
        )
    if "kinesis" in chosen.servers:
        endpoint = environment["KINESIS_ENDPOINT"]
        kinesis.create_stream(STREAM, endpoint=endpoint, shards=_PARTITIONS)
        for name in _TARGET_STREAMS:
            kinesis.create_stream(name, endpoint=endpoint)


def to_airports(ledger: Ledger) -> NDArray[np.bool_]:
    """Which lines the replicas' filter lets pass."""
    return np.isin(ledger.numbers("pickup_location_id"), AIRPORTS)


class Senders:
    """Sends the data set to a variant's sources side by side, each an even part of it.

    Each source makes the whole set for itself and sends every second record, say: so memory stays
    flat, and the set stays the same whatever the sources.
    """

    def __init__(self, chosen: Variant, recipe: Recipe, environment: Mapping[str, str]) -> None:
        count = len(chosen.sources)
        self._senders = [_sender(name, environment) for name in chosen.sources]
        self._parts = [
            itertools.islice(generate(recipe), number, None, count) for number in range(count)
        ]

    def send(
        self, records: int | None = None, *, rate: float | None = None, progress: Progress
    ) -> Ledger:
        """Sends so many of the records that remain (None: all), at most `rate` a second."""
        count = len(self._parts)
        each = None if records is None else records // count
        told = _Sum(count, progress)
        with ThreadPoolExecutor(count) as pool:
            running = [
                pool.submit(
                    send,
                    itertools.islice(part, each),
                    rate=rate / count if rate else None,
                    progress=partial(told.update, number),
                )
                for number, (send, part) in enumerate(zip(self._senders, self._parts, strict=True))
            ]
            return Ledger.of([one.result() for one in running])


class _Sum:
    """Progress of several as one."""

    def __init__(self, count: int, progress: Progress) -> None:
        self._done = [0] * count
        self._progress = progress
        self._lock = Lock()

    def update(self, number: int, done: int) -> None:
        """Notes how far one of them is."""
        with self._lock:
            self._done[number] = done
            self._progress(sum(self._done))


def _sender(name: str, environment: Mapping[str, str]) -> Send:
    if name == "kafka":
        return partial(produce, servers=environment["KAFKA_BOOTSTRAP_SERVERS"], topic=TOPIC)
    client = kinesis.client(environment["KINESIS_ENDPOINT"])
    return partial(produce_kinesis, client=client, stream=STREAM)
