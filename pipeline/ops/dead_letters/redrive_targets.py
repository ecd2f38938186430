"""The target of each dead letter, by its step and by its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from connectors.kinesis.table import stream_of
from pipeline.ops.dead_letters.letter import Letter
from pipeline.ops.dead_letters.redrive_log_stored import StoredLog, needed_path
from pipeline.ops.dead_letters.redrive_log_topic import read_log
from pipeline.ops.dead_letters.redrive_target import Pace, Ready, RedriveTarget, Sender, to_nowhere
from pipeline.ops.dead_letters.tally import Tally
from pipeline.ops.dead_letters.to_index import IndexSender
from pipeline.ops.dead_letters.to_stream import StreamSender
from pipeline.ops.dead_letters.to_topic import TopicSender
from pipeline.ops.systems import Systems

NO_SOURCE: Final = "not a source of this configuration"
NO_LOG: Final = "a stream can't carry the redrive headers of a replica"
_INDEX: Final = "the index"


@dataclass(slots=True)
class RedriveTargets:
    """Opens each target when the first dead letter needs it; a dry run only reads the logs."""

    systems: Systems
    pace: Pace
    tally: Tally
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
            return self._lane(f"the topic {topic}", lambda where: self._topic(where, topic))
        if letter.step == "index":
            return self._lane(_INDEX, self._index)
        assert stream is not None, "_refusal refuses a position of neither"
        return self._lane(f"the stream {stream}", lambda where: self._stream(where, stream))

    def flush(self) -> None:
        """Send everything that was collected."""
        for target in self._open.values():
            target.flush()

    def close(self) -> None:
        """Close all connections."""
        for target in self._open.values():
            target.close()

    def _refusal(self, letter: Letter) -> str:
        """Return the first reason against redriving it; empty if there is none."""
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
            return NO_LOG
        known = letter.replica in config.replicate
        return "" if known else "this configuration has no such replica"

    def _lane(self, where: str, make: Callable[[str], RedriveTarget]) -> RedriveTarget:
        if where not in self._open:
            self._open[where] = make(where)
        return self._open[where]

    def _topic(self, where: str, topic: str) -> RedriveTarget:
        cluster = self.systems.config.cluster(self.systems.config.source.kafka_cluster)
        if self.dry_run:
            return RedriveTarget(where, to_nowhere, read_log(cluster, topic), self.pace, self.tally)
        sender = TopicSender(cluster, topic)
        return RedriveTarget(
            where, sender.deliver, sender.logged, self.pace, self.tally, sender.close
        )

    def _index(self, where: str) -> RedriveTarget:
        systems, index = self.systems, self.systems.config.index
        assert index, "_refusal refuses it where there is none"
        return self._logged_on_s3(where, lambda: IndexSender(systems.config, index, systems.types))

    def _stream(self, where: str, stream: str) -> RedriveTarget:
        return self._logged_on_s3(where, lambda: StreamSender(self.systems, stream))

    def _logged_on_s3(self, where: str, connect: Callable[[], Sender]) -> RedriveTarget:
        """Return a target whose log is stored on S3, written after each delivery."""
        if self._stored is None:
            stored = StoredLog(needed_path(self.systems.config), self.systems.environment)
            self._stored = stored, stored.read()
        stored, logged = self._stored
        if self.dry_run:
            return RedriveTarget(where, to_nowhere, logged, self.pace, self.tally)
        sender = connect()

        def deliver_and_log(batch: Sequence[Ready]) -> list[str | None]:
            refusals = sender.deliver(batch)
            taken = zip(batch, refusals, strict=True)
            stored.write([ready.letter.identity for ready, why in taken if why is None])
            return refusals

        return RedriveTarget(where, deliver_and_log, logged, self.pace, self.tally, sender.close)
