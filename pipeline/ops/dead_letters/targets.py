"""Redrive targets: each dead letter goes back by its step and by the source it came from."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.kinesis.table import stream_of
from pipeline.ops.dead_letters.letter import Letter
from pipeline.ops.dead_letters.redrive_log import StoredLog, read_topic_log, required_log_path
from pipeline.ops.dead_letters.report import RedriveReport
from pipeline.ops.dead_letters.senders import (
    IndexSender,
    Pending,
    Sender,
    StreamSender,
    TopicSender,
)
from pipeline.ops.systems import Systems

NO_SOURCE: Final = "not a source of this configuration"
NO_HEADERS: Final = "a stream can't carry the mark of a replica"

_BATCH_RECORDS: Final = 500
_BATCH_BYTES: Final = 8 * 1024 * 1024

Deliver = Callable[[Sequence[Pending]], list[str | None]]


class Pace:
    """Limits the rate, in records a second, over all targets; None means no limit."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._next = time.monotonic()

    @property
    def batch(self) -> int:
        """The maximum number of records in a batch."""
        if self._rate is None:
            return _BATCH_RECORDS
        return max(1, min(_BATCH_RECORDS, int(self._rate)))

    def wait(self, records: int) -> None:
        """Wait until so many records may be sent."""
        if self._rate is not None:
            time.sleep(max(0.0, self._next - time.monotonic()))
            self._next = max(self._next, time.monotonic()) + records / self._rate


@dataclass(slots=True)
class RedriveTarget:
    """Collects batches, delivers them and reports the outcome of each dead letter.

    `log` has the digests of what was redriven before.
    """

    name: str
    deliver: Deliver
    log: Collection[bytes]
    pace: Pace
    report: RedriveReport
    close: Callable[[], None] = lambda: None
    _batch: list[Pending] = field(default_factory=list)
    _bytes: int = 0

    def add(self, pending: Pending) -> None:
        """Add a dead letter to the batch; deliver the batch if it is full."""
        if self._bytes + pending.bytes > _BATCH_BYTES:
            self.flush()
        self._batch.append(pending)
        self._bytes += pending.bytes
        if len(self._batch) >= self.pace.batch:
            self.flush()

    def flush(self) -> None:
        """Deliver the batch."""
        if not self._batch:
            return
        batch, self._batch, self._bytes = self._batch, [], 0
        self.pace.wait(len(batch))
        for pending, refusal in zip(batch, self.deliver(batch), strict=True):
            if refusal is None:
                self.report.add_redriven(pending.letter, self.name)
            else:
                self.report.add_refused(pending.letter, refusal)


@dataclass(slots=True)
class RedriveTargets:
    """Opens each target for its first dead letter. A dry run reads the redrive log only."""

    systems: Systems
    pace: Pace
    report: RedriveReport
    dry_run: bool
    _open: dict[str, RedriveTarget] = field(default_factory=dict)
    _stored: tuple[StoredLog, set[bytes]] | None = None

    def of(self, letter: Letter) -> RedriveTarget | str:
        """Return the target, or why the dead letter cannot be redriven."""
        refusal = self._refusal(letter)
        if refusal:
            return refusal
        topic, stream = letter.position.topic, letter.position.stream
        if topic is not None:
            return self._target(f"the topic {topic}", lambda name: self._topic(name, topic))
        if letter.step == "index":
            return self._target("the index", self._index)
        assert stream is not None, "_refusal rejects a position of neither"
        return self._target(f"the stream {stream}", lambda name: self._stream(name, stream))

    def flush(self) -> None:
        """Deliver all batches."""
        for target in self._open.values():
            target.flush()

    def close(self) -> None:
        """Close the connections."""
        for target in self._open.values():
            target.close()

    def _refusal(self, letter: Letter) -> str:
        """Return the first reason against redriving a dead letter; empty if there is none."""
        config, position = self.systems.config, letter.position
        streams = [stream_of(each, config.kinesis).name for each in config.source.kinesis_streams]
        on_kafka = position.topic in config.source.kafka_topics
        if not letter.where or not (on_kafka or position.stream in streams):
            return NO_SOURCE
        if letter.step == "decode":
            return ""
        if letter.step == "index":
            return "" if config.index else "this configuration has no index"
        if letter.step != "replicate":
            return "it names no step of the job"
        if not on_kafka:
            return NO_HEADERS
        known = letter.replica in config.replicate
        return "" if known else "this configuration has no such replica"

    def _target(self, name: str, open_target: Callable[[str], RedriveTarget]) -> RedriveTarget:
        if name not in self._open:
            self._open[name] = open_target(name)
        return self._open[name]

    def _topic(self, name: str, topic: str) -> RedriveTarget:
        cluster = self.systems.config.cluster(self.systems.config.source.kafka_cluster)
        if self.dry_run:
            return self._dry(name, read_topic_log(cluster, topic))
        sender = TopicSender(cluster, topic)
        return RedriveTarget(name, sender.deliver, sender.log, self.pace, self.report, sender.close)

    def _index(self, name: str) -> RedriveTarget:
        systems, index = self.systems, self.systems.config.index
        assert index, "_refusal rejects dead letters of an absent index"
        return self._logged(name, lambda: IndexSender(systems.config, index, systems.types))

    def _stream(self, name: str, stream: str) -> RedriveTarget:
        return self._logged(name, lambda: StreamSender(self.systems, stream))

    def _logged(self, name: str, connect: Callable[[], Sender]) -> RedriveTarget:
        """Return a target whose log is on S3 and is written after each delivery."""
        if self._stored is None:
            stored = StoredLog(required_log_path(self.systems.config), self.systems.environment)
            self._stored = stored, stored.read()
        log, digests = self._stored
        if self.dry_run:
            return self._dry(name, digests)
        sender = connect()

        def deliver_and_log(batch: Sequence[Pending]) -> list[str | None]:
            refusals = sender.deliver(batch)
            outcomes = zip(batch, refusals, strict=True)
            log.append([pending.letter.identity for pending, why in outcomes if why is None])
            return refusals

        return RedriveTarget(name, deliver_and_log, digests, self.pace, self.report, sender.close)

    def _dry(self, name: str, log: Collection[bytes]) -> RedriveTarget:
        return RedriveTarget(name, lambda batch: [None] * len(batch), log, self.pace, self.report)
