"""The demo's variants: which servers, which configuration, and what is sent where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from connectors.errors import UserError
from dev.rehearse.deployed import Deployed, deploy
from dev.servers import kinesis
from dev.servers.kafka import create_topics
from dev.servers.layout import SERVERS
from dev.servers.s3 import create_bucket

BUCKET: Final = "streaming-etl"
TOPIC: Final = "trips"
STREAM: Final = "trips"
AIRPORTS: Final = (1, 132, 138)
"""The zones that pass the replicas' filter in the configurations."""

_DEAD_LETTER_TOPIC: Final = "trips.dead-letters"
_REPLICA_TOPIC: Final = "trips.airport"
_DEAD_LETTER_STREAM: Final = "trips-dead-letters"
_REPLICA_STREAM: Final = "trips-airport"
_STACK: Final = "streaming-etl"
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
LOCALSTACK: Final = Variant(
    sources=("kinesis",),
    servers=("localstack", "opensearch", "flink"),
    config="localstack.yaml",
    events=20_000,
    live_rate=200.0,
)


@dataclass(frozen=True, slots=True)
class Place:
    """What a demo's job reads and writes; `environment` has the servers, and all its names."""

    environment: Mapping[str, str]
    bucket: str
    stream: str
    deployed: Deployed | None = None


def variant(source: str | None, aws: str | None = None) -> Variant:
    """Return the variant of that source, Kafka by default; raise UserError when there is none.

    With `aws`, S3 and Kinesis are those of LocalStack, and Kinesis is the source.
    """
    if aws is not None:
        if aws != "localstack":
            raise UserError(f"--aws is {aws!r}; allowed: localstack, or leave it out")
        if source not in (None, "kinesis"):
            raise UserError(f"--source is {source!r}; with --aws localstack allowed: kinesis")
        return LOCALSTACK
    if source is not None and source not in VARIANTS:
        raise UserError(f"the demo has no source {source!r}; there are {', '.join(VARIANTS)}")
    return VARIANTS[source or "kafka"]


def prepare(root: Path, chosen: Variant, environment: Mapping[str, str]) -> Place:
    """Make the bucket, topics and streams that do not exist yet; LocalStack's are of a stack."""
    if "localstack" in chosen.servers:
        made = deploy(root, environment, _STACK)
        kinesis.create_stream(_REPLICA_STREAM, endpoint=environment["KINESIS_ENDPOINT"])
        names = made.environment()
        everything = {**environment, **names}
        return Place(everything, names["DATA_BUCKET"], names["SOURCE_STREAM"], made)
    create_bucket(BUCKET, endpoint=environment["S3_ENDPOINT"])
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
        for name in (_DEAD_LETTER_STREAM, _REPLICA_STREAM):
            kinesis.create_stream(name, endpoint=endpoint)
    return Place(environment, BUCKET, STREAM)
