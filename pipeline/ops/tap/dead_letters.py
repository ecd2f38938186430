"""`tap dead-letters`: what is rejected, from S3, Kafka or Kinesis: the newest first, then more."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Final, Protocol

from connectors.errors import UserError
from connectors.kafka import reader as kafka_topic
from connectors.kafka.reader import Message
from connectors.kafka.tail import Tail as TopicTail
from connectors.kinesis.reader import Record, connect
from connectors.kinesis.table import stream_of
from connectors.kinesis.tail import Tail as StreamTail
from connectors.s3.store import Stored
from pipeline.config.model import DeadLetters
from pipeline.ops.dead_letters.letter import Letter, escaped
from pipeline.ops.dead_letters.reader import of_files, of_message, of_record
from pipeline.ops.dead_letters.view import letter_dict, time_text
from pipeline.ops.systems import Systems, systems
from pipeline.ops.tap.files import NewFiles
from pipeline.ops.tap.view import Seen, note
from pipeline.terminal import counted

_STREAM_RECORDS: Final = 1_000
_STREAM_PAUSE_SECONDS: Final = 0.25
"""A stream of dead letters can be read faster than the source's: the job only writes to it."""


class Letters(Protocol):
    """The dead letters of one system. Methods raise UserError if it cannot be read."""

    what: str

    def earlier(self, since_ms: int) -> Iterator[Letter]:
        """Yield those that were there and are not older, the newest first."""

    def poll(self) -> Iterable[Letter]:
        """Return those that came since the last call; wait a moment if there are none."""

    def close(self) -> None:
        """Close the connection."""


class DeadLettersTap:
    """Follows the dead letters of a configuration."""

    waits_for = "dead letters"

    def __init__(self, config: Path, *, since_seconds: float, limit: int) -> None:
        """Show at first those of the last `since_seconds`; of them not many more than `limit`."""
        configured = systems(config)
        settings = configured.config.dead_letters
        if settings is None:
            raise UserError(
                "the configuration has no section dead_letters, so there are none to look at; use"
                " the configuration of the job that writes them."
            )
        self._since_ms = round((time.time() - since_seconds) * 1000) if since_seconds else None
        self._letters = _letters(configured, settings, self._since_ms, limit)
        self._seen = 0
        self.what = self._letters.what

    def earlier(self) -> Iterator[Seen]:
        """Yield those of the time before, the newest first."""
        if self._since_ms is None:
            return iter(())
        return map(self._shown, self._letters.earlier(self._since_ms))

    def poll(self) -> Iterable[Seen]:
        """Return those that came."""
        return map(self._shown, self._letters.poll())

    def looked_at(self) -> str:
        """Return how many were read."""
        return counted(self._seen, "dead letter")

    def close(self) -> None:
        """Close the connection."""
        self._letters.close()

    def _shown(self, letter: Letter) -> Seen:
        self._seen += 1
        words = (
            time_text(letter.arrival_ms),
            *(letter.step, letter.reason, letter.event_type, letter.where, letter.detail),
        )
        raw = "no bytes: a tombstone" if letter.raw is None else escaped(letter.raw)
        return Seen(letter_dict(letter), words, raw)


def _letters(
    configured: Systems, settings: DeadLetters, since_ms: int | None, limit: int
) -> Letters:
    if settings.path:
        return _OfFiles(configured, settings.path, limit)
    if settings.kafka_topic:
        return _OfTopic(configured, settings, limit)
    return _OfStream(configured, settings.kinesis_stream, since_ms, limit)


class _OfFiles:
    """Dead letters in Parquet files; those of a file come together, when the job commits it."""

    def __init__(self, configured: Systems, path: str, limit: int) -> None:
        self._store, self._path = configured.store(path), path
        self._files = NewFiles(self._store, ("",))
        self._limit = limit
        self.what = f"the files below {path}"

    def earlier(self, since_ms: int) -> Iterator[Letter]:
        for stored in self._files.since(since_ms):
            yield from reversed(deque(self._of_file(stored), self._limit or None))

    def poll(self) -> Iterator[Letter]:
        return chain.from_iterable(map(self._of_file, self._files.poll()))

    def close(self) -> None:
        pass

    def _of_file(self, stored: Stored) -> Iterator[Letter]:
        try:
            yield from of_files(self._store, self._path, [stored])
        except FileNotFoundError:
            note(f"{stored.path} is gone: deleted before it could be read")


class _OfTopic:
    """Dead letters in a Kafka topic."""

    def __init__(self, configured: Systems, settings: DeadLetters, limit: int) -> None:
        self._cluster = configured.config.cluster(settings.kafka_cluster)
        self._topic = settings.kafka_topic
        self._tail = TopicTail(self._cluster, [self._topic])
        self._limit = limit
        self.what = f"the topic {self._topic}"

    def earlier(self, since_ms: int) -> Iterator[Letter]:
        spans = self._tail.last(self._topic, self._limit, since_ms)
        pages = kafka_topic.pages(self._cluster, self._topic, spans)
        messages = sorted(chain.from_iterable(pages), key=_time, reverse=True)
        return map(of_message, messages)

    def poll(self) -> Iterable[Letter]:
        return map(of_message, self._tail.poll())

    def close(self) -> None:
        self._tail.close()


class _OfStream:
    """Dead letters in a Kinesis stream, which can only be read forward from a time on.

    Without a time it begins at the end: AWS refuses a time that its own clock has not reached.
    """

    def __init__(self, configured: Systems, name: str, since_ms: int | None, limit: int) -> None:
        stream = stream_of(name, configured.config.kinesis)
        endpoint = configured.config.kinesis.endpoint
        client = connect(stream, endpoint, configured.environment, impatient=True)
        self._stream, self._limit = stream.name, limit
        self._tail = StreamTail(
            client,
            stream.name,
            since_ms=since_ms,
            records=_STREAM_RECORDS,
            pause_seconds=_STREAM_PAUSE_SECONDS,
        )
        self.what = f"the stream {stream.name}"

    def earlier(self, since_ms: int) -> Iterator[Letter]:
        note(f"looking through {self.what} for the newest")
        newest: list[Record] = []
        while not self._tail.caught_up:
            newest = sorted([*newest, *self._tail.poll()], key=_arrival, reverse=True)
            newest = newest[: self._limit or None]
        return map(self._letter, newest)

    def poll(self) -> Iterable[Letter]:
        return map(self._letter, self._tail.poll())

    def close(self) -> None:
        self._tail.close()

    def _letter(self, record: Record) -> Letter:
        return of_record(record, self._stream)


def _time(message: Message) -> int:
    return message.timestamp()[1]


def _arrival(record: Record) -> int:
    return record.arrival_ms
