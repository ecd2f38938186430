"""`tap decode`: what arrives in the source, and what the job's decoder makes of it."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from connectors.kafka.headers import OWN_HEADER
from connectors.kinesis.table import stream_of
from pipeline import validate
from pipeline.config import load as load_config
from pipeline.config.model import Config
from pipeline.decode import redriven
from pipeline.decode.avro_input import RecordDecoder
from pipeline.decode.decoder import Control, Event, Reject
from pipeline.decode.origins import Origins, of_record
from pipeline.decode.timestamps import text
from pipeline.ops.tap.view import Seen
from pipeline.terminal import counted, printable

if TYPE_CHECKING:
    from connectors.kafka.reader import Message
    from connectors.kinesis.reader import Record
    from connectors.kinesis.tail import Tail as StreamTail

_HEAD_BYTES: Final = 1_000
_DIGITS: Final = 19
"""An offset has fewer; a sequence number of Kinesis has more."""


class Arrived(NamedTuple):
    """A record of the source: where it lies, its bytes, its time, and its redrive headers."""

    position: str
    raw: bytes | None
    arrival_ms: int
    headers: dict[str, str]


class DecodeTap:
    """Follows all topics and streams of a configuration's source, from their end."""

    waits_for = "records"

    def __init__(self, config: Path, *, since_seconds: float, rejects_only: bool) -> None:
        """Begin `since_seconds` ago; the source itself decides when a record arrived."""
        self._config = load_config.load(config, os.environ)
        types = load_config.event_types(self._config)
        self._decoder = RecordDecoder(self._config, types)
        self._rejects_only = rejects_only
        self._counts: Counter[str] = Counter()
        since_ms = round((time.time() - since_seconds) * 1000) if since_seconds else None
        parts = [*_topics(self._config, since_ms), *_streams(self._config, since_ms)]
        self._polls = [poll for _, poll, _ in parts]
        self._closes = [close for *_, close in parts]
        start = f"from {since_seconds:g} s ago" if since_seconds else "from the end"
        self.what = f"{' and '.join(name for name, *_ in parts)} {start}"

    def earlier(self) -> Iterator[Seen]:
        """Yield nothing: records are shown in the order in which they are read."""
        return iter(())

    def poll(self) -> Iterator[Seen]:
        """Yield what has arrived in each topic and stream."""
        for poll in self._polls:
            for arrived in poll():
                outcome = self._decoder.decode(arrived.raw, self._origins(arrived))
                self._counts[type(outcome).__name__] += 1
                if isinstance(outcome, Reject) or not self._rejects_only:
                    yield self._seen(arrived, outcome)

    def _origins(self, arrived: Arrived) -> Origins:
        position, headers = arrived.position, arrived.headers
        if self._config.source.archived_from:
            position, headers = _archived(headers)
        number = position.rpartition("/")[2]
        version = int(number) if number.isdecimal() and len(number) < _DIGITS else 0
        return of_record(
            self._decoder.rule,
            place=position.partition("/")[0],
            headers=headers,
            position=position,
            version=version,
        )

    def looked_at(self) -> str:
        """Return how many records came."""
        events = counted(self._counts[Event.__name__], "event")
        rejects = counted(self._counts[Reject.__name__], "reject")
        return f"{counted(self._counts.total(), 'record')} ({events}, {rejects})"

    def close(self) -> None:
        """Close all connections."""
        for close in self._closes:
            close()

    def _seen(self, arrived: Arrived, outcome: Event | Control | Reject) -> Seen:
        fields = validate.verdict(outcome, self._config)
        words, content = [fields["verdict"]], ""
        if isinstance(outcome, Event):
            folders = outcome.partition.partition("/")[2]
            fields |= {"partition": folders, "id": outcome.document_id}
            words += [outcome.event_type, fields["partition"], outcome.document_id]
            content = outcome.document.decode()
        elif isinstance(outcome, Reject):
            content = _head(arrived.raw)
            fields |= {"event_type": outcome.event_type, "raw": content}
            words += [outcome.event_type, outcome.reason, outcome.detail]
        else:
            words += [outcome.event_type, _text_of(outcome.values)]
        fields |= {"position": arrived.position, "arrival_time": text(arrived.arrival_ms)}
        if mark := _redriven(arrived, self._config.redrive_key):
            fields["redriven"] = mark
            words.append(mark)
        return Seen(fields, (fields["arrival_time"], *words, arrived.position), content)


Part = tuple[str, Callable[[], Iterable[Arrived]], Callable[[], None]]
"""What is followed, how to read what has arrived, and how to close it."""


def _topics(config: Config, since_ms: int | None) -> Iterator[Part]:
    if not config.source.kafka_topics:
        return
    from connectors.kafka.tail import Tail

    cluster = config.cluster(config.source.kafka_cluster)
    isolation = config.source.kafka_isolation_level
    tail = Tail(cluster, config.source.kafka_topics, isolation=isolation, since_ms=since_ms)
    names = [
        f"the topic {topic} ({counted(len(spans), 'partition')})"
        for topic, spans in tail.spans.items()
    ]
    yield " and ".join(names), lambda: map(_of_message, tail.poll()), tail.close


def _streams(config: Config, since_ms: int | None) -> Iterator[Part]:
    if not config.source.kinesis_streams:
        return
    from connectors.kinesis.reader import connect
    from connectors.kinesis.tail import Tail

    for name in config.source.kinesis_streams:
        stream, endpoint = stream_of(name, config.kinesis), config.kinesis.endpoint
        client = connect(stream, endpoint, os.environ, impatient=True)
        tail = Tail(client, stream.name, since_ms=since_ms)
        what = f"the stream {stream.name} ({counted(tail.shards, 'shard')})"
        yield what, _polled(tail, stream.name), tail.close


def _archived(headers: dict[str, str]) -> tuple[str, dict[str, str]]:
    """Return the position and the headers that an archived record had in its source."""
    places = (("topic", "partition", "offset"), ("stream", "shard", "sequence_number"))
    for names in places:
        found = [headers.get(f"source.{name}") for name in names]
        if found[0] is not None:
            own = {
                name.removeprefix(OWN_HEADER): text
                for name, text in headers.items()
                if name.startswith(OWN_HEADER)
            }
            return "/".join(part or "" for part in found), own
    return "", {}


def _polled(tail: StreamTail, stream: str) -> Callable[[], Iterator[Arrived]]:
    from connectors.kinesis.aggregation import unpacked

    def members(record: Record) -> Iterator[Arrived]:
        position = f"{stream}/{record.shard}/{record.sequence_number}"
        for raw in unpacked(record.data):
            yield Arrived(position, raw, record.arrival_ms, {})

    return lambda: (member for record in tail.poll() for member in members(record))


def _of_message(message: Message) -> Arrived:
    from connectors.kafka.reader import headers

    value: Any = message.value()
    position = f"{message.topic()}/{message.partition()}/{message.offset()}"
    return Arrived(position, value, message.timestamp()[1], headers(message))


def _redriven(arrived: Arrived, key: str) -> str:
    """Return which step repeats a redriven record; the job ignores a mark that is not genuine."""
    verdict = redriven.judge(key, map(arrived.headers.get, redriven.HEADERS), arrived.raw)
    if verdict == "forged":
        return "with a forged redrive mark"
    return f"redriven to the step {arrived.headers[redriven.STEP]}" if verdict else ""


def _text_of(values: Mapping[str, Any]) -> str:
    return json.dumps(values, ensure_ascii=False)


def _head(raw: bytes | None) -> str:
    head = (raw or b"")[:_HEAD_BYTES]
    return printable(head.decode("utf-8", "backslashreplace"))
