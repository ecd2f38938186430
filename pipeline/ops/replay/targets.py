"""Choose the targets of a replay, and guard against sending to the wrong ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from connectors.errors import UserError
from connectors.kafka.options import Kafka, host_of
from connectors.kafka.producer import KafkaProducer
from connectors.kinesis import reader as kinesis_stream
from connectors.kinesis.options import Kinesis
from connectors.kinesis.producer import KinesisProducer
from connectors.kinesis.table import stream_of
from connectors.producer import Producer
from pipeline.config import load as load_config
from pipeline.config.model import Config
from pipeline.events.event_types import EventTypes
from pipeline.options import LOCAL

_SAY_WHERE: Final = "Say where to with --topic NAME or --stream NAME_OR_ARN."


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetOptions:
    """The command's options about targets; an empty text or None means not given."""

    config: Path | None = None
    topic: str = ""
    stream: str = ""
    bootstrap_servers: str = ""
    region: str = ""
    endpoint: str = ""
    aggregate: bool = False
    timeout: float = 60.0
    remote: bool = False
    rate: float | None = None


class Target(NamedTuple):
    """A target that is not yet connected; in `hosts`, an empty name is AWS itself."""

    name: str
    hosts: tuple[str, ...]
    connect: Callable[[], Producer]


def choose(options: TargetOptions) -> tuple[list[Target], EventTypes | None]:
    """Return the targets that the options name, or the only one that the configuration reads from.

    The event types are the configuration's; None without one. Beyond this machine, `--remote` and
    `--rate` are required: a replay is a load test.

    Raises:
        UserError: none or several to choose from, or an option is missing.
    """
    config = _config(options)
    topic, stream = options.topic, options.stream
    if not topic and not stream:
        topic, stream = _only_source(config, options)
    targets = [_topic(topic, options, config)] if topic else []
    targets += [_stream(stream, options, config)] if stream else []
    away = [target.name for target in targets if not all(map(_is_loopback, target.hosts))]
    if away and not (options.remote and options.rate):
        raise UserError(
            f"{away[0]} is not on this machine. If you mean it, give --remote, and with --rate the"
            " most events a second that it may get."
        )
    return targets, load_config.event_types(config) if config else None


def configured_types(options: TargetOptions) -> EventTypes | None:
    """Return the event types that `choose` would, without a target; None also without any file.

    Raises:
        UserError: the configuration that `--config` names is absent or invalid.
    """
    if options.config is None and not LOCAL.is_file():
        return None
    config = _config(options)
    return load_config.event_types(config) if config else None


def _config(options: TargetOptions) -> Config | None:
    """Load the configuration, unless the options say everything."""
    topic_is_known = not options.topic or options.bootstrap_servers
    stream_is_known = not options.stream or options.region or options.stream.startswith("arn:")
    is_enough = (options.topic or options.stream) and topic_is_known and stream_is_known
    return load_config.load(options.config or LOCAL) if options.config or not is_enough else None


def _only_source(config: Config | None, options: TargetOptions) -> tuple[str, str]:
    """Return the configuration's only topic or stream; the other one is empty."""
    if config is None or options.bootstrap_servers:
        raise UserError(f"--bootstrap-servers alone is no target. {_SAY_WHERE}")
    topics, streams = config.source.kafka_topics, config.source.kinesis_streams
    if len(topics) + len(streams) != 1:
        names = ", ".join([*topics, *streams])
        raise UserError(f"{options.config or LOCAL} reads from {names}. {_SAY_WHERE}")
    return (topics[0], "") if topics else ("", streams[0])


def _topic(topic: str, options: TargetOptions, config: Config | None) -> Target:
    if options.bootstrap_servers:
        cluster = Kafka(bootstrap_servers=options.bootstrap_servers)
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
    return Target(
        f"the topic {topic} on {cluster.bootstrap_servers}",
        tuple(_hosts(cluster)),
        lambda: KafkaProducer(cluster, topic, timeout_seconds=options.timeout),
    )


def _stream(name_or_arn: str, options: TargetOptions, config: Config | None) -> Target:
    configured = config.kinesis if config else Kinesis()
    endpoint = options.endpoint or configured.endpoint
    region = options.region or configured.region
    stream = stream_of(name_or_arn, Kinesis(region=region, endpoint=endpoint))
    if not stream.region:
        raise UserError(f"--stream {name_or_arn} has no region: give --region or the ARN.")
    host = urlsplit(endpoint).hostname or ""
    is_allowed = configured.allow_plaintext and not options.endpoint
    if endpoint.startswith("http://") and not (_is_loopback(host) or is_allowed):
        raise UserError(f"--endpoint is {endpoint}; http is for 127.0.0.1 only, use https.")

    def connect() -> Producer:
        client = kinesis_stream.connect(stream, endpoint, os.environ)
        seconds = options.timeout
        return KinesisProducer(client, stream.name, options.aggregate, timeout_seconds=seconds)

    at = f" at {endpoint}" if endpoint else ""
    return Target(f"the stream {stream.name} in {stream.region}{at}", (host,), connect)


def _hosts(cluster: Kafka) -> list[str]:
    return [host_of(server) for server in cluster.bootstrap_servers.split(",") if server.strip()]


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
