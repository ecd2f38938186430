"""Create the topics, streams and buckets of a configuration on local servers."""

from __future__ import annotations

from connectors.errors import UserError
from dev.servers.kafka import create_topics
from dev.servers.kinesis import create_stream
from dev.servers.s3 import create_bucket
from pipeline.config.checks import targets
from pipeline.config.model import Config

PARTITIONS = 4


def prepare(config: Config, *, s3_endpoint: str) -> list[str]:
    """Make what is not there yet, with the throw-away keys of local servers; the names of all.

    A topic gets `PARTITIONS` partitions, that of the dead letters room for the largest record too,
    and a stream one shard.

    Raises:
        UserError: a topic of another cluster than the section `kafka`, or what Kafka said.
    """
    topics, streams, buckets = topics_of(config), streams_of(config), buckets_of(config)
    for topic in config.source.kafka_topics:
        _create_topic(config, topic, topics)
    for stream in streams:
        create_stream(stream, endpoint=config.kinesis.endpoint)
    for bucket in buckets:
        create_bucket(bucket, endpoint=s3_endpoint)
    named = {"topic": topics, "stream": streams, "bucket": buckets}
    return [f"{kind} {name}" for kind, names in named.items() for name in names]


def topics_of(config: Config) -> list[str]:
    """Return the topics that the configuration reads and writes."""
    used = [sink for sink in targets(config).values() if sink.kafka_topic]
    others = {config.source.kafka_cluster, *(sink.kafka_cluster for sink in used)} - {""}
    if others:
        raise UserError(
            f"topics are on the clusters {', '.join(sorted(others))}; only those of the section"
            " kafka are made here, make the others yourself."
        )
    return sorted({*config.source.kafka_topics, *(sink.kafka_topic for sink in used)})


def streams_of(config: Config) -> list[str]:
    """Return the streams that the configuration reads and writes."""
    written = {sink.kinesis_stream for sink in targets(config).values()}
    return sorted({*config.source.kinesis_streams, *written} - {""})


def buckets_of(config: Config) -> list[str]:
    """Return the buckets that the configuration writes to."""
    sections = [config.lake, *targets(config).values()]
    paths = {config.job.checkpoint_dir}
    paths |= {getattr(section, key, "") for section in sections for key in ("path", "large_path")}
    return sorted({path.split("/")[2] for path in paths if path.startswith("s3a://")})


def _create_topic(config: Config, source: str, topics: list[str]) -> None:
    """Create one source topic and the missing target topics."""
    dead_letters = config.dead_letters.kafka_topic if config.dead_letters else ""
    apart = {dead_letters, *config.source.kafka_topics}
    create_topics(
        config.cluster("").bootstrap_servers,
        source=source,
        dead_letters=dead_letters or None,
        partitions=PARTITIONS,
        others=[name for name in topics if name not in apart],
    )
