"""Check across keys: refuse combinations of valid values that make no valid configuration."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from connectors.kafka.options import Kafka, host_of
from connectors.kinesis.options import Kinesis
from connectors.kinesis.table import LARGEST_RECORD_BYTES, start_seconds, stream_of
from connectors.opensearch.options import Index
from connectors.options import LOOPBACK
from connectors.text_files import masked
from pipeline.config import event_type_keys
from pipeline.config.flink_settings import leave_problems
from pipeline.config.model import Archive, Config, DeadLetters, Job, Replica

_BACK_ENDS = ("path", "kafka_topic", "kinesis_stream")
# Flink's table sink takes records of 1 MiB, whatever the stream allows; less the envelope.
_KINESIS_RAW_BYTES = 740_000
REPLICA_KEY_BYTES = 576
_KINESIS_REPLICA_BYTES = LARGEST_RECORD_BYTES - REPLICA_KEY_BYTES
_REDRIVE_KEY_CHARACTERS = 32  # 128 bits in hex
Target = Archive | DeadLetters | Replica


def contradictions(config: Config) -> Iterator[str]:
    """Yield one message per problem; connections come first because later checks rely on them."""
    yield from _clusters(config)
    yield from _kinesis(config)
    yield from _source(config)
    yield from event_type_keys.problems(config)
    yield from _avro(config)
    yield from _sinks(config)
    yield from _redrive_key(config.redrive_key)
    yield from _claim_checks(config)
    yield from _transactions(config)
    yield from _parallelism(config.job)
    yield from _buckets(config)
    yield from _places_apart(config)
    yield from _paths_apart(config)
    yield from _checkpoints(config)
    yield from leave_problems(config.job)
    if config.index:
        yield from _index(config, config.index)


def targets(config: Config) -> dict[str, Target]:
    """Return the archive, the dead-letter target and the replicas by the keys of their sections."""
    sections = {"archive": config.archive, "dead_letters": config.dead_letters}
    replicas = {f"replicate.{name}": section for name, section in config.replicate.items()}
    return {key: section for key, section in (sections | replicas).items() if section}


def streams(config: Config) -> list[tuple[str, str]]:
    """Return every Kinesis stream that is read or written, each as (key, stream)."""
    read = [("source.kinesis_streams", name) for name in config.source.kinesis_streams]
    written = [(f"{k}.kinesis_stream", sink.kinesis_stream) for k, sink in targets(config).items()]
    return read + [(key, name) for key, name in written if name]


def _clusters(config: Config) -> Iterator[str]:
    clusters = {"kafka": config.kafka} if config.kafka else {}
    clusters |= {f"clusters.{name}": cluster for name, cluster in config.clusters.items()}
    for key, cluster in clusters.items():
        yield from _cluster(key, cluster)
    users = [("source", "".join(config.source.kafka_topics), config.source.kafka_cluster)]
    users += [(key, sink.kafka_topic, sink.kafka_cluster) for key, sink in targets(config).items()]
    for key, used, name in users:
        if name and name not in config.clusters:
            known = ", ".join(config.clusters) or "none"
            yield (
                f"{key}.kafka_cluster is {masked(name)}, but clusters has only: {known};"
                f" add clusters.{masked(name)} or use another name."
            )
        if used and not name and config.kafka is None:
            yield f"{key} has a Kafka topic, but kafka.bootstrap_servers is missing; set it."


def _cluster(key: str, cluster: Kafka) -> Iterator[str]:
    for server in cluster.bootstrap_servers.split(","):
        if not 1 <= int(server.rpartition(":")[2]) <= 65_535:
            yield f"{key}.bootstrap_servers has {server.strip()}; a port is from 1 to 65535."
    if cluster.security == "plaintext" and not cluster.allow_plaintext:
        for server in map(str.strip, cluster.bootstrap_servers.split(",")):
            if host_of(server) not in LOOPBACK:
                yield (
                    f"{key}.security is plaintext, but {key}.bootstrap_servers has {server};"
                    " plaintext is for 127.0.0.1 only. In the section or property group"
                    f" {key}, set security to tls, scram or msk_iam, or allow_plaintext to true."
                )
    yield from _password(f"{key}.security", cluster.security, "scram", cluster)
    if cluster.ca_file and cluster.security in ("plaintext", "msk_iam"):
        yield (
            f"{key}.security is {cluster.security} and ca_file is {masked(cluster.ca_file)}, which"
            " it does not use; remove ca_file."
        )


def _password(key: str, value: str, needing: str, section: Kafka | Index) -> Iterator[str]:
    if value == needing and not (section.username and section.password):
        yield f"{key} is {value}, but username or password is empty; set both."
    if value != needing and (section.username or section.password):
        yield f"{key} is {value}, but username or password is set; remove them or use {needing}."


def _kinesis(config: Config) -> Iterator[str]:
    if config.kinesis.endpoint:
        advice = "credentials come from AWS's default chain"
        yield from _user_name("kinesis.endpoint", config.kinesis.endpoint, advice)
        yield from _plain_url("kinesis", "endpoint", config.kinesis.endpoint, config.kinesis)
    for key, name in streams(config):
        if not stream_of(name, config.kinesis).region:
            yield f"{key} has {name}, but kinesis.region is empty; set it or use the stream's ARN."


def _user_name(key: str, url: str, advice: str) -> Iterator[str]:
    """Refuse every @: a password with a slash makes what follows it a path."""
    if "@" in url:
        yield f"{key} contains a user name or an @; {advice}."


def _plain_url(name: str, key: str, url: str, section: Kinesis | Index) -> Iterator[str]:
    parts = _split(url)
    if parts is None:
        yield f"{name}.{key} is {masked(url)}, which is no URL; use https://HOST:PORT."
        return
    if parts.query or parts.fragment:
        yield f"{name}.{key} is {masked(url)}; use https://HOST:PORT without a query or fragment."
    may_be_http = section.allow_plaintext or parts.hostname in LOOPBACK
    if parts.scheme != "https" and (parts.scheme != "http" or not may_be_http):
        yield (
            f"{name}.{key} is {masked(url)}; http is allowed for 127.0.0.1 only. Use https://host,"
            f" or set {name}.allow_plaintext to true."
        )


def _split(url: str) -> SplitResult | None:
    """Return the parts of a URL, whose port is a number; None if there are none."""
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:
        return None


def _source(config: Config) -> Iterator[str]:
    source = config.source
    if source.archived_from and (source.kinesis_streams or not source.kafka_topics):
        yield (
            f"source.archived_from is {', '.join(source.archived_from)}, which is for Kafka topics"
            " only; set kafka_topics and remove kinesis_streams, or remove archived_from."
        )
    if not source.kafka_topics and not source.kinesis_streams:
        yield "source has nothing to read; set kafka_topics or kinesis_streams."
    names = [stream_of(stream, config.kinesis).name for stream in source.kinesis_streams]
    for name, times in (Counter(source.kafka_topics) | Counter(names)).items():
        if times > 1:
            yield f"source has {name} twice, but positions hold the name only; list it once."
    for key, needing, needed in (
        ("kinesis_start", "at_timestamp", "kinesis_start_timestamp"),
        ("kinesis_reader", "enhanced_fan_out", "kinesis_consumer"),
    ):
        chosen, value = getattr(source, key), getattr(source, needed)
        if (chosen == needing) != bool(value):
            yield (
                f"source.{key} is {chosen} and {needed} is {masked(value) or 'empty'}; {needed} is"
                f" required with {needing} and not allowed otherwise."
            )
    at = source.kinesis_start_timestamp
    if at and start_seconds(at) is None:
        yield (
            f"source.kinesis_start_timestamp is {masked(at)}; use ISO-8601 with date, time and"
            " offset."
        )


def _avro(config: Config) -> Iterator[str]:
    source, registry = config.source, config.schema_registry
    if registry:
        yield from registry.problems()
    if source.avro and registry is None:
        yield "source.avro is set, but there is no section schema_registry; add it."
    if registry and not source.avro:
        yield "schema_registry is for source.avro, which is empty; set it or remove the section."
    if source.archived_from:
        return  # Archived records keep the names of the topics and streams that they came from.
    streams = [stream_of(stream, config.kinesis).name for stream in source.kinesis_streams]
    for name in source.avro:
        if stream_of(name, config.kinesis).name not in (*source.kafka_topics, *streams):
            yield f"source.avro has {masked(name)}, which is not read."


def _sinks(config: Config) -> Iterator[str]:
    if not any((config.archive, config.lake, config.index, config.replicate, config.job.discard)):
        yield "there is no sink; add archive, lake, index or replicate, or set job.discard."
    for key, sink in targets(config).items():
        keys = {name: getattr(sink, name) for name in _BACK_ENDS if hasattr(sink, name)}
        used = {name: value for name, value in keys.items() if value}
        if not used:
            yield f"{key} has no target; set one of {', '.join(keys)}."
        if len(used) > 1:
            yield f"{key} has {' and '.join(map(' '.join, used.items()))}; set only one of them."
    if not config.dead_letters and not config.archive:
        yield (
            "there is neither dead_letters nor archive, so a rejected record would be lost; add a"
            " section (or property group) dead_letters with path, kafka_topic or kinesis_stream."
        )
    if config.replicate and not config.dead_letters:
        yield (
            "there is replicate without dead_letters, so an event too large for it would be lost;"
            " add a section (or property group) dead_letters."
        )


def _redrive_key(key: str) -> Iterator[str]:
    if 0 < len(key) < _REDRIVE_KEY_CHARACTERS:
        yield (
            f"dead_letters.redrive_key has {len(key)} characters; use at least"
            f" {_REDRIVE_KEY_CHARACTERS}, such as the output of `openssl rand -hex 32`."
        )


def _claim_checks(config: Config) -> Iterator[str]:
    for key, sink in targets(config).items():
        room = _KINESIS_REPLICA_BYTES if isinstance(sink, Replica) else _KINESIS_RAW_BYTES
        if sink.kinesis_stream and sink.max_bytes > room:
            yield f"{key}.max_bytes is {sink.max_bytes}; to a Kinesis stream at most {room} fit."
        if isinstance(sink, Replica):
            continue
        if sink.path and sink.large_path:
            yield (
                f"{key} has path {sink.path} and large_path {sink.large_path}; remove large_path, a"
                " path takes records of any size."
            )
        if sink.kinesis_stream and not sink.large_path:
            yield (
                f"{key}.kinesis_stream is {sink.kinesis_stream}, but large_path is empty; set it,"
                " since Flink's sink takes records of at most 1 MiB."
            )
        if sink.head_bytes > sink.max_bytes:
            yield (
                f"{key}.head_bytes is {sink.head_bytes}; it must not exceed {key}.max_bytes,"
                f" {sink.max_bytes}."
            )


def _transactions(config: Config) -> Iterator[str]:
    """Refuse two sinks with one transactional prefix: they would fence each other off."""
    users: dict[str, str] = {}
    for key in transactional(config):
        prefix = config.transaction_prefix(key)
        if prefix in users:
            yield (
                f"{users[prefix]} and {key} have the same transactional prefix, {masked(prefix)},"
                " so Kafka would fence one of them off; set a different transaction_prefix on a"
                " replica."
            )
        users[prefix] = key
    if users and config.job.checkpoint_seconds:
        timeout = config.job.transaction_timeout_seconds
        yield from transaction_too_short(timeout, config.job.checkpoint_seconds)


def _parallelism(job: Job) -> Iterator[str]:
    if job.parallelism and job.parallelism > job.max_parallelism:
        yield (
            f"job.parallelism is {job.parallelism}, above job.max_parallelism,"
            f" {job.max_parallelism}; lower the one or raise the other."
        )


def _buckets(config: Config) -> Iterator[str]:
    """Refuse buckets that no key group is left for, and a bucket smaller than one record."""
    lake, most = config.lake, config.job.max_parallelism
    if lake and lake.buckets and lake.buckets > most:
        yield (
            f"lake.buckets is {lake.buckets}, above job.max_parallelism, {most}; lower it, since"
            " max_parallelism cannot change once the job has state."
        )
    for key, section in config.file_sinks.items():
        if section.bucket_bytes < config.decode.max_record_bytes:
            yield (
                f"{key}.bucket_bytes is {section.bucket_bytes}, below decode.max_record_bytes,"
                f" {config.decode.max_record_bytes}; raise the one or lower the other."
            )


def transactional(config: Config) -> list[str]:
    """Return the keys of the sinks that write to Kafka in transactions."""
    return [
        key
        for key, sink in targets(config).items()
        if sink.kafka_topic
        and (isinstance(sink, Archive) or getattr(sink, "guarantee", "") == "exactly_once")
    ]


def transaction_too_short(timeout_seconds: float, checkpoint_seconds: float) -> Iterator[str]:
    """Require three checkpoint intervals: a transaction must outlast a failed checkpoint."""
    if timeout_seconds < 3 * checkpoint_seconds:
        yield (
            f"job.transaction_timeout_seconds is {timeout_seconds:g} and a checkpoint is taken"
            f" every {checkpoint_seconds:g} s; set at least three intervals,"
            f" {3 * checkpoint_seconds:g}, or Kafka aborts uncommitted records."
        )


def _places_apart(config: Config) -> Iterator[str]:
    """Refuse a target that is also a source, and two targets with one topic or stream."""
    source = config.source
    taken = {_topic(config, source.kafka_cluster, topic): "source" for topic in source.kafka_topics}
    taken |= {_stream(config, stream): "source" for stream in source.kinesis_streams}
    for key, sink in targets(config).items():
        place = _stream(config, sink.kinesis_stream)
        if sink.kafka_topic:
            place = _topic(config, sink.kafka_cluster, sink.kafka_topic)
        other = taken.setdefault(place, key) if place[2] else key
        if other == "source":
            target = f"{key}.{place[0]} is {place[2]}, which the source reads"
            yield f"{target}, so records would circulate forever; use another {place[0]}."
        elif other != key:
            yield f"{other} and {key} both write to {place[0]} {place[2]}; use one for each."


def _topic(config: Config, cluster: str, topic: str) -> tuple[str, str, str]:
    """Identify a topic; two names with the same brokers are one cluster."""
    kafka = config.clusters.get(cluster, config.kafka)
    servers = kafka.bootstrap_servers.replace(" ", "").split(",") if kafka else []
    return "kafka_topic", ",".join(sorted(servers)), topic


def _stream(config: Config, name_or_arn: str) -> tuple[str, str, str]:
    stream = stream_of(name_or_arn, config.kinesis)
    return "kinesis_stream", stream.region, stream.name


def folders(config: Config) -> dict[str, str]:
    """Return the folders that the job writes data to, by key, without a slash at their end."""
    paths = {"lake.path": config.lake.path if config.lake else ""}
    for key, sink in targets(config).items():
        paths |= {f"{key}.{name}": getattr(sink, name, "") for name in ("path", "large_path")}
    return {key: path.rstrip("/") for key, path in paths.items() if path}


def _paths_apart(config: Config) -> Iterator[str]:
    """Refuse a folder inside another: readers of a folder read everything below it."""
    ordered = sorted((f"{path}/", key) for key, path in folders(config).items())
    for (outer, key), (inner, other) in itertools.combinations(ordered, 2):
        if inner.startswith(outer):
            yield f"{key} is {outer} and {other} is {inner}; neither may contain the other."


def _checkpoints(config: Config) -> Iterator[str]:
    interval, pause = config.job.checkpoint_seconds, config.job.checkpoint_pause_seconds
    if interval is not None and pause is not None and pause > interval:
        yield (
            f"job.checkpoint_pause_seconds is {pause:g} and job.checkpoint_seconds is {interval:g};"
            " the pause must not be longer, or Flink takes it for the interval."
        )


def _index(config: Config, index: Index) -> Iterator[str]:
    yield from _user_name("index.url", index.url, "move it to index.username and index.password")
    url = _split(index.url)
    if url and url.scheme == "http" and index.auth != "none" and url.hostname not in LOOPBACK:
        yield f"index.auth is {index.auth} over http, which the network can read; use https."
    if ":" in index.username:
        yield "index.username contains a colon, which basic authentication cannot send."
    yield from _plain_url("index", "url", index.url, index)
    yield from _password("index.auth", index.auth, "basic", index)
    if index.auth == "sigv4" and not index.region:
        yield "index.auth is sigv4, but region is empty; set index.region."
    timeout = config.job.checkpoint_timeout_seconds
    if timeout is not None and index.retry_seconds >= timeout:
        yield (
            f"index.retry_seconds is {index.retry_seconds:g} and job.checkpoint_timeout_seconds is"
            f" {timeout:g}; the first must be smaller, or no checkpoint completes while OpenSearch"
            " is unavailable."
        )
