"""How far a consumer group has come in a topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from connectors.kafka import reader

Offsets = dict[int, int]
_TIMEOUT_SECONDS = 30.0


class SourceProgress:
    """How much of a topic lies in completed checkpoints.

    Flink commits a partition's offset to the group when the checkpoint that covers it completes,
    so a committed offset is a promise: what lies before it is read and its effects are recorded.
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
        """The offset after the last record, of each partition."""
        return {
            number: self._group.get_watermark_offsets(
                TopicPartition(self._topic, number), timeout=_TIMEOUT_SECONDS
            )[1]
            for number in self._partitions()
        }

    def committed(self) -> Offsets:
        """The offset that the last completed checkpoint covers, of each partition.

        Empty while the brokers are still finding the group a coordinator.
        """
        try:
            return reader.committed(self._group, self._topic, self._partitions())
        except KafkaException as error:
            if reader.has_no_coordinator_yet(error):
                return {}
            raise

    def _partitions(self) -> list[int]:
        topics = self._group.list_topics(self._topic, timeout=_TIMEOUT_SECONDS).topics
        return sorted(topics[self._topic].partitions)

    def drained(self) -> bool:
        """Whether every record of the topic is covered by a completed checkpoint."""
        committed = self.committed()
        behind = {number for number, end in self.end().items() if committed.get(number, 0) < end}
        return not behind or not any(self._has_more(n, committed.get(n, 0)) for n in behind)

    def _has_more(self, partition: int, offset: int) -> bool:
        """Whether a record lies there or behind; the end of a transaction has an offset, too."""
        self._group.assign([TopicPartition(self._topic, partition, offset)])
        try:
            found = self._group.poll(_TIMEOUT_SECONDS)
            return found is None or found.error() is None
        finally:
            self._group.unassign()
