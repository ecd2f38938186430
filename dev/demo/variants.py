"""The demo's variants: which servers, which configuration, and what is sent where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connectors.errors import UserError
from dev.servers import kinesis
from dev.servers.kafka import create_topics
from dev.servers.layout import SERVERS

TOPIC: Final = "trips"
STREAM: Final = "trips"
AIRPORTS: Final = (1, 132, 138)
"""The zones that pass the replicas' filter in the configurations."""

_DEAD_LETTER_TOPIC: Final = "trips.dead-letters"
_REPLICA_TOPIC: Final = "trips.airport"
_TARGET_STREAMS: Final = ("trips-dead-letters", "trips-airport")
_PARTITIONS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Sources, servers and configuration of a demo, its default size and its rate while live."""

    sources: tuple[str, ...]
    servers: tuple[str, ...]
    config: str
    events: int
    live_rate: float


# The local Kinesis server is one process and slows down as a stream grows. Its variants send less,
# so that each takes at most five minutes on two cores.
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
    """Return the variant of that name; raise UserError when there is none."""
    if source not in VARIANTS:
        raise UserError(f"the demo has no source {source!r}; there are {', '.join(VARIANTS)}")
    return VARIANTS[source]


def prepare(chosen: Variant, environment: Mapping[str, str]) -> None:
    """Make the topics and streams that do not exist yet."""
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
