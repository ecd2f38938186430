"""Where a replay goes: which topic and stream, how they are reached, and that it is no accident."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from connectors.errors import UserError
from connectors.kafka.options import Kafka
from connectors.kafka.producer import KafkaProducer
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.options import Kinesis
from connectors.kinesis.producer import KinesisProducer
from connectors.kinesis.table import Stream, stream_of
from connectors.producer import Producer
from pipeline.config import load as load_config
from pipeline.config.model import Config
from pipeline.events.event_types import EventTypes
from pipeline.options import LOCAL

_SAY_WHERE: Final = "Say where to with --topic NAME or --stream NAME_OR_ARN."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What the user said about the targets; empty texts and None: nothing."""

    config: Path | None = None
    topic: str = ""
    stream: str = ""
    bootstrap_servers: str = ""
    region: str = ""
    endpoint: str = ""
    aggregate: bool = False
    timeout: float = 60.0
    remote: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """A target that is not yet connected; `address` is a host, or empty for AWS itself."""

    name: str
    addresses: tuple[str, ...]
    open: Callable[[Mapping[str, str]], Producer]

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return all(_is_loopback(address) for address in self.addresses)


@dataclass(frozen=True, slots=True)
class Places:
    """The targets, and the environment that holds addresses and keys for them and the input.

    `types` are those of the configuration; None where everything was said without one.
    """

    places: tuple[Place, ...]
    environment: Mapping[str, str]
    types: EventTypes | None = None

    def refuse_accidents(self, *, remote: bool, rate: float | None) -> None:
        """A target beyond this machine wants `--remote` and a cap: a replay is a load test.

        Raises:
            UserError: which target, and what to add.
        """
        away = [place.name for place in self.places if not place.is_local]
        if away and not (remote and rate):
            raise UserError(
                f"{away[0]} is not on this machine. If you mean it, give --remote, and with"
                " --rate the most events a second that it may get."
            )

    def open(self) -> list[Producer]:
        """Connects to all of them."""
        return [place.open(self.environment) for place in self.places]


def places(wanted: Wanted) -> Places:
    """The targets that the user named, or the only one that the configuration reads from.

    Raises:
        UserError: none or several to choose from, or something to reach them is missing.
    """
    config = _config(wanted)
    topic, stream = wanted.topic, wanted.stream
    if not topic and not stream:
        topic, stream = _only(config, wanted)
    found: list[Place] = []
    if topic:
        found.append(_topic(topic, wanted, config))
    if stream:
        found.append(_stream(stream, wanted, config))
    types = load_config.event_types(config) if config else None
    return Places(tuple(found), os.environ, types)


def _config(wanted: Wanted) -> Config | None:
    """None where everything was said without one."""
    needless = not (wanted.topic and not wanted.bootstrap_servers) and not (
        wanted.stream and not (wanted.region or wanted.stream.startswith("arn:"))
    )
    told = wanted.topic or wanted.stream
    if wanted.config is None and told and needless:
        return None
    return load_config.load(wanted.config or LOCAL)


def _only(config: Config | None, wanted: Wanted) -> tuple[str, str]:
    if config is None or wanted.bootstrap_servers:
        raise UserError(f"--bootstrap-servers alone is no target. {_SAY_WHERE}")
    topics, streams = config.source.kafka_topics, config.source.kinesis_streams
    if len(topics) + len(streams) != 1:
        told = ", ".join([*topics, *streams])
        raise UserError(f"{wanted.config or LOCAL} reads from {told}. {_SAY_WHERE}")
    return (topics[0], "") if topics else ("", streams[0])


def _topic(topic: str, wanted: Wanted, config: Config | None) -> Place:
    if wanted.bootstrap_servers:
        cluster = Kafka(bootstrap_servers=wanted.bootstrap_servers)
        away = [host for host in _hosts(cluster) if not _is_loopback(host)]
        if away:
            raise UserError(
                f"--bootstrap-servers names {away[0]}, and says nothing of TLS or a login: beyond"
                " this machine give a --config with its `kafka` section."
            )
    elif config is None or (config.kafka is None and not config.source.kafka_cluster):
        raise UserError("--topic needs a Kafka cluster: give --bootstrap-servers or --config.")
    else:
        cluster = config.cluster(config.source.kafka_cluster)
    name = f"the topic {topic} on {cluster.bootstrap_servers}"
    seconds = wanted.timeout
    return Place(
        name,
        tuple(_hosts(cluster)),
        lambda _: KafkaProducer(cluster, topic, timeout_seconds=seconds),
    )


def _stream(name_or_arn: str, wanted: Wanted, config: Config | None) -> Place:
    given = config.kinesis if config else Kinesis()
    region, endpoint = wanted.region or given.region, wanted.endpoint or given.endpoint
    stream = stream_of(name_or_arn, Kinesis(region=region, endpoint=endpoint))
    if not stream.region:
        raise UserError(f"--stream {name_or_arn} has no region: give --region or the ARN.")
    host = urlsplit(endpoint).hostname or ""
    is_allowed = given.allow_plaintext and not wanted.endpoint
    if endpoint.startswith("http://") and not (_is_loopback(host) or is_allowed):
        raise UserError(f"--endpoint is {endpoint}; http is for 127.0.0.1 only, use https.")

    def connect(environment: Mapping[str, str]) -> Producer:
        client = kinesis_stream.connect(stream, endpoint, environment)
        return KinesisProducer(
            client, stream.name, wanted.aggregate, timeout_seconds=wanted.timeout
        )

    return Place(_stream_name(stream, endpoint), (host,), connect)


def _stream_name(stream: Stream, endpoint: str) -> str:
    return f"the stream {stream.name} in {stream.region}" + (f" at {endpoint}" if endpoint else "")


def _hosts(cluster: Kafka) -> list[str]:
    addresses = (one.strip() for one in cluster.bootstrap_servers.split(","))
    return [one.rpartition(":")[0].strip("[]") for one in addresses if one]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
