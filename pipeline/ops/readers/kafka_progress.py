"""How much of a Kafka topic a job's completed checkpoints cover."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kafka import reader as kafka_topic

Offsets = dict[int, int]
_TIMEOUT_SECONDS = 30.0


class SourceProgress:
    """How much of a topic completed checkpoints cover.

    Flink commits a partition's offset to the group when the checkpoint that covers it completes,
    so every record before a committed offset is read and its effects are recorded.
    """

    def __init__(
        self,
        servers: str,
        *,
        topic: str,
        group_id: str,
        security: Mapping[str, Any] | None = None,
    ) -> None:
        # A consumer that never subscribes, and not the admin client: librdkafka 2.16 crashes in the
        # latter's rd_kafka_cgrp_op when the group's coordinator is still loading.
        self._group = Consumer(
            {
                "bootstrap.servers": servers,
                **(security or {}),
                "group.id": group_id,
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )
        self._topic = topic

    def end(self) -> Offsets:
        """Return the offset after the last record of each partition."""
        return {
            number: self._group.get_watermark_offsets(
                TopicPartition(self._topic, number), timeout=_TIMEOUT_SECONDS
            )[1]
            for number in self._partitions()
        }

    def committed(self) -> Offsets:
        """Return the offset of each partition up to which the last completed checkpoint covers it.

        The result is empty while the brokers are still electing the group's coordinator.
        """
        try:
            return kafka_topic.committed(self._group, self._topic, self._partitions())
        except KafkaException as error:
            if kafka_topic.has_no_coordinator_yet(error):
                return {}
            raise

    def _partitions(self) -> list[int]:
        topics = self._group.list_topics(self._topic, timeout=_TIMEOUT_SECONDS).topics
        return sorted(topics[self._topic].partitions)

    def drained(self) -> bool:
        """Tell whether completed checkpoints cover every record of the topic."""
        committed = self.committed()
        behind = {number for number, end in self.end().items() if committed.get(number, 0) < end}
        return not behind or not any(self._has_more(n, committed.get(n, 0)) for n in behind)

    def _has_more(self, partition: int, offset: int) -> bool:
        """Tell whether a record follows that offset; a transaction's end marker has one too."""
        self._group.assign([TopicPartition(self._topic, partition, offset)])
        try:
            message = self._group.poll(_TIMEOUT_SECONDS)
            return message is None or message.error() is None
        finally:
            self._group.unassign()
