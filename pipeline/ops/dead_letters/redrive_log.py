"""The redrive log: which dead letters were redriven already.

For a Kafka topic it is a compacted topic beside it, `<topic>.redriven`. An entry is written in the
transaction of the redriven record, so either both exist or neither.

For Kinesis streams and the index it is a folder of JSON objects on S3, `_redriven/`. An entry is
written after the acknowledgement, so a crash in between redrives the record again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from connectors.errors import UserError
from connectors.kafka import admin as kafka_admin
from connectors.kafka import reader as kafka_topic
from connectors.kafka.options import Kafka
from connectors.s3.store import open_store
from pipeline.config.model import Config
from pipeline.ops.dead_letters.letter import digest_of
from pipeline.ops.systems import Systems

_FOLDER: Final = "_redriven"  # Readers of the path ignore names that begin with an underscore.


def read_all(systems: Systems) -> set[bytes]:
    """Return the digests of all letters redriven to the sources or the index of a configuration."""
    config, digests = systems.config, set[bytes]()
    for topic in config.source.kafka_topics:
        digests |= read_topic_log(config.cluster(config.source.kafka_cluster), topic)
    path = log_path(config)
    if config.source.kinesis_streams and path:
        digests |= StoredLog(path, systems.environment).read()
    return digests


def log_topic(topic: str) -> str:
    """Return the name of a topic's redrive log."""
    return f"{topic}.redriven"


def read_topic_log(cluster: Kafka, topic: str) -> set[bytes]:
    """Return the digests of committed redrives to a topic; empty without a log."""
    if log_topic(topic) not in kafka_admin.connect(cluster).topics:
        return set()
    messages = kafka_topic.messages(cluster, log_topic(topic))
    keys: Iterable[Any] = (message.key() for message in messages)
    return {digest_of(bytes(key).decode(errors="replace")) for key in keys if key is not None}


class _Batch(msgspec.Struct, forbid_unknown_fields=True):
    """A JSON object: the identities that one batch of one run redrove."""

    run: str
    time: str
    redriven: list[str]


class StoredLog:
    """The redrive log below one path, s3a:// or file://."""

    def __init__(self, path: str, environment: Mapping[str, str]) -> None:
        self._path = f"{path.rstrip('/')}/{_FOLDER}"
        self._store = open_store(self._path, environment)
        self._run = uuid.uuid4().hex
        self._batches = 0

    def read(self) -> set[bytes]:
        """Return all digests; UserError if an object there is not part of the log."""
        digests: set[bytes] = set()
        for stored in self._store.listing():
            try:
                batch = msgspec.json.decode(self._store.read(stored.path), type=_Batch)
            except msgspec.MsgspecError as error:
                raise UserError(
                    f"{self._path}/{stored.path} is not part of a redrive log: {error}; move it"
                    " elsewhere."
                ) from error
            digests.update(map(digest_of, batch.redriven))
        return digests

    def append(self, identities: list[str]) -> None:
        """Write an object with the identities of redriven dead letters."""
        if identities:
            content = msgspec.json.encode(_Batch(self._run, now_text(), identities))
            self._store.write(f"{self._run}-{self._batches}.json", content)
            self._batches += 1


def log_path(config: Config) -> str:
    """Return the log's path on S3: below the dead letters' path, else the archive's; else empty."""
    letters, archive = config.dead_letters, config.archive
    paths = (letters.path, letters.large_path) if letters else ()
    return next((path for path in (*paths, archive.path if archive else "") if path), "")


def now_text() -> str:
    """Return the time of a log entry."""
    return datetime.now(UTC).isoformat(timespec="seconds")
