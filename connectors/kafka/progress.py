"""How far a consumer group has read topics.

Flink commits a partition's offset to the group when the checkpoint that covers it completes. So
every record before a committed offset has been read, and its effects are part of a checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kafka.errors import has_no_coordinator_yet, reported
from connectors.kafka.options import Kafka
from connectors.kafka.security import librdkafka_options

Offsets = dict[int, int]
_TIMEOUT_SECONDS: Final = 30.0
_PAUSE_SECONDS: Final = 0.5


def committed_offsets(
    cluster: Kafka, *, topic: str, group_id: str, partitions: Iterable[int]
) -> Offsets:
    """Return the offsets that a group has committed; 0 for a partition without.

    Waits up to 30 s while the brokers elect the group's coordinator.

    Raises:
        UserError: the offsets cannot be read.
    """
    group = _consumer(cluster, group_id)
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    numbers = list(partitions)
    try:
        with reported(f"read the offsets of the group {group_id} in the topic {topic}"):
            while True:
                try:
                    return _committed(group, topic, numbers)
                except KafkaException as error:
                    if not has_no_coordinator_yet(error) or time.monotonic() >= deadline:
                        raise
                time.sleep(_PAUSE_SECONDS)
    finally:
        group.close()


class SourceProgress:
    """How much of a topic is covered by completed checkpoints. UserError if Kafka fails."""

    def __init__(self, cluster: Kafka, *, topic: str, group_id: str) -> None:
        self._group = _consumer(cluster, group_id)
        self._topic = topic
        self._action = f"read the progress of the group {group_id} in the topic {topic}"

    def end(self) -> Offsets:
        """Return the offset after the last record, by partition."""
        with reported(self._action):
            return {
                number: self._group.get_watermark_offsets(
                    TopicPartition(self._topic, number), timeout=_TIMEOUT_SECONDS
                )[1]
                for number in self._partitions()
            }

    def committed(self) -> Offsets:
        """Return the offset that the last completed checkpoint covers, by partition.

        Empty while the brokers elect the group's coordinator.
        """
        with reported(self._action):
            try:
                return _committed(self._group, self._topic, self._partitions())
            except KafkaException as error:
                if has_no_coordinator_yet(error):
                    return {}
                raise

    def drained(self) -> bool:
        """Return whether every record of the topic is covered by a completed checkpoint."""
        offsets = self.committed()
        behind = {number for number, end in self.end().items() if offsets.get(number, 0) < end}
        return not any(self._has_more(number, offsets.get(number, 0)) for number in behind)

    def _partitions(self) -> list[int]:
        topics = self._group.list_topics(self._topic, timeout=_TIMEOUT_SECONDS).topics
        return sorted(topics[self._topic].partitions)

    def _has_more(self, partition: int, offset: int) -> bool:
        """Return whether a record follows: the end of a transaction takes an offset, too."""
        self._group.assign([TopicPartition(self._topic, partition, offset)])
        try:
            message = self._group.poll(_TIMEOUT_SECONDS)
            return message is None or message.error() is None
        finally:
            self._group.unassign()


def _committed(group: Consumer, topic: str, partitions: Iterable[int]) -> dict[int, int]:
    """Return the offsets that the consumer's group has committed; 0 for a partition without.

    Raises:
        KafkaException: also if the offset of only one partition could not be read.
    """
    requested = [TopicPartition(topic, number) for number in partitions]
    offsets = group.committed(requested, timeout=_TIMEOUT_SECONDS)
    failed = next((each.error for each in offsets if each.error), None)
    if failed:
        raise KafkaException(failed)
    return {each.partition: max(0, each.offset) for each in offsets}


def _consumer(cluster: Kafka, group_id: str) -> Consumer:
    """Return a consumer that never subscribes.

    Not the admin client: librdkafka 2.16 crashes in the latter's rd_kafka_cgrp_op while the
    group's coordinator is still loading.
    """
    reading = {"enable.auto.commit": False, "enable.partition.eof": True}
    return Consumer({**librdkafka_options(cluster), **reading, "group.id": group_id})
